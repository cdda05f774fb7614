//! The fax codes of CCITT: rows of run lengths (TIFF 6.0, section 10), group 3 in one and two dimensions, and
//! group 4.
//!
//! The code tables are those of the crate `fax`. Its own decoders are not used: they support neither group 3
//! in two dimensions nor rows without end-of-line codes, and return no row if one is damaged. The rules are
//! those of ITU-T T.4 and T.6. As in libtiff, a damaged row of group 3 keeps the part that was read, and the
//! next row begins at the next end-of-line code.

use fax::BitReader;
use fax::maps::{Mode, black, mode, white};

use crate::error::DecodeError;

use super::{TRUNCATED, corrupt};

/// The coding of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Rows of run lengths, each of which begins at a byte, or at an even byte.
    Rows { word: bool },
    /// Group 3. In two dimensions, a bit after each end of line gives the coding of the row.
    Group3 { two_dimensional: bool },
    /// Group 4.
    Group4,
}

/// The reason why a row is not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The data end.
    DataEnd,
    /// A code marks the end of all rows.
    End,
    /// There is no such code, or the code leads beyond the row.
    Damaged,
}

/// Decodes rows of `width` pixels, packed eight to a byte, into `out`; black is 1.
pub(super) fn decode(
    data: &[u8],
    coding: Coding,
    width: usize,
    row_bytes: usize,
    out: &mut [u8],
) -> Result<(), DecodeError> {
    let mut rows = Rows::new(data, u32::try_from(width).map_err(|_| corrupt("a row is too long"))?);
    out.fill(0);
    for row in out.chunks_exact_mut(row_bytes) {
        let stop = match coding {
            Coding::Rows { word } => {
                rows.bits.align(if word { 16 } else { 8 });
                rows.one_dimension()
            }
            Coding::Group3 { two_dimensional } => rows.group_3(two_dimensional),
            Coding::Group4 => rows.two_dimensions(),
        };
        match stop {
            Ok(()) => {}
            Err(Stop::End) => return Ok(()),
            Err(Stop::DataEnd) => return Err(TRUNCATED),
            Err(Stop::Damaged) if matches!(coding, Coding::Group3 { .. }) => rows.cut_row(),
            Err(Stop::Damaged) => return Err(corrupt("a row of fax codes is damaged")),
        }
        rows.draw(row);
    }
    Ok(())
}

/// A reader of single bits, the most significant bit of a byte first. Beyond the data it reads zeros, but
/// cannot skip them.
struct Bits<'a> {
    data: &'a [u8],
    /// The number of bits that have been read.
    at: usize,
}

impl Bits<'_> {
    const fn has_ended(&self) -> bool {
        self.at >= self.data.len() * 8
    }

    /// Skips bits to the next multiple of `unit` bits.
    const fn align(&mut self, unit: usize) {
        self.at = self.at.next_multiple_of(unit);
    }

    fn bit(&mut self) -> Result<bool, Stop> {
        let bit = self.peek(1).ok_or(Stop::DataEnd)?;
        self.consume(1)?;
        Ok(bit == 1)
    }
}

impl BitReader for Bits<'_> {
    type Error = Stop;

    fn peek(&self, bits: u8) -> Option<u16> {
        let byte = |index: usize| u32::from(self.data.get(self.at / 8 + index).copied().unwrap_or(0));
        let ahead = (byte(0) << 16 | byte(1) << 8 | byte(2)) << 8 << (self.at % 8);
        u16::try_from(ahead.checked_shr(32 - u32::from(bits))?).ok()
    }

    fn consume(&mut self, bits: u8) -> Result<(), Stop> {
        let at = self.at + usize::from(bits);
        if at > self.data.len() * 8 {
            self.at = self.data.len() * 8;
            return Err(Stop::DataEnd);
        }
        self.at = at;
        Ok(())
    }

    fn bits_to_byte_boundary(&self) -> u8 {
        [0, 7, 6, 5, 4, 3, 2, 1][self.at % 8]
    }
}

/// The length of an end-of-line code in bits, of which all but the last are zeros.
const END_OF_LINE_BITS: u8 = 12;

/// A reader of rows.
struct Rows<'a> {
    bits: Bits<'a>,
    width: u32,
    /// The positions of colour changes in the row above, beginning with its first black pixel.
    above: Vec<u32>,
    /// The positions of colour changes in the row that is being read.
    row: Vec<u32>,
}

impl<'a> Rows<'a> {
    const fn new(data: &'a [u8], width: u32) -> Self {
        Self { bits: Bits { data, at: 0 }, width, above: Vec::new(), row: Vec::new() }
    }

