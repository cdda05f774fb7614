//! A field of a published report, and where its value comes from.

use crate::cell::Measure;

/// A report that a platform or a consortium publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedReport {
    /// The name in files.
    pub name: &'static str,
    /// The title for a person.
    pub title: &'static str,
    /// Its fields, in its order.
    pub fields: &'static [Field],
}

/// A field of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name in files.
    pub name: &'static str,
    /// One line that says what the report asks for, and how Vigie's number differs where it does.
    pub about: &'static str,
    /// Where the value comes from.
    pub source: Source,
}

/// Where the value of a field comes from.
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
    /// Left out, for this reason. The platform or the programme adds the value.
    LeftOut(&'static str),
}
