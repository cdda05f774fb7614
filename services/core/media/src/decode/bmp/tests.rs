//! Decodes files of a few pixels that the tests write.

use super::*;
use crate::frames::{Samples, Taken};

const COLOURS: [[u8; 3]; 4] = [[9, 8, 7], [255, 0, 0], [0, 255, 0], [0, 0, 255]];

/// Returns a file of 32-bit header fields, a palette of `COLOURS`, and `pixels`.
fn bmp(width: i32, height: i32, bits: u16, compression: u32, pixels: &[u8]) -> Vec<u8> {
    let palette: Vec<u8> = COLOURS.iter().flat_map(|&[red, green, blue]| [blue, green, red, 0]).collect();
    let palette = if bits <= 8 { &palette[..] } else { &[] };
    let mut out = b"BM\0\0\0\0\0\0\0\0".to_vec();
    out.extend((54 + u32::try_from(palette.len()).unwrap()).to_le_bytes());
    out.extend(40_u32.to_le_bytes());
    out.extend(width.to_le_bytes());
    out.extend(height.to_le_bytes());
    out.extend(1_u16.to_le_bytes());
    out.extend(bits.to_le_bytes());
    out.extend(compression.to_le_bytes());
    out.extend([0; 12]);
    out.extend(u32::try_from(palette.len() / 4).unwrap().to_le_bytes());
    out.extend([0; 4]);
    out.extend(palette);
    out.extend(pixels);
    out
}

/// RGB pixels, and palette indices.
type Decoded = (Vec<[u8; 3]>, Option<Vec<u8>>);

fn decoded(content: &[u8]) -> Result<Decoded, DecodeError> {
    use crate::luma::LumaSource as _;
    let mut taken = None;
    let mut visit = |_, frame: Frame| {
        let Samples::Rgb(picture) = frame.samples else { return Taken::NeedsRgb };
        let indices = frame.indices.map(|plane| plane.samples().to_vec());
        taken = Some((picture.rgb().as_chunks().0.to_vec(), indices));
        Taken::Hashed
    };
    let limits = Limits::default();
    decode(content, &limits, &mut Frames::new(&limits, &mut visit))?;
    Ok(taken.unwrap())
}

fn indices(content: &[u8]) -> Vec<u8> {
    let (rgb, indices) = decoded(content).unwrap();
    let indices = indices.unwrap();
    let expected: Vec<_> =
        indices.iter().map(|&index| COLOURS.get(usize::from(index)).copied().unwrap_or_default()).collect();
    assert_eq!(rgb, expected);
    indices
}

#[test]
fn rows_lie_from_the_bottom_unless_the_height_is_negative() {
    let rows = [1, 2, 3, 0, 3, 2, 9, 0];
    assert_eq!(indices(&bmp(3, 2, 8, 0, &rows)), [3, 2, 9, 1, 2, 3]);
    assert_eq!(indices(&bmp(3, -2, 8, 0, &rows)), [1, 2, 3, 3, 2, 9]);
}

#[test]
fn indices_of_few_bits_are_spread() {
    assert_eq!(indices(&bmp(5, 1, 4, 0, &[0x12, 0x30, 0x10, 0])), [1, 2, 3, 0, 1]);
    assert_eq!(indices(&bmp(5, 1, 2, 0, &[0b00_01_10_11, 0b01_000000, 0, 0])), [0, 1, 2, 3, 1]);
    assert_eq!(indices(&bmp(5, 1, 1, 0, &[0b1011_0000, 0, 0, 0])), [1, 0, 1, 1, 0]);
}

#[test]
fn run_lengths_repeat_and_copy() {
    let runs = [3, 1, 0, 0, 0, 3, 3, 2, 1, 0, 0, 1];
    assert_eq!(indices(&bmp(3, 2, 8, 1, &runs)), [3, 2, 1, 1, 1, 1]);
    let nibbles = [5, 0x12, 0, 0, 0, 5, 0x32, 0x10, 0x30, 0, 0, 1];
    assert_eq!(indices(&bmp(5, 2, 4, 2, &nibbles)), [3, 2, 1, 0, 3, 1, 2, 1, 2, 1]);
}

