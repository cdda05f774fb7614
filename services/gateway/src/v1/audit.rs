//! `/v1/audit`: entries of the audit, with proofs that none was changed.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vigie_audit::tree::{LeafIndex, NodeHash, Size};
use vigie_clients::AuditLeaf;
use vigie_consortium::MemberName;
use vigie_rpc::code;

use crate::problem::Problem;
use crate::v1::classifiers::cards::ClassifierObject;
use crate::v1::request::{Call, In, page_size};
use crate::v1::values::value;

/// The options of a list of entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditOptions {
    /// The index of the first entry; 0 where it is not given.
    from: Option<u64>,
    /// Entries of the page, 1 to 1000; 100 where it is not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
    /// Only the entries of this member.
    member: Option<String>,
}

/// The tree in which an entry is proven to be.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct InclusionOptions {
    /// The size of the tree; that of the newest checkpoint where it is not given.
    tree_size: Option<u64>,
}

/// The two trees of a proof of consistency.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConsistencyOptions {
    /// The size of the smaller tree.
    old_size: u64,
    /// The size of the larger tree; that of the newest checkpoint where it is not given.
    new_size: Option<u64>,
}

/// A page of entries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditPageObject {
    /// Ordered by index. A page may be empty although more follow: see `next_from`.
    entries: Vec<EntryObject>,
    /// The index at which the next page begins; `null` on the last page.
    next_from: Option<u64>,
    /// Entries of the tree.
    tree_size: u64,
}

/// An entry of the audit.
#[derive(Debug, Serialize, ToSchema)]
struct EntryObject {
    /// Its place in the tree.
    index: u64,
    /// Milliseconds since 1970.
    at_unix_ms: u64,
    /// The member that called; `null` for a call that no member made.
    member_id: Option<u32>,
    /// The principal that called; `null` for what the deployment does itself, and where the caller is not
    /// known.
    principal_id: Option<u64>,
    /// The path of a method, or the name of an event.
    action: String,
    /// The gRPC code, such as `PERMISSION_DENIED`.
    code: &'static str,
    /// The banks that it is about.
    bank_ids: Vec<u32>,
    /// The first of the items; `null` for none.
    first_item_id: Option<u64>,
    /// The number of items.
    items: u64,
    /// `null` where nothing was changed.
    sequence: Option<u64>,
    /// The calls that the entry stands for.
    calls: u64,
    /// Milliseconds since 1970: when the first of several calls came; `null` for one call.
    since_unix_ms: Option<u64>,
    /// The card of a classifier that was put, in short; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<ClassifierObject>,
    /// The hash of the entry's leaf, in Base64.
    leaf_hash: String,
}

/// The newest checkpoint of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckpointObject {
    /// A signed note (C2SP `tlog-checkpoint`).
    checkpoint: String,
}

/// A proof that an entry is in a tree (RFC 6962, section 2.1.1).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InclusionObject {
    /// The entry's place in the tree.
    index: u64,
    /// The hash of the entry's leaf, in Base64.
    leaf_hash: String,
    /// Hashes from the leaf to the root, in Base64.
    path: Vec<String>,
    /// Entries of the tree.
    tree_size: u64,
}

/// A proof that a tree goes on from a smaller one (RFC 6962, section 2.1.2).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsistencyObject {
    /// Entries of the smaller tree.
    old_size: u64,
    /// Entries of the larger tree.
    new_size: u64,
    /// Hashes, in Base64.
    path: Vec<String>,
}

impl From<&AuditLeaf> for EntryObject {
    fn from(leaf: &AuditLeaf) -> Self {
        let entry = &leaf.entry;
        Self {
            index: entry.index.0,
            at_unix_ms: entry.at.0,
            member_id: entry.member.map(|member| member.0),
            principal_id: entry.principal.map(|principal| principal.0),
            action: entry.action.clone(),
            code: code::word(entry.code),
            bank_ids: entry.banks.iter().map(|bank| bank.0).collect(),
            first_item_id: entry.first_item.map(|item| item.0),
            items: entry.item_count,
            sequence: entry.sequence.map(|sequence| sequence.0),
            calls: entry.calls,
            since_unix_ms: entry.since.map(|since| since.0),
            model: entry.model.as_deref().cloned().map(ClassifierObject::from),
            leaf_hash: leaf.hash().to_string(),
        }
    }
}

