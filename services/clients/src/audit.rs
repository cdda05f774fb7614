//! Client of the bank's audit.

use prost::Message as _;
use tokio::time::Instant;
use tonic::Code;
use vigie_audit::tree::{LeafIndex, NodeHash, SIZE_MAX, Size};
use vigie_consortium::{MemberName, PrincipalId};
use vigie_model::{BankId, ItemId, MemberId, Sequence, UnixMillis};
use vigie_net::{CallError, Channel};
use vigie_proto::Invalid;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::audit_service_client::AuditServiceClient;

use crate::consortium::model_cards::ModelSummary;
use crate::leading_bank::{IdempotencyKey, LeadingBank, among_banks, call};

/// The most bytes of an answer: 1,000 entries at their bounds.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// An entry of the audit.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// The entry's index in the tree.
    pub index: LeafIndex,
    /// The time of the entry.
    pub at: UnixMillis,
    /// The member; `None` for a call that no member made.
    pub member: Option<MemberId>,
    /// The principal; `None` for an action of the deployment itself, and for an unknown caller.
    pub principal: Option<PrincipalId>,
    /// The path of a method, or the name of an event.
    pub action: String,
    /// The gRPC code of the call.
    pub code: Code,
    /// The banks that the entry is about.
    pub banks: Vec<BankId>,
    /// The first item that the entry is about, if there is one.
    pub first_item: Option<ItemId>,
    /// The number of items.
    pub item_count: u64,
    /// The last change that the call made, if there is one.
    pub sequence: Option<Sequence>,
    /// Number of calls that the entry counts.
    pub calls: u64,
    /// The time before which none of several calls came; `None` if the entry is one call.
    pub since: Option<UnixMillis>,
    /// The card that was put, in short.
    pub model: Option<Box<ModelSummary>>,
}

/// A leaf of the audit's tree.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditLeaf {
    /// The leaf's bytes, from which its hash is computed.
    pub bytes: Vec<u8>,
    /// The entry that they encode.
    pub entry: AuditEntry,
}

impl AuditLeaf {
    /// Returns the hash of the leaf.
    #[must_use]
    pub fn hash(&self) -> NodeHash {
        NodeHash::of_entry(&self.bytes)
    }
}

/// A page of entries.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditPage {
    /// The entries, by index. May be empty although there are more.
    pub leaves: Vec<AuditLeaf>,
    /// The index at which the next page begins; `None` if everything has been read.
    pub next: Option<LeafIndex>,
    /// The size of the tree.
    pub tree_size: Size,
}

/// Calls of one principal, of one method, that ended with one code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedCalls {
    /// The member; `None` for calls that no member made.
    pub member: Option<MemberId>,
    /// The principal; `None` for an unknown caller.
    pub principal: Option<PrincipalId>,
    /// The path of the method, or the name of an alarm.
    pub method: String,
    /// The gRPC code of the calls.
    pub code: Code,
    /// Number of the calls.
    pub calls: u64,
    /// Number of items that were answered as matches.
    pub item_count: u64,
    /// The time before which none of the calls came.
    pub since: UnixMillis,
    /// The item that an alarm is about.
    pub item: Option<ItemId>,
    /// The bank of that item, if it is known.
    pub bank: Option<BankId>,
}

/// A proof that an entry is in a tree, for [`vigie_audit::tree::check_inclusion`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The hash of the entry's leaf.
    pub leaf: NodeHash,
    /// The path from the leaf.
    pub path: Vec<NodeHash>,
    /// The size of the tree.
    pub tree_size: Size,
}

/// A proof that a tree continues another one, for [`vigie_audit::tree::check_consistency`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The hashes of the proof.
    pub path: Vec<NodeHash>,
    /// The size of the larger tree.
    pub new_size: Size,
}

/// Reads the audit from the bank, or from the serving one of several banks on one database.
#[derive(Debug, Clone)]
pub struct AuditClient {
    bank: LeadingBank<AuditServiceClient<Channel>>,
}

impl AuditClient {
    among_banks!(AuditServiceClient, ANSWER_BYTES_MAX);

    /// Lists up to `page_size` entries from an index on, of one member or of all that the caller may read.
    pub async fn list_entries(
        &self,
        from: LeafIndex,
        page_size: u16,
        member: Option<&MemberName>,
        deadline: Instant,
    ) -> Result<AuditPage, CallError> {
        let request = pb::ListEntriesRequest {
            from_index: from.0,
            page_size: page_size.into(),
            member: member.map(ToString::to_string).unwrap_or_default(),
        };
        let answer: pb::ListEntriesResponse = call!(self, deadline, list_entries, ListEntries, request)?;
        self.bank.checked(answer.try_into())
    }

