//! Counts the frames in units of AV1 data (AV1 specification, section 5.3).
//!
//! A frame of any size may take only a few bytes, and most frames are not shown. A small file may therefore
//! ask for any amount of work; this count limits it.

use crate::decode::boxes::Reader;

/// The largest number of frames in one sample: layers, and frames from which later ones are predicted.
/// Encoders write at most 16.
pub(super) const FRAMES_MAX: usize = 32;

const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;

/// Returns the number of frames in the data, up to the first damage.
pub(super) fn frame_count(data: &[u8]) -> usize {
    let mut data = Reader(data);
    std::iter::from_fn(|| next_kind(&mut data)).filter(|kind| [FRAME_HEADER, FRAME].contains(kind)).count()
}

/// Reads the kind of the next unit, and skips the unit.
fn next_kind(data: &mut Reader<'_>) -> Option<u8> {
    let header = data.u8()?;
    if header & 4 != 0 {
        data.u8()?;
    }
    let bytes = if header & 2 != 0 { leb128(data)? } else { data.0.len() };
    data.bytes(bytes)?;
    Some(header >> 3 & 15)
}

/// Reads a number of at most eight bytes, each of which holds seven bits.
fn leb128(data: &mut Reader<'_>) -> Option<usize> {
    let mut value = 0;
    for place in 0..8 {
        let byte = data.u8()?;
        value |= usize::from(byte & 0x7f).checked_shl(place * 7)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_and_other_units_are_not() {
        // A delimiter, a sequence header of two bytes, a frame with an extension, a frame without a length.
        let data = [0x12, 0, 0x0a, 2, 1, 2, 0x36, 8, 0x81, 0, 9, 0x30, 1, 2, 3];
        assert_eq!(frame_count(&data), 2);
        assert_eq!(frame_count(&data[..10]), 0);
        assert_eq!(frame_count(&[0x1a, 0].repeat(40)), 40);
        assert_eq!(frame_count(&[0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), 0);
    }
}
