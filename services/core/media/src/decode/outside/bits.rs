//! Reads bits, beginning with the least significant of each byte, as JPEG XL packs them.

/// A reader from the front of bytes.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads a number of at most 32 bits.
    pub(super) fn number(&mut self, bits: u32) -> Option<u32> {
        let mut number = 0;
        for place in 0..bits {
            let byte = self.bytes.get(self.at / 8)?;
            number |= u32::from(byte >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Some(number)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        self.number(1).map(|bit| bit == 1)
    }

    /// Reads a number in one of four lengths, and adds the offset of that length (`U32` of ISO/IEC 18181-1).
    pub(super) fn choice(&mut self, lengths: [(u32, u32); 4]) -> Option<u32> {
        let (bits, more) = *lengths.get(self.number(2)? as usize)?;
        self.number(bits)?.checked_add(more)
    }
}
