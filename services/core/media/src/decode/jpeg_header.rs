//! What a JPEG's markers say: its size, its colours, and whether it is all there.
//!
//! Source: ITU-T T.81, annex B, for the markers; libjpeg's `default_decompress_parms` for what the components mean, since the
//! file itself does not say so reliably.
//!
//! A decoder fills what is missing with grey and calls it a picture. Hence the one rule here: the markers must lead to the
//! end-of-image marker. It is the last thing of a picture, so a file cut anywhere before it is refused, also where only those two
//! bytes are missing. What follows it (a gain map, a preview) is not part of the picture and may be cut.

use std::io::BufRead;

use crate::error::DecodeError;

pub(super) const FORMAT: &str = "JPEG";

/// What the components of a pixel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    YCbCr,
    Rgb,
    /// Each sample is stored inverted: the convention of Adobe, which Pillow takes for granted.
    Cmyk,
    Ycck,
}

/// The frame header, and what else decides about decoding.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) colours: Colours,
    /// Horizontal and vertical sampling factor of each component, 1 to 4.
    pub(super) sampling: Vec<(u8, u8)>,
    /// All coefficients have to be held until the last scan.
    pub(super) buffered: bool,
    /// Where Adobe's marker keeps its identifier, and its colour transform.
    pub(super) adobe: Option<(usize, u8)>,
    /// Where the frame header's fields begin.
    pub(super) frame: usize,
    /// Where the first scan's segment begins.
    scan: usize,
}

const SOF0: u8 = 0xc0;
const SOF2: u8 = 0xc2;
const DHT: u8 = 0xc4;
const JPG: u8 = 0xc8;
const DAC: u8 = 0xcc;
const SOF15: u8 = 0xcf;
const RST0: u8 = 0xd0;
const RST7: u8 = 0xd7;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const APP0: u8 = 0xe0;
const APP14: u8 = 0xee;

const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };

/// Reads the markers up to the first scan.
pub(super) fn read(content: &[u8]) -> Result<Header, DecodeError> {
    let mut frame = None;
    let mut jfif = false;
    let mut adobe = None;
    let mut at = 2;
    loop {
        let (marker, start) = next_marker(content, at)?;
        match marker {
            EOI => return Err(DecodeError::Corrupt { reason: "the JPEG ends before its first scan" }),
            SOS => {
                let (_, segment) = segment(content, start)?;
                let (frame, Frame { width, height, progressive, components }) = frame
                    .ok_or(DecodeError::Corrupt { reason: "the JPEG has a scan before its frame header" })?;
                let buffered = progressive
                    || segment.first().is_some_and(|&count| usize::from(count) < components.len());
                return Ok(Header {
                    width,
                    height,
                    colours: colours(&components, jfif, adobe.map(|(_, transform)| transform))?,
                    sampling: components.iter().map(|&(_, factors)| (factors >> 4, factors & 15)).collect(),
                    buffered,
                    adobe,
                    frame,
                    scan: start,
                });
            }
            RST0..=RST7 | 0x01 => at = start,
            _ => {
                let (end, segment) = segment(content, start)?;
                match marker {
                    SOF0..=SOF2 => frame = Some((start + 2, Frame::read(marker, segment)?)),
                    DHT | JPG => {}
                    0xc3..=SOF15 => {
                        let reason = match marker {
                            0xc9..=0xcb | DAC | 0xcd..=SOF15 => {
                                "arithmetic coding; Huffman-coded baseline and progressive files are accepted"
                            }
                            _ => {
                                "lossless or hierarchical coding; baseline and progressive files are accepted"
                            }
                        };
                        return Err(DecodeError::Unsupported { format: FORMAT, reason });
                    }
                    APP0 => jfif |= segment.starts_with(b"JFIF\0"),
                    APP14 if segment.starts_with(b"Adobe") && segment.len() >= 12 => {
                        adobe = Some((start + 2, segment[11]));
                    }
                    _ => {}
                }
                at = end;
            }
        }
    }
}

impl Header {
    /// Follows the scans to the end-of-image marker.
    pub(super) fn check_complete(&self, content: &[u8]) -> Result<(), DecodeError> {
        let mut at = segment(content, self.scan)?.0;
        loop {
            // Inside a scan every ff of the data is followed by 00; a restart marker stands alone.
            let start = after_ff(content, at)?;
            match content.get(start).ok_or(TRUNCATED)? {
                0x00 | RST0..=RST7 => at = start + 1,
                0xff => at = start,
                &EOI => return Ok(()),
                _ => at = segment(content, start + 1)?.0,
            }
        }
    }
}

/// The frame header.
struct Frame {
    width: u16,
    height: u16,
    progressive: bool,
    /// Identifier, and both sampling factors in one byte.
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
            progressive: marker == SOF2,
            components,
        })
    }
}

/// What the components mean, by libjpeg's rules.
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

/// The next marker from `at` on, and where its segment begins. Bytes between segments are skipped, as decoders do.
pub(super) fn next_marker(content: &[u8], at: usize) -> Result<(u8, usize), DecodeError> {
    let mut at = at;
    loop {
        at = after_ff(content, at)?;
        at += content[at..].iter().position(|&byte| byte != 0xff).ok_or(TRUNCATED)?;
        if content[at] != 0 {
            return Ok((content[at], at + 1));
        }
    }
}

/// The place after the next ff from `at` on. The library's search goes many bytes at a time.
pub(super) fn after_ff(content: &[u8], at: usize) -> Result<usize, DecodeError> {
    let mut rest = content.get(at..).ok_or(TRUNCATED)?;
    let after = at + rest.skip_until(0xff).map_err(|_| TRUNCATED)?;
    if after > at && content[after - 1] == 0xff { Ok(after) } else { Err(TRUNCATED) }
}

/// The segment whose length stands at `start`: where it ends, and what it holds.
pub(super) fn segment(content: &[u8], start: usize) -> Result<(usize, &[u8]), DecodeError> {
    let length = content.get(start..start + 2).ok_or(TRUNCATED)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    if length < 2 {
        return Err(DecodeError::Corrupt { reason: "a JPEG segment is shorter than its own length field" });
    }
    let body = content.get(start + 2..start + length).ok_or(TRUNCATED)?;
    Ok((start + length, body))
}
