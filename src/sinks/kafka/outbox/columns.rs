//! The columns of an outbox in the shape of one Relation message, and what a row says in them.

use std::borrow::Cow;

use super::parked::{Aggregate, Body};
use super::time;
use crate::config::KafkaOutbox;
use crate::model::Relation;
use crate::pgoutput::{Cell, Tuple, cast};
use crate::refusal::{Kind, Refusal};

const BYTEA: u32 = 17;

/// Where the columns stand in a row.
#[derive(Debug, Clone)]
pub struct Layout {
    id: Place,
    aggregate_type: Place,
    aggregate_id: Place,
    event_type: Place,
    payload: Place,
    headers: Option<Place>,
    available_at: Option<Place>,
    delivered: Option<Place>,
    status: Option<Place>,
    attempts: Option<Place>,
    /// Values of the status.
    pending_text: String,
    delivered_text: String,
    dead_text: String,
}

/// A column.
#[derive(Debug, Clone)]
struct Place {
    name: String,
    index: usize,
    type_oid: u32,
}

/// What a row says of its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Says {
    /// It is delivered.
    pub delivered: bool,
    /// It is given up.
    pub dead: bool,
    /// It is as if it had never been tried: neither of these, pending, no attempts; and there are columns to say so.
    pub fresh: bool,
}

/// A row of the outbox, as sent.
pub struct Incoming<'a> {
    cells: Vec<Cell<'a>>,
    layout: &'a Layout,
    /// Its id.
    pub id: Cow<'a, str>,
    /// What its columns say.
    pub says: Says,
}

impl Layout {
    /// Finds the columns; refuses a table that lacks one that was named.
    pub fn new(relation: &Relation, settings: &KafkaOutbox) -> Result<Self, Refusal> {
        let find = |name: &String| {
            let index = relation.column(name).ok_or_else(|| {
                let what = format!("the outbox {} has no published column {name}", relation.table);
                Refusal::new(Kind::Server, what, "name its columns in [kafka.outbox.columns]")
            })?;
            Ok::<_, Refusal>(Place { name: name.clone(), index, type_oid: relation.columns[index].type_oid })
        };
        let maybe = |name: &Option<String>| name.as_ref().map(find).transpose();
        let columns = &settings.columns;
        Ok(Self {
            id: find(&columns.id)?,
            aggregate_type: find(&columns.aggregate_type)?,
            aggregate_id: find(&columns.aggregate_id)?,
            event_type: find(&columns.event_type)?,
            payload: find(&columns.payload)?,
            headers: maybe(&columns.headers)?,
            available_at: maybe(&columns.available_at)?,
            delivered: maybe(&columns.delivered)?,
            status: maybe(&columns.status)?,
            attempts: maybe(&columns.attempts)?,
            pending_text: settings.status.pending.clone(),
            delivered_text: settings.status.delivered.clone(),
            dead_text: settings.status.dead.clone(),
        })
    }

    /// A whole row.
    pub fn read<'a>(&'a self, row: Tuple<'a>) -> Result<Incoming<'a>, Refusal> {
        let cells: Vec<Cell<'a>> = row.cells().collect();
        let id = self.id(&cells)?.ok_or_else(|| self.id.bad("is NULL: an outbox needs a key"))?;
        let says = self.says(&cells)?;
        Ok(Incoming { cells, layout: self, id, says })
    }

    /// The id of an old row, if it was sent.
    pub fn id_of(&self, row: Tuple<'_>) -> Result<Option<String>, Refusal> {
        let cells: Vec<Cell<'_>> = row.cells().collect();
        Ok(self.id(&cells)?.map(Cow::into_owned))
    }

    /// What a row says of its delivery.
    pub fn says_of(&self, row: Tuple<'_>) -> Result<Says, Refusal> {
        self.says(&row.cells().collect::<Vec<_>>())
    }

