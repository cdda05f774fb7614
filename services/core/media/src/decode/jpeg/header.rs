//! Reads a JPEG's markers: its size, its colours, and how much work its decoding is.
//!
//! Source: ITU-T T.81, annex B, for the markers; libjpeg's `default_decompress_parms` for the meaning of
//! components, which the file itself does not state reliably.

use std::io::BufRead;

use crate::error::DecodeError;

pub(in crate::decode) const FORMAT: &str = "JPEG";

/// The meaning of the components of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    YCbCr,
    Rgb,
    /// Four inks. Each sample is stored inverted: the convention of Adobe, which Pillow assumes.
    Cmyk,
    Ycck,
}

/// The frame header, and the other values that determine decoding.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) colours: Colours,
    /// Horizontal and vertical sampling factor of each component, 1 to 4.
    pub(super) sampling: Vec<(u8, u8)>,
    /// Whether all coefficients have to be held until the last scan.
    pub(super) buffered: bool,
    /// The position of the index of a multi-picture file.
    pub(super) index: Option<usize>,
    /// The position of the first scan's segment.
    scan: usize,
}

const SOF0: u8 = 0xc0;
const SOF2: u8 = 0xc2;
const SOF9: u8 = 0xc9;
const SOF10: u8 = 0xca;
const DHT: u8 = 0xc4;
const JPG: u8 = 0xc8;
const DAC: u8 = 0xcc;
const SOF15: u8 = 0xcf;
const RST0: u8 = 0xd0;
const RST7: u8 = 0xd7;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP14: u8 = 0xee;

/// The largest number of scans of a progressive file, each of which may repeat the whole picture. Encoders
/// write about ten.
const SCANS_MAX: usize = 100;

const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };

/// Reads the markers up to the first scan.
pub(super) fn read(content: &[u8]) -> Result<Header, DecodeError> {
    let mut frame = None;
    let mut jfif = false;
    let mut adobe = None;
    let mut index = None;
    let mut is_ultra_hdr = false;
    let mut at = 2;
    loop {
        let (marker, start) = next_marker(content, at)?;
        match marker {
            EOI => return Err(DecodeError::Corrupt { reason: "the JPEG ends before its first scan" }),
            SOS => {
                let (_, segment) = segment(content, start)?;
                let Frame { width, height, progressive, components } = frame
                    .ok_or(DecodeError::Corrupt { reason: "the JPEG has a scan before its frame header" })?;
                let buffered = progressive
                    || segment.first().is_some_and(|&count| usize::from(count) < components.len());
                return Ok(Header {
                    width,
                    height,
                    colours: colours(&components, jfif, adobe)?,
                    sampling: components.iter().map(|&(_, factors)| (factors >> 4, factors & 15)).collect(),
                    buffered,
                    index: index.filter(|_| !is_ultra_hdr),
                    scan: start,
                });
            }
            RST0..=RST7 | 0x01 => at = start,
            _ => {
                let (end, segment) = segment(content, start)?;
                match marker {
                    SOF0..=SOF2 | SOF9 | SOF10 => frame = Some(Frame::read(marker, segment)?),
                    DHT | JPG | DAC => {}
                    0xc3..=SOF15 => {
                        let reason =
                            "lossless or hierarchical coding; baseline and progressive files are accepted";
                        return Err(DecodeError::Unsupported { format: FORMAT, reason });
                    }
                    APP1 => is_ultra_hdr |= is_xmp_of_ultra_hdr(segment),
                    APP2 if segment.starts_with(b"MPF\0") => index = Some(start + 6),
                    APP0 => jfif |= segment.starts_with(b"JFIF\0"),
                    APP14 if segment.starts_with(b"Adobe") && segment.len() >= 12 => {
                        adobe = Some(segment[11]);
                    }
                    _ => {}
                }
                at = end;
            }
        }
    }
}

impl Header {
    /// Checks the number of scans, because each of them may go through the whole picture.
    pub(super) fn check_scans(&self, content: &[u8]) -> Result<(), DecodeError> {
        let mut at = self.scan;
        for _ in 0..SCANS_MAX {
            // Inside a scan, every ff of the data is followed by 00, and a restart marker has no segment.
            loop {
                let Ok((marker, start)) = next_marker(content, at) else { return Ok(()) };
                match marker {
                    EOI => return Ok(()),
                    SOS => {
                        at = start;
                        break;
                    }
                    _ => at = start,
                }
            }
        }
        Err(DecodeError::Corrupt { reason: "the JPEG has too many scans" })
    }
}

