//! Reads the header of a JPEG XL file (ISO/IEC 18181-1 and -2): its size, and whether it is animated.

use crate::decode::boxes::{boxes, cover};
use crate::error::DecodeError;

use super::bits::Bits;
use super::{Coding, Mosaic, Outside};

const FORMAT: &str = Coding::JpegXl.format();

/// The first bytes of a codestream.
const CODESTREAM: [u8; 2] = [0xff, 0x0a];

/// The header of a picture.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    /// The width and height of the upright picture.
    width: u32,
    height: u32,
    is_animated: bool,
}

pub(super) fn read(content: &[u8]) -> Result<Outside, DecodeError> {
    let truncated = DecodeError::Truncated { format: FORMAT };
    let codestream = if content.starts_with(&CODESTREAM) {
        content
    } else {
        if !cover(content) {
            return Err(truncated);
        }
        let found = boxes(content).find_map(|part| match &part.kind {
            b"jxlc" => Some(part.body),
            // The first of several parts, after its number.
            b"jxlp" => part.body.get(4..),
            _ => None,
        });
        found.ok_or(DecodeError::Corrupt { reason: "the JPEG XL file has no codestream" })?
    };
    let Some(rest) = codestream.strip_prefix(&CODESTREAM) else {
        return Err(DecodeError::Corrupt { reason: "the JPEG XL codestream has another beginning" });
    };
    let head = head(&mut Bits::new(rest)).ok_or(truncated)?;
    let mosaic =
        Mosaic { frames_left_out: u32::from(head.is_animated), ..Mosaic::single(head.width, head.height) };
    Ok(Outside::whole(Coding::JpegXl, content, mosaic))
}

fn head(bits: &mut Bits<'_>) -> Option<Head> {
    let (width, height) = size(bits)?;
    let mut head = Head { width, height, is_animated: false };
    let is_all_default = bits.flag()?;
    let has_more = !is_all_default && bits.flag()?;
    if has_more {
        // The orientation tag of TIFF, minus one.
        let is_transposed = bits.number(3)? >= 4;
        if bits.flag()? {
            let _intrinsic = size(bits)?;
        }
        if bits.flag()? {
            preview(bits)?;
        }
        head.is_animated = bits.flag()?;
        if is_transposed {
            (head.width, head.height) = (height, width);
        }
    }
    Some(head)
}

/// Reads width and height.
fn size(bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    let in_eights = bits.flag()?;
    let side = |bits: &mut Bits<'_>| {
        if in_eights {
            Some((bits.number(5)? + 1) * 8)
        } else {
            bits.choice([(9, 1), (13, 1), (18, 1), (30, 1)])
        }
    };
    let height = side(bits)?;
    let width = match bits.number(3)? {
        0 => side(bits)?,
        ratio => by_ratio(height, ratio)?,
    };
    Some((width, height))
}

/// Returns the width for a height by one of the predefined ratios.
fn by_ratio(height: u32, ratio: u32) -> Option<u32> {
    let (over, under) = match ratio {
        1 => (1, 1),
        2 => (12, 10),
        3 => (4, 3),
        4 => (3, 2),
        5 => (16, 9),
        6 => (5, 4),
        _ => (2, 1),
    };
    u32::try_from(u64::from(height) * over / under).ok()
}

fn preview(bits: &mut Bits<'_>) -> Option<()> {
    let in_eights = bits.flag()?;
    let side = |bits: &mut Bits<'_>| {
        if in_eights {
            bits.choice([(0, 16), (0, 32), (5, 1), (9, 33)])
        } else {
            bits.choice([(6, 1), (8, 65), (10, 321), (12, 1_345)])
        }
    };
    side(bits)?;
    if bits.number(3)? == 0 {
        side(bits)?;
    }
    Some(())
}
