//! Referrals and removal orders, and the measures that members took.

use vigie_consortium::cases::{
    Ground, IssuingState, Measure, MeasureOutcome, Priority, ReferralTarget, ReferralUrl, ReferralWords,
    RemovalOrder,
};
use vigie_model::UnixMillis;

use super::{moment, moment_to_wire, text};
use crate::bank::answered_hash;
use crate::invalid::Invalid;
use crate::pb::consortium::v1 as pb;
use crate::pb::consortium::v1::new_referral::Target;

impl TryFrom<pb::RemovalOrder> for RemovalOrder {
    type Error = Invalid;

    fn try_from(message: pb::RemovalOrder) -> Result<Self, Invalid> {
        if message.reference.is_empty() {
            return Err(Invalid::missing("reference"));
        }
        Ok(Self {
            reference: text("reference", &message.reference)?,
            received_at: moment(message.received_at_unix_ms)
                .ok_or_else(|| Invalid::missing("received_at_unix_ms"))?,
            issuing_state: IssuingState::new(&message.issuing_state)
                .map_err(|error| Invalid::new("issuing_state", error))?,
        })
    }
}

impl From<Priority> for pb::Priority {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Normal => Self::Unspecified,
            Priority::High => Self::High,
            Priority::Urgent => Self::Urgent,
        }
    }
}

fn priority(number: i32) -> Result<Priority, Invalid> {
    let found = Priority::ALL.iter().find(|one| i32::from(pb::Priority::from(**one)) == number);
    found.copied().ok_or_else(|| Invalid::new("priority", format!("{number} is no priority")))
}

/// Reads everything except the names of the members.
impl TryFrom<pb::NewReferral> for ReferralWords {
    type Error = Invalid;

    fn try_from(message: pb::NewReferral) -> Result<Self, Invalid> {
        if message.body.is_empty() {
            return Err(Invalid::missing("body"));
        }
        let target = match message.target.ok_or_else(|| Invalid::missing("target"))? {
            Target::Url(url) => {
                ReferralTarget::Url(ReferralUrl::new(&url).map_err(|error| Invalid::new("url", error))?)
            }
            Target::Hash(hash) => {
                ReferralTarget::Hash(answered_hash(hash).map_err(|invalid| invalid.within("hash"))?)
            }
        };
        let within = |invalid: Invalid| invalid.within("removal_order");
        Ok(Self {
            body: text("body", &message.body)?,
            target,
            order: message.removal_order.map(|order| order.try_into().map_err(within)).transpose()?,
            legal_basis: text("legal_basis", &message.legal_basis)?,
            priority: priority(message.priority)?,
        })
    }
}

impl From<ReferralWords> for pb::NewReferral {
    fn from(words: ReferralWords) -> Self {
        let order = words.order.map(|order| pb::RemovalOrder {
            reference: order.reference.to_string(),
            received_at_unix_ms: order.received_at.0,
            issuing_state: order.issuing_state.to_string(),
        });
        Self {
            body: words.body.to_string(),
            target: Some(match words.target {
                ReferralTarget::Url(url) => Target::Url(url.reveal().to_owned()),
                ReferralTarget::Hash(hash) => Target::Hash(hash.into()),
            }),
            removal_order: order,
            legal_basis: words.legal_basis.to_string(),
            priority: pb::Priority::from(words.priority).into(),
            members: Vec::new(),
        }
    }
}

impl From<MeasureOutcome> for pb::MeasureOutcome {
    fn from(outcome: MeasureOutcome) -> Self {
        match outcome {
            MeasureOutcome::Removed => Self::Removed,
            MeasureOutcome::Disabled => Self::Disabled,
            MeasureOutcome::NotFound => Self::NotFound,
            MeasureOutcome::Declined => Self::Declined,
            MeasureOutcome::NotPossible => Self::NotPossible,
        }
    }
}

impl From<Ground> for pb::Ground {
    fn from(ground: Ground) -> Self {
        match ground {
            Ground::ForceMajeure => Self::ForceMajeure,
            Ground::ManifestErrors => Self::ManifestErrors,
            Ground::TooLittleInformation => Self::TooLittleInformation,
        }
    }
}

impl TryFrom<pb::Measure> for Measure {
    type Error = Invalid;

