//! Decodes lossless JPEG (ITU-T T.81, annex H), which libjpeg as built here does not decode.
//!
//! Each sample is a prediction from its neighbours plus a coded difference. As in libjpeg-turbo, colours are
//! neither converted nor subsampled, and restart intervals are whole rows.

use crate::error::DecodeError;

use super::{TRUNCATED, corrupt, unsupported};

/// The marker of a lossless frame.
pub(super) const FRAME: u8 = 0xc3;

const HUFFMAN: u8 = 0xc4;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
const RESTART_INTERVAL: u8 = 0xdd;

const DAMAGED: DecodeError = corrupt("a strip's lossless JPEG cannot be decoded");

/// The rows into which samples are decoded.
pub(super) struct Output<'a> {
    pub(super) rows: &'a mut [u8],
    /// The length of a row in bytes.
    pub(super) row_bytes: usize,
    /// The number of bits of a sample, 8 or 12. Samples are packed.
    pub(super) bits: usize,
}

impl Output<'_> {
    fn rows(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.rows.chunks_exact_mut(self.row_bytes)
    }
}

/// Writes sample number `at` of a row. Samples of 12 bits must be written in order.
fn put(row: &mut [u8], at: usize, sample: u16, bits: usize) {
    let [high, low] = if bits == 8 { [0, sample.to_be_bytes()[1]] } else { (sample << 4).to_be_bytes() };
    let byte = at / 2 * 3;
    match (bits, at % 2) {
        (8, _) => row[at] = low,
        (_, 0) => row[byte..][..2].copy_from_slice(&[high, low]),
        _ => {
            row[byte + 1] |= high >> 4;
            row[byte + 2] = high << 4 | low >> 4;
        }
    }
}

/// The values of a frame header, and the state that the segments before a scan set.
struct Frame {
    width: usize,
    /// The identifiers of the components.
    components: Vec<u8>,
    restart_rows: Option<usize>,
    codes: [Option<Codes>; 4],
}

