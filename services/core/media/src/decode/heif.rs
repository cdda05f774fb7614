//! The container of still pictures: items, what they are made of, and their properties (ISO/IEC 23008-12). What codes the
//! pictures is another matter.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::boxes::{Reader, boxes, find};

/// What is wrong with a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Damaged,
    /// It refers to bytes beyond its end.
    Truncated,
}

/// The names of alpha among the kinds of auxiliary pictures: that of MPEG, and HEVC's own.
const ALPHA: [&[u8]; 2] = [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0"];

/// How tiles make a picture.
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

/// Kinds of items that are pictures.
const PICTURES: [&[u8; 4]; 7] = [b"hvc1", b"hev1", b"av01", b"jpeg", b"grid", b"iden", b"iovl"];

/// One entry of the list of items.
struct Item {
    id: u32,
    kind: [u8; 4],
    is_hidden: bool,
}

/// A file and the boxes of its `meta`.
pub(super) struct File<'a> {
    content: &'a [u8],
    meta: &'a [u8],
}

impl<'a> File<'a> {
    /// The file, if it has a `meta`.
    pub(super) fn read(content: &'a [u8]) -> Result<Self, Fault> {
        let meta = find(content, *b"meta").ok_or(Fault::Truncated)?;
        Ok(Self { content, meta: meta.get(4..).ok_or(Fault::Damaged)? })
    }

    pub(super) fn primary(&self) -> Option<u32> {
        let mut primary = Reader(find(self.meta, *b"pitm")?);
        let (version, _) = primary.version()?;
        primary.u16_or_u32(version > 0)
    }

    /// The kind of an item.
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

    /// How many pictures beside the primary one a viewer would show: none that is hidden, a thumbnail, an auxiliary one (alpha, depth,
    /// a gain map) or a part of another.
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

    /// The items that the item with this number is made of.
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

    /// The references of a kind: the item that refers, and those that it refers to.
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

    /// The kinds and bodies of an item's properties.
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

    /// The bytes of an item, which may lie in several places.
    pub(super) fn parts(&self, id: u32) -> Result<Vec<&'a [u8]>, Fault> {
        let extents = self.extents(id).ok_or(Fault::Damaged)?;
        let mut parts = Vec::with_capacity(extents.len());
        for (data, offset, bytes) in extents {
            let from = usize::try_from(offset).ok();
            let rest = from.and_then(|from| data.get(from..));
            // No length: all that is left.
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

    /// The bytes of an item in one piece.
    pub(super) fn data(&self, id: u32) -> Result<Cow<'a, [u8]>, Fault> {
        let parts = self.parts(id)?;
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
