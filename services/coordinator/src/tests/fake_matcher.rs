//! A fake matcher that holds an item for every number.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};
use vigie_model::{
    BankId, Distance, Facts, Hash, HashCount, HashType, ItemId, Match, MemberId, Query, QueryHash,
    QueryMatches, Rendition, ReplicaDescription, SearchOptions, Sequence, ShardAnswer, ShardGroup,
    UnixMillis, Variant,
};
use vigie_proto::Form;
use vigie_proto::pb::matcher::v1 as pb;
use vigie_proto::pb::matcher::v1::matcher_service_server::{MatcherService, MatcherServiceServer};
use vigie_serving::{Reflection, Routes, ServingConfig, Shutdown};

use crate::tests::descriptions::description;

/// The behaviour of a fake matcher.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Manner {
    pub(super) shards: ShardGroup,
    /// The shards that it answers for, if these are not the ones that it reports in its descriptions.
    pub(super) answers_for: Option<ShardGroup>,
    pub(super) unready: Option<&'static str>,
    /// The sequence that the matcher reports in its descriptions.
    pub(super) says: Sequence,
    pub(super) answers_as_of: Sequence,
    /// The delay of each answer; `None` means that it never answers.
    pub(super) delay: Option<Duration>,
    pub(super) refusal: Option<Refusal>,
    /// The hash counts that the matcher reports. If there are none, coordinators do not know which types it
    /// searches.
    pub(super) counts: Vec<HashCount>,
    /// Whether its version knows sets of banks.
    pub(super) knows_bank_sets: bool,
    /// Whether its version knows packed queries.
    pub(super) knows_packed: bool,
}

/// A status that can be compared: a code and a text.
pub(super) type Refusal = (tonic::Code, &'static str);

/// Counts of the searches that the matcher has received.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) calls: AtomicU64,
    pub(super) queries: AtomicU64,
    /// Searches that were sent in the packed form, which the matcher's version does not know.
    pub(super) packed_in_vain: AtomicU64,
    /// Calls whose caller went away.
    pub(super) cancelled: AtomicU64,
}

#[derive(Debug)]
pub(super) struct FakeMatcher {
    pub(super) address: SocketAddr,
    pub(super) manner: watch::Sender<Manner>,
    pub(super) asked: Arc<Asked>,
    shutdown: Shutdown,
    serving: Option<tokio::task::JoinHandle<()>>,
}

impl FakeMatcher {
    pub(super) async fn start(shard: u32, shard_count: u32) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), shard, shard_count).await
    }

    /// Starts a matcher that serves several shards.
    pub(super) async fn start_for(shards: ShardGroup) -> Self {
        Self::start_for_at("127.0.0.1:0".parse().unwrap(), shards).await
    }

    pub(super) async fn start_at(address: SocketAddr, shard: u32, shard_count: u32) -> Self {
        Self::start_for_at(address, ShardGroup::new(shard, shard_count, 1).unwrap()).await
    }

    async fn start_for_at(address: SocketAddr, shards: ShardGroup) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let manner = watch::Sender::new(Manner {
            shards,
            answers_for: None,
            unready: None,
            says: Sequence(1),
            answers_as_of: Sequence(1),
            delay: Some(Duration::ZERO),
            refusal: None,
            counts: Vec::new(),
            knows_bank_sets: true,
            knows_packed: true,
        });
        let asked = Arc::new(Asked::default());
        let shutdown = Shutdown::new();
        let service =
            Service { manner: manner.subscribe(), asked: Arc::clone(&asked), shutdown: shutdown.clone() };
        let routes =
            Routes::new(Reflection { descriptors: vigie_proto::DESCRIPTORS, roles: vigie_proto::ROLES })
                .unwrap();
        let routes = routes.with(MatcherServiceServer::new(service));
        let config = ServingConfig { drain_ms_max: 100, ..ServingConfig::default().without_lame_duck() };
        let stop = shutdown.clone();
        let serving = tokio::spawn(async move {
            vigie_serving::serve(listener, routes, 2 << 20, &config, stop).await.unwrap();
        });
        Self { address, manner, asked, shutdown, serving: Some(serving) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn behave(&self, edit: impl FnOnce(&mut Manner)) {
        self.manner.send_modify(edit);
    }

    pub(super) fn calls(&self) -> u64 {
        self.asked.calls.load(Ordering::Relaxed)
    }

    pub(super) fn cancelled(&self) -> u64 {
        self.asked.cancelled.load(Ordering::Relaxed)
    }

    /// Stops the matcher and closes its connections.
    pub(super) async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(serving) = self.serving.take() {
            serving.await.unwrap();
        }
    }
}