/// Decodes a whole JPEG stream with a lossless frame header into rows of the stream's width.
pub(super) fn decode(stream: &[u8], mut output: Output<'_>) -> Result<(), DecodeError> {
    let mut frame =
        Frame { width: 0, components: Vec::new(), restart_rows: None, codes: [const { None }; 4] };
    let (mut interval, mut scanned) = (0, 0);
    let mut rest = stream.get(2..).ok_or(TRUNCATED)?;
    while frame.components.is_empty() || scanned < frame.components.len() {
        let (marker, segment, after) = next_segment(rest)?;
        rest = after;
        match marker {
            FRAME => frame.declare(segment, output.bits)?,
            HUFFMAN => frame.read_codes(segment)?,
            RESTART_INTERVAL => {
                interval = usize::from(u16::from_be_bytes(*segment.first_chunk().ok_or(TRUNCATED)?));
            }
            SCAN => {
                frame.restart_rows = match interval {
                    0 => None,
                    interval if frame.width > 0 && interval % frame.width == 0 => {
                        Some(interval / frame.width)
                    }
                    _ => return Err(DAMAGED),
                };
                let scan = Scan::read(&frame, segment)?;
                scanned += scan.components.len();
                rest = scan.decode(&frame, rest, &mut output)?;
            }
            END => return Err(TRUNCATED),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the next marker, its segment's content, and the data after it. Skips bytes before the marker.
fn next_segment(data: &[u8]) -> Result<(u8, &[u8], &[u8]), DecodeError> {
    let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff | 0xd0..=0xd7);
    let at = data.windows(2).position(is_marker).ok_or(TRUNCATED)?;
    let (marker, rest) = (data[at + 1], &data[at + 2..]);
    if marker == END {
        return Ok((marker, &[], rest));
    }
    let len = usize::from(u16::from_be_bytes(*rest.first_chunk().ok_or(TRUNCATED)?));
    let (segment, after) = rest.split_at_checked(len).ok_or(TRUNCATED)?;
    Ok((marker, segment.get(2..).ok_or(DAMAGED)?, after))
}

impl Frame {
    /// Reads a frame header.
    fn declare(&mut self, segment: &[u8], bits: usize) -> Result<(), DecodeError> {
        let &[precision, _, _, width_1, width_0, count] = segment.first_chunk().ok_or(TRUNCATED)?;
        let components = segment.get(6..6 + 3 * usize::from(count)).ok_or(TRUNCATED)?.as_chunks::<3>().0;
        if usize::from(precision) != bits || !self.components.is_empty() || components.is_empty() {
            return Err(DAMAGED);
        }
        if components.iter().any(|[_, sampling, _]| *sampling != 0x11) {
            return Err(unsupported("lossless JPEG with subsampling; re-encode the picture as PNG or JPEG"));
        }
        self.width = usize::from(u16::from_be_bytes([width_1, width_0]));
        self.components = components.iter().map(|[number, ..]| *number).collect();
        Ok(())
    }

    /// Reads the tables of a segment.
    fn read_codes(&mut self, mut segment: &[u8]) -> Result<(), DecodeError> {
        while let Some((&number, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or(TRUNCATED)?;
            let symbols: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(symbols).ok_or(TRUNCATED)?;
            segment = rest;
            // Tables of other classes than 0 are for coefficients.
            if let Some(codes) = self.codes.get_mut(usize::from(number)) {
                *codes = Some(Codes::new(counts, symbols).ok_or(DAMAGED)?);
            }
        }
        Ok(())
    }
}

/// A Huffman table: for each length of codes, the limit below which codes have that length, in 16 bits.
struct Codes {
    /// For each length, one more than its largest code, followed by zeros.
    limits: [u32; 17],
    /// For each length, the position of its first symbol minus its first code.
    symbols_from: [i32; 17],
    symbols: Vec<u8>,
}

impl Codes {
    /// Creates a table. `None` if there are more codes than the bits allow, or a symbol is not a valid length
    /// of a difference.
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let (mut limits, mut symbols_from) = ([0; 17], [0; 17]);
        let (mut code, mut symbol) = (0_i32, 0_i32);
        for (length, &count) in (1..).zip(counts) {
            symbols_from[length] = symbol - code;
            code += i32::from(count);
            symbol += i32::from(count);
            if code > 1 << length {
                return None;
            }
            limits[length] = code.cast_unsigned() << (16 - length);
            code <<= 1;
        }
        let differences = symbols.iter().all(|&bits| bits <= 16);
        differences.then(|| Self { limits, symbols_from, symbols: symbols.to_vec() })
    }

    /// Reads the difference that the next bits encode.
    fn next(&self, bits: &mut Bits<'_>) -> Result<i32, DecodeError> {
        bits.fill();
        let next = bits.peek();
        let length = (1..=16).find(|&length| next < self.limits[length]).ok_or(DAMAGED)?;
        let code = (next >> (16 - length)).cast_signed();
        let symbol = usize::try_from(code + self.symbols_from[length]).ok();
        let size = *symbol.and_then(|symbol| self.symbols.get(symbol)).ok_or(DAMAGED)?;
        bits.skip(length)?;
        if size == 0 || size == 16 {
            return Ok(if size == 0 { 0 } else { 1 << 15 });
        }
        let value = (bits.peek() >> (16 - size)).cast_signed();
        bits.skip(size.into())?;
        Ok(if value < 1 << (size - 1) { value + 1 - (1 << size) } else { value })
    }
}

/// Coded data, read bit by bit up to the next marker.
struct Bits<'a> {
    data: &'a [u8],
    /// The next bits, beginning at the highest.
    held: u64,
    count: usize,
}

impl Bits<'_> {
    /// Reads as many bytes as fit, which gives at least 32 bits if that many are left.
    fn fill(&mut self) {
        while self.count <= 56 {
            let (byte, rest) = match self.data {
                [0xff, 0, rest @ ..] => (0xff, rest),
                [0xff, ..] | [] => return,
                [byte, rest @ ..] => (*byte, rest),
            };
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
            self.data = rest;
        }
    }

    /// Returns the next 16 bits, with zeros after the end.
    fn peek(&self) -> u32 {
        u32::try_from(self.held >> 48).unwrap_or(0)
    }

    fn skip(&mut self, count: usize) -> Result<(), DecodeError> {
        self.count = self.count.checked_sub(count).ok_or(TRUNCATED)?;
        self.held <<= count;
        Ok(())
    }

    /// Moves to the next restart interval.
    fn restart(&mut self) -> Result<(), DecodeError> {
        let [0xff, 0xd0..=0xd7, rest @ ..] = self.data else { return Err(DAMAGED) };
        *self = Bits { data: rest, held: 0, count: 0 };
        Ok(())
    }
}

/// The values of a scan header.
struct Scan<'a> {
    /// The positions of the scan's components in a pixel, and their codes.
    components: Vec<(usize, &'a Codes)>,
    predictor: u8,
    /// The number of low bits that samples have lost.
    shift: u8,
    /// The prediction if there is no neighbour.
    middle: i32,
}

