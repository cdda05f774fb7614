//! The beginning of a file of boxes: the brands of AVIF, and of formats that an external program decodes.

pub(super) const HEIC: &str = "HEIC";
pub(super) const JPEG_2000: &str = "JPEG 2000";
pub(super) const JPEG_XL: &str = "JPEG XL";

/// A format that is recognised but not decoded here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    Jpeg2000,
    Heic,
    JpegXl,
}

impl Foreign {
    /// Returns the format's usual name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Jpeg2000 => JPEG_2000,
            Self::Heic => HEIC,
            Self::JpegXl => JPEG_XL,
        }
    }
}

/// The length of a box's size and kind, in bytes.
const BOX_HEADER_BYTES: usize = 8;

/// The brands of HEIF pictures with HEVC coding, and of HEIF containers of any coding.
const HEIC_BRANDS: [&[u8; 4]; 9] =
    [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1"];

/// Checks whether the content begins like an AVIF.
pub(super) fn is_avif(content: &[u8]) -> bool {
    brands(content).any(|brand| brand == b"avif" || brand == b"avis")
}

/// Returns the format of the content, if it is one that is not decoded here.
pub(super) fn foreign(content: &[u8]) -> Option<Foreign> {
    match content {
        // A file of boxes, and a bare codestream.
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', b'\r', b'\n', 0x87, b'\n', ..]
        | [0xff, 0x4f, 0xff, 0x51, ..] => Some(Foreign::Jpeg2000),
        [0, 0, 0, 12, b'J', b'X', b'L', b' ', b'\r', b'\n', 0x87, b'\n', ..] | [0xff, 0x0a, ..] => {
            Some(Foreign::JpegXl)
        }
        _ if !is_avif(content) && brands(content).any(|brand| HEIC_BRANDS.contains(&brand)) => {
            Some(Foreign::Heic)
        }
        _ => None,
    }
}

/// Returns the brands of a file that begins with a file type box (ISO/IEC 14496-12): its own brand, and the
/// compatible ones.
fn brands(content: &[u8]) -> impl Iterator<Item = &[u8; 4]> {
    let brands = match content {
        &[s0, s1, s2, s3, b'f', b't', b'y', b'p', ..] => {
            let bytes = (u32::from_be_bytes([s0, s1, s2, s3]) as usize).min(content.len());
            content.get(BOX_HEADER_BYTES..bytes).unwrap_or_default()
        }
        _ => &[],
    };
    // The second word is the version of the first brand.
    let words = brands.as_chunks::<4>().0.iter().enumerate();
    words.filter(|&(number, _)| number != 1).map(|(_, brand)| brand)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_type(brands: &[u8]) -> Vec<u8> {
        let size = u32::try_from(BOX_HEADER_BYTES + brands.len()).unwrap();
        [&size.to_be_bytes()[..], b"ftyp", brands, b"\0\0\0\x08mdat"].concat()
    }

    #[test]
    fn avif_is_a_brand_among_others() {
        for brands in [&b"mif1\0\0\0\0miafavif"[..], b"avis\0\0\0\0"] {
            assert!(is_avif(&file_type(brands)));
            assert!(!is_avif(&file_type(b"heic\0\0\0\0mif1heic")));
        }
        assert!(!is_avif(&file_type(b"mif1avifmiaf")), "the version of a brand is no brand");
    }

    #[test]
    fn formats_are_distinguished_by_their_first_bytes() {
        for (content, expected) in [
            (b"\0\0\0\x0cjP  \r\n\x87\n and on".to_vec(), Some("JPEG 2000")),
            (b"\xff\x4f\xff\x51 and on".to_vec(), Some("JPEG 2000")),
            (b"\0\0\0\x0cJXL \r\n\x87\n and on".to_vec(), Some("JPEG XL")),
            (b"\xff\x0a and on".to_vec(), Some("JPEG XL")),
            (file_type(b"heic\0\0\0\0mif1heic"), Some("HEIC")),
            (file_type(b"mif1\0\0\0\0mif1avif"), None),
            (file_type(b"mif1\0\0\0\0mif1heix"), Some("HEIC")),
            (file_type(b"msf1\0\0\0\0hevcmsf1"), Some("HEIC")),
            // The version of a brand is not a brand, and a video is not a picture.
            (file_type(b"isomheicmp42"), None),
            (file_type(b""), None),
            (b"\0\0\0\x04ftyp".to_vec(), None),
            (b"".to_vec(), None),
        ] {
            assert_eq!(foreign(&content).map(Foreign::name), expected, "{}", content.escape_ascii());
        }
    }
}
