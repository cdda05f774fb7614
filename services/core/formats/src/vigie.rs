//! The published list of a bank of another Vigie deployment: JSON over HTTP.
//!
//! Entries are numbered without gaps, and a page has the chain after its last entry and the set of what is in the list: whoever follows it
//! recomputes both from what the entries say ([`vigie_consortium::items::published`]). Reading order: [`page`], `mapping`.

pub mod page;
mod mapping;

pub use mapping::{key, records};
pub use page::{Entry, Page, Says, parse, render};

#[cfg(test)]
mod tests;
