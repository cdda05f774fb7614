//! A field of a published report, and the source of its value.

use crate::cell::Measure;

/// A report that a platform or a consortium publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedReport {
    /// The name in files.
    pub name: &'static str,
    /// The title for a person.
    pub title: &'static str,
    /// The report's fields, in its order.
    pub fields: &'static [Field],
}

/// A field of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name in files.
    pub name: &'static str,
    /// A line that describes what the report requires, and how Vigie's number differs if it does.
    pub about: &'static str,
    /// The source of the value.
    pub source: Source,
}

/// The source of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The sum of these measures in the period.
    Counted(&'static [Measure]),
    /// The sum of these measures until the end of the period.
    Cumulative(&'static [Measure]),
    /// The share of reviewed decisions that were confirmed.
    Precision,
    /// The number of members.
    Members,
    /// The number of members without any count in the period.
    MembersSilent,
    /// A sentence that is true of every deployment.
    Sentence(&'static str),
    /// Left out for this reason. The platform or the programme adds the value.
    LeftOut(&'static str),
}
