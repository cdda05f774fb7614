//! Banks, their items, adding items, and exchanges.

mod banks;
mod items;
mod adding;
mod exchanges;
