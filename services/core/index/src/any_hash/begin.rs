//! Creates an index from a shape: here a length at run time selects a type.

use std::path::Path;

use super::equality::KeyedIndex;
use super::index::HashIndex;
use super::shape::{HELD_BYTES_MAX, HashShape, UnsupportedShape};
use crate::options::IndexOptions;
use crate::radius::RadiusIndex;
use crate::rows::home::OpenError;

/// A way to create or open an index, independent of its type.
trait Origin {
    type Error: From<UnsupportedShape>;

    fn hamming<const BYTES: usize>(self) -> Result<RadiusIndex<BYTES>, Self::Error>;

    fn equality<const WIDTH: usize>(self, bytes: usize) -> Result<KeyedIndex<WIDTH>, Self::Error>;
}

impl HashShape {
    /// Creates an empty index in memory.
    pub fn in_memory(self, options: IndexOptions) -> Result<Box<dyn HashIndex>, UnsupportedShape> {
        self.index(InMemory(options))
    }

    /// Creates an empty index in this folder, which it owns until it is dropped. Deletes any index that the
    /// folder holds.
    pub fn begin(self, folder: &Path, options: IndexOptions) -> Result<Box<dyn HashIndex>, OpenError> {
        self.index(Begun { folder, options })
    }

    /// Opens the index that [`HashIndex::save`] wrote to this folder with this tag, even if others were saved
    /// after it. The index owns the folder until it is dropped.
    ///
    /// Reads all files once and compares their checksums. Fails if the folder is in use, or if a file is
    /// damaged or has hashes of another shape; [`Self::begin`] then starts with an empty index.
    pub fn open_tagged(
        self,
        folder: &Path,
        options: IndexOptions,
        tag: &[u8],
    ) -> Result<Box<dyn HashIndex>, OpenError> {
        self.index(Saved { folder, options, tag })
    }

    fn index<O: Origin>(self, origin: O) -> Result<Box<dyn HashIndex>, O::Error> {
        self.check()?;
        Ok(match self {
            Self::Hamming { bytes: 8 } => Box::new(origin.hamming::<8>()?),
            Self::Hamming { bytes: 12 } => Box::new(origin.hamming::<12>()?),
            Self::Hamming { bytes: 16 } => Box::new(origin.hamming::<16>()?),
            Self::Hamming { bytes: 32 } => Box::new(origin.hamming::<32>()?),
            Self::Hamming { bytes: 64 } => Box::new(origin.hamming::<64>()?),
            Self::Vector { .. } => return Err(UnsupportedShape::Vector.into()),
            Self::Hamming { bytes } => return Err(UnsupportedShape::Hamming(bytes).into()),
            Self::Equality { bytes: bytes @ 0..=8 } => Box::new(origin.equality::<8>(bytes)?),
            Self::Equality { bytes: bytes @ 9..=16 } => Box::new(origin.equality::<16>(bytes)?),
            Self::Equality { bytes: bytes @ 17..=32 } => Box::new(origin.equality::<32>(bytes)?),
            Self::Equality { bytes: bytes @ 33..=HELD_BYTES_MAX } => Box::new(origin.equality::<64>(bytes)?),
            Self::Equality { bytes } => Box::new(origin.equality::<32>(bytes)?),
        })
    }
}

struct InMemory(IndexOptions);

impl Origin for InMemory {
    type Error = UnsupportedShape;

    fn hamming<const BYTES: usize>(self) -> Result<RadiusIndex<BYTES>, UnsupportedShape> {
        Ok(RadiusIndex::with_options(self.0))
    }

    fn equality<const WIDTH: usize>(self, bytes: usize) -> Result<KeyedIndex<WIDTH>, UnsupportedShape> {
        Ok(KeyedIndex::in_memory(bytes, self.0))
    }
}

struct Begun<'a> {
    folder: &'a Path,
    options: IndexOptions,
}

impl Origin for Begun<'_> {
    type Error = OpenError;

    fn hamming<const BYTES: usize>(self) -> Result<RadiusIndex<BYTES>, OpenError> {
        RadiusIndex::begin(self.folder, self.options)
    }

    fn equality<const WIDTH: usize>(self, bytes: usize) -> Result<KeyedIndex<WIDTH>, OpenError> {
        KeyedIndex::begin(bytes, self.folder, self.options)
    }
}

struct Saved<'a> {
    folder: &'a Path,
    options: IndexOptions,
    tag: &'a [u8],
}

impl Origin for Saved<'_> {
    type Error = OpenError;

    fn hamming<const BYTES: usize>(self) -> Result<RadiusIndex<BYTES>, OpenError> {
        RadiusIndex::open_tagged(self.folder, self.options, self.tag)
    }

    fn equality<const WIDTH: usize>(self, bytes: usize) -> Result<KeyedIndex<WIDTH>, OpenError> {
        KeyedIndex::open_tagged(bytes, self.folder, self.options, self.tag)
    }
}
