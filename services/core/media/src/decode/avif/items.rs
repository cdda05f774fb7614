//! Items: a picture that stands still, whole or in tiles (ISO/IEC 23008-12, and AVIF's own specification).

use std::borrow::Cow;

use crate::error::DecodeError;

use super::boxes::{Reader, boxes, find};
use super::cicp::Cicp;
use super::{FORMAT, PREMULTIPLIED, damaged, signature};

/// A file has no more tiles: a grid of 16 x 16 is more than any encoder writes.
const TILES_MAX: usize = 256;

/// A picture that stands still.
#[derive(Debug)]
pub(super) struct Still<'a> {
    /// AV1 data of the tiles, row after row. A picture that is not cut into tiles is one.
    pub(super) tiles: Vec<Cow<'a, [u8]>>,
    pub(super) columns: u32,
    pub(super) rows: u32,
    /// The size of the picture made of tiles; `None` where it is one tile.
    pub(super) size: Option<(u32, u32)>,
    pub(super) operating_point: u8,
    pub(super) colour: Option<Cicp>,
    /// Whether another picture is its alpha.
    pub(super) has_alpha: bool,
}

/// The names of alpha among the kinds of auxiliary pictures: that of MPEG, and HEVC's own.
const ALPHA: [&[u8]; 2] = [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0"];

/// Reads the primary item of a file.
pub(super) fn read<'a>(content: &'a [u8]) -> Result<Still<'a>, DecodeError> {
    let meta = find(content, *b"meta").ok_or(DecodeError::Truncated { format: FORMAT })?;
    let file = File { content, meta: meta.get(4..).ok_or_else(damaged)? };
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
            tiles: vec![file.data(id)?],
            columns: 1,
            rows: 1,
            size: None,
            operating_point: operating_point(&properties),
            colour,
            has_alpha,
        }),
        b"grid" => {
            let grid = Grid::read(&file.data(id)?).ok_or_else(damaged)?;
            let tiles = file.tiles(id).ok_or_else(damaged)?;
            let expected = grid.rows as usize * grid.columns as usize;
            if tiles.len() != expected || expected > TILES_MAX {
                return Err(damaged());
            }
            let first = file.properties(tiles[0]).ok_or_else(damaged)?;
            Ok(Still {
                tiles: tiles.iter().map(|&tile| file.data(tile)).collect::<Result<_, _>>()?,
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

/// Whether a property asks for one layer of the picture's AV1 data. The largest number asks for all of them, of which the last counts.
fn selects_a_layer(kind: [u8; 4], body: &[u8]) -> bool {
    kind == *b"lsel" && body != [0xff; 2]
}

/// How tiles make a picture.
struct Grid {
    columns: u32,
    rows: u32,
    width: u32,
    height: u32,
}

impl Grid {
    fn read(data: &[u8]) -> Option<Self> {
        let mut data = Reader(data);
        let _version = data.u8()?;
        let wide = data.u8()? & 1 == 1;
        let (rows, columns) = (u32::from(data.u8()?) + 1, u32::from(data.u8()?) + 1);
        Some(Self { columns, rows, width: data.u16_or_u32(wide)?, height: data.u16_or_u32(wide)? })
    }
}

/// A file and the boxes of its `meta`.
struct File<'a> {
    content: &'a [u8],
    meta: &'a [u8],
}

impl<'a> File<'a> {
    fn primary(&self) -> Option<u32> {
        let mut primary = Reader(find(self.meta, *b"pitm")?);
        let (version, _) = primary.version()?;
        primary.u16_or_u32(version > 0)
    }

    /// The kind of an item.
    fn kind(&self, id: u32) -> Option<[u8; 4]> {
        let mut infos = Reader(find(self.meta, *b"iinf")?);
        let (version, _) = infos.version()?;
        infos.u16_or_u32(version > 0)?;
        boxes(infos.0).filter(|info| info.kind == *b"infe").find_map(|info| {
            let mut info = Reader(info.body);
            let (version, _) = info.version()?;
            let found = info.u16_or_u32(version > 2)?;
            let _protection = info.u16()?;
            if found == id { info.array() } else { None }
        })
    }

    /// The items that the item with this number is made of.
    fn tiles(&self, id: u32) -> Option<Vec<u32>> {
        self.references(*b"dimg").find(|(from, _)| *from == id).map(|(_, to)| to)
    }

    fn has_alpha(&self, id: u32) -> bool {
        self.references(*b"auxl").filter(|(_, to)| to.contains(&id)).any(|(from, _)| {
            self.properties(from).unwrap_or_default().iter().any(|&(kind, body)| {
                kind == *b"auxC"
                    && body.get(4..).is_some_and(|name| ALPHA.iter().any(|alpha| name.starts_with(alpha)))
            })
        })
    }

    /// The references of a kind: the item that refers, and those that it refers to.
    fn references(&self, kind: [u8; 4]) -> impl Iterator<Item = (u32, Vec<u32>)> + use<'a> {
        let mut references = Reader(find(self.meta, *b"iref").unwrap_or_default());
        let wide = references.version().is_some_and(|(version, _)| version > 0);
        boxes(references.0).filter(move |reference| reference.kind == kind).filter_map(move |reference| {
            let mut reference = Reader(reference.body);
            let from = reference.u16_or_u32(wide)?;
            let count = reference.u16()?;
            let to: Option<Vec<u32>> = (0..count).map(|_| reference.u16_or_u32(wide)).collect();
            Some((from, to?))
        })
    }

    /// The kinds and bodies of an item's properties.
    fn properties(&self, id: u32) -> Option<Vec<([u8; 4], &'a [u8])>> {
        let all = find(self.meta, *b"iprp")?;
        let known: Vec<_> = boxes(find(all, *b"ipco")?).collect();
        let mut out = Vec::new();
        for associations in boxes(all).filter(|part| part.kind == *b"ipma") {
            let mut associations = Reader(associations.body);
            let (version, flags) = associations.version()?;
            for _ in 0..associations.u32()? {
                let item = associations.u16_or_u32(version > 0)?;
                for _ in 0..associations.u8()? {
                    // The highest bit says that readers have to know the property.
                    let number = if flags & 1 == 1 {
                        usize::from(associations.u16()? & 0x7fff)
                    } else {
                        usize::from(associations.u8()? & 0x7f)
                    };
                    if item == id
                        && let Some(property) = number.checked_sub(1).and_then(|at| known.get(at))
                    {
                        out.push((property.kind, property.body));
                    }
                }
            }
        }
        Some(out)
    }

    /// The bytes of an item.
    fn data(&self, id: u32) -> Result<Cow<'a, [u8]>, DecodeError> {
        let extents = self.extents(id).ok_or_else(damaged)?;
        let mut parts = Vec::with_capacity(extents.len());
        for (data, offset, bytes) in extents {
            let from = usize::try_from(offset).ok();
            let rest = from.and_then(|from| data.get(from..));
            // No length: all that is left.
            let bytes = if bytes == 0 { rest.map(<[u8]>::len) } else { usize::try_from(bytes).ok() };
            let part = rest.zip(bytes).and_then(|(rest, bytes)| rest.get(..bytes));
            parts.push(part.ok_or(DecodeError::Truncated { format: FORMAT })?);
        }
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if bytes > self.content.len() {
            return Err(damaged());
        }
        Ok(if let [part] = parts[..] { Cow::Borrowed(part) } else { Cow::Owned(parts.concat()) })
    }

    /// Where the parts of an item are: within what, from where, how many bytes.
    fn extents(&self, id: u32) -> Option<Vec<(&'a [u8], u64, u64)>> {
        let mut locations = Reader(find(self.meta, *b"iloc")?);
        let (version, _) = locations.version()?;
        let [sizes, more] = locations.array()?;
        let (offset_bytes, length_bytes, base_bytes) = (sizes >> 4, sizes & 15, more >> 4);
        let index_bytes = if version > 0 { more & 15 } else { 0 };
        for _ in 0..locations.u16_or_u32(version > 1)? {
            let item = locations.u16_or_u32(version > 1)?;
            let method = if version > 0 { locations.u16()? & 15 } else { 0 };
            let _reference = locations.u16()?;
            let base = locations.sized(base_bytes)?;
            let count = locations.u16()?;
            let mut extents = Vec::new();
            for _ in 0..count {
                locations.sized(index_bytes)?;
                let (offset, length) = (locations.sized(offset_bytes)?, locations.sized(length_bytes)?);
                if item == id {
                    let data = match method {
                        0 => self.content,
                        1 => find(self.meta, *b"idat")?,
                        _ => return None,
                    };
                    extents.push((data, base.checked_add(offset)?, length));
                }
            }
            if item == id {
                return (!extents.is_empty()).then_some(extents);
            }
        }
        None
    }
}
