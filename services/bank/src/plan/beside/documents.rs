//! Sets and deletes documents, and keeps those that result from other changes.

use prost::Message as _;
use vigie_consortium::{CardVersion, Change, Document, DocumentKey, DocumentKind, MemberId, MemberPolicies};
use vigie_proto::bank::LogChange;
use vigie_proto::pb::consortium::v1 as pb;

use crate::error::Error;
use crate::plan::Planner;
use crate::plan::classifiers::model_cards::card_id;

impl Planner<'_> {
    /// Sets a document, and logs it if documents of its kind are in the log.
    pub(in crate::plan) fn put_document(
        &mut self,
        kind: DocumentKind,
        key: DocumentKey,
        payload: Vec<u8>,
    ) -> Result<(), Error> {
        let document = Document { kind, key, payload: payload.into() };
        if kind.is_logged() {
            self.append(LogChange::Document(Box::new(document.clone())))?;
        }
        self.documents.insert(document.id(), Some(document));
        Ok(())
    }

    /// Deletes a document, and logs that if documents of its kind are in the log.
    pub(in crate::plan) fn take_document(
        &mut self,
        kind: DocumentKind,
        key: DocumentKey,
    ) -> Result<(), Error> {
        if kind.is_logged() {
            self.append(LogChange::DocumentGone((kind, key.clone())))?;
        }
        self.documents.insert((kind, key), None);
        Ok(())
    }

    /// Stores the new version of a policy or of a model card, so that it can be read after another version
    /// replaces it.
    pub(in crate::plan) fn keep_version(&mut self, change: &Change) -> Result<(), Error> {
        if let Change::PoliciesPut { member, policies } = change {
            self.keep_policy(*member, policies)?;
        }
        if let Change::ModelCardPut(card) = change {
            self.keep_model_card(card)?;
        }
        Ok(())
    }

    /// Stores a version of a model card.
    fn keep_model_card(&mut self, card: &CardVersion) -> Result<(), Error> {
        let (kind, key) = card_id(card.name(), card.version());
        self.put_document(kind, key, card.document().as_bytes().to_vec())
    }

    /// Stores the newest version of a member's policy.
    fn keep_policy(&mut self, member: MemberId, policies: &MemberPolicies) -> Result<(), Error> {
        let versions = [&policies.trial, &policies.current];
        let newest = versions.into_iter().flatten().find(|one| one.version == policies.used);
        let Some(newest) = newest else { return Ok(()) };
        let key = DocumentKey::of_numbers(&[member.0.into(), newest.version.into()]);
        self.put_document(DocumentKind::Policy, key, pb::PolicyVersion::from(newest).encode_to_vec())
    }
}
