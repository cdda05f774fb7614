//! What the markers before the scan define: quantisation steps, Huffman codes, the restart interval, and who uses which.
//!
//! Source: ITU-T T.81, annexes B and C. Anything unusual is `None`: the general decoder's to judge.

use crate::decode::jpeg_header::{self, Header};

use super::transform;

/// So many bits are looked up at once. Most codes of a photograph fit with the value that follows them, and the tables
/// of both kinds of component stay in the first-level cache.
const LOOKUP_BITS: u32 = 11;

/// A block's constant coefficient differs from the last by so many bits at most.
const DC_BITS_MAX: u8 = 11;

const DHT: u8 = 0xc4;
const SOS: u8 = 0xda;
const DQT: u8 = 0xdb;
const DRI: u8 = 0xdd;

/// The place of the k-th coefficient of the stream. What a wrong file puts past the last goes to the last: the entropy decoder
/// refuses the block at its end.
pub(super) const ZIGZAG: [u8; 128] = {
    let mut places = [63; 128];
    let (mut k, mut diagonal) = (0, 0);
    while diagonal < 15_u8 {
        let (mut step, first) = (0, if diagonal < 8 { 0 } else { diagonal - 7 });
        while step <= diagonal - 2 * first {
            let (down, up) = (first + step, diagonal - first - step);
            // Even diagonals run upwards, odd ones downwards.
            let (row, column) = if diagonal % 2 == 0 { (up, down) } else { (down, up) };
            places[k] = row * 8 + column;
            k += 1;
            step += 1;
        }
        diagonal += 1;
    }
    places
};

/// Which tables a component uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) dc: usize,
    pub(super) ac: usize,
    pub(super) steps: usize,
}

/// All tables as they stand when the scan begins.
pub(super) struct Tables {
    pub(super) dc: [Option<Huffman>; 4],
    pub(super) ac: [Option<Huffman>; 4],
    pub(super) steps: [Option<[f32; 64]>; 4],
    /// Units between restart markers; 0 where there are none.
    pub(super) restart_interval: usize,
    pub(super) components: Vec<Choice>,
    /// Where the scan's data begin.
    pub(super) data: usize,
}

impl Tables {
    /// Reads the segments up to the scan's data.
    pub(super) fn read(content: &[u8], header: &Header) -> Option<Self> {
        let mut out = Self {
            dc: [const { None }; 4],
            ac: [const { None }; 4],
            steps: [None; 4],
            restart_interval: 0,
            components: Vec::new(),
            data: 0,
        };
        let mut at = 2;
        loop {
            let (marker, start) = jpeg_header::next_marker(content, at).ok()?;
            let (end, segment) = jpeg_header::segment(content, start).ok()?;
            // Bytes between segments are skipped by some decoders and refused by others.
            if start != at + 2 {
                return None;
            }
            match marker {
                DQT => out.read_steps(segment)?,
                DHT => out.read_codes(segment)?,
                DRI => out.restart_interval = u16::from_be_bytes(segment.try_into().ok()?).into(),
                SOS => {
                    out.components = components(content, header, segment)?;
                    out.data = end;
                    return Some(out);
                }
                _ => {}
            }
            at = end;
        }
    }

    fn read_steps(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = segment.split_first() {
            let bytes = usize::from(head >> 4) + 1;
            let steps = self.steps.get_mut(usize::from(head & 15)).filter(|_| bytes <= 2)?;
            let (values, rest) = rest.split_at_checked(64 * bytes)?;
            let mut scaled = [0.0; 64];
            for (value, &place) in values.chunks_exact(bytes).zip(&ZIGZAG) {
                let step = value.iter().fold(0, |step, &byte| step << 8 | u16::from(byte));
                let place = usize::from(place);
                scaled[place] = f32::from(step) * transform::scale(place);
            }
            *steps = Some(scaled);
            segment = rest;
        }
        Some(())
    }

    fn read_codes(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let (symbols, rest) =
                rest.split_at_checked(counts.iter().map(|&count| usize::from(count)).sum())?;
            let with_values = head >> 4 == 1;
            let tables = if with_values { &mut self.ac } else { &mut self.dc };
            let table = tables.get_mut(usize::from(head & 15)).filter(|_| head >> 4 <= 1)?;
            *table = Some(Huffman::new(counts, symbols, with_values)?);
            segment = rest;
        }
        Some(())
    }
}

/// Which tables the scan's components use: all of the frame's, in its order, with all coefficients at once.
fn components(content: &[u8], header: &Header, scan: &[u8]) -> Option<Vec<Choice>> {
    let (&count, rest) = scan.split_first()?;
    let (choices, whole) = rest.split_at_checked(2 * usize::from(count))?;
    if usize::from(count) != header.sampling.len() || whole != [0, 63, 0] {
        return None;
    }
    // After precision, height, width and the number of components: identifier, factors, quantisation table.
    let frame = content.get(header.frame + 6..)?.as_chunks::<3>().0;
    choices
        .as_chunks::<2>()
        .0
        .iter()
        .zip(frame)
        .map(|(&[id, codes], &[frame_id, _, steps])| {
            let usual = id == frame_id && codes >> 4 < 4 && codes & 15 < 4 && steps < 4;
            usual.then_some(Choice {
                dc: usize::from(codes >> 4),
                ac: usize::from(codes & 15),
                steps: usize::from(steps),
            })
        })
        .collect()
}

/// What the next bits say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(u32);

impl Entry {
    /// The bits begin with no code that fits the lookup.
    const NONE: Self = Self(0);

