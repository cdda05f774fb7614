//! Known content: banks, their items, adding items, and exchanges.

pub(crate) mod banks;
pub(crate) mod items;
pub(crate) mod adding;
pub(crate) mod exchanges;
mod links;
mod said;