#[test]
fn skipped_pixels_are_the_first_colour() {
    // One pixel, an early end of line, two pixels to the right and two lines up, and an early end.
    let runs = [1, 1, 0, 0, 0, 2, 2, 1, 1, 3, 0, 1];
    assert_eq!(indices(&bmp(4, 4, 8, 1, &runs)), [0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
}

#[test]
fn runs_end_with_the_row() {
    let runs = [9, 1, 0, 0, 0, 4, 2, 2, 3, 3, 0, 1];
    assert_eq!(indices(&bmp(3, 2, 8, 1, &runs)), [2, 2, 3, 1, 1, 1]);
}

#[test]
fn run_lengths_that_end_early_are_truncated() {
    for length in 0..6 {
        let error = decoded(&bmp(3, 2, 8, 1, &[3, 1, 0, 0, 0, 3, 3][..length])).unwrap_err();
        assert_eq!(error, TRUNCATED);
    }
    assert!(decoded(&bmp(3, 1, 8, 1, &[3, 1])).is_ok(), "nothing of the picture is missing");
}

#[test]
fn sixteen_bits_are_five_each_without_masks() {
    let (rgb, indices) = decoded(&bmp(2, 1, 16, 0, &[0xff, 0x7f, 0x01, 0x04])).unwrap();
    assert_eq!(rgb, [[255, 255, 255], [8, 0, 8]]);
    assert_eq!(indices, None);
}

#[test]
fn masks_say_where_the_channels_are() {
    let masks = |masks: [u32; 3]| masks.iter().flat_map(|mask| mask.to_le_bytes()).collect::<Vec<u8>>();
    let file = |bits, fields: [u32; 3], pixels: &[u8]| {
        let mut content = bmp(1, 1, bits, 3, &[&masks(fields)[..], pixels].concat());
        content[10] = 66;
        content
    };
    let (rgb, _) = decoded(&file(16, [0xf800, 0x07e0, 0x001f], &[0x1f, 0x04])).unwrap();
    assert_eq!(rgb, [[0, 129, 255]]);
    let (rgb, _) = decoded(&file(32, [0xff00_0000, 0x00ff_0000, 0xff00], &[1, 2, 3, 4])).unwrap();
    assert_eq!(rgb, [[4, 3, 2]]);
    for fields in [[0xff, 0xff00, 0], [0xff, 0xff00, 0x5_0000], [0x1_ffff, 0, 0]] {
        let error = decoded(&file(16, fields, &[1, 2])).unwrap_err();
        assert!(matches!(error, DecodeError::Unsupported { .. }), "{fields:x?}");
    }
}

#[test]
fn a_palette_that_the_offset_does_not_count_is_read() {
    let mut content = bmp(3, 1, 8, 0, &[1, 2, 3, 0]);
    for offset in [54, 0] {
        content[10] = offset;
        assert_eq!(indices(&content), [1, 2, 3]);
    }
}

#[test]
fn headers_of_os_2_are_read() {
    // 1.x: sides of 16 bits and colours of three bytes.
    let mut content = b"BM\0\0\0\0\0\0\0\0\x1a\0\0\0\x0c\0\0\0\x02\0\x01\0\x01\0\x01\0".to_vec();
    content[10] = 26 + 6;
    content.extend([1, 2, 3, 4, 5, 6, 0b0100_0000, 0, 0, 0]);
    assert_eq!(decoded(&content).unwrap().0, [[3, 2, 1], [6, 5, 4]]);
    // 2.x: a header of 64 bytes, and the shortest one, of 16.
    let whole = bmp(3, 1, 8, 0, &[1, 2, 3, 0]);
    for header_bytes in [64, 16] {
        let mut content = whole[..14 + header_bytes.min(40)].to_vec();
        content.resize(14 + header_bytes, 0);
        content.extend(&whole[54..]);
        content[14] = u8::try_from(header_bytes).unwrap();
        content[10] = u8::try_from(content.len() - 4).unwrap();
        if header_bytes == 16 {
            // The header declares no number of colours, so all 256 are present.
            let colours = content.len() - 4;
            content.splice(colours..colours, [0; 4 * 252]);
            content[10..12].copy_from_slice(&u16::to_le_bytes(14 + 16 + 1024));
        }
        assert_eq!(indices(&content), [1, 2, 3], "{header_bytes} bytes");
    }
}

#[test]
fn other_headers_and_depths_are_refused_as_unsupported() {
    let mut content = bmp(3, 1, 8, 0, &[1, 2, 3, 0]);
    content[14] = 41;
    assert!(matches!(decoded(&content), Err(DecodeError::Unsupported { .. })));
    for (bits, compression) in [(3, 0), (8, 2), (4, 1), (24, 4), (8, 3)] {
        let error = decoded(&bmp(1, 1, bits, compression, &[0; 16])).unwrap_err();
        assert!(matches!(error, DecodeError::Unsupported { .. }), "{bits} {compression}");
    }
}
