//! Compression of payloads: zstd level 1, where it pays.

use super::format::{COMPRESSED_RAW_BYTES_MAX, Codec, Fault, Header};

/// Shorter payloads are stored as they are, bytes.
const PAYLOAD_BYTES_MIN: usize = 512;
const LEVEL: i32 = 1;

/// Compresses, with one context and one buffer for all payloads.
pub(crate) struct Packer {
    context: zstd::bulk::Compressor<'static>,
    packed: Vec<u8>,
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

impl Packer {
    pub(crate) fn new() -> Self {
        let context = zstd::bulk::Compressor::new(LEVEL).expect("a zstd context of level 1 can always be made");
        Self { context, packed: Vec::new() }
    }

    /// The payload compressed; `None` where less than an eighth would be saved.
    pub(crate) fn pack(&mut self, payload: &[u8]) -> Option<&[u8]> {
        let too_long = u32::try_from(payload.len()).is_ok_and(|length| length > COMPRESSED_RAW_BYTES_MAX);
        if payload.len() < PAYLOAD_BYTES_MIN || too_long {
            return None;
        }
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(payload.len()));
        let length = self.context.compress_to_buffer(payload, &mut self.packed).ok()?;
        (length < payload.len() - payload.len() / 8).then_some(&self.packed)
    }
}

/// Decompresses, with one context for all payloads.
pub(crate) struct Unpacker(zstd::bulk::Decompressor<'static>);

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker").finish_non_exhaustive()
    }
}

impl Unpacker {
    pub(crate) fn new() -> Self {
        Self(zstd::bulk::Decompressor::new().expect("a zstd context can always be made"))
    }

    /// Puts the payload as it was before compression into `raw`.
    pub(crate) fn unpack(&mut self, header: &Header, payload: &[u8], raw: &mut Vec<u8>) -> Result<(), Fault> {
        raw.clear();
        match header.codec {
            Codec::Plain => raw.extend_from_slice(payload),
            Codec::Zstd => {
                let length = usize::try_from(header.raw).expect("bounded by COMPRESSED_RAW_BYTES_MAX");
                raw.reserve(length);
                let found = self.0.decompress_to_buffer(payload, raw).map_err(|_e| Fault::Payload("compression"))?;
                if found != length {
                    return Err(Fault::Payload("compressed length"));
                }
            }
        }
        Ok(())
    }
}