    fn id<'a>(&self, cells: &[Cell<'a>]) -> Result<Option<Cow<'a, str>>, Refusal> {
        self.id.text(cells)
    }

    fn says(&self, cells: &[Cell<'_>]) -> Result<Says, Refusal> {
        let text = |place: &Option<Place>| place.as_ref().map(|place| place.text(cells)).transpose();
        let flag = text(&self.delivered)?.map(|flag| flag.as_deref() == Some("true"));
        let status = text(&self.status)?;
        let is = |value: &str| status.as_ref().map(|status| status.as_deref() == Some(value));
        let untried = text(&self.attempts)?.is_none_or(|attempts| attempts.is_none_or(|text| text == "0"));
        let delivered = flag.or_else(|| is(&self.delivered_text)).unwrap_or(false);
        let dead = !delivered && is(&self.dead_text).unwrap_or(false);
        let tells = self.delivered.is_some() || self.status.is_some();
        let pending = is(&self.pending_text).unwrap_or(true);
        Ok(Says { delivered, dead, fresh: tells && !delivered && pending && untried })
    }
}

impl Incoming<'_> {
    /// Whose event it is.
    pub fn aggregate(&self) -> Result<Aggregate, Refusal> {
        let text = |place: &Place| Ok::<_, Refusal>(place.text(&self.cells)?.map(Cow::into_owned));
        Ok(Aggregate { kind: text(&self.layout.aggregate_type)?, id: text(&self.layout.aggregate_id)? })
    }

    /// The event's type.
    pub fn event_type(&self) -> Result<Option<String>, Refusal> {
        Ok(self.layout.event_type.text(&self.cells)?.map(Cow::into_owned))
    }

    /// Not before; always, when the table does not say.
    pub fn available_us(&self) -> Result<i64, Refusal> {
        let Some(place) = &self.layout.available_at else { return Ok(time::ALWAYS) };
        match place.text(&self.cells)? {
            None => Ok(time::ALWAYS),
            Some(text) => time::micros(&text).ok_or_else(|| place.bad("is no timestamp")),
        }
    }

    /// Payload and headers; elsewhere when one of them was not sent, because the update did not touch it.
    pub fn body(&self) -> Result<Body, Refusal> {
        let cell = |place: &Place| self.cells[place.index];
        let headers = self.layout.headers.as_ref();
        if cell(&self.layout.payload) == Cell::Unchanged || headers.is_some_and(|place| cell(place) == Cell::Unchanged)
        {
            return Ok(Body::Elsewhere);
        }
        let payload = match cell(&self.layout.payload) {
            Cell::Text(sent) => Some(self.layout.payload.bytes(sent)?),
            Cell::Null | Cell::Unchanged => None,
        };
        let headers = headers.map(|place| place.text(&self.cells)).transpose()?.flatten().map(Cow::into_owned);
        Ok(Body::Held { payload, headers })
    }
}

impl Place {
    /// The value as `::text` prints it.
    fn text<'a>(&self, cells: &[Cell<'a>]) -> Result<Option<Cow<'a, str>>, Refusal> {
        match cells[self.index] {
            Cell::Null => Ok(None),
            Cell::Unchanged => Err(self.bad("is too long: an update does not bring it")),
            Cell::Text(sent) => {
                let text = match cast::to_text(self.type_oid, sent) {
                    Cow::Borrowed(text) => std::str::from_utf8(text).map(Cow::Borrowed).ok(),
                    Cow::Owned(text) => String::from_utf8(text).map(Cow::Owned).ok(),
                };
                text.map(Some).ok_or_else(|| self.bad("is not UTF-8"))
            }
        }
    }

    /// The payload: the bytes of a `bytea`, the text of anything else.
    fn bytes(&self, sent: &[u8]) -> Result<Vec<u8>, Refusal> {
        if self.type_oid != BYTEA {
            return Ok(cast::to_text(self.type_oid, sent).into_owned());
        }
        let digits = sent.strip_prefix(b"\\x").filter(|digits| digits.len().is_multiple_of(2));
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
        let decoded = digits.and_then(|digits| digits.chunks_exact(2).map(byte).collect::<Option<Vec<u8>>>());
        decoded.ok_or_else(|| self.bad("is not bytea in hex"))
    }

    fn bad(&self, why: &str) -> Refusal {
        let what = format!("the outbox's column {} {why}", self.name);
        Refusal::new(Kind::Tape, what, "compare [kafka.outbox.columns] with the table")
    }
}
