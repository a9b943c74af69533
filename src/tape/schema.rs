//! The schema messages in force: what the head of the next segment must repeat. Pure.

use std::collections::HashMap;

use bytes::Bytes;

use super::format::Fault;
use super::records::{RecordCursor, is_schema};

/// Schema messages in the order in which they were said last, each once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    said: HashMap<Vec<u8>, u64>,
    count: u64,
}

impl Schema {
    /// Takes in the schema messages among the records of `raw`.
    pub(crate) fn note(&mut self, raw: &[u8], mut records: RecordCursor) -> Result<(), Fault> {
        while let Some((_wal_start, message)) = records.next(raw)? {
            if is_schema(message) {
                self.say(message.to_vec());
            }
        }
        Ok(())
    }

    /// Takes in what `later` says.
    pub(crate) fn append(&mut self, later: Schema) {
        later.into_messages().into_iter().for_each(|message| self.say(message.into()));
    }

    fn say(&mut self, message: Vec<u8>) {
        self.count += 1;
        self.said.insert(message, self.count);
    }

    /// The messages in order.
    pub(crate) fn into_messages(self) -> Vec<Bytes> {
        let mut said: Vec<_> = self.said.into_iter().collect();
        said.sort_unstable_by_key(|(_message, order)| *order);
        said.into_iter().map(|(message, _order)| Bytes::from(message)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::put_record;
    use super::*;
    use crate::model::Lsn;

    #[test]
    fn the_latest_word_comes_last_and_nothing_twice() {
        let mut schema = Schema::default();
        let note = |schema: &mut Schema, messages: &[&[u8]]| {
            let (mut raw, mut previous) = (Vec::new(), 0);
            messages.iter().for_each(|message| put_record(&mut raw, &mut previous, Lsn(9), message));
            schema.note(&raw, RecordCursor::new(0..raw.len(), Lsn::ZERO)).unwrap();
        };
        note(&mut schema, &[b"R1", b"I", b"Y1", b"@1", b""]);
        let mut later = Schema::default();
        note(&mut later, &[b"R2", b"R1"]);
        schema.append(later);
        assert_eq!(schema.into_messages(), ["Y1", "@1", "R2", "R1"]);
    }
}