fn size(field: &str, entries: u64) -> Result<Size, Problem> {
    let size = Size::new(entries).filter(|size| size.get() > 0);
    size.ok_or_else(|| Problem::field(field, "is not the size of a tree with entries"))
}

fn texts(path: &[NodeHash]) -> Vec<String> {
    path.iter().map(ToString::to_string).collect()
}

/// Lists entries of the audit that the caller may read
#[utoipa::path(
    get, path = "/audit", tag = "audit", params(AuditOptions),
    responses((status = 200, description = "A page of entries", body = AuditPageObject))
)]
pub(super) async fn list_entries(call: Call<AuditOptions>) -> Result<Json<AuditPageObject>, Problem> {
    let AuditOptions { from, limit, member } = &call.options;
    let (from, size) = (LeafIndex(from.unwrap_or(0)), page_size(*limit)?);
    let member: Option<MemberName> = member.as_deref().map(|name| value("member", name)).transpose()?;
    let page = call.caller.audit().list_entries(from, size, member.as_ref(), call.deadline()).await?;
    Ok(Json(AuditPageObject {
        entries: page.leaves.iter().map(Into::into).collect(),
        next_from: page.next.map(|next| next.0),
        tree_size: page.tree_size.get(),
    }))
}

/// Shows the newest checkpoint
#[utoipa::path(
    get, path = "/audit/checkpoint", tag = "audit",
    responses((status = 200, description = "The signed checkpoint", body = CheckpointObject))
)]
pub(super) async fn show_checkpoint(call: Call) -> Result<Json<CheckpointObject>, Problem> {
    let checkpoint = call.caller.audit().get_checkpoint(call.deadline()).await?;
    Ok(Json(CheckpointObject { checkpoint }))
}

/// Proves that an entry is in a tree
#[utoipa::path(
    get, path = "/audit/entries/{index}/proof", tag = "audit",
    params(("index" = u64, Path, description = "The entry's place in the tree"), InclusionOptions),
    responses((status = 200, description = "The proof", body = InclusionObject))
)]
pub(super) async fn prove_inclusion(
    call: Call<InclusionOptions>,
    In(index): In<String>,
) -> Result<Json<InclusionObject>, Problem> {
    let index = LeafIndex(index.parse().map_err(|_| Problem::field("index", "is no index"))?);
    let tree_size = call.options.tree_size.map(|entries| size("tree_size", entries)).transpose()?;
    let proof = call.caller.audit().prove_inclusion(index, tree_size, call.deadline()).await?;
    Ok(Json(InclusionObject {
        index: index.0,
        leaf_hash: proof.leaf.to_string(),
        path: texts(&proof.path),
        tree_size: proof.tree_size.get(),
    }))
}

/// Proves that a tree extends a smaller one
#[utoipa::path(
    get, path = "/audit/consistency", tag = "audit", params(ConsistencyOptions),
    responses((status = 200, description = "The proof", body = ConsistencyObject))
)]
pub(super) async fn prove_consistency(
    call: Call<ConsistencyOptions>,
) -> Result<Json<ConsistencyObject>, Problem> {
    let old = size("old_size", call.options.old_size)?;
    let new = call.options.new_size.map(|entries| size("new_size", entries)).transpose()?;
    let proof = call.caller.audit().prove_consistency(old, new, call.deadline()).await?;
    let (old_size, new_size) = (old.get(), proof.new_size.get());
    Ok(Json(ConsistencyObject { old_size, new_size, path: texts(&proof.path) }))
}
