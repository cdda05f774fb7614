//! ThreatExchange `threat_updates`, and what an app submits: JSON over HTTP.
//!
//! A page has updates, ordered by their time, and the absolute link of the next page. Reading order: [`page`], `mapping`, [`submission`].

pub mod page;
mod mapping;
pub mod submission;

pub use mapping::{records, updates};
pub use page::{Descriptor, NextLink, Page, Reaction, Status, Tag, Update, parse, render};

#[cfg(test)]
mod tests;
