//! Commands about banks and their items.

pub(crate) mod bank;
pub(crate) mod item;
pub(crate) mod item_import;
pub(crate) mod item_find;
