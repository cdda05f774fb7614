//! How many bytes the ids of rows take in tables.

/// How the ids of tables are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdForm {
    /// In 4 bytes.
    Wide,
    /// In 3 bytes, with fewer spare bits: for up to 2^24 rows.
    Narrow,
}

/// A segment with narrow ids has no more rows than this.
pub(crate) const NARROW_ROWS_MAX: usize = 1 << 24;

impl IdForm {
    /// That of tables of so many rows.
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