    /// Reads a row of group 3 and the codes before it.
    fn group_3(&mut self, two_dimensional: bool) -> Result<(), Stop> {
        let mut ends = 0;
        // Two adjacent end-of-line codes mark the end of all rows.
        while self.end_of_line_ahead() {
            self.skip_end_of_line()?;
            ends += 1;
            let one_dimension = !two_dimensional || self.bits.bit()?;
            if ends > 1 && self.end_of_line_ahead() {
                return Err(Stop::End);
            }
            if !self.end_of_line_ahead() {
                return if one_dimension { self.one_dimension() } else { self.two_dimensions() };
            }
        }
        if two_dimensional { self.two_dimensions() } else { self.one_dimension() }
    }

    /// Checks for an end-of-line code. No code of a run begins with so many zeros.
    fn end_of_line_ahead(&self) -> bool {
        self.bits.peek(END_OF_LINE_BITS - 1) == Some(0)
    }

    /// Skips zeros and the one bit that ends the code.
    fn skip_end_of_line(&mut self) -> Result<(), Stop> {
        while !self.bits.bit()? {}
        Ok(())
    }

    /// Keeps the part of a damaged row that was read, with the rest white, and goes to the next end of line.
    fn cut_row(&mut self) {
        if self.row.len() % 2 == 1 {
            self.row.pop();
        }
        std::mem::swap(&mut self.above, &mut self.row);
        while !self.end_of_line_ahead() && self.bits.bit().is_ok() {}
    }

    /// Reads a row of runs, white first.
    fn one_dimension(&mut self) -> Result<(), Stop> {
        self.row.clear();
        let (mut at, mut black) = (0, false);
        while at < self.width {
            at = self.run(at, black)?;
            self.row.push(at);
            black = !black;
        }
        std::mem::swap(&mut self.above, &mut self.row);
        Ok(())
    }

    /// Reads a row that is coded relative to the row above.
    fn two_dimensions(&mut self) -> Result<(), Stop> {
        self.row.clear();
        let (mut at, mut black, mut begun) = (0, false, false);
        // The index of the current change in the row above.
        let mut near = 0;
        while at < self.width {
            // The first change above that is right of this position and has the opposite colour. The first
            // pixel of a row counts as right of the start position.
            while near > 0 && self.above[near - 1] > at {
                near -= 1;
            }
            let left = |change: u32| if begun { change <= at } else { change < at };
            while near < self.above.len() && (left(self.above[near]) || (near % 2 == 1) != black) {
                near += 1;
            }
            let below = self.above.get(near).copied().unwrap_or(self.width);
            match mode::decode(&mut self.bits) {
                Some(Mode::Pass) => at = self.above.get(near + 1).copied().unwrap_or(self.width),
                Some(Mode::Vertical(by)) => {
                    let change = below.checked_add_signed(by.into()).filter(|&change| change >= at);
                    at = change.ok_or(Stop::Damaged)?.min(self.width);
                    self.row.push(at);
                    black = !black;
                }
                Some(Mode::Horizontal) => {
                    for colour in [black, !black] {
                        at = self.run(at, colour)?;
                        self.row.push(at);
                    }
                }
                Some(Mode::EOF) => return Err(Stop::End),
                Some(Mode::Extension) => return Err(Stop::Damaged),
                None => return Err(self.why_no_code()),
            }
            begun = true;
        }
        std::mem::swap(&mut self.above, &mut self.row);
        Ok(())
    }

    /// Returns the end of a run that begins at `at`.
    fn run(&mut self, at: u32, black: bool) -> Result<u32, Stop> {
        let mut end = at;
        loop {
            let run = if black { black::decode(&mut self.bits) } else { white::decode(&mut self.bits) };
            let run = run.ok_or_else(|| self.why_no_code())?;
            end = (end + u32::from(run)).min(self.width);
            // A code of less than 64 ends the run.
            if run < 64 {
                return Ok(end);
            }
        }
    }

    fn why_no_code(&self) -> Stop {
        if self.bits.has_ended() { Stop::DataEnd } else { Stop::Damaged }
    }

    /// Draws the row that was read last.
    fn draw(&self, out: &mut [u8]) {
        for run in self.above.chunks(2) {
            let start = run[0] as usize;
            let end = run.get(1).map_or(self.width, |&end| end) as usize;
            for bit in start..end.max(start) {
                out[bit / 8] |= 0x80 >> (bit % 8);
            }
        }
    }
}
