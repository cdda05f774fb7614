//! Commands about banks and their items.

pub(crate) mod bank;
pub(crate) mod item;
pub(crate) mod item_details;
mod item_files;
pub(crate) mod item_holds;
mod item_revert;
mod hash_source;
mod adding;
pub(crate) mod item_import;
pub(crate) mod item_find;
mod sync_plan;
mod bank_sync;
mod bank_export;
