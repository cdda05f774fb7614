//! Checks whether a file is shorter than its container declares.
//!
//! A decoding program processes the available part of a file without an error, so this is read from the
//! outermost structure of the container.

/// Walks the outermost boxes of an MP4, the last of which must end within the file. Bytes after the last box
/// that are not a box, such as zeros, are ignored.
pub(super) fn boxes_are_cut_off(content: &[u8]) -> Option<bool> {
    let mut rest = content;
    loop {
        let Some((&[s0, s1, s2, s3, k0, k1, k2, k3], after)) = rest.split_first_chunk::<8>() else {
            // Fewer bytes than a box header: the beginning of a box, or zeros at the end.
            return Some(rest.iter().any(|&byte| byte != 0));
        };
        if ![k0, k1, k2, k3].iter().all(|&sign| sign.is_ascii_graphic() || sign == b' ' || sign == 0xa9) {
            return Some(false);
        }
        let bytes = match u32::from_be_bytes([s0, s1, s2, s3]) {
            // The box extends to the end of the file.
            0 => return Some(false),
            1 => {
                let Some(bytes) = after.first_chunk::<8>() else { return Some(true) };
                u64::from_be_bytes(*bytes)
            }
            bytes => u64::from(bytes),
        };
        if bytes < 8 {
            return Some(false);
        }
        rest = match usize::try_from(bytes).ok().and_then(|bytes| rest.get(bytes..)) {
            Some([]) => return Some(false),
            Some(rest) => rest,
            None => return Some(true),
        };
    }
}

/// The identifier of Matroska's segment, which contains everything except the header.
const SEGMENT: u64 = 0x1853_8067;

/// The segment of a Matroska file must end within the file. A file that is written while it is recorded
/// declares no length.
pub(super) fn segment_is_cut_off(content: &[u8]) -> Option<bool> {
    let mut rest = content;
    // The header, and other elements before the segment.
    for _ in 0..8 {
        let (identifier, after) = number(rest, true)?;
        let (bytes, after) = number(after, false)?;
        let left = u64::try_from(after.len()).unwrap_or(u64::MAX);
        if identifier == Some(SEGMENT) {
            return bytes.map(|bytes| bytes > left);
        }
        let Some(bytes) = bytes.filter(|&bytes| bytes <= left) else { return Some(true) };
        rest = after.get(usize::try_from(bytes).ok()?..)?;
    }
    None
}

/// Reads a number of EBML. Identifiers keep the bit that marks their length. A length of only ones means
/// unknown.
fn number(content: &[u8], keeps_mark: bool) -> Option<(Option<u64>, &[u8])> {
    let bytes = content.first()?.leading_zeros() as usize + 1;
    let (number, rest) = content.split_at_checked(bytes).filter(|_| bytes <= 8)?;
    let marked = number.iter().fold(0, |value: u64, &byte| value << 8 | u64::from(byte));
    let mask = (1_u64 << (7 * bytes)) - 1;
    let value = if keeps_mark { marked } else { marked & mask };
    Some(((keeps_mark || value != mask).then_some(value), rest))
}

/// The first RIFF chunk of an AVI must end within the file. A program that was stopped while recording leaves
/// no length.
pub(super) fn riff_is_cut_off(content: &[u8]) -> Option<bool> {
    let bytes = u32::from_le_bytes(*content.get(4..)?.first_chunk()?);
    let end = u64::from(bytes) + 8;
    let is_known = bytes != 0 && bytes != u32::MAX;
    is_known.then(|| end > u64::try_from(content.len()).unwrap_or(u64::MAX))
}

const GIF_HEADER_BYTES: usize = 13;
const GIF_IMAGE_BYTES: usize = 9;

/// Checks that the blocks of a GIF lead to its trailer.
pub(super) fn gif_is_cut_off(content: &[u8]) -> Option<bool> {
    Some(!gif_is_whole(content).unwrap_or_default())
}

