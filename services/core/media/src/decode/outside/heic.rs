//! A HEIC file (ISO/IEC 23008-12): its primary picture, whole or in tiles, as units of HEVC.

use crate::decode::avif::cicp::Cicp;
use crate::decode::boxes::{Reader, find};
use crate::decode::heif::{Fault, File, Grid};
use crate::error::DecodeError;

use super::{Coding, Meaning, Mosaic, Outside, Part, turns};

const FORMAT: &str = Coding::Hevc.format();

/// The position in `hvcC` of the number of bytes of a unit's length (ISO/IEC 14496-15, 8.3.3.1).
const LENGTH_BYTES_AT: usize = 21;

pub(super) fn read(content: &[u8]) -> Result<Outside, DecodeError> {
    let file = match File::read(content) {
        Err(Fault::Truncated) if find(content, *b"moov").is_some() => return Err(unsupported()),
        file => file.map_err(error)?,
    };
    let id = file.primary().ok_or_else(damaged)?;
    let properties = file.properties(id).ok_or_else(damaged)?;
    let own_size = size(&properties);
    let (tiles, columns, rows, whole) = match &file.kind(id).ok_or_else(damaged)? {
        b"hvc1" | b"hev1" => (vec![id], 1, 1, own_size.ok_or_else(damaged)?),
        b"grid" => {
            let grid = Grid::read(&file.data(id).map_err(error)?).ok_or_else(damaged)?;
            (file.tiles(id).ok_or_else(damaged)?, grid.columns, grid.rows, (grid.width, grid.height))
        }
        _ => return Err(unsupported()),
    };
    let is_expected = u32::try_from(tiles.len()).is_ok_and(|count| count == columns * rows);
    if !is_expected || columns * rows > Mosaic::TILES_MAX || own_size.is_some_and(|size| size != whole) {
        return Err(damaged());
    }

    let mut tile_size = None;
    let mut meaning = meaning(&properties);
    let mut parts = Vec::new();
    let mut last_parameters: &[u8] = &[];
    for &tile in &tiles {
        if !file.kind(tile).is_some_and(|kind| matches!(&kind, b"hvc1" | b"hev1")) {
            return Err(unsupported());
        }
        let properties = file.properties(tile).ok_or_else(damaged)?;
        let here = size(&properties).ok_or_else(damaged)?;
        if *tile_size.get_or_insert(here) != here {
            return Err(damaged());
        }
        // A tile with its own rotation cannot be part of a picture.
        if tile != id && properties.iter().any(|(kind, _)| matches!(kind, b"irot" | b"imir" | b"clap")) {
            return Err(unsupported());
        }
        meaning = meaning.or_else(|| self::meaning(&properties));
        let parameters = property(&properties, *b"hvcC").ok_or_else(damaged)?;
        if !std::ptr::eq(parameters, last_parameters) {
            parameter_sets(content, parameters, &mut parts).ok_or_else(damaged)?;
            last_parameters = parameters;
        }
        let length_bytes = usize::from(parameters.get(LENGTH_BYTES_AT).ok_or_else(damaged)? & 3) + 1;
        for data in file.parts(tile).map_err(error)? {
            units(content, data, length_bytes, &mut parts).ok_or_else(damaged)?;
        }
    }
    let (tile_width, tile_height) = tile_size.ok_or_else(damaged)?;
    // Tiles cover the picture, and no tile lies completely outside it.
    let is_last = |count: u32, tile: u32, side: u32| {
        u64::from(count - 1) * u64::from(tile) < side.into()
            && u64::from(count) * u64::from(tile) >= side.into()
    };
    if !is_last(columns, tile_width, whole.0) || !is_last(rows, tile_height, whole.1) {
        return Err(damaged());
    }
    let (area, orientation) = turns::of(&properties, whole.0, whole.1).ok_or(DecodeError::Unsupported {
        format: FORMAT,
        reason: "its crop is beyond the picture or comes after a turn",
    })?;
    let frames_left_out = file.other_pictures(id) + u32::from(find(content, *b"moov").is_some());
    let mosaic = Mosaic {
        columns,
        rows,
        tile_width,
        tile_height,
        left: area.left,
        top: area.top,
        width: area.width,
        height: area.height,
        orientation: orientation.tag(),
        frames_left_out,
    };
    Ok(Outside { coding: Coding::Hevc, parts, meaning, mosaic })
}

const fn damaged() -> DecodeError {
    DecodeError::Corrupt { reason: "the boxes of the HEIC file cannot be read" }
}

const fn unsupported() -> DecodeError {
    DecodeError::Unsupported {
        format: FORMAT,
        reason: "a sequence without a still picture, a picture derived from others, or one that HEVC does not code; one picture of \
                 HEVC or a grid of them is accepted",
    }
}

const fn error(fault: Fault) -> DecodeError {
    match fault {
        Fault::Damaged => damaged(),
        Fault::Truncated => DecodeError::Truncated { format: FORMAT },
    }
}

fn property<'a>(properties: &[([u8; 4], &'a [u8])], wanted: [u8; 4]) -> Option<&'a [u8]> {
    properties.iter().find(|(kind, _)| *kind == wanted).map(|(_, body)| *body)
}

/// Returns width and height from `ispe`.
fn size(properties: &[([u8; 4], &[u8])]) -> Option<(u32, u32)> {
    let mut body = Reader(property(properties, *b"ispe")?);
    body.version()?;
    Some((body.u32()?, body.u32()?))
}

fn meaning(properties: &[([u8; 4], &[u8])]) -> Option<Meaning> {
    let cicp = properties.iter().find_map(|&(kind, body)| Cicp::of_property(kind, body))?;
    Some(Meaning { matrix: cicp.matrix, full_range: cicp.full_range })
}

/// Adds the units of `hvcC`, which precede those of a picture.
fn parameter_sets(content: &[u8], body: &[u8], parts: &mut Vec<Part>) -> Option<()> {
    let mut body = Reader(body.get(LENGTH_BYTES_AT + 1..)?);
    for _ in 0..body.u8()? {
        let _kind = body.u8()?;
        for _ in 0..body.u16()? {
            let bytes = usize::from(body.u16()?);
            add(content, body.bytes(bytes)?, parts)?;
        }
    }
    Some(())
}

/// Adds the units of a piece of a picture, each of which follows its length.
fn units(content: &[u8], data: &[u8], length_bytes: usize, parts: &mut Vec<Part>) -> Option<()> {
    let mut data = Reader(data);
    while !data.0.is_empty() {
        let length =
            data.bytes(length_bytes)?.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
        add(content, data.bytes(length)?, parts)?;
    }
    Some(())
}

/// Adds a unit, which lies within the file.
fn add(content: &[u8], unit: &[u8], parts: &mut Vec<Part>) -> Option<()> {
    let offset = unit.as_ptr().addr().checked_sub(content.as_ptr().addr())?;
    if parts.len() >= Part::COUNT_MAX || content.get(offset..)?.len() < unit.len() {
        return None;
    }
    parts.push(Part { offset, bytes: unit.len(), is_unit: true });
    Some(())
}
