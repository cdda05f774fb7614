//! NCMEC hash sharing, version 2: XML over HTTP.
//!
//! A page is a `queryResult`: entries of images and of videos, tombstones among them, and the link of the
//! next page. Entries of a range are not ordered by time, and the children of an entry are in any order.
//! Reading order: `xml`, [`page`], `read`, `write`, `mapping`, [`about`], `environments`.

mod xml;
pub mod page;
mod read;
mod write;
mod mapping;
pub mod about;
mod environments;

pub use environments::{ENVIRONMENTS, Environment};
pub use mapping::{entries, records};
pub use page::{Entry, Feedback, Fingerprint, Member, Page, Reason, Statement};
pub use read::parse;
pub use write::render;

/// The namespace of every root element.
pub const NAMESPACE: &str = xml::NAMESPACE;

#[cfg(test)]
mod tests;
