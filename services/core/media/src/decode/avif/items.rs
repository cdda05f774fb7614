//! Items: a still picture, whole or in tiles (ISO/IEC 23008-12, and the AVIF specification).

use std::borrow::Cow;

use crate::decode::heif::{Fault, File, Grid};
use crate::decode::signature;
use crate::error::DecodeError;

use super::cicp::Cicp;
use super::{FORMAT, PREMULTIPLIED, damaged};

/// The largest number of tiles of a file: a grid of 16 x 16 is more than any encoder writes.
const TILES_MAX: usize = 256;

/// A still picture.
#[derive(Debug)]
pub(super) struct Still<'a> {
    /// The AV1 data of the tiles, row by row. A picture without tiles has one.
    pub(super) tiles: Vec<Cow<'a, [u8]>>,
    pub(super) columns: u32,
    pub(super) rows: u32,
    /// The size of a picture of several tiles; `None` if it has one tile.
    pub(super) size: Option<(u32, u32)>,
    pub(super) operating_point: u8,
    pub(super) colour: Option<Cicp>,
    /// Whether another picture is its alpha channel.
    pub(super) has_alpha: bool,
}

/// Reads the primary item of a file.
pub(super) fn read<'a>(content: &'a [u8]) -> Result<Still<'a>, DecodeError> {
    let file = File::read(content).map_err(error)?;
    let id = file.primary().ok_or_else(damaged)?;
    let properties = file.properties(id).ok_or_else(damaged)?;
    let colour = properties.iter().find_map(|&(kind, body)| Cicp::of_property(kind, body));
    let operating_point = |properties: &[([u8; 4], &[u8])]| {
        let of =
            |&(kind, body): &([u8; 4], &[u8])| if kind == *b"a1op" { body.first().copied() } else { None };
        properties.iter().find_map(of).unwrap_or(0)
    };
    let has_alpha = file.has_alpha(id);
    if has_alpha && file.references(*b"prem").any(|(from, _)| from == id) {
        return Err(PREMULTIPLIED);
    }
    if properties.iter().any(|&(kind, body)| selects_a_layer(kind, body)) {
        return Err(DecodeError::Unsupported {
            format: FORMAT,
            reason: "one layer of several; re-encode the picture as PNG or JPEG",
        });
    }
    match &file.kind(id).ok_or_else(damaged)? {
        b"av01" => Ok(Still {
            tiles: vec![file.data(id).map_err(error)?],
            columns: 1,
            rows: 1,
            size: None,
            operating_point: operating_point(&properties),
            colour,
            has_alpha,
        }),
        b"grid" => {
            let grid = Grid::read(&file.data(id).map_err(error)?).ok_or_else(damaged)?;
            let tiles = file.tiles(id).ok_or_else(damaged)?;
            let expected = grid.rows as usize * grid.columns as usize;
            if tiles.len() != expected || expected > TILES_MAX {
                return Err(damaged());
            }
            let first = file.properties(tiles[0]).ok_or_else(damaged)?;
            Ok(Still {
                tiles: tiles.iter().map(|&tile| file.data(tile).map_err(error)).collect::<Result<_, _>>()?,
                columns: grid.columns,
                rows: grid.rows,
                size: Some((grid.width, grid.height)),
                operating_point: operating_point(&first),
                colour: colour
                    .or_else(|| first.iter().find_map(|&(kind, body)| Cicp::of_property(kind, body))),
                has_alpha,
            })
        }
        b"hvc1" | b"hev1" => Err(DecodeError::DecoderMissing { format: signature::HEIC }),
        _ => Err(DecodeError::Unsupported {
            format: FORMAT,
            reason: "a picture derived from others; one AV1 picture, a grid of them or a sequence is accepted",
        }),
    }
}

/// Checks whether a property selects one layer of the picture's AV1 data. The largest number selects all
/// layers, of which the last is shown.
fn selects_a_layer(kind: [u8; 4], body: &[u8]) -> bool {
    kind == *b"lsel" && body != [0xff; 2]
}

const fn error(fault: Fault) -> DecodeError {
    match fault {
        Fault::Damaged => damaged(),
        Fault::Truncated => DecodeError::Truncated { format: FORMAT },
    }
}
