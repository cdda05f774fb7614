//! Sets documents and takes them out, and keeps those that follow from other changes.

use prost::Message as _;
use vigie_consortium::{Change, Document, DocumentKey, DocumentKind, MemberId, MemberPolicies};
use vigie_proto::bank::LogChange;
use vigie_proto::pb::consortium::v1 as pb;

use crate::error::Error;
use crate::plan::Planner;

impl Planner<'_> {
    /// Sets a document, and logs it where its kind is in the log.
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

    /// Takes a document out, and logs that where its kind is in the log.
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

    /// Keeps the version of a policy or of a model's card that a change brings, so that it can be read when there is another one.
    pub(in crate::plan) fn keep_version(&mut self, change: &Change) -> Result<(), Error> {
        if let Change::PoliciesPut { member, policies } = change {
            self.keep_policy(*member, policies)?;
        }
        if let Change::ModelCardPut(card) = change {
            self.keep_model_card(card)?;
        }
        Ok(())
    }

    /// Keeps the newest version of a member's policy.
    fn keep_policy(&mut self, member: MemberId, policies: &MemberPolicies) -> Result<(), Error> {
        let versions = [&policies.trial, &policies.current];
        let newest = versions.into_iter().flatten().find(|one| one.version == policies.used);
        let Some(newest) = newest else { return Ok(()) };
        let key = DocumentKey::of_numbers(&[member.0.into(), newest.version.into()]);
        self.put_document(DocumentKind::Policy, key, pb::PolicyVersion::from(newest).encode_to_vec())
    }
}
