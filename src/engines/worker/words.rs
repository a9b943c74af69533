//! The words of worker's columns, as types.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant),*
        }

        impl $name {
            /// As the column holds it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $text),*
                }
            }

            /// From the column's text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some($name::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

words!(
    /// Type of an order.
    Kind {
        /// At any price.
        Market = "MARKET",
        /// At a price or better; rests.
        Limit = "LIMIT",
        /// At a price or better, at once; the rest is cancelled.
        Ioc = "IOC",
        /// At a price or better, at once and whole, or not at all.
        Fok = "FOK",
    }
);

words!(
    /// What an exchange can say of an order, other than a fill.
    Status {
        /// It rests.
        Open = "OPEN",
        /// It is no more.
        Cancelled = "CANCELLED",
        /// It never was.
        Rejected = "REJECTED",
    }
);

words!(
    /// What an order is after a fill.
    FillStatus {
        /// Some of it rests still.
        PartiallyFilled = "PARTIALLY_FILLED",
        /// It is done.
        Filled = "FILLED",
    }
);

words!(
    /// Type of an audit entry.
    EventType {
        /// The bot decided.
        Decision = "DECISION",
        /// Something failed.
        Error = "ERROR",
        /// A state machine moved.
        StateTransition = "STATE_TRANSITION",
        /// Its state was held against the exchanges'.
        Reconciliation = "RECONCILIATION",
    }
);
