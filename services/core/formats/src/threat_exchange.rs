//! ThreatExchange `threat_updates`, and the submissions of an app: JSON over HTTP.
//!
//! A page has updates, ordered by time, and the absolute link of the next page. Reading order: [`page`],
//! `mapping`, [`submission`].

pub mod page;
mod mapping;
pub mod submission;

pub use mapping::{records, updates};
pub use page::{Descriptor, NextLink, Page, Reaction, Status, Tag, Update, parse, render};

#[cfg(test)]
mod tests;