/// Checks that the blocks lead to the trailer; `None` if a block ends beyond the file.
fn gif_is_whole(content: &[u8]) -> Option<bool> {
    let mut rest = skip_colours(content.get(GIF_HEADER_BYTES..)?, *content.get(10)?)?;
    loop {
        let (&introducer, after) = rest.split_first()?;
        rest = match introducer {
            // An extension: its label, and sub-blocks.
            0x21 => skip_sub_blocks(after.get(1..)?)?,
            // An image: its position, its colours, the width of its first codes, and sub-blocks.
            0x2c => {
                let flags = *after.get(GIF_IMAGE_BYTES - 1)?;
                skip_sub_blocks(skip_colours(after.get(GIF_IMAGE_BYTES..)?, flags)?.get(1..)?)?
            }
            0x3b => return Some(true),
            // Bytes that begin no block are skipped, as decoders do.
            _ => after,
        };
    }
}

/// Returns the data after a colour table, if the flags announce one.
fn skip_colours(content: &[u8], flags: u8) -> Option<&[u8]> {
    let bytes = if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    content.get(bytes..)
}

fn skip_sub_blocks(mut content: &[u8]) -> Option<&[u8]> {
    loop {
        let (&bytes, after) = content.split_first()?;
        content = after.get(usize::from(bytes)..)?;
        if bytes == 0 {
            return Some(content);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_boxes_ends_with_a_whole_box() {
        let file = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x0cmdat1234";
        assert_eq!(boxes_are_cut_off(file), Some(false));
        for end in [file.len() - 1, 23, 20] {
            assert_eq!(boxes_are_cut_off(&file[..end]), Some(true), "{end}");
        }
        assert_eq!(boxes_are_cut_off(&[&file[..], &[0; 5]].concat()), Some(false), "zeros at the end");
        assert_eq!(boxes_are_cut_off(&[&file[..], &[0xff; 50]].concat()), Some(false), "no box at the end");
        assert_eq!(boxes_are_cut_off(b"\0\0\0\0mdat"), Some(false));
        assert_eq!(boxes_are_cut_off(b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x14abcd"), Some(false));
        assert_eq!(boxes_are_cut_off(b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x15abcd"), Some(true));
        assert_eq!(boxes_are_cut_off(b"\0\0\0\x01mdat\xff\xff\xff\xff\xff\xff\xff\xffabcd"), Some(true));
    }

    #[test]
    fn a_segment_of_known_length_ends_within_the_file() {
        let file = b"\x1a\x45\xdf\xa3\x82ab\x18\x53\x80\x67\x83abc";
        assert_eq!(segment_is_cut_off(file), Some(false));
        assert_eq!(segment_is_cut_off(&file[..file.len() - 1]), Some(true));
        assert_eq!(segment_is_cut_off(&file[..6]), Some(true));
        let live = b"\x1a\x45\xdf\xa3\x82ab\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xffabc";
        assert_eq!(segment_is_cut_off(live), None);
        assert_eq!(segment_is_cut_off(b"\x1a\x45\xdf\xa3\x82ab\0\0\0\0\0\0\0\0\0\0\0"), None);
    }

    #[test]
    fn an_avi_says_how_long_it_is_unless_its_writer_was_stopped() {
        assert_eq!(riff_is_cut_off(b"RIFF\x06\0\0\0AVI ab"), Some(false));
        assert_eq!(riff_is_cut_off(b"RIFF\x07\0\0\0AVI ab"), Some(true));
        assert_eq!(riff_is_cut_off(b"RIFF\0\0\0\0AVI ab"), None);
    }

    #[test]
    fn a_gif_ends_with_its_trailer() {
        let picture = vigie_pictures::draw(1, 40, 30);
        let mut file = vigie_pictures::Format::Gif.encode(&picture);
        assert_eq!(gif_is_cut_off(&file), Some(false));
        for end in [file.len() - 1, file.len() / 2, 12, 0] {
            assert_eq!(gif_is_cut_off(&file[..end]), Some(true), "{end}");
        }
        file.extend(b"anything");
        assert_eq!(gif_is_cut_off(&file), Some(false));
    }
}