    /// Reads the newest checkpoint, a signed note, which [`vigie_audit::checkpoint::Checkpoint::open`]
    /// checks.
    ///
    /// `FAILED_PRECONDITION`: the bank has no key to sign with.
    pub async fn get_checkpoint(&self, deadline: Instant) -> Result<String, CallError> {
        let request = pb::GetCheckpointRequest {};
        let answer: pb::GetCheckpointResponse =
            call!(self, deadline, get_checkpoint, GetCheckpoint, request)?;
        Ok(answer.signed_note)
    }

    /// Requests the proof that an entry is in the tree of a size, or of the newest checkpoint.
    pub async fn prove_inclusion(
        &self,
        index: LeafIndex,
        tree_size: Option<Size>,
        deadline: Instant,
    ) -> Result<InclusionProof, CallError> {
        let request = pb::ProveInclusionRequest { index: index.0, tree_size: tree_size.map_or(0, Size::get) };
        let answer: pb::ProveInclusionResponse =
            call!(self, deadline, prove_inclusion, ProveInclusion, request)?;
        self.bank.checked(answer.try_into())
    }

    /// Requests the proof that the tree of a size, or of the newest checkpoint, continues a smaller one.
    pub async fn prove_consistency(
        &self,
        old_size: Size,
        new_size: Option<Size>,
        deadline: Instant,
    ) -> Result<ConsistencyProof, CallError> {
        let request =
            pb::ProveConsistencyRequest { old_size: old_size.get(), new_size: new_size.map_or(0, Size::get) };
        let answer: pb::ProveConsistencyResponse =
            call!(self, deadline, prove_consistency, ProveConsistency, request)?;
        self.bank.checked(answer.try_into())
    }

    /// Records 1 to 1,000 counts of calls, for a process of the deployment.
    pub async fn record_calls(
        &self,
        calls: Vec<CountedCalls>,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<(), CallError> {
        let calls = calls.into_iter().map(Into::into).collect();
        let request = pb::RecordCallsRequest { calls, idempotency_key: key.into_text() };
        let _: pb::RecordCallsResponse = call!(self, deadline, record_calls, RecordCalls, request)?;
        Ok(())
    }
}

impl From<CountedCalls> for pb::CountedCalls {
    fn from(counted: CountedCalls) -> Self {
        let CountedCalls { member, principal, method, code, calls, item_count, since, item, bank } = counted;
        Self {
            member_id: member.map_or(0, |member| member.0),
            principal_id: principal.map_or(0, |principal| principal.0),
            method,
            code: code.into(),
            calls,
            item_count,
            since_unix_ms: since.0,
            item_id: item.map_or(0, |item| item.0),
            bank_id: bank.map_or(0, |bank| bank.0),
        }
    }
}

impl TryFrom<pb::ListEntriesResponse> for AuditPage {
    type Error = Invalid;

    fn try_from(message: pb::ListEntriesResponse) -> Result<Self, Invalid> {
        Ok(Self {
            leaves: message.entries.into_iter().map(AuditLeaf::try_from).collect::<Result<_, _>>()?,
            next: (message.next_index > 0).then_some(LeafIndex(message.next_index)),
            tree_size: size("tree_size", message.tree_size)?,
        })
    }
}

impl TryFrom<pb::ProveInclusionResponse> for InclusionProof {
    type Error = Invalid;

    fn try_from(message: pb::ProveInclusionResponse) -> Result<Self, Invalid> {
        Ok(Self {
            leaf: node_hash("leaf_hash", message.leaf_hash)?,
            path: path(message.path)?,
            tree_size: size("tree_size", message.tree_size)?,
        })
    }
}

impl TryFrom<pb::ProveConsistencyResponse> for ConsistencyProof {
    type Error = Invalid;

    fn try_from(message: pb::ProveConsistencyResponse) -> Result<Self, Invalid> {
        Ok(Self { path: path(message.path)?, new_size: size("new_size", message.new_size)? })
    }
}

/// Reads an encoded entry, from an answer or from a file.
impl TryFrom<Vec<u8>> for AuditLeaf {
    type Error = Invalid;

