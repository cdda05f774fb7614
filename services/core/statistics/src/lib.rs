//! Counts the events of a deployment, and computes the numbers that it publishes.
//!
//! The crate is pure: its inputs are counters, histograms and decisions; its outputs are tables, reports and
//! statements. It uses no network, no store, no clock and no randomness. The bank stores the counters, under
//! the bytes of [`CellKey`]; the command line prints the reports.
//!
//! Always true:
//!
//! - **No reader learns a small number of another member**, neither from a cell nor from totals, other cells
//!   or its own numbers: [`suppress`] states the guarantee and its limits.
//! - **No field is invented.** Each field of a published report has a source in [`fields`] or is left out
//!   with a reason, and each element of a report of suspected material is filled or is named as missing.
//! - **A published statement contains no personal data**, no fingerprint, no URL, no name of a list and no id
//!   of an item: texts come from the platform's template, and each is checked.
//! - **Statements claim only what a record contains**: if the record does not show whether a person looked,
//!   the statement has a fault.
//! - Stored bytes (keys, histograms) have a version and are read back exactly or refused; names in files are
//!   stable.
//!
//! Reading order:
//!
//! - the basic types: [`month`], [`cell`] (measure, key, scored_class, counts), [`latency`];
//! - [`suppress`]: `rule`, `flow` (the range to which a reader can narrow a cell), `table`, `list`;
//! - [`fields`]: the fields of published reports; [`report`]: `names`, `numbers`, `classifiers`, `precision`,
//!   `filled`, `statistics`; [`render`]: Markdown, CSV, JSON;
//! - [`statement`]: statements of reasons (DSA); [`suspected`]: reports of suspected material.

pub mod month;
pub mod cell;
pub mod latency;
pub mod suppress;
pub mod fields;
pub mod report;
pub mod render;
pub mod statement;
pub mod suspected;

pub use cell::{CellKey, CellKeyError, ClassText, Counts, Measure, ScoredClass, VerdictText};
pub use latency::{Histogram, HistogramError, LatencyKind};
pub use month::{Day, Month, MonthError, Period, PeriodError};
pub use render::{to_csv, to_json, to_markdown};
pub use report::{Input, Reader, Statistics};
pub use suppress::{Cell, Rule};
