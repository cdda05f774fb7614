//! The container of still pictures: items, their parts, and their properties (ISO/IEC 23008-12). The coding
//! of the pictures is handled elsewhere.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::boxes::{Reader, boxes, find};

/// The fault of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Damaged,
    /// The container refers to bytes beyond its end.
    Truncated,
}

/// The names of alpha among the kinds of auxiliary pictures: that of MPEG, and that of HEVC.
const ALPHA: [&[u8]; 2] = [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0"];

/// The arrangement of tiles in a picture.
pub(super) struct Grid {
    pub(super) columns: u32,
    pub(super) rows: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Grid {
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let mut data = Reader(data);
        let _version = data.u8()?;
        let wide = data.u8()? & 1 == 1;
        let (rows, columns) = (u32::from(data.u8()?) + 1, u32::from(data.u8()?) + 1);
        Some(Self { columns, rows, width: data.u16_or_u32(wide)?, height: data.u16_or_u32(wide)? })
    }
}

/// The kinds of items that are pictures.
const PICTURES: [&[u8; 4]; 7] = [b"hvc1", b"hev1", b"av01", b"jpeg", b"grid", b"iden", b"iovl"];

/// An entry of the list of items.
struct Item {
    id: u32,
    kind: [u8; 4],
    is_hidden: bool,
}

/// A file, and the boxes of its `meta`.
pub(super) struct File<'a> {
    content: &'a [u8],
    meta: &'a [u8],
}

impl<'a> File<'a> {
    /// Reads the file, which must have a `meta` box.
    pub(super) fn read(content: &'a [u8]) -> Result<Self, Fault> {
        let meta = find(content, *b"meta").ok_or(Fault::Truncated)?;
        Ok(Self { content, meta: meta.get(4..).ok_or(Fault::Damaged)? })
    }

    pub(super) fn primary(&self) -> Option<u32> {
        let mut primary = Reader(find(self.meta, *b"pitm")?);
        let (version, _) = primary.version()?;
        primary.u16_or_u32(version > 0)
    }

    /// Returns the kind of an item.
    pub(super) fn kind(&self, id: u32) -> Option<[u8; 4]> {
        self.items().find(|item| item.id == id).map(|item| item.kind)
    }

    fn items(&self) -> impl Iterator<Item = Item> + use<'a> {
        let infos = || {
            let mut infos = Reader(find(self.meta, *b"iinf")?);
            let (version, _) = infos.version()?;
            infos.u16_or_u32(version > 0)?;
            Some(infos.0)
        };
        boxes(infos().unwrap_or_default()).filter(|info| info.kind == *b"infe").filter_map(|info| {
            let mut info = Reader(info.body);
            let (version, flags) = info.version()?;
            let id = info.u16_or_u32(version > 2)?;
            let _protection = info.u16()?;
            Some(Item { id, kind: info.array()?, is_hidden: flags & 1 == 1 })
        })
    }

    /// Counts the pictures beside the primary one that a viewer would show: not hidden, and not a thumbnail,
    /// an auxiliary picture (alpha, depth, a gain map) or a part of another.
    pub(super) fn other_pictures(&self, primary: u32) -> u32 {
        let lesser: BTreeSet<u32> = [*b"thmb", *b"auxl"]
            .into_iter()
            .flat_map(|kind| self.references(kind).map(|(from, _)| from))
            .chain(self.references(*b"dimg").flat_map(|(_, to)| to))
            .chain([primary])
            .collect();
        let is_other =
            |item: &Item| PICTURES.contains(&&item.kind) && !item.is_hidden && !lesser.contains(&item.id);
        u32::try_from(self.items().filter(is_other).count()).unwrap_or(u32::MAX)
    }

    /// Returns the items of which the item with this number consists.
    pub(super) fn tiles(&self, id: u32) -> Option<Vec<u32>> {
        self.references(*b"dimg").find(|(from, _)| *from == id).map(|(_, to)| to)
    }

    pub(super) fn has_alpha(&self, id: u32) -> bool {
        self.references(*b"auxl").filter(|(_, to)| to.contains(&id)).any(|(from, _)| {
            self.properties(from).unwrap_or_default().iter().any(|&(kind, body)| {
                kind == *b"auxC"
                    && body.get(4..).is_some_and(|name| ALPHA.iter().any(|alpha| name.starts_with(alpha)))
            })
        })
    }

    /// Returns the references of a kind: the referring item, and the items to which it refers.
    pub(super) fn references(&self, kind: [u8; 4]) -> impl Iterator<Item = (u32, Vec<u32>)> + use<'a> {
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

    /// Returns the kinds and bodies of an item's properties.
    pub(super) fn properties(&self, id: u32) -> Option<Vec<([u8; 4], &'a [u8])>> {
        let all = find(self.meta, *b"iprp")?;
        let known: Vec<_> = boxes(find(all, *b"ipco")?).collect();
        let mut out = Vec::new();
        for associations in boxes(all).filter(|part| part.kind == *b"ipma") {
            let mut associations = Reader(associations.body);
            let (version, flags) = associations.version()?;
            for _ in 0..associations.u32()? {
                let item = associations.u16_or_u32(version > 0)?;
                for _ in 0..associations.u8()? {
                    // The highest bit marks a property that readers must know.
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

    /// Returns the bytes of an item, which may be in several parts of the file.
    pub(super) fn parts(&self, id: u32) -> Result<Vec<&'a [u8]>, Fault> {
        let extents = self.extents(id).ok_or(Fault::Damaged)?;
        let mut parts = Vec::with_capacity(extents.len());
        for (data, offset, bytes) in extents {
            let from = usize::try_from(offset).ok();
            let rest = from.and_then(|from| data.get(from..));
            // Length 0 means all remaining bytes.
            let bytes = if bytes == 0 { rest.map(<[u8]>::len) } else { usize::try_from(bytes).ok() };
            let part = rest.zip(bytes).and_then(|(rest, bytes)| rest.get(..bytes));
            parts.push(part.ok_or(Fault::Truncated)?);
        }
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if bytes > self.content.len() {
            return Err(Fault::Damaged);
        }
        Ok(parts)
    }

    /// Returns the bytes of an item in one piece.
    pub(super) fn data(&self, id: u32) -> Result<Cow<'a, [u8]>, Fault> {
        let parts = self.parts(id)?;
        Ok(if let [part] = parts[..] { Cow::Borrowed(part) } else { Cow::Owned(parts.concat()) })
    }

    /// Returns the parts of an item: the containing bytes, the offset, and the number of bytes.
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
