//! Conversions of the standings of items, and of the facts that accompany matches.

use std::sync::Arc;

use vigie_model::{Facts, Labels, MemberId, OpinionKind, Standing};

use crate::invalid::{Invalid, check_len};
use crate::pb::bank::v1 as bank;
use crate::pb::model::v1 as pb;

impl From<Option<OpinionKind>> for pb::OpinionKind {
    fn from(kind: Option<OpinionKind>) -> Self {
        match kind {
            None => Self::Unspecified,
            Some(OpinionKind::Positive) => Self::Positive,
            Some(OpinionKind::Negative) => Self::Negative,
            Some(OpinionKind::Seen) => Self::Seen,
        }
    }
}

/// Reads the kind of an opinion. `field`: its field, for errors. Returns `None` for the unspecified kind.
pub fn opinion_kind(field: &str, number: i32) -> Result<Option<OpinionKind>, Invalid> {
    match pb::OpinionKind::try_from(number) {
        Ok(pb::OpinionKind::Unspecified) => Ok(None),
        Ok(pb::OpinionKind::Positive) => Ok(Some(OpinionKind::Positive)),
        Ok(pb::OpinionKind::Negative) => Ok(Some(OpinionKind::Negative)),
        Ok(pb::OpinionKind::Seen) => Ok(Some(OpinionKind::Seen)),
        Err(_) => Err(Invalid::new(field, format!("{number} is no kind of an opinion"))),
    }
}

impl From<Facts> for pb::Facts {
    fn from(facts: Facts) -> Self {
        let Facts {
            positives,
            negatives,
            seen,
            mine,
            dispute_open,
            contributors,
            is_aside,
            probation,
            classes,
        } = facts;
        Self {
            positives,
            negatives,
            seen,
            mine: pb::OpinionKind::from(mine).into(),
            dispute_open,
            contributors,
            is_aside,
            probation,
            classes: classes.into_iter().map(String::from).collect(),
        }
    }
}

impl TryFrom<pb::Facts> for Facts {
    type Error = Invalid;

    fn try_from(message: pb::Facts) -> Result<Self, Invalid> {
        let pb::Facts {
            positives,
            negatives,
            seen,
            mine,
            dispute_open,
            contributors,
            is_aside,
            probation,
            classes,
        } = message;
        Ok(Self {
            positives,
            negatives,
            seen,
            mine: opinion_kind("mine", mine)?,
            dispute_open,
            contributors,
            is_aside,
            probation,
            classes: classes_of(classes)?,
        })
    }
}

fn classes_of(classes: Vec<String>) -> Result<Box<[Box<str>]>, Invalid> {
    check_len("classes", classes.len(), 0, Standing::CLASSES_MAX)?;
    if let Some(class) = classes.iter().find(|class| class.len() > Standing::CLASS_LEN_MAX) {
        return Err(Invalid::new("classes", format!("has a class of {} bytes", class.len())));
    }
    Ok(classes.into_iter().map(String::into_boxed_str).collect())
}

/// Returns the message of a standing; `None` for the default one.
#[must_use]
pub(crate) fn standing_to_wire(standing: &Standing) -> Option<bank::ItemStanding> {
    if *standing == Standing::default() {
        return None;
    }
    let ids = |members: &[MemberId]| members.iter().map(|member| member.0).collect();
    let of_kind = |kind| {
        let opinions = standing.opinions.iter().filter(|(_, one)| *one == kind);
        opinions.map(|(member, _)| member.0).collect()
    };
    Some(bank::ItemStanding {
        probation: standing.probation,
        dispute_open: standing.dispute_open,
        contributor_ids: ids(&standing.contributors),
        positive_ids: of_kind(OpinionKind::Positive),
        negative_ids: of_kind(OpinionKind::Negative),
        seen_ids: of_kind(OpinionKind::Seen),
        held_for_ids: ids(&standing.held_for),
        classes: standing.classes.iter().map(|class| class.to_string()).collect(),
        labels: standing.labels.as_ref().map(Into::into),
    })
}

impl From<&Labels> for bank::ItemLabels {
    fn from(labels: &Labels) -> Self {
        Self { labels: labels.iter().map(ToString::to_string).collect() }
    }
}