    fn try_from(bytes: Vec<u8>) -> Result<Self, Invalid> {
        let entry = pb::AuditEntry::decode(&bytes[..]).map_err(|error| Invalid::new("entries", error))?;
        Ok(Self { entry: entry.try_into()?, bytes })
    }
}

impl TryFrom<pb::AuditEntry> for AuditEntry {
    type Error = Invalid;

    fn try_from(message: pb::AuditEntry) -> Result<Self, Invalid> {
        if message.calls == 0 {
            return Err(Invalid::new("calls", "is 0; it must be at least 1"));
        }
        Ok(Self {
            index: LeafIndex(message.index),
            at: UnixMillis(message.at_unix_ms),
            member: (message.member_id > 0).then_some(MemberId(message.member_id)),
            principal: (message.principal_id > 0).then_some(PrincipalId(message.principal_id)),
            action: message.action,
            code: Code::from(message.code),
            banks: message.bank_ids.into_iter().map(BankId).collect(),
            first_item: (message.first_item_id > 0).then_some(ItemId(message.first_item_id)),
            item_count: message.item_count,
            sequence: (message.sequence > 0).then_some(Sequence(message.sequence)),
            calls: message.calls,
            since: (message.since_unix_ms > 0).then_some(UnixMillis(message.since_unix_ms)),
            model: message.model.map(|model| Box::new(model.into())),
        })
    }
}

fn path(hashes: Vec<Vec<u8>>) -> Result<Vec<NodeHash>, Invalid> {
    hashes.into_iter().map(|hash| node_hash("path", hash)).collect()
}

fn node_hash(field: &str, hash: Vec<u8>) -> Result<NodeHash, Invalid> {
    bytes(field, hash).map(NodeHash)
}

fn bytes(field: &str, bytes: Vec<u8>) -> Result<[u8; 32], Invalid> {
    let found = bytes.len();
    bytes.try_into().map_err(|_| Invalid::new(field, format!("has {found} bytes; it must have 32")))
}

fn size(field: &str, entries: u64) -> Result<Size, Invalid> {
    Size::new(entries)
        .ok_or_else(|| Invalid::new(field, format!("is {entries}; it must be at most {SIZE_MAX}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_keeps_the_bytes_of_its_leaf() {
        let entry = pb::AuditEntry {
            index: 4,
            at_unix_ms: 9,
            member_id: 2,
            action: "/x.Y/Z".into(),
            code: 7,
            bank_ids: vec![3],
            calls: 1,
            salt: vec![2; 16],
            ..Default::default()
        };
        let bytes = entry.encode_to_vec();
        let answer = pb::ListEntriesResponse { entries: vec![bytes.clone()], next_index: 0, tree_size: 5 };
        let page = AuditPage::try_from(answer).unwrap();
        assert_eq!((page.next, page.tree_size.get()), (None, 5));
        let leaf = &page.leaves[0];
        assert_eq!((leaf.hash(), &leaf.bytes), (NodeHash::of_entry(&bytes), &bytes));
        let AuditEntry { index, member, principal, code, first_item, .. } = &leaf.entry;
        assert_eq!((index.0, *member, *principal), (4, Some(MemberId(2)), None));
        assert_eq!((*code, *first_item), (Code::PermissionDenied, None));
        assert_eq!((leaf.entry.calls, leaf.entry.since), (1, None));
    }

    #[test]
    fn what_breaks_the_contract_is_named() {
        let fault = |entry: Vec<u8>| {
            let answer = pb::ListEntriesResponse { entries: vec![entry], ..Default::default() };
            AuditPage::try_from(answer).unwrap_err().field
        };
        assert_eq!(fault(vec![0xff]), "entries");
        assert_eq!(fault(pb::AuditEntry::default().encode_to_vec()), "calls");
        let proof = pb::ProveInclusionResponse { leaf_hash: vec![0; 31], ..Default::default() };
        assert_eq!(InclusionProof::try_from(proof).unwrap_err().field, "leaf_hash");
        let proof = pb::ProveConsistencyResponse { path: vec![vec![0; 33]], ..Default::default() };
        assert_eq!(ConsistencyProof::try_from(proof).unwrap_err().field, "path");
        let proof = pb::ProveConsistencyResponse { new_size: u64::MAX, ..Default::default() };
        assert_eq!(ConsistencyProof::try_from(proof).unwrap_err().field, "new_size");
    }
}
