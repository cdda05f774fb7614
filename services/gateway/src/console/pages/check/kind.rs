//! The kind of a file, from its first bytes. The file name is ignored.

/// The brands of pictures in the file type box (ISO/IEC 14496-12).
const PICTURE_BRANDS: [&[u8; 4]; 12] = [
    b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1",
    b"msf1",
];
/// The size of a packet of an MPEG transport stream, in bytes.
const PACKET: usize = 188;

/// Returns whether a file begins like a video. Any other file is treated as a picture. A picture that cannot
/// be decoded is searched by its digests alone.
pub(super) fn is_video(content: &[u8]) -> bool {
    match content {
        // MP4, QuickTime and 3GP, but not pictures in the same container format.
        [_, _, _, _, b'f', b't', b'y', b'p', a, b, c, d, ..] => {
            !PICTURE_BRANDS.contains(&&[*a, *b, *c, *d])
        }
        // QuickTime without a file type box.
        [_, _, _, _, b'm', b'o', b'o', b'v', ..]
        | [_, _, _, _, b'm', b'd', b'a', b't', ..]
        | [_, _, _, _, b'w', b'i', b'd', b'e', ..]
        // Matroska and WebM.
        | [0x1a, 0x45, 0xdf, 0xa3, ..]
        // AVI.
        | [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..]
        // ASF, the container of WMV.
        | [0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11, ..]
        // Flash.
        | [b'F', b'L', b'V', 1, ..]
        // Ogg.
        | [b'O', b'g', b'g', b'S', ..]
        // MPEG program streams, and MPEG video without a container.
        | [0, 0, 1, 0xba | 0xb3, ..] => true,
        [0x47, ..] => content.len() > PACKET && content.chunks(PACKET).take(4).all(|packet| packet[0] == 0x47),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn videos_are_distinguished_from_pictures_in_the_same_boxes() {
        let boxes = |brand: &[u8; 4]| [b"\0\0\0\x18ftyp".as_slice(), brand, b"\0\0\0\0mif1avif"].concat();
        for brand in [b"isom", b"mp42", b"qt  ", b"3gp4"] {
            assert!(is_video(&boxes(brand)), "{brand:?}");
        }
        for brand in [b"avif", b"heic", b"mif1"] {
            assert!(!is_video(&boxes(brand)), "{brand:?}");
        }
    }

    #[test]
    fn other_containers_of_videos_are_known_and_pictures_and_text_are_not() {
        let mut stream = vec![0; 4 * PACKET];
        stream.iter_mut().step_by(PACKET).for_each(|byte| *byte = 0x47);
        for video in [
            b"\x1a\x45\xdf\xa3....".as_slice(),
            b"RIFF\0\0\0\0AVI LIST",
            b"\0\0\x01\xba....",
            b"OggS....",
            b"FLV\x01....",
            b"\0\0\0\x08wide\0\0",
            &stream,
        ] {
            assert!(is_video(video), "{video:?}");
        }
        for other in [
            b"".as_slice(),
            b"\xff\xd8\xff\xe0",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF\0\0\0\0WEBPVP8 ",
            b"GIF89a",
            b"Great text",
            b"G",
        ] {
            assert!(!is_video(other), "{other:?}");
        }
    }
}
