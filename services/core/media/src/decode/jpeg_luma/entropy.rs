//! Bits to coefficients: the Huffman-coded blocks of a sequential scan.
//!
//! Source: ITU-T T.81, annex F. The data of an interval are first freed of the zeros that are stuffed behind each `ff`, so that the
//! decoder takes eight bytes at a time without looking at any of them, and a value together with its code.

use crate::decode::jpeg_header;

use super::tables::{Huffman, ZIGZAG, extend};

const RST0: u8 = 0xd0;
const EOI: u8 = 0xd9;

/// Zeros behind the data of an interval, so that the last bits are read like all others.
const PADDING: usize = 16;

/// The intervals between restart markers.
pub(super) struct Intervals<'a> {
    content: &'a [u8],
    at: usize,
    restarts: u8,
    data: Vec<u8>,
}

impl<'a> Intervals<'a> {
    /// From where the scan's data begin.
    pub(super) const fn new(content: &'a [u8], at: usize) -> Self {
        Self { content, at, restarts: 0, data: Vec::new() }
    }

    /// The data of the next interval, padded; `None` where they end in another marker than is due.
    pub(super) fn next(&mut self, is_last: bool) -> Option<&[u8]> {
        self.data.clear();
        if is_last {
            self.data.reserve(self.content.len() - self.at + PADDING);
        }
        loop {
            let end = jpeg_header::after_ff(self.content, self.at).ok()?;
            self.data.extend_from_slice(&self.content[self.at..end]);
            self.at = end + 1;
            let due = if is_last { EOI } else { RST0 + self.restarts % 8 };
            match *self.content.get(end)? {
                0 => {}
                marker if marker == due => break,
                _ => return None,
            }
        }
        self.restarts = self.restarts.wrapping_add(1);
        self.data.pop();
        self.data.extend_from_slice(&[0; PADDING]);
        Some(&self.data)
    }
}

/// The bits of one interval.
#[derive(Clone, Copy)]
pub(super) struct Entropy<'a> {
    data: &'a [u8],
    /// The next byte to take.
    at: usize,
    /// The next bits, from the highest.
    bits: u64,
    /// How many of them there are.
    count: u32,
}

impl<'a> Entropy<'a> {
    pub(super) const fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, bits: 0, count: 0 }
    }

    /// Takes bytes until at least 56 bits are there; `None` beyond the padding.
    #[inline(always)]
    fn refill(&mut self) -> Option<()> {
        let bytes = self.data.get(self.at..self.at + 8)?.first_chunk()?;
        // Bits beyond the count are the same ones as are put there the next time.
        self.bits |= u64::from_be_bytes(*bytes) >> self.count;
        self.at += ((63 - self.count) >> 3) as usize;
        self.count |= 56;
        Some(())
    }

    #[inline(always)]
    const fn drop(&mut self, count: u32) {
        self.bits <<= count;
        self.count -= count;
    }

    /// The number of `size` bits, 1 to 15.
    #[inline(always)]
    const fn value(&mut self, size: u32) -> i32 {
        #[expect(clippy::cast_possible_truncation, reason = "15 bits at most")]
        let bits = (self.bits >> (64 - size)) as u32;
        let value = extend(bits, size);
        self.drop(size);
        value
    }

    /// The next symbol, alone.
    #[inline(always)]
    fn symbol(&mut self, code: &Huffman) -> Option<u8> {
        let entry = code.look_up(self.bits);
        let (symbol, length) =
            if entry.length() > 0 { (entry.symbol(), entry.length()) } else { code.look_up_long(self.bits)? };
        self.drop(length);
        Some(symbol)
    }

    /// Reads one block into `out`, which is zero. True where only the first is not zero.
    #[inline(always)]
    pub(super) fn block(
        &mut self,
        dc: &Huffman,
        ac: &Huffman,
        predicted: &mut i32,
        out: &mut [i32; 64],
    ) -> Option<bool> {
        // A copy, which lives in registers.
        let mut this = *self;
        this.refill()?;
        let size = this.symbol(dc)?;
        if size > 0 {
            *predicted = predicted.wrapping_add(this.value(size.into()));
        }
        out[0] = *predicted;

        let mut k = 1;
        while k < 64 {
            // A code and its value have 31 bits at most.
            if this.count < 32 {
                this.refill()?;
            }
            let entry = ac.look_up(this.bits);
            let mut value = entry.value();
            if value != 0 {
                this.drop(entry.length());
                k += entry.run();
            } else {
                let symbol = this.symbol(ac)?;
                match (symbol >> 4, symbol & 15) {
                    (0, 0) => {
                        *self = this;
                        return Some(k == 1);
                    }
                    (15, 0) => {
                        k += 16;
                        continue;
                    }
                    (_, 0) => return None,
                    (run, size) => {
                        k += usize::from(run);
                        value = this.value(size.into());
                    }
                }
            }
            let place = usize::from(ZIGZAG[k & 127] & 63);
            out[place] = value;
            k += 1;
        }
        *self = this;
        (k == 64).then_some(false)
    }

    /// Checks that the data end here: in this byte, and not before.
    pub(super) fn finish(&self) -> Option<()> {
        let taken = self.at * 8 - self.count as usize;
        let bits = (self.data.len() - PADDING) * 8;
        (taken <= bits && bits - taken < 8).then_some(())
    }
}
