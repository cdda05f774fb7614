//! Documents: records of JSON or XML. A record may take several lines, and a line may have several records.

pub(super) mod records;
pub(super) mod hma;
pub(super) mod stop_ncii;
pub(super) mod ncmec;

use vigie_model::ItemDraft;

/// The content of a record. A value that cannot be used is left out, and the rest of the record is kept.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The item; `None` if the record has no usable hash.
    pub(super) draft: Option<ItemDraft>,
    /// The values that cannot be used: the line and the reason of each.
    pub(super) bad: Vec<(u64, String)>,
}
