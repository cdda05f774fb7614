//! Statements of reasons for the DSA Transparency Database, from decisions.
//!
//! The attributes are those of the schema in force since 2025-07-01, for `POST /api/v1/statements`. A
//! decision provides what it contains (the time, the action, whether a person looked); a [`Template`] of the
//! platform provides the rest. Everything in a statement is published, so it contains no personal data, and
//! no fingerprint, URL, name of a list or id of an item either: texts come only from the template, and
//! [`Statement::validate`] checks them.
//!
//! A decision without an action gives no statement.

mod record;
mod template;
mod attributes;
mod privacy;
mod validate;
mod prepare;
#[cfg(test)]
mod tests;

pub use prepare::{Prepared, Rejected, prepare};
pub use privacy::PrivateWords;
pub use record::{Automation, DecisionRecord};
pub use template::{CategoryRule, Ground, Restriction, Template};
pub use validate::{BATCH_MAX, Fault, Statement, batches};
pub use vigie_consortium::cases::{Action, Basis, MediaKind};