    fn try_from(message: pb::Measure) -> Result<Self, Invalid> {
        let is_outcome =
            |one: &&MeasureOutcome| i32::from(pb::MeasureOutcome::from(**one)) == message.outcome;
        let outcome = match (MeasureOutcome::ALL.iter().find(is_outcome), message.outcome) {
            (Some(outcome), _) => *outcome,
            (None, 0) => return Err(Invalid::missing("outcome")),
            (None, number) => {
                return Err(Invalid::new("outcome", format!("{number} is no outcome of a referral")));
            }
        };
        let is_ground = |one: &&Ground| i32::from(pb::Ground::from(**one)) == message.ground;
        let ground = match (Ground::ALL.iter().find(is_ground), message.ground) {
            (Some(ground), _) => Some(*ground),
            (None, 0) => None,
            (None, number) => return Err(Invalid::new("ground", format!("{number} is no ground"))),
        };
        let taken_at = moment(message.taken_at_unix_ms);
        let measure = Self { outcome, ground, details: text("details", &message.details)?, taken_at };
        measure.check().map_err(|error| Invalid::new(error.field(), error))?;
        Ok(measure)
    }
}

impl From<Measure> for pb::Measure {
    fn from(measure: Measure) -> Self {
        Self {
            outcome: pb::MeasureOutcome::from(measure.outcome).into(),
            ground: measure.ground.map_or(pb::Ground::Unspecified, Into::into).into(),
            details: measure.details.to_string(),
            taken_at_unix_ms: moment_to_wire(measure.taken_at),
        }
    }
}

impl pb::NewReferral {
    /// Returns the deadline of a removal order, one hour after its receipt; `None` for a referral.
    #[must_use]
    pub fn deadline(&self) -> Option<UnixMillis> {
        let order = RemovalOrder::try_from(self.removal_order.clone()?).ok()?;
        Some(order.deadline())
    }
}

#[cfg(test)]
mod tests {
    use vigie_consortium::Text;
    use vigie_consortium::cases::CaseReference;

    use super::*;

    fn words() -> ReferralWords {
        ReferralWords {
            body: Text::new("Europol IRU").unwrap(),
            target: ReferralTarget::Url(ReferralUrl::new("https://example.test/secret").unwrap()),
            order: Some(RemovalOrder {
                reference: CaseReference::new("FR-7").unwrap(),
                received_at: UnixMillis(5),
                issuing_state: IssuingState::new("FR").unwrap(),
            }),
            legal_basis: CaseReference::new("2021/784").unwrap(),
            priority: Priority::Urgent,
        }
    }

    #[test]
    fn a_referral_reads_back_and_nothing_shows_its_url() {
        let message = pb::NewReferral::from(words());
        assert_eq!(ReferralWords::try_from(message.clone()), Ok(words()));
        assert_eq!(message.deadline(), Some(UnixMillis(3_600_005)));
        let request = pb::AddReferralRequest { referral: Some(message.clone()), ..Default::default() };
        assert!(!format!("{request:?}").contains("secret"));
        let fault = |edit: fn(&mut pb::NewReferral)| {
            let mut message = message.clone();
            edit(&mut message);
            let fault = ReferralWords::try_from(message).unwrap_err();
            assert!(!fault.to_string().contains("secret"), "{fault}");
            fault.field
        };
        assert_eq!(fault(|one| one.body.clear()), "body");
        assert_eq!(fault(|one| one.target = None), "target");
        assert_eq!(fault(|one| one.target = Some(Target::Url("secret\n".into()))), "url");
        assert_eq!(fault(|one| one.priority = 9), "priority");
        let order = |edit: fn(&mut pb::RemovalOrder)| {
            let mut message = message.clone();
            message.removal_order.iter_mut().for_each(edit);
            ReferralWords::try_from(message).unwrap_err().field
        };
        assert_eq!(order(|one| one.reference.clear()), "removal_order.reference");
        assert_eq!(order(|one| one.received_at_unix_ms = 0), "removal_order.received_at_unix_ms");
        assert_eq!(order(|one| one.issuing_state = "fr".into()), "removal_order.issuing_state");
    }

    #[test]
    fn measures_read_back() {
        for outcome in MeasureOutcome::ALL {
            let ground = (*outcome == MeasureOutcome::NotPossible).then_some(Ground::ManifestErrors);
            let details = Text::new("details").unwrap();
            let measure = Measure { outcome: *outcome, ground, details, taken_at: Some(UnixMillis(4)) };
            assert_eq!(Measure::try_from(pb::Measure::from(measure.clone())), Ok(measure));
        }
        let fault = |message: pb::Measure| Measure::try_from(message).unwrap_err().field;
        assert_eq!(fault(pb::Measure::default()), "outcome");
        assert_eq!(fault(pb::Measure { outcome: 5, ..Default::default() }), "ground");
        assert_eq!(fault(pb::Measure { outcome: 1, ground: 7, ..Default::default() }), "ground");
    }
}
