//! Looks up the stored documents of the cases that a group of writes names.

use std::collections::BTreeMap;

use prost::Message;
use vigie_consortium::cases::IncidentWords;
use vigie_consortium::change::bounds::MEMBERS_MAX;
use vigie_consortium::{Document, DocumentId, DocumentKey, DocumentKind};
use vigie_model::{BankId, ItemId, MemberId};
use vigie_proto::pb::consortium::v1 as pb;

use super::recorded;
use super::stage::Stage;
use super::write::CaseAction;
use crate::store::documents::DocumentRange;
use crate::store::{Store, StoreError};

/// Existing documents, by kind and key.
pub(crate) type KnownDocuments = BTreeMap<DocumentId, Document>;

/// The data that is looked up for a write of a case.
#[derive(Debug, Default)]
pub(crate) struct LookedUpCases {
    /// The documents that the write may change or depends on.
    pub(crate) documents: Vec<Document>,
    /// The items that get an opinion from an unfounded report or an upheld complaint.
    pub(crate) items: Vec<ItemId>,
    /// The bank that the write deletes.
    pub(crate) deleted: Option<BankId>,
}

/// Looks up the data that a write of a case needs.
pub(crate) async fn look_up_cases(
    store: &dyn Store,
    member: Option<MemberId>,
    action: &CaseAction,
) -> Result<LookedUpCases, StoreError> {
    let mut found = LookedUpCases::default();
    match action {
        CaseAction::AddReferral { .. } => {}
        CaseAction::SubmitReport { contents, .. } => {
            if let Some(earlier) = contents.adds_to {
                found.documents = store.documents(&Stage::ids(DocumentKind::Report, earlier)).await?;
            }
        }
        CaseAction::ReviewReport { number, .. } => {
            found.documents = store.documents(&Stage::ids(DocumentKind::Report, *number)).await?;
            let report = found.documents.first().and_then(decode::<pb::StoredReport>);
            let item = report.and_then(|report| report.contents).map(|contents| ItemId(contents.item_id));
            found.items = item.filter(|item| item.0 != 0).into_iter().collect();
        }
        CaseAction::ForgetReports(keys) => {
            let ids: Vec<DocumentId> = keys.iter().map(|key| (DocumentKind::Report, key.clone())).collect();
            found.documents = store.documents(&ids).await?;
        }
        CaseAction::SetOutcome { number, .. } => {
            let mut ids = Stage::ids(DocumentKind::Referral, *number).to_vec();
            ids.extend(member.map(|member| outcome_id(*number, member)));
            found.documents = store.documents(&ids).await?;
        }
        CaseAction::OpenIncident { .. } => {
            let limit = u16::try_from(MEMBERS_MAX).unwrap_or(u16::MAX);
            let all = DocumentRange::all(DocumentKind::IncidentSubscription, limit);
            found.documents = store.document_range(&all).await?;
            found.documents.extend(store.document_range(&open_incidents()).await?);
        }
        CaseAction::Subscribe(_) => {
            let own: Vec<DocumentId> = member.map(subscription_id).into_iter().collect();
            found.documents = store.documents(&own).await?;
            found.documents.extend(store.document_range(&open_incidents()).await?);
        }
        CaseAction::CloseIncident { number, .. } => {
            let id = (DocumentKind::Incident, Stage::First.key(*number));
            found.documents = store.documents(&[id]).await?;
        }
        CaseAction::EndIncident(key) => {
            found.documents = store.documents(&[(DocumentKind::Incident, key.clone())]).await?;
            let incident = found.documents.first().and_then(decode::<pb::StoredIncident>);
            found.deleted = incident.map(|incident| BankId(incident.bank_id));
        }
        // No lookup is needed: an id is never used twice.
        CaseAction::RecordDecisions(_) => {}
        CaseAction::SetDecisionOutcome { id, .. } => {
            found.documents = parts_of(store, *id).await?;
            let parts = found.documents.iter().filter_map(decode::<pb::StoredDecision>);
            let matches = parts.filter_map(|part| part.record).flat_map(|record| record.matches);
            found.items = matches.map(|found| ItemId(found.item_id)).filter(|item| item.0 != 0).collect();
        }
        CaseAction::ForgetDecisions(keys) => {
            let parts: Vec<DocumentId> =
                keys.iter().map(|key| (DocumentKind::MatchRecord, key.clone())).collect();
            let by_id: Vec<DocumentId> =
                keys.iter().map(|key| recorded::by_id(recorded::id_of(key))).collect();
            found.documents = store.documents(&parts).await?;
            found.documents.extend(store.documents(&by_id).await?);
        }
    }
    Ok(found)
}

/// Decodes a document.
pub(crate) fn decode<T: Message + Default>(document: &Document) -> Option<T> {
    T::decode(&*document.payload).ok()
}

/// Returns the id of the document with a referral's outcome at a member.
pub(crate) fn outcome_id(referral: u64, member: MemberId) -> DocumentId {
    (DocumentKind::ReferralOutcome, DocumentKey::of_numbers(&[referral, member.0.into()]))
}

/// Returns the id of the document with a member's subscription.
pub(crate) fn subscription_id(member: MemberId) -> DocumentId {
    (DocumentKind::IncidentSubscription, DocumentKey::of_numbers(&[member.0.into()]))
}

/// Reads the parts of the record of a decision.
pub(crate) async fn parts_of(store: &dyn Store, id: [u8; 16]) -> Result<Vec<Document>, StoreError> {
    // On the writer's connection: the decision must be based on the writer's state.
    let keys = store.documents(&[recorded::by_id(id)]).await?;
    let parts =
        keys.iter().filter_map(decode::<pb::StoredDecisionKey>).flat_map(|key| recorded::parts(id, key));
    let parts: Vec<DocumentId> = parts.collect();
    if parts.is_empty() { Ok(Vec::new()) } else { store.documents(&parts).await }
}

fn open_incidents() -> DocumentRange {
    DocumentRange {
        kind: DocumentKind::Incident,
        after: Stage::First.begin(),
        before: Some(Stage::Second.begin()),
        limit: IncidentWords::OPEN_MAX,
    }
}
