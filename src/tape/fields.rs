//! Fixed-width fields of payloads, written and read in order. Pure; little-endian; texts are `u32` length and UTF-8.

use super::format::Fault;
use crate::model::Lsn;

/// Appends fields.
#[derive(Debug, Default)]
pub(crate) struct Builder(pub(crate) Vec<u8>);

impl Builder {
    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn i64(mut self, value: i64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn lsn(self, value: Lsn) -> Self {
        self.u64(value.0)
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.u32(u32::try_from(text.len()).expect("texts are short")).raw(text.as_bytes())
    }

    pub(crate) fn texts(self, texts: &[String]) -> Self {
        let count = u32::try_from(texts.len()).expect("a list of tables is short");
        texts.iter().fold(self.u32(count), |builder, text| builder.text(text))
    }
}

/// Takes fields off the front of a payload.
#[derive(Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Fault::Payload("too short"))?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Fault> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Fault> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Fault> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(crate) fn lsn(&mut self) -> Result<Lsn, Fault> {
        Ok(Lsn(self.u64()?))
    }

    pub(crate) fn bytes16(&mut self) -> Result<[u8; 16], Fault> {
        self.array()
    }

    pub(crate) fn text(&mut self) -> Result<String, Fault> {
        let length = usize::try_from(self.u32()?).expect("32 bits fit");
        let (head, rest) = self.0.split_at_checked(length).ok_or(Fault::Payload("text length"))?;
        self.0 = rest;
        Ok(std::str::from_utf8(head).map_err(|_not_utf8| Fault::Payload("text"))?.to_owned())
    }

    /// Allocates no more than the payload has bytes: the count is not believed.
    pub(crate) fn texts(&mut self) -> Result<Vec<String>, Fault> {
        let count = self.u32()?;
        (0..count).map(|_| self.text()).collect()
    }

    /// Nothing may be left.
    pub(crate) fn done(self) -> Result<(), Fault> {
        if self.0.is_empty() { Ok(()) } else { Err(Fault::Payload("too long")) }
    }
}
