//! Tech Against Terrorism's hash list, version 2: JSON over HTTP, behind a login.
//!
//! A page has entries, the URL of the next page and an opaque checkpoint. Reading order: [`page`], `mapping`,
//! [`login`].

pub mod page;
mod mapping;
pub mod login;

pub use mapping::{entries, records};
pub use page::{Entry, Page, parse, render};

#[cfg(test)]
mod tests;
