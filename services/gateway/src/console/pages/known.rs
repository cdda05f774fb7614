//! What is known: banks, items, how they are added and followed.

pub(crate) mod banks;
pub(crate) mod items;
pub(crate) mod adding;
pub(crate) mod exchanges;
mod links;
mod said;