impl Drop for FakeMatcher {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// Returns a query for the item with this number.
pub(super) fn query(number: u64) -> Query {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Query { hashes: vec![QueryHash { hash: Hash::pdq(bytes), variant: Variant::Original }] }
}

/// Returns the match of the query if its item is on one of these shards. The match has the member of the
/// search in its facts, and a time of adding that is computed from the item's number.
fn found(query: &Query, shards: ShardGroup, options: &SearchOptions) -> QueryMatches {
    let Some(QueryHash { hash, .. }) = query.hashes.first() else {
        return QueryMatches::default();
    };
    let number = u64::from_be_bytes(hash.as_bytes()[..8].try_into().unwrap());
    let shard = number % u64::from(shards.shard_count().get());
    if !shards.shards().any(|one| u64::from(one.0) == shard) {
        return QueryMatches::default();
    }
    let facts_for = |member: MemberId| Facts {
        contributors: member.0,
        is_aside: options.with_aside,
        classes: [format!("class/of/{number}").into()].into(),
        ..Facts::default()
    };
    let (added_at, facts) = (Some(UnixMillis(1_000 * number + 1)), options.member.map(facts_for));
    let one = Match { added_at, facts: facts.map(Box::new), ..one_match(number, 0) };
    QueryMatches { matches: vec![one], ..QueryMatches::default() }
}

/// Returns a match of an item at a distance.
pub(crate) fn one_match(item: u64, distance: u32) -> Match {
    Match {
        video: None,
        item_time_ms: None,
        item: ItemId(item),
        bank: BankId(1),
        bank_name: "known".parse().unwrap(),
        external_reference: None,
        labels: Box::default(),
        hash_type: HashType::PDQ,
        distance: Distance(distance),
        variant: Variant::Original,
        exact: true,
        other_matches: 0,
        rendition: Rendition::default(),
        added_at: None,
        facts: None,
    }
}

#[derive(Debug)]
struct Service {
    manner: watch::Receiver<Manner>,
    asked: Arc<Asked>,
    shutdown: Shutdown,
}

/// Counts a call as cancelled if it is dropped before it has an answer.
struct Unanswered<'a>(&'a Asked, bool);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.cancelled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tonic::async_trait]
impl MatcherService for Service {
    async fn search(
        &self,
        request: Request<pb::SearchRequest>,
    ) -> Result<Response<pb::SearchResponse>, Status> {
        let mut request = request.into_inner();
        let manner = self.manner.borrow().clone();
        if !manner.knows_packed && request.packed.take().is_some() {
            self.asked.packed_in_vain.fetch_add(1, Ordering::Relaxed);
        }
        let form = request.form();
        let (queries, options): (Vec<Query>, SearchOptions) = request.try_into()?;
        self.asked.calls.fetch_add(1, Ordering::Relaxed);
        self.asked.queries.fetch_add(queries.len() as u64, Ordering::Relaxed);
        let mut unanswered = Unanswered(&self.asked, false);
        match manner.delay {
            Some(delay) if delay.is_zero() => {}
            Some(delay) => tokio::time::sleep(delay).await,
            None => std::future::pending().await,
        }
        unanswered.1 = true;
        if let Some((code, text)) = manner.refusal {
            return Err(Status::new(code, text));
        }
        let shards = manner.answers_for.unwrap_or(manner.shards);
        let results = queries.iter().map(|query| found(query, shards, &options));
        let (results, packed) = match form {
            Form::Plain => (results.collect(), None),
            Form::Packed => (Vec::new(), Some(results.collect())),
        };
        let answer = ShardAnswer {
            shards,
            sequence: manner.answers_as_of,
            as_of: vigie_model::AsOf::default(),
            hashes_searched: 1,
            results,
            approximate: vec![],
        };
        let bank_set_kept = manner.knows_bank_sets && options.bank_set.is_some();
        Ok(Response::new(pb::SearchResponse { bank_set_kept, packed, ..answer.into() }))
    }

    async fn describe(
        &self,
        _: Request<pb::DescribeRequest>,
    ) -> Result<Response<pb::DescribeResponse>, Status> {
        Err(Status::unimplemented("it is watched"))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<pb::WatchResponse, Status>> + Send>>;

    async fn watch(&self, _: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let said = WatchStream::new(self.manner.clone());
        let alive =
            tokio_stream::StreamExt::throttle(futures::stream::repeat(()), Duration::from_millis(500));
        let manner = self.manner.clone();
        let again = alive.map(move |()| manner.borrow().clone());
        let described = futures::stream::select(said, again)
            .take_until(self.shutdown.clone().cancelled_owned())
            .map(|manner| {
                let (sequence, hashes) = (manner.says, manner.counts);
                let said = description(manner.shards, manner.unready);
                let said = ReplicaDescription { sequence, head: sequence, hashes, ..said };
                Ok(pb::WatchResponse::from(said))
            });
        Ok(Response::new(Box::pin(described)))
    }
}
