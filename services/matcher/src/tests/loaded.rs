//! A matcher on its own port, with a shard that is full of hashes from the start and follows nothing.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use tokio::net::TcpListener;
use vigie_clients::MatcherClient;
use vigie_follow::{Position, Progress, State as _};
use vigie_model::change::Cursor;
use vigie_model::{
    Bank, BankId, Hash, Item, ItemContent, ItemDraft, ItemId, Query, QueryHash, Sequence, UnixMillis, Variant,
};
use vigie_serving::Shutdown;

use super::follow::whole;
use super::{LOG, name};
use crate::config::Config;
use crate::following::replica::Replica;
use crate::metrics::MatcherMetrics;
use crate::saving::plan::StorePlan;
use crate::server::{MESSAGE_BYTES_MAX, here, routes};
use crate::shard::indexes::IndexPlan;
use crate::shard::loading::Loading;
use crate::shard::state::Shard;

/// A matcher with a loaded shard. It ends with the test's runtime.
#[derive(Clone)]
pub(super) struct Loaded {
    replica: Arc<Replica>,
    pub(super) metrics: MatcherMetrics,
}

impl Loaded {
    /// Loads a shard with these items, all in one bank.
    pub(super) fn new(contents: impl Iterator<Item = ItemContent>) -> Self {
        let plan = StorePlan::new(IndexPlan::default(), None).unwrap();
        let metrics = MatcherMetrics::default();
        let (shard, head) = shard_of(&plan, contents);
        let replica = Replica::new(whole().into(), plan, metrics.clone());
        replica.take(shard);
        replica.standing().show(Progress::ready_at(Position(head.0)));
        Self { replica: Arc::new(replica), metrics }
    }

    /// Starts a server for the shard. Returns a client with its own connection to it.
    pub(super) async fn serve(&self, config: Config) -> MatcherClient {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = MatcherClient::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let shutdown = Shutdown::new();
        let routes = routes(&here(&self.replica, &config, &shutdown), &config).unwrap();
        tokio::spawn(async move {
            vigie_serving::serve(listener, routes, MESSAGE_BYTES_MAX, &config.serving, shutdown).await
        });
        client.describe(tokio::time::Instant::now() + Duration::from_secs(20)).await.unwrap();
        client
    }
}

fn shard_of(plan: &StorePlan, contents: impl Iterator<Item = ItemContent>) -> (Shard, Sequence) {
    let bank = BankId(1);
    let held = Bank {
        id: bank,
        owner: vigie_model::MemberId::HOST,
        name: name("known"),
        enabled: true,
        created_at: UnixMillis(0),
        item_count: 0,
        hash_count: 0,
        match_ratio: vigie_model::MatchRatio::ALWAYS,
    };
    let items: Vec<Item> = contents
        .zip(2..)
        .map(|(content, id)| Item {
            id: ItemId(id),
            bank,
            added_at: UnixMillis(0),
            contributor: vigie_model::MemberId::HOST,
            content,
        })
        .collect();
    let head = Sequence(items.len() as u64 + 1);
    let cursor = Cursor { log: LOG, sequence: head, chain: None };
    let mut loading = Loading::begin(whole(), plan.in_memory(), cursor, vec![held], false);
    loading.take(items, &[], vec![]).unwrap();
    (loading.finish(head).unwrap(), head)
}

/// Returns content with these hashes and nothing else.
pub(super) fn bare(hashes: Vec<Hash>) -> ItemContent {
    ItemDraft { hashes, ..ItemDraft::default() }.try_into().unwrap()
}

/// Returns unrelated random hashes.
pub(super) fn random_hashes(seed: u64) -> impl Iterator<Item = [u8; 32]> {
    let mut random = SmallRng::seed_from_u64(seed);
    std::iter::repeat_with(move || random.random())
}

/// Returns hashes within `bits` bits of one hash.
pub(super) fn neighbours(seed: u64, bits: usize) -> impl Iterator<Item = [u8; 32]> {
    let mut random = SmallRng::seed_from_u64(seed);
    std::iter::repeat_with(move || {
        let mut hash = [0x5a; 32];
        for _ in 0..bits {
            let bit = random.next_u64() % 256;
            hash[bit as usize / 8] ^= 1 << (bit % 8);
        }
        hash
    })
}

/// Returns a query for these hashes.
pub(super) fn query_of(hashes: impl Iterator<Item = Hash>) -> Query {
    let variants = Variant::ALL.into_iter().cycle();
    Query { hashes: hashes.zip(variants).map(|(hash, variant)| QueryHash { hash, variant }).collect() }
}