/// The frame header.
struct Frame {
    width: u16,
    height: u16,
    progressive: bool,
    /// For each component its identifier, and both sampling factors in one byte.
    components: Vec<(u8, u8)>,
}

impl Frame {
    fn read(marker: u8, segment: &[u8]) -> Result<Self, DecodeError> {
        let &[precision, h1, h0, w1, w0, count, ref components @ ..] = segment else {
            return Err(DecodeError::Corrupt { reason: "the JPEG's frame header is too short" });
        };
        if precision != 8 {
            let reason = "other than 8 bits per sample; 8 bits are accepted";
            return Err(DecodeError::Unsupported { format: FORMAT, reason });
        }
        let components: Vec<_> =
            components.as_chunks::<3>().0.iter().map(|&[id, factors, _]| (id, factors)).collect();
        if components.len() != usize::from(count) {
            return Err(DecodeError::Corrupt { reason: "the JPEG's frame header misses components" });
        }
        if components
            .iter()
            .any(|&(_, factors)| !(1..=4).contains(&(factors >> 4)) || !(1..=4).contains(&(factors & 15)))
        {
            return Err(DecodeError::Corrupt { reason: "the JPEG declares sampling factors outside 1 to 4" });
        }
        Ok(Self {
            width: u16::from_be_bytes([w1, w0]),
            height: u16::from_be_bytes([h1, h0]),
            progressive: matches!(marker, SOF2 | SOF10),
            components,
        })
    }
}

/// Returns the meaning of the components, by libjpeg's rules.
fn colours(components: &[(u8, u8)], jfif: bool, adobe_transform: Option<u8>) -> Result<Colours, DecodeError> {
    let ids = components.iter().map(|&(id, _)| id);
    match (components.len(), adobe_transform) {
        (1, _) => Ok(Colours::Grey),
        (3, _) if jfif => Ok(Colours::YCbCr),
        (3, Some(0)) => Ok(Colours::Rgb),
        (3, None) if ids.eq(*b"RGB") => Ok(Colours::Rgb),
        (3, _) => Ok(Colours::YCbCr),
        (4, None | Some(0)) => Ok(Colours::Cmyk),
        (4, Some(_)) => Ok(Colours::Ycck),
        _ => Err(DecodeError::Unsupported {
            format: FORMAT,
            reason: "a number of components other than 1, 3 and 4; grey, colour and CMYK are accepted",
        }),
    }
}

/// Checks whether the further pictures of the file are gain maps, which are used to display the first picture
/// and are not pictures to look at.
fn is_xmp_of_ultra_hdr(segment: &[u8]) -> bool {
    const VERSION: &[u8] = b" hdrgm:Version=\"";
    segment.starts_with(b"http://ns.adobe.com/xap/")
        && segment.windows(VERSION.len()).any(|window| window == VERSION)
}

/// Returns the next marker from `at` on, and the position of its segment. Skips bytes between segments, as
/// decoders do.
fn next_marker(content: &[u8], at: usize) -> Result<(u8, usize), DecodeError> {
    let mut at = at;
    loop {
        at = after_ff(content, at)?;
        at += content[at..].iter().position(|&byte| byte != 0xff).ok_or(TRUNCATED)?;
        if content[at] != 0 {
            return Ok((content[at], at + 1));
        }
    }
}

/// Returns the position after the next ff from `at` on. The library's search compares many bytes at a time.
fn after_ff(content: &[u8], at: usize) -> Result<usize, DecodeError> {
    let mut rest = content.get(at..).ok_or(TRUNCATED)?;
    let after = at + rest.skip_until(0xff).map_err(|_| TRUNCATED)?;
    if after > at && content[after - 1] == 0xff { Ok(after) } else { Err(TRUNCATED) }
}

/// Returns the end and the content of the segment whose length is at `start`.
fn segment(content: &[u8], start: usize) -> Result<(usize, &[u8]), DecodeError> {
    let length = content.get(start..start + 2).ok_or(TRUNCATED)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    if length < 2 {
        return Err(DecodeError::Corrupt { reason: "a JPEG segment is shorter than its own length field" });
    }
    let body = content.get(start + 2..start + length).ok_or(TRUNCATED)?;
    Ok((start + length, body))
}
