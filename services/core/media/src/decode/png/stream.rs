//! An image of a PNG as a file of its own, for `png`: a header, the data as `IDAT`, `IEND`.
//!
//! `png` keeps profiles, texts and other metadata in memory, and unpacks some of them, with any settings. It
//! refuses a file for a wrong checksum or a missing `IEND`. In this stream it sees none of these. Palette
//! indices are declared as grey: the rows are the same, and the colours are looked up later. The data are not
//! copied.

use std::io::{self, BufRead, ErrorKind, Read, Seek, SeekFrom};

use super::chunks::{Chunks, Colour, Header};

/// A placeholder for a checksum, which is not checked.
const CHECKSUM: [u8; 4] = [0; 4];

/// A reader of one image.
pub(super) struct Stream<'a> {
    /// The composed bytes: signature, header chunk, and headers and checksums of chunks.
    composed: Vec<u8>,
    /// The number of bytes of `composed` that have been read.
    read: usize,
    /// The bytes after `composed`: the data of a chunk.
    data: &'a [u8],
    chunks: Chunks<'a>,
    kind: [u8; 4],
    within_chunk: bool,
    ended: bool,
}

impl<'a> Stream<'a> {
    /// Creates a stream for an image of this size, whose data begin with the first of the chunks.
    pub(super) fn new(header: &Header, (width, height): (u32, u32), chunks: Chunks<'a>) -> Self {
        let colour = match header.colour {
            Colour::Grey | Colour::Palette => 0,
            Colour::Rgb => 2,
            Colour::GreyAlpha => 4,
            Colour::Rgba => 6,
        };
        let mut composed = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        composed.extend(width.to_be_bytes());
        composed.extend(height.to_be_bytes());
        composed.extend([header.depth, colour]);
        composed.extend(header.methods);
        composed.extend(CHECKSUM);
        let kind = { chunks }.next().map_or([0; 4], |chunk| chunk.kind);
        Self { composed, read: 0, data: &[], chunks, kind, within_chunk: false, ended: false }
    }

    /// Composes the bytes before the data of the next chunk.
    fn advance(&mut self) {
        self.composed.clear();
        self.read = 0;
        if self.ended {
            return;
        }
        if self.within_chunk {
            self.composed.extend(CHECKSUM);
        }
        if let Some(chunk) = self.chunks.next().filter(|chunk| chunk.kind == self.kind) {
            // The data of an animation's chunk begin with a sequence number.
            let skipped = if self.kind == *b"fdAT" { 4 } else { 0 };
            self.data = chunk.data.get(skipped..).unwrap_or_default();
            // A slice of a chunk, whose length has 32 bits.
            #[expect(clippy::cast_possible_truncation, reason = "at most what a chunk declares")]
            self.composed.extend((self.data.len() as u32).to_be_bytes());
            self.composed.extend(b"IDAT");
            self.within_chunk = true;
        } else {
            self.composed.extend(b"\0\0\0\0IEND");
            self.composed.extend(CHECKSUM);
            self.ended = true;
        }
    }
}

impl BufRead for Stream<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.read == self.composed.len() && self.data.is_empty() {
            self.advance();
        }
        Ok(if self.read < self.composed.len() { &self.composed[self.read..] } else { self.data })
    }

    fn consume(&mut self, amount: usize) {
        if self.read < self.composed.len() {
            self.read += amount;
        } else {
            self.data = &self.data[amount..];
        }
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// `png` requires this trait and does not use it.
impl Seek for Stream<'_> {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(ErrorKind::Unsupported.into())
    }
}
