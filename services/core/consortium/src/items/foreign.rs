//! Opinions of a programme's members, as received in the records of exchanges.

use vigie_model::OpinionKind;

use super::opinion::{OpinionReason, OpinionWords};
use crate::text::Text;

/// The opinion of a programme's members on one of its records, combined into one. They are not members of
/// this deployment, whatever their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignOpinion {
    /// The combined opinion; `None` if some opinions are positive and others negative.
    pub kind: Option<OpinionKind>,
    /// The reason; for negative opinions.
    pub reason: Option<OpinionReason>,
    /// The programme's own term: `NotBlocked`, `DISAGREE_WITH_TAGS`, the id of a reason; empty for none.
    pub word: Text<{ OpinionWords::FOREIGN_LEN_MAX }>,
}

impl ForeignOpinion {
    /// Returns the opinion of members who disagree.
    #[must_use]
    pub fn disputed() -> Self {
        Self { kind: None, reason: None, word: Text::default() }
    }

    /// Combines the opinions of several records. Positive and negative together give no opinion; either takes
    /// precedence over a seen match. `None` if there are no opinions.
    #[must_use]
    pub fn together<'a>(all: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let (mut positive, mut negative, mut seen) = (None, None, None);
        for one in all {
            match one.kind {
                None => return Some(Self::disputed()),
                Some(OpinionKind::Positive) => drop(positive.get_or_insert(one)),
                Some(OpinionKind::Negative) => drop(negative.get_or_insert(one)),
                Some(OpinionKind::Seen) => drop(seen.get_or_insert(one)),
            }
        }
        match (positive, negative) {
            (Some(_), Some(_)) => Some(Self::disputed()),
            (one, other) => one.or(other).or(seen).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Option<OpinionKind>; 4] =
        [Some(OpinionKind::Positive), Some(OpinionKind::Negative), Some(OpinionKind::Seen), None];

    fn said(kind: Option<OpinionKind>, word: &str) -> ForeignOpinion {
        ForeignOpinion { kind, reason: None, word: Text::new(word).unwrap() }
    }

    #[test]
    fn together_wrong_and_right_is_no_opinion_and_the_order_does_not_matter() {
        use OpinionKind::{Negative, Positive, Seen};
        // Tests every set of kinds; each bit of `set` is one kind.
        for set in 0_u8..16 {
            let all: Vec<ForeignOpinion> = (0..4)
                .filter(|bit| set & (1 << bit) != 0)
                .map(|bit| said(ALL[bit], &bit.to_string()))
                .collect();
            let has = |kind| all.iter().any(|one| one.kind == kind);
            let expected = if all.is_empty() {
                None
            } else if has(None) || has(Some(Positive)) && has(Some(Negative)) {
                Some(None)
            } else {
                Some([Positive, Negative, Seen].map(Some).into_iter().find(|kind| has(*kind)).unwrap())
            };
            let kind = |together: Option<ForeignOpinion>| together.map(|one| one.kind);
            assert_eq!(kind(ForeignOpinion::together(&all)), expected, "{set}");
            assert_eq!(kind(ForeignOpinion::together(all.iter().rev())), expected, "{set}");
        }
    }
}
