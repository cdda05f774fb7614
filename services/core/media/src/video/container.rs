//! Recognises the container of a video by its first bytes.

use crate::decode::begins_as_picture;

use super::whole;

/// A container that is decoded, and the only demuxer that reads it. Playlists and scripts, which name other
/// files, are excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// MP4, `QuickTime`, 3GP and their kin (ISO/IEC 14496-12).
    Mov,
    /// Matroska and `WebM`.
    Matroska,
    /// AVI.
    Avi,
    /// MPEG transport stream, with packets of 188 or 192 bytes.
    MpegTs,
    /// MPEG program stream.
    MpegPs,
    /// Flash video.
    Flv,
    /// Animated GIF.
    Gif,
    /// Ogg.
    Ogg,
    /// ASF: WMV.
    Asf,
}

/// The kinds of the first box of a QuickTime file without a file type box.
const QUICKTIME_BOXES: [&[u8; 4]; 6] = [b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"];
/// The first half of the identifier of ASF's header.
const ASF: [u8; 8] = [0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11];
/// The first byte of each packet of a transport stream.
const SYNC: u8 = 0x47;
/// The length of a packet, without and with a timestamp before each.
const PACKET_BYTES: usize = 188;
const TIMED_PACKET_BYTES: usize = 192;
/// The number of packets that must begin with the sync byte for a transport stream to be recognised.
const PACKETS_MIN: usize = 3;

impl Container {
    /// All containers.
    pub const ALL: [Self; 9] = [
        Self::Mov,
        Self::Matroska,
        Self::Avi,
        Self::MpegTs,
        Self::MpegPs,
        Self::Flv,
        Self::Gif,
        Self::Ogg,
        Self::Asf,
    ];

    /// Returns the container that the content begins with.
    #[must_use]
    pub fn of(content: &[u8]) -> Option<Self> {
        match content {
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [0x1a, 0x45, 0xdf, 0xa3, ..] => Some(Self::Matroska),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => Some(Self::Avi),
            [b'F', b'L', b'V', 1, ..] => Some(Self::Flv),
            [b'O', b'g', b'g', b'S', ..] => Some(Self::Ogg),
            [0, 0, 1, 0xba, ..] => Some(Self::MpegPs),
            _ if content.starts_with(&ASF) => Some(Self::Asf),
            // The brands of a file of boxes determine what it is: HEIC and AVIF are pictures.
            [_, _, _, _, b'f', b't', b'y', b'p', ..] if !begins_as_picture(content) => Some(Self::Mov),
            [_, _, _, _, kind @ ..] if QUICKTIME_BOXES.iter().any(|one| kind.starts_with(*one)) => {
                Some(Self::Mov)
            }
            _ if is_transport_stream(content) => Some(Self::MpegTs),
            _ => None,
        }
    }

    /// Returns the name of the container's demuxer in `ffmpeg`.
    #[must_use]
    pub const fn demuxer(self) -> &'static str {
        match self {
            Self::Mov => "mov",
            Self::Matroska => "matroska",
            Self::Avi => "avi",
            Self::MpegTs => "mpegts",
            Self::MpegPs => "mpeg",
            Self::Flv => "flv",
            Self::Gif => "gif",
            Self::Ogg => "ogg",
            Self::Asf => "asf",
        }
    }

    /// Returns the format's usual name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mov => "MP4",
            Self::Matroska => "Matroska or WebM",
            Self::Avi => "AVI",
            Self::MpegTs => "MPEG-TS",
            Self::MpegPs => "MPEG-PS",
            Self::Flv => "FLV",
            Self::Gif => "GIF",
            Self::Ogg => "Ogg",
            Self::Asf => "ASF",
        }
    }

    /// Checks whether the file is shorter than its container declares. `None` if the container declares no
    /// length.
    #[must_use]
    pub fn is_cut_off(self, content: &[u8]) -> Option<bool> {
        match self {
            Self::Mov => whole::boxes_are_cut_off(content),
            Self::Matroska => whole::segment_is_cut_off(content),
            Self::Avi => whole::riff_is_cut_off(content),
            Self::Gif => whole::gif_is_cut_off(content),
            Self::MpegTs | Self::MpegPs | Self::Flv | Self::Ogg | Self::Asf => None,
        }
    }
}

/// Checks whether content of undeclared kind is treated as a video: it begins like one, and is not an
/// animated picture. A file with only sound may begin in the same way.
#[must_use]
pub fn begins_as_video(content: &[u8]) -> bool {
    Container::of(content).is_some_and(|container| container != Container::Gif)
}

fn is_transport_stream(content: &[u8]) -> bool {
    [(0, PACKET_BYTES), (4, TIMED_PACKET_BYTES)].into_iter().any(|(first, bytes)| {
        let mut packets = content.get(first..).unwrap_or_default().chunks(bytes).take(PACKETS_MIN);
        packets.clone().count() == PACKETS_MIN && packets.all(|packet| packet.first() == Some(&SYNC))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(bytes: usize, at: usize) -> Vec<u8> {
        let mut packet = vec![0; bytes];
        packet[at] = SYNC;
        packet.repeat(PACKETS_MIN)
    }

    #[test]
    fn each_container_is_known_by_its_first_bytes_and_pictures_are_none() {
        for (content, expected) in [
            (b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2".to_vec(), Some(Container::Mov)),
            (b"\0\0\0\x14ftypqt  \0\0\x02\0qt  ".to_vec(), Some(Container::Mov)),
            (b"\0\0\0\x08wide\0\0\0\0mdat".to_vec(), Some(Container::Mov)),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(), None),
            (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif".to_vec(), None),
            (b"\x1a\x45\xdf\xa3\x9f".to_vec(), Some(Container::Matroska)),
            (b"RIFF\0\0\0\0AVI LIST".to_vec(), Some(Container::Avi)),
            (b"RIFF\0\0\0\0WEBPVP8 ".to_vec(), None),
            (b"RIFF\0\0\0\0WAVEfmt ".to_vec(), None),
            (packets(PACKET_BYTES, 0), Some(Container::MpegTs)),
            (packets(TIMED_PACKET_BYTES, 4), Some(Container::MpegTs)),
            (b"Good morning".to_vec(), None),
            (b"\0\0\x01\xba\x44".to_vec(), Some(Container::MpegPs)),
            (b"FLV\x01\x05".to_vec(), Some(Container::Flv)),
            (b"GIF89a".to_vec(), Some(Container::Gif)),
            (b"OggS\0".to_vec(), Some(Container::Ogg)),
            ([&ASF[..], &[0xa6; 8]].concat(), Some(Container::Asf)),
            (b"#EXTM3U\n#EXT-X-VERSION:3\n".to_vec(), None),
            (b"ffconcat version 1.0\n".to_vec(), None),
            (b"\xff\xd8\xff\xe0".to_vec(), None),
            (Vec::new(), None),
        ] {
            assert_eq!(Container::of(&content), expected, "{}", content.escape_ascii());
        }
    }

    #[test]
    fn an_animated_picture_is_a_video_only_where_somebody_says_so() {
        assert_eq!(Container::of(b"GIF89a"), Some(Container::Gif));
        assert!(!begins_as_video(b"GIF89a"));
        assert!(begins_as_video(b"\x1a\x45\xdf\xa3"));
    }
}
