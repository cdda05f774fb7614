//! The published list of a bank of another Vigie deployment: JSON over HTTP.
//!
//! Entries are numbered without gaps. A page has the chain after its last entry and the digest of the list's
//! content. A follower recomputes both from the entries ([`vigie_consortium::items::published`]). Reading
//! order: [`page`], `mapping`.

pub mod page;
mod mapping;

pub use mapping::{key, records};
pub use page::{Entry, Page, Says, parse, render};

#[cfg(test)]
mod tests;
