//! The container: header, directories and the values of their tags, classic and BigTIFF, read in place.
//!
//! Nothing is allocated here: a tag's values stay in the content and are read one by one. An offset or a
//! count beyond the content gives `None`.

/// The content of a TIFF file, and the form of its numbers.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    content: &'a [u8],
    big_endian: bool,
    /// BigTIFF: offsets and counts of 64 bits.
    big: bool,
}

impl<'a> File<'a> {
    /// Reads the header's first four bytes, which the caller has recognised as a TIFF signature.
    pub(super) fn new(content: &'a [u8]) -> Self {
        let big = matches!(content, [b'I', b'I', 43, ..] | [b'M', b'M', _, 43, ..]);
        Self { content, big_endian: content.starts_with(b"MM"), big }
    }

    /// Returns the offset of the first directory.
    pub(super) fn first(&self) -> Option<u64> {
        self.offset_at(if self.big { 8 } else { 4 })
    }

    /// Returns `len` bytes at `offset`.
    pub(super) fn bytes(&self, offset: u64, len: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(offset).ok()?;
        self.content.get(start..start.checked_add(usize::try_from(len).ok()?)?)
    }

    /// Returns the bytes from `offset` to the end of the content.
    pub(super) fn rest(&self, offset: u64) -> Option<&'a [u8]> {
        self.content.get(usize::try_from(offset).ok()?..)
    }

    /// Reads the directory at `offset`; `None` if it does not end within the content.
    pub(super) fn directory(&self, offset: u64) -> Option<Directory<'a>> {
        let (count_bytes, entry_bytes) = if self.big { (8, 20) } else { (2, 12) };
        let count = unsigned(self.bytes(offset, count_bytes)?, self.big_endian);
        let start = offset.checked_add(count_bytes)?;
        let len = count.checked_mul(entry_bytes)?;
        let entries = self.bytes(start, len)?;
        let next = self.offset_at(start.checked_add(len)?);
        Some(Directory { file: *self, entries, next })
    }

    fn offset_at(&self, at: u64) -> Option<u64> {
        let bytes = self.bytes(at, if self.big { 8 } else { 4 })?;
        Some(unsigned(bytes, self.big_endian))
    }
}

/// A directory: the tags of one picture.
pub(super) struct Directory<'a> {
    file: File<'a>,
    entries: &'a [u8],
    /// The offset of the next directory, or 0; `None` if the content ends before that field.
    pub(super) next: Option<u64>,
}

impl<'a> Directory<'a> {
    /// Returns the file that holds the directory.
    pub(super) const fn file(&self) -> &File<'a> {
        &self.file
    }

    /// Checks whether numbers begin with their most significant byte.
    pub(super) const fn big_endian(&self) -> bool {
        self.file.big_endian
    }

    /// Checks whether all values of a tag are in the content, if the directory has the tag.
    pub(super) fn is_whole(&self, tag: u16) -> bool {
        self.entry(tag).is_none() || self.values(tag).is_some()
    }

    fn entry(&self, tag: u16) -> Option<&'a [u8]> {
        self.entries
            .chunks_exact(if self.file.big { 20 } else { 12 })
            .find(|entry| unsigned(&entry[..2], self.file.big_endian) == u64::from(tag))
    }

    /// Returns the values of a tag; `None` if the tag is missing, of an unknown type, or beyond the content.
    pub(super) fn values(&self, tag: u16) -> Option<Values<'a>> {
        let big_endian = self.file.big_endian;
        let count_bytes = if self.file.big { 8 } else { 4 };
        let entry = self.entry(tag)?;
        let kind = Kind::of(unsigned(&entry[2..4], big_endian))?;
        let count = unsigned(&entry[4..][..count_bytes], big_endian);
        let len = count.checked_mul(kind.bytes() as u64)?;
        let value = &entry[4 + count_bytes..];
        let bytes = if len <= value.len() as u64 {
            &value[..usize::try_from(len).ok()?]
        } else {
            self.file.bytes(unsigned(value, big_endian), len)?
        };
        Some(Values { bytes, kind, big_endian })
    }

    /// Returns the first value of a tag.
    pub(super) fn value(&self, tag: u16) -> Option<u64> {
        self.values(tag)?.get(0)
    }
}

/// The storage form of a tag's values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unsigned(usize),
    Signed(usize),
    Rational,
    SignedRational,
    Float,
    Double,
}

impl Kind {
    /// Returns the kind of a type number of TIFF 6.0 or BigTIFF.
    const fn of(number: u64) -> Option<Self> {
        Some(match number {
            1 | 2 | 7 => Self::Unsigned(1),
            3 => Self::Unsigned(2),
            4 | 13 => Self::Unsigned(4),
            16 | 18 => Self::Unsigned(8),
            6 => Self::Signed(1),
            8 => Self::Signed(2),
            9 => Self::Signed(4),
            17 => Self::Signed(8),
            5 => Self::Rational,
            10 => Self::SignedRational,
            11 => Self::Float,
            12 => Self::Double,
            _ => return None,
        })
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Unsigned(bytes) | Self::Signed(bytes) => bytes,
            Self::Float => 4,
            Self::Rational | Self::SignedRational | Self::Double => 8,
        }
    }
}

/// The values of one tag.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    bytes: &'a [u8],
    kind: Kind,
    big_endian: bool,
}

impl<'a> Values<'a> {
    /// Returns the number of values.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len() / self.kind.bytes()
    }

    /// Returns the values as bytes.
    pub(super) const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn raw(&self, index: usize) -> Option<u64> {
        let bytes = self.bytes.chunks_exact(self.kind.bytes()).nth(index)?;
        Some(unsigned(bytes, self.big_endian))
    }

    /// Returns the value at `index`, if it is a whole number and not negative.
    pub(super) fn get(&self, index: usize) -> Option<u64> {
        let raw = self.raw(index)?;
        match self.kind {
            Kind::Unsigned(_) => Some(raw),
            Kind::Signed(bytes) => (raw >> (8 * bytes - 1) == 0).then_some(raw),
            Kind::Rational | Kind::SignedRational | Kind::Float | Kind::Double => None,
        }
    }

    /// Returns the value at `index`, of any unsigned type.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a reference level")]
    pub(super) fn number(&self, index: usize) -> Option<f32> {
        let raw = self.raw(index)?;
        match self.kind {
            Kind::Unsigned(_) => Some(raw as f32),
            Kind::Rational => {
                let (first, second) = (raw >> 32, raw & 0xffff_ffff);
                let (above, below) = if self.big_endian { (first, second) } else { (second, first) };
                (below != 0).then(|| above as f32 / below as f32)
            }
            Kind::Float => Some(f32::from_bits(raw as u32)),
            Kind::Double => Some(f64::from_bits(raw) as f32),
            Kind::Signed(_) | Kind::SignedRational => None,
        }
        .filter(|number| number.is_finite())
    }
}

/// Reads a number of at most eight bytes.
fn unsigned(bytes: &[u8], big_endian: bool) -> u64 {
    let add = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
    if big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
}
