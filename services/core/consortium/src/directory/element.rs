//! The digest of a directory: a sum over its rows, independent of the changes that produced them.
//!
//! Each row is encoded as a byte for its kind, followed by its fields in order: numbers as 8 bytes,
//! big-endian; texts and lists after their length. The row's term is [`SetDigest::of_bytes`] of these bytes,
//! and the digest is the sum of the terms.

use std::sync::Arc;

use vigie_model::{BankId, BankName, Declaration, SetDigest};

use crate::banks::bank::OwnedBank;
use crate::banks::grant::Grant;
use crate::classifiers::CardVersion;
use crate::members::credential::Credential;
use crate::members::member::{Member, MemberId, MemberState};
use crate::members::principal::{Principal, PrincipalId};
use crate::policies::{BankRule, MemberPolicies, PolicyVersion};
use crate::quotas::quota::Quota;

/// A row of the directory that is part of the digest.
pub(super) trait Element {
    /// Encodes the row into `to`.
    fn write(&self, to: &mut Bytes);

    /// Returns the row's term of the digest.
    fn digest(&self) -> SetDigest {
        let mut bytes = Bytes(Vec::with_capacity(128));
        self.write(&mut bytes);
        SetDigest::of_bytes(&bytes.0)
    }
}

/// The encoded bytes of a row.
pub(super) struct Bytes(Vec<u8>);

impl Bytes {
    fn kind(&mut self, kind: u8) -> &mut Self {
        self.0.push(kind);
        self
    }

    fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        self.0.extend(number.into().to_be_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn name(&mut self, name: Option<&BankName>) -> &mut Self {
        // Names are never empty, so an empty text means no name.
        self.bytes(name.map_or("", BankName::as_str).as_bytes())
    }
}

impl Element for Member {
    fn write(&self, to: &mut Bytes) {
        let Self { id, name, display_name, state, jurisdictions, token_issuers, created_at, is_named } = self;
        let state = match state {
            MemberState::Active => 1_u8,
            MemberState::Suspended => 2,
            MemberState::Quarantined => 3,
        };
        to.kind(1).number(id.0).bytes(name.as_str().as_bytes()).bytes(display_name.as_str().as_bytes());
        to.number(state).bytes(jurisdictions.as_bytes()).number(token_issuers.iter().len() as u64);
        for issuer in token_issuers.iter() {
            to.bytes(issuer.as_bytes());
        }
        to.number(created_at.0);
        // A member that is not named has the same digest as in earlier versions.
        if *is_named {
            to.number(1_u8);
        }
    }
}

impl Element for Principal {
    fn write(&self, to: &mut Bytes) {
        let Self { id, member, roles, credential, created_at, expiry, note } = self;
        to.kind(2).number(id.0).number(member.0).number(roles.bits());
        match credential {
            Credential::Certificate(id) => {
                to.number(1_u8).bytes(id.as_str().as_bytes());
            }
            Credential::ApiKeys(keys) => {
                to.number(2_u8).number(keys.iter().len() as u64);
                for key in keys.iter() {
                    to.bytes(key.id.as_str().as_bytes()).bytes(&key.digest.0);
                    to.number(key.created_at.0).number(key.expiry.to_wire());
                }
            }
            Credential::Token(token) => {
                to.number(3_u8).bytes(token.issuer().as_bytes()).bytes(token.subject().as_bytes());
            }
        }
        to.number(created_at.0).number(expiry.to_wire()).bytes(note.as_str().as_bytes());
    }
}

impl Element for OwnedBank {
    fn write(&self, to: &mut Bytes) {
        let Self { id, owner, name, enabled, charter } = self;
        to.kind(3).number(id.0).number(owner.0).name(Some(name)).number(u8::from(*enabled));
        to.number(charter.taxonomies().len() as u64);
        for taxonomy in charter.taxonomies() {
            to.bytes(taxonomy.as_bytes());
        }
        to.number(charter.two_person_items().unwrap_or(0)).number(charter.purge_hours());
        // A charter without the newer fields has the same digest as in earlier versions.
        if !charter.is_plain() {
            to.number(charter.confirmations_min().unwrap_or(0))
                .number(charter.hold_on_negatives().unwrap_or(0));
            to.number(u8::from(charter.is_shadow())).number(charter.suppresses().len() as u64);
            for bank in charter.suppresses() {
                to.number(bank.0);
            }
            to.number(charter.dispute_days()).number(charter.match_record_days().unwrap_or(0));
            let (frames, images) = (charter.frames_answer_images(), charter.images_answer_videos());
            let vectors = charter.vector_distances();
            if frames || images || !vectors.is_empty() {
                to.number(u8::from(frames)).number(u8::from(images));
            }
            if !vectors.is_empty() {
                to.number(vectors.len() as u64);
                for (hash_type, distance) in vectors {
                    to.number(hash_type.number()).number(distance.0);
                }
            }
        }
    }
}

impl Element for Grant {
    fn write(&self, to: &mut Bytes) {
        let Self { bank, member, capabilities, alias, expiry } = self;
        to.kind(4).number(bank.0).number(member.0).number(capabilities.bits());
        to.name(alias.as_ref()).number(expiry.to_wire());
    }
}

impl Element for (MemberId, Quota) {
    fn write(&self, to: &mut Bytes) {
        let (member, quota) = self;
        let Quota {
            units_per_second,
            units_burst,
            units_per_day,
            items_matched_per_day,
            items_added_per_day,
            near_queries_per_item_day,
            images_only,
        } = quota;
        to.kind(5).number(member.0);
        for amount in
            [units_per_second, units_burst, units_per_day, items_matched_per_day, items_added_per_day]
        {
            to.number(amount.to_wire());
        }
        to.number(*near_queries_per_item_day).number(u8::from(*images_only));
    }
}

impl Element for (MemberId, Arc<MemberPolicies>) {
    fn write(&self, to: &mut Bytes) {
        let (member, MemberPolicies { used, current, trial }) = (self.0, &*self.1);
        to.kind(7).number(member.0).number(*used);
        for version in [current, trial] {
            let Some(PolicyVersion { version, policy }) = version else {
                to.number(0_u8);
                continue;
            };
            to.number(*version).number(policy.banks().len() as u64);
            for BankRule { bank, ignored, max_distance, positives_min, ignore_disputed, ratio, shadow } in
                policy.banks()
            {
                to.bytes(bank.to_string().as_bytes()).number(u8::from(*ignored));
                // Writes the distance plus one: 0 means no distance.
                to.number(max_distance.map_or(0, |distance| u64::from(distance) + 1)).number(*positives_min);
                to.number(u8::from(*ignore_disputed)).number(ratio.get().to_bits()).number(u8::from(*shadow));
            }
            to.number(policy.rules().len() as u64);
            for rule in policy.rules() {
                to.bytes(rule.name().as_bytes()).bytes(rule.condition().as_bytes());
                to.bytes(rule.verdict().name().as_bytes()).number(u8::from(rule.is_shadow()));
            }
        }
        // Written only if there are score rules: without them the digest is the same as in versions without
        // score rules.
        for (number, version) in [(1_u8, current), (2, trial)] {
            let scores = version.as_ref().map_or(&[][..], |version| version.policy.scores());
            if !scores.is_empty() {
                to.number(number).number(scores.len() as u64);
            }
            for rule in scores {
                to.bytes(rule.name().as_bytes()).bytes(rule.model().as_str().as_bytes());
                to.bytes(rule.class().as_str().as_bytes()).number(rule.at_most_one_in().unwrap_or(0));
                to.number(u8::from(rule.is_shadow()));
            }
        }
    }
}

impl Element for Declaration {
    fn write(&self, to: &mut Bytes) {
        let Self { hash_type, name, elements, distance_default, distance_max } = self;
        to.kind(8).number(hash_type.number()).bytes(name.as_bytes()).number(*elements);
        to.number(distance_default.0).number(distance_max.0);
    }
}

impl Element for CardVersion {
    fn write(&self, to: &mut Bytes) {
        to.kind(9).bytes(self.name().as_bytes()).number(self.version()).bytes(self.document().as_bytes());
    }
}

/// The largest ids that were ever used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) principal: PrincipalId,
    pub(super) bank: BankId,
}

impl Element for Used {
    fn write(&self, to: &mut Bytes) {
        to.kind(6).number(self.principal.0).number(self.bank.0);
    }
}