impl<'a> Scan<'a> {
    fn read(frame: &'a Frame, segment: &[u8]) -> Result<Self, DecodeError> {
        let (&count, segment) = segment.split_first().ok_or(TRUNCATED)?;
        let (listed, rest) = segment.split_at_checked(2 * usize::from(count)).ok_or(TRUNCATED)?;
        let &[predictor, _, shift, ..] = rest else { return Err(TRUNCATED) };
        let component = |&[number, table]: &[u8; 2]| {
            let place = frame.components.iter().position(|&known| known == number)?;
            Some((place, frame.codes.get(usize::from(table >> 4))?.as_ref()?))
        };
        let components: Option<Vec<_>> = listed.as_chunks().0.iter().map(component).collect();
        let components = components.filter(|components| !components.is_empty()).ok_or(DAMAGED)?;
        if !(1..=7).contains(&predictor) || shift >= 8 {
            return Err(DAMAGED);
        }
        Ok(Self { components, predictor, shift, middle: 0 })
    }

    /// Decodes the rows that fit into the output, and returns the data after them.
    fn decode<'d>(
        mut self,
        frame: &Frame,
        data: &'d [u8],
        output: &mut Output<'_>,
    ) -> Result<&'d [u8], DecodeError> {
        self.middle = 1 << (output.bits - 1 - usize::from(self.shift));
        let mut bits = Bits { data, held: 0, count: 0 };
        let (count, bits_each) = (self.components.len(), output.bits);
        let mut above = vec![0_i32; frame.width * count];
        let mut row = above.clone();
        for (y, out) in output.rows().enumerate() {
            let restarts = y > 0 && frame.restart_rows.is_some_and(|rows| y % rows == 0);
            if restarts {
                bits.restart()?;
            }
            let is_first = y == 0 || restarts;
            for x in 0..frame.width {
                for (number, &(place, codes)) in self.components.iter().enumerate() {
                    let at = x * count + number;
                    let predicted = self.predict(&row, &above, at, is_first);
                    let sample = (predicted + codes.next(&mut bits)?) & 0xffff;
                    row[at] = sample;
                    let sample = u16::try_from(sample).unwrap_or(0) << self.shift;
                    put(out, x * frame.components.len() + place, sample, bits_each);
                }
            }
            std::mem::swap(&mut row, &mut above);
        }
        Ok(bits.data)
    }

    /// Returns the prediction of sample `at` of a row, from the samples before it and above it.
    fn predict(&self, row: &[i32], above: &[i32], at: usize, is_first: bool) -> i32 {
        let left = at.checked_sub(self.components.len());
        match (left, is_first) {
            (None, true) => self.middle,
            (None, false) => above[at],
            (Some(left), true) => row[left],
            (Some(left), false) => {
                let (left, above, corner) = (row[left], above[at], above[left]);
                match self.predictor {
                    1 => left,
                    2 => above,
                    3 => corner,
                    4 => left + above - corner,
                    5 => left + ((above - corner) >> 1),
                    6 => above + ((left - corner) >> 1),
                    _ => (left + above) >> 1,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_canonical() {
        // The codes 0, 10 and 110 for the lengths 2, 0 and 16.
        let mut counts = [0; 16];
        counts[..3].fill(1);
        let codes = Codes::new(&counts, &[2, 0, 16]).unwrap();
        // 0 11: 3; 0 00: -3; 10: 0; 110: 32768; 0 01: -2; and ones, which are not a code.
        let data = [0b0110_0010, 0b1100_0111, 0xff, 0];
        let mut bits = Bits { data: &data, held: 0, count: 0 };
        let next: Vec<_> = (0..5).map(|_| codes.next(&mut bits).unwrap()).collect();
        assert_eq!(next, [3, -3, 0, 32_768, -2]);
        assert_eq!(codes.next(&mut bits), Err(DAMAGED));
        counts[0] = 3;
        assert!(Codes::new(&counts, &[0; 5]).is_none(), "more codes than a bit has");
    }

    #[test]
    fn samples_of_12_bits_are_packed() {
        let mut row = [0; 6];
        for (at, sample) in [0xabc, 0x123, 0x456, 0xfff].into_iter().enumerate() {
            put(&mut row, at, sample, 12);
        }
        assert_eq!(row, [0xab, 0xc1, 0x23, 0x45, 0x6f, 0xff]);
    }
}
