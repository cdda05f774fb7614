//! ThreatExchange `threat_updates`: JSON over HTTP.
//!
//! A page has updates, ordered by their time, and the absolute link of the next page. Reading order: [`page`], `mapping`.

pub mod page;
mod mapping;

pub use mapping::{records, updates};
pub use page::{Descriptor, NextLink, Page, Reaction, Status, Tag, Update, parse, render};

#[cfg(test)]
mod tests;