    /// A code of `length` bits. `value` is what its following bits mean, where `length` includes them; else 0.
    const fn new(value: i16, symbol: u8, length: u32) -> Self {
        Self((value as u32) << 16 | (symbol as u32) << 8 | length)
    }

    /// The value, or 0 where the symbol has to be looked at.
    pub(super) const fn value(self) -> i32 {
        self.0.cast_signed() >> 16
    }

    /// The zeros before the value.
    pub(super) const fn run(self) -> usize {
        (self.0 >> 12 & 15) as usize
    }

    pub(super) const fn symbol(self) -> u8 {
        self.0.to_le_bytes()[1]
    }

    pub(super) const fn length(self) -> u32 {
        self.0 & 0xff
    }
}

/// A Huffman code.
pub(super) struct Huffman {
    lookup: Box<[Entry; 1 << LOOKUP_BITS]>,
    /// For each length: the first 16 bits past its codes, and what makes such a code an index into `symbols`.
    long: [(u32, i32); 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// The code with so many words of each length from 1; `None` where there are more than bits can tell apart.
    fn new(counts: &[u8; 16], symbols: &[u8], with_values: bool) -> Option<Self> {
        // Without values they are the constant coefficients' code, whose symbols are numbers of bits.
        if !with_values && symbols.iter().any(|&symbol| symbol > DC_BITS_MAX) {
            return None;
        }
        let mut lookup = Box::new([Entry::NONE; 1 << LOOKUP_BITS]);
        let mut long = [(0, 0); 17];
        let (mut code, mut index) = (0_u32, 0_u16);
        for (length, &count) in (1_u32..).zip(counts) {
            long[length as usize] =
                ((code + u32::from(count)) << (16 - length), i32::from(index) - code.cast_signed());
            for _ in 0..count {
                if length <= LOOKUP_BITS {
                    let spare = LOOKUP_BITS - length;
                    let first = (code << spare) as usize;
                    let symbol = symbols[usize::from(index)];
                    for (bits, entry) in (0..).zip(lookup.get_mut(first..first + (1 << spare))?) {
                        *entry = entry_of(symbol, length, bits, spare, with_values);
                    }
                }
                code += 1;
                index += 1;
            }
            if code > 1 << length {
                return None;
            }
            code <<= 1;
        }
        Some(Self { lookup, long, symbols: symbols.to_vec() })
    }

    /// What these bits begin with, from the highest.
    #[inline(always)]
    pub(super) fn look_up(&self, bits: u64) -> Entry {
        self.lookup[(bits >> (64 - LOOKUP_BITS)) as usize]
    }

    /// The symbol that these bits begin with, which `look_up` did not find, and the length of its code.
    #[cold]
    pub(super) fn look_up_long(&self, bits: u64) -> Option<(u8, u32)> {
        let bits = (bits >> 48) as u32;
        let length = (LOOKUP_BITS + 1..=16).find(|&length| bits < self.long[length as usize].0)?;
        let index = (bits >> (16 - length)).cast_signed() + self.long[length as usize].1;
        Some((*self.symbols.get(usize::try_from(index).ok()?)?, length))
    }
}

/// The entry for a code that is followed by these `spare` bits.
fn entry_of(symbol: u8, length: u32, bits: u32, spare: u32, with_values: bool) -> Entry {
    let size = u32::from(symbol & 15);
    if !with_values || size == 0 || size > spare {
        return Entry::new(0, symbol, length);
    }
    let value = extend(bits >> (spare - size), size);
    // At most LOOKUP_BITS bits.
    i16::try_from(value)
        .map_or(Entry::new(0, symbol, length), |value| Entry::new(value, symbol, length + size))
}

/// The number that `size` bits mean: those that begin with 0 are negative.
#[inline(always)]
pub(super) const fn extend(bits: u32, size: u32) -> i32 {
    let value = bits.cast_signed();
    if value >> (size - 1) == 0 { value - (1 << size) + 1 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_goes_in_diagonals() {
        assert_eq!(ZIGZAG[..10], [0, 1, 8, 16, 9, 2, 3, 10, 17, 24]);
        assert_eq!(ZIGZAG[60..66], [47, 55, 62, 63, 63, 63]);
        let mut places: Vec<u8> = ZIGZAG[..64].to_vec();
        places.sort_unstable();
        assert!(places.into_iter().eq(0..64));
    }

    #[test]
    fn bits_that_begin_with_zero_are_negative() {
        assert_eq!(
            [extend(0, 1), extend(1, 1), extend(0, 3), extend(3, 3), extend(4, 3)],
            [-1, 1, -7, -4, 4]
        );
    }

    #[test]
    fn codes_are_found_with_their_values_short_and_long() {
        // One word of each length from 1 to 16; the symbols are runs of their index and a value of one bit.
        let symbols: Vec<u8> = (0..16).map(|index| index << 4 | 1).collect();
        let code = Huffman::new(&[1; 16], &symbols, true).unwrap();
        let entry = code.look_up(0b101 << 61);
        assert_eq!((entry.run(), entry.value(), entry.length()), (1, 1, 3));
        let bits = 0xfffe << 48;
        assert_eq!(code.look_up(bits), Entry::NONE);
        assert_eq!(code.look_up_long(bits), Some((0xf1, 16)));
        assert_eq!(code.look_up_long(0xffff << 48), None);
    }

    #[test]
    fn more_words_than_bits_can_tell_apart_are_no_code() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Huffman::new(&counts, &[1, 2, 3], true).is_none());
    }
}
