//! What each message of the stream does to the unit that is being written. Pure.
//!
//! Invariants: a unit is opened by its first message, so that empty transactions leave nothing; a transaction whose commit
//! record starts below the tape's end is on the tape already (the server's own rule for what to skip, see
//! `SnapBuildXactNeedsSkip`) and is dropped whole; what stands outside any transaction is a logical message.

use crate::model::Lsn;
use crate::pgoutput::{Begin, Commit, DecodeError, Message, decode};

/// What to do with the message just taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing: a Begin (kept for later), or part of a repeated transaction.
    Nothing,
    /// Open a unit, then add the message to it.
    OpenAndPush(Begin),
    /// Add the message.
    Push,
    /// End the unit.
    Commit(Commit),
    /// The transaction had nothing for us; it ended here.
    Empty(Lsn),
    /// The message is a unit of its own, at this position.
    Alone(Lsn),
}

/// The message cannot stand where it stood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// It cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It came out of order.
    #[error("the server's stream is out of order: message '{}' {place}", tag.escape_ascii())]
    Order {
        /// First byte of the message.
        tag: u8,
        /// Where it stood.
        place: &'static str,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    Begun(Begin),
    Open,
    Repeated,
}

/// Follows the stream of one connection.
#[derive(Debug)]
pub struct Assembler {
    state: State,
}

impl Default for Assembler {
    fn default() -> Self {
        Self { state: State::Between }
    }
}

impl Assembler {
    /// Takes a message; `tape_end` is the end of what is on the tape.
    pub fn take(&mut self, raw: &[u8], tape_end: Lsn) -> Result<Step, AssembleError> {
        let tag = raw.first().copied().unwrap_or(0);
        let out_of_order = |place| Err(AssembleError::Order { tag, place });
        match (self.state, tag) {
            (State::Between, b'B') => {
                let Message::Begin(begin) = decode(raw)? else { unreachable!("B is Begin") };
                self.state = if begin.final_lsn < tape_end { State::Repeated } else { State::Begun(begin) };
                Ok(Step::Nothing)
            }
            (State::Between, b'M') => match decode(raw)? {
                Message::Logical(m) if !m.transactional => {
                    Ok(if m.lsn > tape_end { Step::Alone(m.lsn) } else { Step::Nothing })
                }
                _ => out_of_order("outside its transaction"),
            },
            (State::Between, _) => out_of_order("outside a transaction"),
            (_, b'B') => out_of_order("within a transaction"),
            (state, b'C') => {
                let Message::Commit(commit) = decode(raw)? else { unreachable!("C is Commit") };
                self.state = State::Between;
                Ok(match state {
                    State::Open => Step::Commit(commit),
                    State::Begun(_) => Step::Empty(commit.end_lsn),
                    State::Between | State::Repeated => Step::Nothing,
                })
            }
            (State::Repeated, _) => Ok(Step::Nothing),
            (State::Begun(begin), _) => {
                self.state = State::Open;
                Ok(Step::OpenAndPush(begin))
            }
            (State::Open, _) => Ok(Step::Push),
        }
    }

    /// Whether no transaction is in flight.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.state == State::Between
    }

    /// Whether everything that the server sends from now on ends after `point`, judged by the next message.
    #[must_use]
    pub fn is_past(&self, next: &[u8], point: Lsn) -> bool {
        self.state == State::Between
            && match decode(next) {
                Ok(Message::Begin(begin)) => begin.final_lsn >= point,
                Ok(Message::Logical(message)) => message.lsn > point,
                _ => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pgoutput::{Cell, Logical, encode_begin, encode_commit, encode_insert, encode_logical};

    /// `B100 I C120 M130` as messages; a commit's record starts where its Begin says.
    fn check(script: &str, tape_end: u64, want: &str) {
        let mut assembler = Assembler::default();
        let mut got = Vec::new();
        for word in script.split_whitespace() {
            let (tag, lsn) = word.split_at(1);
            let lsn = Lsn(lsn.parse().unwrap_or(0));
            let mut raw = Vec::new();
            match tag {
                "B" => encode_begin(&Begin { final_lsn: lsn, commit_time_us: 0, xid: 1 }, &mut raw),
                "C" => encode_commit(&Commit { commit_lsn: lsn, end_lsn: lsn, commit_time_us: 0 }, &mut raw),
                "I" => encode_insert(1, [Cell::Null].into_iter(), &mut raw),
                _ => {
                    let logical = Logical { transactional: tag == "m", lsn, prefix: "", content: b"" };
                    encode_logical(&logical, &mut raw);
                }
            }
            got.push(match assembler.take(&raw, Lsn(tape_end)) {
                Ok(Step::Nothing) => "-".to_owned(),
                Ok(Step::OpenAndPush(begin)) => format!("open{}", begin.final_lsn.0),
                Ok(Step::Push) => "push".to_owned(),
                Ok(Step::Commit(commit)) => format!("commit{}", commit.end_lsn.0),
                Ok(Step::Empty(lsn)) => format!("empty{}", lsn.0),
                Ok(Step::Alone(lsn)) => format!("alone{}", lsn.0),
                Err(_) => "refused".to_owned(),
            });
        }
        assert_eq!(got.join(" "), want, "{script} at {tape_end}");
    }

    #[test]
    fn transactions_become_units() {
        check("B100 I I C120", 50, "- open100 push commit120");
        check("B100 m I C120", 100, "- open100 push commit120");
        check("B100 C120 B130 I C140", 50, "- empty120 - open130 commit140");
        check("M130", 50, "alone130");
    }

    #[test]
    fn what_is_on_the_tape_already_is_dropped_whole() {
        check("B100 I C120 B120 I C140", 120, "- - - - open120 commit140");
        check("M120 M121", 120, "- alone121");
    }

    #[test]
    fn messages_out_of_order_are_refused() {
        check("I", 0, "refused");
        check("C10", 0, "refused");
        check("m10", 0, "refused");
        check("B10 B20", 0, "- refused");
    }
}
