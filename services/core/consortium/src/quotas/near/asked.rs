//! What a member asked, and what was found.

use vigie_model::ItemId;

use super::pdq_bits::PdqBits;

/// The PDQ hashes of a content that were searched.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The hashes.
    pub hashes: &'a [PdqBits],
    /// Whether the caller chose them. Each is then a query of its own; those of a picture are one query.
    pub is_chosen: bool,
    /// The largest distance that counted as a match.
    pub radius: u16,
}

/// An item that was found by its PDQ hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The item.
    pub item: ItemId,
    /// Its distance.
    pub distance: u16,
    /// The indices of the hashes of which one has that distance: more than one where a caller sends several
    /// of one variant.
    pub candidates: Vec<usize>,
}
