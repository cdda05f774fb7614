//! Opinions, disputes, and holds for one member, as stored in the records of items.

use vigie_consortium::{
    Class, Dispute, FloodLift, ForeignOpinion, MemberHold, Opinion, OpinionReason, OpinionWords, Resolution,
    Text,
};
use vigie_model::{MemberId, OpinionKind, Sequence, UnixMillis};

use crate::invalid::Invalid;
use crate::model::standing::opinion_kind;
use crate::pb::bank::v1 as pb;
use crate::pb::model::v1 as pb_model;
use crate::pb::model::v1 as model;

impl From<OpinionReason> for pb_model::OpinionReason {
    fn from(reason: OpinionReason) -> Self {
        match reason {
            OpinionReason::DifferentContent => Self::DifferentContent,
            OpinionReason::PoorHash => Self::PoorHash,
            OpinionReason::OutOfScope => Self::OutOfScope,
            OpinionReason::WrongClassification => Self::WrongClassification,
            OpinionReason::Duplicate => Self::Duplicate,
            OpinionReason::AppealUpheld => Self::AppealUpheld,
            OpinionReason::Other => Self::Other,
        }
    }
}

/// Returns the number of a reason; 0 for none.
#[must_use]
pub fn reason_to_wire(reason: Option<OpinionReason>) -> i32 {
    reason.map_or(pb_model::OpinionReason::Unspecified, Into::into).into()
}

/// Reads a reason. `field`: its field, for errors. Returns `None` for the unspecified one.
pub fn opinion_reason(field: &str, number: i32) -> Result<Option<OpinionReason>, Invalid> {
    let found = OpinionReason::ALL.into_iter().find(|one| reason_to_wire(Some(*one)) == number);
    match (found, number) {
        (Some(reason), _) => Ok(Some(reason)),
        (None, 0) => Ok(None),
        (None, _) => Err(Invalid::new(field, format!("{number} is no reason of an opinion"))),
    }
}

impl From<Resolution> for pb_model::Resolution {
    fn from(resolution: Resolution) -> Self {
        match resolution {
            Resolution::Kept => Self::Kept,
            Resolution::Removed => Self::Removed,
            Resolution::Reclassified => Self::Reclassified,
        }
    }
}

/// Reads an outcome. `field`: its field, for errors. Returns `None` for the unspecified one.
pub fn resolution(field: &str, number: i32) -> Result<Option<Resolution>, Invalid> {
    let found = Resolution::ALL.into_iter().find(|one| i32::from(pb_model::Resolution::from(*one)) == number);
    match (found, number) {
        (Some(resolution), _) => Ok(Some(resolution)),
        (None, 0) => Ok(None),
        (None, _) => Err(Invalid::new(field, format!("{number} is no outcome of a dispute"))),
    }
}

impl From<Class> for pb_model::Class {
    fn from(class: Class) -> Self {
        Self {
            taxonomy: class.taxonomy().to_owned(),
            dimension: class.dimension().to_owned(),
            value: class.value().to_owned(),
        }
    }
}

/// Reads a class. `field`: its field, for errors.
pub fn class(field: &str, message: &pb_model::Class) -> Result<Class, Invalid> {
    Class::new(&message.taxonomy, &message.dimension, &message.value)
        .map_err(|error| Invalid::new(field, error))
}

impl From<Opinion> for pb::StoredOpinion {
    fn from(opinion: Opinion) -> Self {
        let Opinion { member, hash, of_programme, kind, words, at, sequence } = opinion;
        let OpinionWords { reason, disputes, proposed, foreign } = words;
        Self {
            member_id: member.0,
            hash: hash.map(u32::from),
            kind: model::OpinionKind::from(kind).into(),
            reason: reason_to_wire(reason),
            disputes,
            proposed: proposed.map(Into::into),
            foreign_value: foreign.to_string(),
            at_unix_ms: at.0,
            sequence: sequence.0,
            of_programme,
        }
    }
}

impl TryFrom<pb::StoredOpinion> for Opinion {
    type Error = Invalid;

    fn try_from(message: pb::StoredOpinion) -> Result<Self, Invalid> {
        let pb::StoredOpinion {
            member_id,
            hash,
            kind,
            reason,
            disputes,
            proposed,
            foreign_value,
            at_unix_ms,
            sequence,
            of_programme,
        } = message;
        let hash = hash.map(u8::try_from).transpose();
        Ok(Self {
            member: MemberId(member_id),
            hash: hash.map_err(|_| Invalid::new("hash", "is no place among the hashes of an item"))?,
            of_programme,
            kind: opinion_kind("kind", kind)?,
            words: OpinionWords {
                reason: opinion_reason("reason", reason)?,
                disputes,
                proposed: proposed.as_ref().map(|given| class("proposed", given)).transpose()?,
                foreign: Text::new(&foreign_value).map_err(|error| Invalid::new("foreign_value", error))?,
            },
            at: UnixMillis(at_unix_ms),
            sequence: Sequence(sequence),
        })
    }
}

impl From<ForeignOpinion> for pb::ForeignOpinion {
    fn from(opinion: ForeignOpinion) -> Self {
        Self {
            kind: model::OpinionKind::from(opinion.kind).into(),
            reason: reason_to_wire(opinion.reason),
            foreign_value: opinion.word.to_string(),
        }
    }
}

impl TryFrom<pb::ForeignOpinion> for ForeignOpinion {
    type Error = Invalid;

    fn try_from(message: pb::ForeignOpinion) -> Result<Self, Invalid> {
        let kind = opinion_kind("kind", message.kind)?;
        let reason = opinion_reason("reason", message.reason)?;
        if reason.is_some() && kind != Some(OpinionKind::Negative) {
            return Err(Invalid::new("reason", "goes with negative opinions alone"));
        }
        let word = Text::new(&message.foreign_value).map_err(|error| Invalid::new("foreign_value", error))?;
        Ok(Self { kind, reason, word })
    }
}

impl From<Dispute> for pb::ItemDispute {
    fn from(dispute: Dispute) -> Self {
        Self {
            opened_at_unix_ms: dispute.opened_at.0,
            due_at_unix_ms: dispute.due_at.0,
            opened_by_member_id: dispute.opened_by.0,
        }
    }
}

impl From<pb::ItemDispute> for Dispute {
    fn from(message: pb::ItemDispute) -> Self {
        Self {
            opened_at: UnixMillis(message.opened_at_unix_ms),
            due_at: UnixMillis(message.due_at_unix_ms),
            opened_by: MemberId(message.opened_by_member_id),
        }
    }
}

impl From<MemberHold> for pb::MemberHold {
    fn from(hold: MemberHold) -> Self {
        Self { member_id: hold.member.0, since_unix_ms: hold.since.0, flooded: hold.flooded }
    }
}

impl From<pb::MemberHold> for MemberHold {
    fn from(message: pb::MemberHold) -> Self {
        Self {
            member: MemberId(message.member_id),
            since: UnixMillis(message.since_unix_ms),
            flooded: message.flooded,
        }
    }
}

impl From<FloodLift> for pb::FloodLift {
    fn from(lift: FloodLift) -> Self {
        Self { member_id: lift.member.0, at_unix_ms: lift.at.0 }
    }
}

impl From<pb::FloodLift> for FloodLift {
    fn from(message: pb::FloodLift) -> Self {
        Self { member: MemberId(message.member_id), at: UnixMillis(message.at_unix_ms) }
    }
}
