//! The table of fields that a condition may select, with their kinds and values.

use crate::facts::{MatchFacts, QueryFacts};
use crate::values::{Kind, Scalar};

/// A field of a match with one value.
#[derive(Clone, Copy)]
pub(crate) struct MatchField {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) of: for<'a> fn(&'a MatchFacts) -> Scalar<'a>,
}

/// A field of a match with a list of texts.
#[derive(Clone, Copy)]
pub(crate) struct TextsField {
    pub(crate) name: &'static str,
    pub(crate) of: for<'a> fn(&'a MatchFacts) -> &'a [Box<str>],
}

/// A field of a query. A query may lack the value.
#[derive(Clone, Copy)]
pub(crate) struct QueryField {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) of: for<'a> fn(&'a QueryFacts) -> Option<Scalar<'a>>,
}

macro_rules! field {
    ($type:ident, $name:literal, $kind:ident, $of:expr) => {
        $type { name: $name, kind: Kind::$kind, of: $of }
    };
}

/// Every field of a match with one value.
pub(crate) static MATCH_FIELDS: [MatchField; 18] = [
    field!(MatchField, "bank", Text, |facts| Scalar::Text(&facts.bank)),
    field!(MatchField, "owner", Text, |facts| Scalar::Text(&facts.owner)),
    field!(MatchField, "alias", Text, |facts| Scalar::Text(&facts.alias)),
    field!(MatchField, "distance", Int, |facts| Scalar::Int(facts.distance.into())),
    field!(MatchField, "hash_type", Text, |facts| Scalar::Text(facts.hash_type)),
    field!(MatchField, "exact", Bool, |facts| Scalar::Bool(facts.exact)),
    field!(MatchField, "query_share", Int, |facts| Scalar::Int(facts.query_share.into())),
    field!(MatchField, "item_share", Int, |facts| Scalar::Int(facts.item_share.into())),
    field!(MatchField, "variant", Text, |facts| Scalar::Text(&facts.variant)),
    field!(MatchField, "age_days", Int, |facts| Scalar::Int(saturated(facts.age_days))),
    field!(MatchField, "positives", Int, |facts| Scalar::Int(facts.positives.into())),
    field!(MatchField, "negatives", Int, |facts| Scalar::Int(facts.negatives.into())),
    field!(MatchField, "seen", Int, |facts| Scalar::Int(facts.seen.into())),
    field!(MatchField, "disputed", Bool, |facts| Scalar::Bool(facts.disputed)),
    field!(MatchField, "mine", Text, |facts| Scalar::Text(facts.mine)),
    field!(MatchField, "held", Bool, |facts| Scalar::Bool(facts.held)),
    field!(MatchField, "probation", Bool, |facts| Scalar::Bool(facts.probation)),
    field!(MatchField, "contributors", Int, |facts| Scalar::Int(facts.contributors.into())),
];

/// Every field of a match with a list of texts.
pub(crate) static TEXTS_FIELDS: [TextsField; 2] = [
    TextsField { name: "labels", of: |facts| &facts.labels },
    TextsField { name: "classification", of: |facts| &facts.classification },
];

/// Every field of a query.
pub(crate) static QUERY_FIELDS: [QueryField; 4] = [
    field!(QueryField, "quality", Int, |facts| facts.quality.map(|quality| Scalar::Int(quality.into()))),
    field!(QueryField, "kind", Text, |facts| Some(Scalar::Text(facts.kind))),
    field!(QueryField, "surface", Text, |facts| Some(Scalar::Text(&facts.surface))),
    field!(QueryField, "size", Int, |facts| Some(Scalar::Int(saturated(facts.size)))),
];

/// Returns the number, or the largest value of CEL's `int`.
fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