/// Reads labels. `field`: their field, for errors.
pub fn labels_of(field: &str, message: bank::ItemLabels) -> Result<Labels, Invalid> {
    Labels::try_from(message.labels).map_err(|error| Invalid::new(format!("{field}.labels"), error))
}

/// Reads a standing; a missing message means the default one.
pub(crate) fn standing_from_wire(message: Option<bank::ItemStanding>) -> Result<Arc<Standing>, Invalid> {
    let Some(message) = message else { return Ok(Arc::default()) };
    let bank::ItemStanding {
        probation,
        dispute_open,
        contributor_ids,
        positive_ids,
        negative_ids,
        seen_ids,
        held_for_ids,
        classes,
        labels,
    } = message;
    let mut opinions = Vec::new();
    let of_kinds = [("positive_ids", positive_ids), ("negative_ids", negative_ids), ("seen_ids", seen_ids)];
    for (kind, (field, ids)) in OpinionKind::ALL.into_iter().zip(of_kinds) {
        opinions.extend(members(field, ids)?.into_iter().map(|member| (member, kind)));
    }
    opinions.sort_unstable();
    if opinions.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(Invalid::new("positive_ids", "name a member that another list names too"));
    }
    Ok(Arc::new(Standing {
        probation,
        dispute_open,
        contributors: members("contributor_ids", contributor_ids)?,
        opinions: opinions.into(),
        held_for: members("held_for_ids", held_for_ids)?,
        classes: classes_of(classes)?,
        labels: labels.map(|labels| labels_of("labels", labels)).transpose()?,
    }))
}

fn members(field: &str, ids: Vec<u32>) -> Result<Box<[MemberId]>, Invalid> {
    check_len(field, ids.len(), 0, Standing::MEMBERS_MAX)?;
    if !ids.is_sorted_by(|one, next| one < next) {
        return Err(Invalid::new(field, "has to be ids of members, ascending"));
    }
    Ok(ids.into_iter().map(MemberId).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing() -> Standing {
        Standing {
            probation: true,
            dispute_open: true,
            contributors: [MemberId(1), MemberId(4)].into(),
            opinions: [
                (MemberId(2), OpinionKind::Negative),
                (MemberId(3), OpinionKind::Positive),
                (MemberId(9), OpinionKind::Seen),
            ]
            .into(),
            held_for: [MemberId(7)].into(),
            classes: ["iwf/category=A".into()].into(),
            labels: Labels::try_from(vec!["b".to_owned(), "a".to_owned()]).ok(),
        }
    }

    #[test]
    fn standings_and_facts_survive_the_wire() {
        let read = standing_from_wire(standing_to_wire(&standing())).unwrap();
        assert_eq!(*read, standing());
        assert_eq!(standing_to_wire(&Standing::default()), None);
        // An empty list of labels differs from labels that never changed.
        let unlabelled = Standing { labels: Some(Labels::default()), ..Standing::default() };
        assert_eq!(*standing_from_wire(standing_to_wire(&unlabelled)).unwrap(), unlabelled);
        assert_eq!(*standing_from_wire(None).unwrap(), Standing::default());
        let facts = standing().facts(Some(MemberId(3)));
        assert_eq!(
            (facts.mine, facts.is_aside, facts.is_disputed()),
            (Some(OpinionKind::Positive), true, true)
        );
        assert_eq!(Facts::try_from(pb::Facts::from(facts.clone())), Ok(facts));
    }

    #[test]
    fn lists_that_contradict_each_other_are_refused() {
        let faulty: [fn(&mut bank::ItemStanding); 5] = [
            |message| message.positive_ids.push(2),
            |message| message.contributor_ids.reverse(),
            |message| message.held_for_ids = (0..1_001).collect(),
            |message| message.classes = vec!["x".repeat(201)],
            |message| message.labels = Some(bank::ItemLabels { labels: vec![String::new()] }),
        ];
        for edit in faulty {
            let mut message = standing_to_wire(&standing()).unwrap();
            edit(&mut message);
            assert!(standing_from_wire(Some(message.clone())).is_err(), "{message:?}");
        }
    }
}
