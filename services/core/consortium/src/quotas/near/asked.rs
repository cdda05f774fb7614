//! The PDQ hashes of a member's query, and the items that they found.

use vigie_model::ItemId;

use super::pdq_bits::PdqBits;

/// The searched PDQ hashes of one content.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The hashes.
    pub hashes: &'a [PdqBits],
    /// Whether the caller sent the hashes itself. Then each is a separate query; the hashes of one picture
    /// are a single query.
    pub is_chosen: bool,
    /// The largest distance that counted as a match.
    pub radius: u16,
}

/// An item that was found by its PDQ hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The item.
    pub item: ItemId,
    /// The distance of its nearest hash.
    pub distance: u16,
    /// The indices of the hashes that may have that distance: more than one if a caller sends several hashes
    /// of one variant.
    pub candidates: Vec<usize>,
}
