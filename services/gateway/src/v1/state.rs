//! `/v1/log`, `/v1/cluster`: the newest sequence of the bank's log, and the state of the cluster.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use vigie_model::{HashType, Recall};

use crate::cluster;
use crate::problem::Problem;
use crate::v1::request::{Call, Handlers};

/// The newest change of the bank's log, and the size of the bank.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogObject {
    /// The newest change.
    sequence: u64,
    /// BLAKE3 over all changes up to it, in hexadecimal digits.
    chain: String,
    /// Living banks.
    banks: u64,
    /// Living items.
    items: u64,
    /// Their hashes.
    hashes: u64,
    /// Changes up to this one are no longer kept.
    floor: u64,
}

/// The cluster as the gateway last saw it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClusterObject {
    /// `ready`: every shard answers. `never_ready`: the gateway has never seen that. `stale`: the gateway saw
    /// it too long ago.
    state: &'static str,
    /// Milliseconds since 1970: when every shard last answered; `null` for never.
    seen_unix_ms: Option<u64>,
    /// Shards of the cluster; `null` where it is not known.
    shards: Option<u16>,
    /// Replicas of the shards that answered; `null` where it is not known.
    replicas_ready: Option<usize>,
    /// Hashes that are searched, by type; none where they are not known.
    hashes: Vec<IndexedObject>,
}

/// Hashes of one type that are searched.
#[derive(Debug, Serialize, ToSchema)]
struct IndexedObject {
    /// The name of the type.
    hash_type: String,
    /// The number of hashes, in all banks.
    hashes: u64,
    /// Whether the index is exact: it finds everything within a distance.
    exact: bool,
    /// The measured recall of an approximate index; left out where the index is exact, and until the first
    /// measurement: until then all hashes are scanned.
    #[serde(skip_serializing_if = "Option::is_none")]
    recall: Option<RecallObject>,
}

/// The measured recall of an approximate index, at the replica where it is lowest.
#[derive(Debug, Serialize, ToSchema)]
struct RecallObject {
    /// The share of the true nearest neighbours that it found, 0 to 1.
    value: f64,
    /// Queries of the measurement.
    sample: u32,
    /// Neighbours of each query.
    k: u32,
}

impl From<Recall> for RecallObject {
    fn from(Recall { value, sample, k }: Recall) -> Self {
        Self { value, sample, k }
    }
}

/// Shows the newest change of the bank's log
#[utoipa::path(
    get, path = "/log", tag = "state",
    responses((status = 200, description = "The log's newest change, and the bank's size", body = LogObject))
)]
pub(super) async fn show_log(call: Call) -> Result<Json<LogObject>, Problem> {
    let head = call.caller.banks().log_head(call.deadline()).await?;
    Ok(Json(LogObject {
        sequence: head.sequence.0,
        chain: vigie_hashes::hex::encode(&head.chain),
        banks: head.banks,
        items: head.items,
        hashes: head.hashes,
        floor: head.floor.0,
    }))
}

/// Shows the cluster as the gateway last saw it
///
/// Unlike `/status`, this requires a credential where there are members.
#[utoipa::path(
    get, path = "/cluster", tag = "state",
    responses((status = 200, description = "The state of the cluster", body = ClusterObject))
)]
pub(super) async fn show_cluster(
    State(handlers): State<Handlers>,
    call: Call,
) -> Result<Json<ClusterObject>, Problem> {
    call.caller.members().who_am_i(call.deadline()).await?;
    let cluster = &handlers.cluster;
    let seen = cluster.last_seen();
    let indexed = |hash_type: HashType| {
        let indexed = cluster.indexed(hash_type)?;
        let (hash_type, recall) = (hash_type.to_string(), indexed.recall.map(Into::into));
        Some(IndexedObject { hash_type, hashes: indexed.hashes, exact: indexed.exact, recall })
    };
    Ok(Json(ClusterObject {
        state: match cluster.state() {
            cluster::State::Ready => "ready",
            cluster::State::NeverReady => "never_ready",
            cluster::State::Stale => "stale",
        },
        seen_unix_ms: seen.map(|seen| seen.at.0),
        shards: seen.and_then(|seen| seen.shards),
        replicas_ready: seen.and_then(|seen| seen.replicas_ready),
        hashes: cluster.types().into_iter().filter_map(indexed).collect(),
    }))
}
