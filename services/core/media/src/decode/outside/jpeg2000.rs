//! Reads the header of a JPEG 2000 file (ISO/IEC 15444-1): its size, and whether all tiles are there.

use crate::decode::boxes::{Reader, boxes, find, find_path};
use crate::error::DecodeError;

use super::{Coding, Mosaic, Outside};

const FORMAT: &str = Coding::Jpeg2000.format();

const START: u16 = 0xff4f;
const SIZE: u16 = 0xff51;
const START_OF_TILE_PART: u16 = 0xff90;
const END: u16 = 0xffd9;
/// The length of a tile-part's marker and its segment, in bytes.
const TILE_PART_HEAD_BYTES: usize = 12;
/// The largest number of segments before the first tile, and of tile-parts: more than any encoder writes.
const SEGMENTS_MAX: usize = 100_000;

pub(super) fn read(content: &[u8]) -> Result<Outside, DecodeError> {
    let truncated = DecodeError::Truncated { format: FORMAT };
    let is_bare = content.starts_with(&START.to_be_bytes());
    let codestream = if is_bare { content } else { find(content, *b"jp2c").ok_or(truncated.clone())? };
    let (width, height) = size(codestream).ok_or_else(damaged)?;
    if !is_bare {
        let header = find_path(content, &[*b"jp2h", *b"ihdr"]).ok_or_else(damaged)?;
        let mut header = Reader(header);
        let (Some(declared_height), Some(declared_width)) = (header.u32(), header.u32()) else {
            return Err(damaged());
        };
        if (declared_width, declared_height) != (width, height) {
            return Err(DecodeError::Corrupt { reason: "the JPEG 2000 file declares two sizes" });
        }
    }
    if !is_complete(codestream) {
        return Err(truncated);
    }
    let further = boxes(content).filter(|part| part.kind == *b"jp2c").count().saturating_sub(1);
    let frames_left_out = if is_bare { 0 } else { u32::try_from(further).unwrap_or(u32::MAX) };
    let mosaic = Mosaic { frames_left_out, ..Mosaic::single(width, height) };
    Ok(Outside::whole(Coding::Jpeg2000, content, mosaic))
}

const fn damaged() -> DecodeError {
    DecodeError::Corrupt { reason: "the head of the JPEG 2000 file cannot be read" }
}

/// Returns width and height: the part of the reference grid that the picture covers.
fn size(codestream: &[u8]) -> Option<(u32, u32)> {
    let mut reader = Reader(codestream);
    if (reader.u16()?, reader.u16()?) != (START, SIZE) {
        return None;
    }
    let (_length, _capabilities) = (reader.u16()?, reader.u16()?);
    let (right, bottom, left, top) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
    Some((right.checked_sub(left)?, bottom.checked_sub(top)?))
}

/// Checks whether every tile-part lies within the codestream, and whether that ends with its marker.
fn is_complete(codestream: &[u8]) -> bool {
    let mut rest = Reader(codestream.get(2..).unwrap_or_default());
    for _ in 0..SEGMENTS_MAX {
        let before = rest;
        match rest.u16() {
            Some(END) => return true,
            Some(START_OF_TILE_PART) => {
                let Some(bytes) = tile_part_bytes(&mut rest) else { return false };
                // Length 0: this tile-part is the last, and the end marker is at the end of the data.
                if bytes == 0 {
                    return before.0.len() > TILE_PART_HEAD_BYTES && before.0.ends_with(&END.to_be_bytes());
                }
                rest = before;
                if bytes < TILE_PART_HEAD_BYTES || rest.bytes(bytes).is_none() {
                    return false;
                }
            }
            Some(_) => {
                let skipped = rest.u16().and_then(|length| rest.bytes(usize::from(length).checked_sub(2)?));
                if skipped.is_none() {
                    return false;
                }
            }
            None => return false,
        }
    }
    false
}

fn tile_part_bytes(segment: &mut Reader<'_>) -> Option<usize> {
    let (_length, _tile) = (segment.u16()?, segment.u16()?);
    usize::try_from(segment.u32()?).ok()
}
