//! Banks, their items, and what comes into them.

mod banks;
mod items;
mod adding;
mod exchanges;
