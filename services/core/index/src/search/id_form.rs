//! The number of bytes that the ids of rows take in tables.

/// The form in which tables store ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdForm {
    /// An id takes 4 bytes.
    Wide,
    /// An id takes 3 bytes, with fewer spare bits: for up to 2^24 rows.
    Narrow,
}

/// The largest number of rows of a segment with narrow ids.
pub(crate) const NARROW_ROWS_MAX: usize = 1 << 24;

impl IdForm {
    /// Returns the form for tables of this many rows.
    pub(crate) const fn of(rows: usize, compact: bool) -> Self {
        if compact && rows <= NARROW_ROWS_MAX { Self::Narrow } else { Self::Wide }
    }

    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::Wide => 4,
            Self::Narrow => 3,
        }
    }
}
