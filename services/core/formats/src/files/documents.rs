//! Documents: records of JSON or XML, each of which may take many lines, or share one.

pub(super) mod records;
pub(super) mod hma;
pub(super) mod stop_ncii;
pub(super) mod ncmec;

use vigie_model::ItemDraft;

/// What a record is. A value that cannot be used costs itself and not the record.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The item; `None` if nothing usable is in the record.
    pub(super) draft: Option<ItemDraft>,
    /// What cannot be used of it, with the line of each.
    pub(super) bad: Vec<(u64, String)>,
}
