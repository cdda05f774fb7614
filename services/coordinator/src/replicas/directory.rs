//! Finds the matchers and follows their descriptions, in one task.
//!
//! A matcher is named by its own endpoint, or by a DNS name that is looked up every few seconds; each address
//! of the name is one matcher. Each matcher is watched through its own stream. It sends a description at once
//! when it becomes ready or drains, and a heartbeat every second. The descriptions make up the [`Table`]. The
//! replicas that can be asked are published as a [`View`], which searches read without waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use vigie_clients::{CallError, Code, EndpointError, Neighbours, Network};
use vigie_model::{ReplicaDescription, ShardCount, ShardGroup};
use vigie_net::lane::LaneLimits;
use vigie_net::retry::Backoff;

use crate::replicas::endpoint::MatcherEndpoint;
use crate::replicas::extra_calls::{Budget, Latencies};
use crate::replicas::notices::{Notice, Notices};
use crate::replicas::replica::Replica;
use crate::replicas::table::Table;
use crate::replicas::view::{Candidate, Group, GroupRecord, View};

/// The polling interval for a matcher that accepts no further watcher.
const ASKED_EVERY: Duration = Duration::from_secs(1);
/// The shortest time between two views. A thousand matchers may each send ten descriptions a second.
const PUBLISH_PAUSE: Duration = Duration::from_millis(2);

/// The settings for finding and watching matchers.
#[derive(Debug, Clone)]
pub(crate) struct Watching {
    pub(crate) endpoints: Vec<MatcherEndpoint>,
    pub(crate) network: Network,
    /// The matchers of this process, if the matchers run in it.
    pub(crate) neighbours: Option<Neighbours>,
    pub(crate) limits: LaneLimits,
    /// The longest silence of a matcher before it counts as unreachable.
    pub(crate) patience: Duration,
    /// The interval between two lookups of a name.
    pub(crate) resolve_every: Duration,
    /// The share of extra calls in all calls, 0 to 1.
    pub(crate) extra_calls_share: f64,
    /// The set to use as soon as it is complete.
    pub(crate) shard_count: Option<ShardCount>,
}

/// Reports from the directory's tasks.
#[derive(Debug)]
enum News {
    /// A matcher's description, or the reason why it has gone silent.
    Said(Arc<str>, Result<ReplicaDescription, String>),
    /// The endpoints that a name resolves to now.
    Resolved(MatcherEndpoint, BTreeSet<Arc<str>>),
    /// A name that cannot be resolved.
    Unresolved(MatcherEndpoint),
}

#[derive(Debug)]
struct Watched {
    replica: Arc<Replica>,
    _watcher: Task,
}

/// A task that is aborted when this is dropped.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The task that finds the matchers and receives their descriptions. Every task that it has spawned ends with
/// it.
#[derive(Debug)]
pub(crate) struct Directory {
    watching: Watching,
    published: Arc<ArcSwap<View>>,
    table: Table,
    watched: BTreeMap<Arc<str>, Watched>,
    records: BTreeMap<ShardGroup, Arc<GroupRecord>>,
    notices: Notices,
    /// The addresses of each name when it was last resolved.
    resolved: BTreeMap<MatcherEndpoint, BTreeSet<Arc<str>>>,
    names: usize,
    _resolvers: Vec<Task>,
    news: mpsc::Sender<News>,
    hearing: mpsc::Receiver<News>,
}

impl Directory {
    /// Starts to watch the matchers and to look names up.
    ///
    /// Errors: an endpoint is malformed.
    pub(crate) fn start(watching: Watching, published: Arc<ArcSwap<View>>) -> Result<Self, EndpointError> {
        let (news, hearing) = mpsc::channel(256);
        let mut directory = Self {
            table: Table::new(watching.shard_count),
            watched: BTreeMap::new(),
            records: BTreeMap::new(),
            notices: Notices::default(),
            resolved: BTreeMap::new(),
            names: 0,
            _resolvers: Vec::new(),
            news,
            hearing,
            published,
            watching,
        };
        for endpoint in directory.watching.endpoints.clone() {
            match endpoint {
                MatcherEndpoint::Url(url) => directory.add(url)?,
                MatcherEndpoint::Name { .. } => {
                    let resolving = resolve(endpoint, directory.watching.clone(), directory.news.clone());
                    directory._resolvers.push(Task(tokio::spawn(resolving)));
                    directory.names += 1;
                }
            }
        }
        directory.publish();
        Ok(directory)
    }

    /// Keeps the view current until the task is aborted.
    pub(crate) async fn run(mut self) {
        while let Some(news) = self.hearing.recv().await {
            self.take(news);
            while let Ok(news) = self.hearing.try_recv() {
                self.take(news);
            }
            self.publish();
            // Reports that arrive during the pause are published together.
            tokio::time::sleep(PUBLISH_PAUSE).await;
        }
    }

    fn take(&mut self, news: News) {
        match news {
            News::Said(endpoint, said) => self.table.observe(&endpoint, said),
            News::Resolved(name, found) => {
                self.resolved.insert(name, found);
                self.follow_names();
            }
            // The name keeps its last addresses, or has none yet.
            News::Unresolved(name) => {
                self.resolved.entry(name).or_default();
            }
        }
    }

    /// Watches the endpoints that are configured or that names resolve to, and no others.
    fn follow_names(&mut self) {
        let given = self.watching.endpoints.iter().filter_map(|endpoint| match endpoint {
            MatcherEndpoint::Url(url) => Some(url),
            MatcherEndpoint::Name { .. } => None,
        });
        let wanted: BTreeSet<Arc<str>> = self.resolved.values().flatten().chain(given).cloned().collect();
        let gone: Vec<_> = self.watched.keys().filter(|one| !wanted.contains(*one)).cloned().collect();
        for endpoint in gone {
            tracing::info!(%endpoint, "no name resolves to this matcher any more");
            self.watched.remove(&endpoint);
            self.table.remove(&endpoint);
        }
        for endpoint in wanted {
            if !self.watched.contains_key(&endpoint)
                && let Err(error) = self.add(endpoint.clone())
            {
                tracing::error!(%endpoint, %error, "a name resolves to an address that is not an endpoint");
            }
        }
    }

    fn add(&mut self, endpoint: Arc<str>) -> Result<(), EndpointError> {
        let Watching { network, neighbours, limits, patience, .. } = &self.watching;
        let network = match self.name_of(&endpoint) {
            // The certificate is checked against the name, because addresses change.
            Some(name) => network.clone().expecting(name),
            None => network.clone(),
        };
        let replica = Arc::new(Replica::new(endpoint.clone(), network, *limits, neighbours.as_ref())?);
        self.table.add(endpoint.clone());
        let watcher = tokio::spawn(watch(Arc::clone(&replica), *patience, self.news.clone()));
        self.watched.insert(endpoint, Watched { replica, _watcher: Task(watcher) });
        Ok(())
    }

    /// Returns the DNS name that resolves to this endpoint, if one does.
    fn name_of(&self, endpoint: &Arc<str>) -> Option<&str> {
        self.resolved.iter().find_map(|(name, found)| match name {
            MatcherEndpoint::Name { host, .. } if found.contains(endpoint) => Some(host.as_str()),
            MatcherEndpoint::Name { .. } | MatcherEndpoint::Url(_) => None,
        })
    }

    fn publish(&mut self) {
        let before = self.published.load();
        let all_looked_up = self.resolved.len() == self.names;
        let is_complete = before.is_complete || (all_looked_up && self.table.is_complete());
        let groups = self.groups();
        if before.table.shard_count() != self.table.shard_count() {
            let count = self.table.shard_count().map_or(0, ShardCount::get);
            tracing::info!(shard_count = count, "using the set of this many shards");
        }
        let replicas =
            self.watched.iter().map(|(endpoint, one)| (endpoint.clone(), Arc::clone(&one.replica))).collect();
        if is_complete {
            self.notices.take(&self.table).iter().for_each(Notice::log);
        }
        let view = View { table: self.table.clone(), replicas, groups, is_complete };
        self.published.store(Arc::new(view));
    }

    fn groups(&mut self) -> Vec<Group> {
        let (table, watched, share) = (&self.table, &self.watched, self.watching.extra_calls_share);
        let candidate = |(endpoint, said): (&Arc<str>, &ReplicaDescription)| {
            let Watched { replica, .. } = watched.get(endpoint)?;
            let (sequence, searched) = (said.sequence, said.searched());
            Some(Candidate { replica: Arc::clone(replica), sequence, searched })
        };
        let group = |&shards: &ShardGroup| {
            let record = self.records.entry(shards).or_insert_with(|| {
                Arc::new(GroupRecord { budget: Budget::new(share), latencies: Latencies::default() })
            });
            let ready: Vec<_> = table.ready(shards).filter_map(candidate).collect();
            Group {
                shards,
                why_none: if ready.is_empty() { table.why_none(shards) } else { String::new() },
                ready,
                silent: table.silent(shards).filter_map(candidate).collect(),
                hashes_known: table.hashes_known(shards),
                record: Arc::clone(record),
            }
        };
        table.groups().iter().map(group).collect()
    }
}

/// Watches a matcher until the directory ends, and reports its descriptions.
async fn watch(replica: Arc<Replica>, patience: Duration, news: mpsc::Sender<News>) {
    let mut backoff = reopening();
    loop {
        let ended = hear(&replica, patience, &news, &mut backoff).await;
        let reason = match ended {
            Ok(()) => "it has ended its stream of descriptions".to_owned(),
            Err(error) => {
                if error.code() == Code::DeadlineExceeded {
                    replica.reconnect();
                }
                error.to_string()
            }
        };
        if news.send(News::Said(replica.endpoint.clone(), Err(reason))).await.is_err() {
            return;
        }
        tokio::time::sleep(backoff.next_pause()).await;
    }
}

const fn reopening() -> Backoff {
    Backoff::new(Duration::from_millis(50), Duration::from_secs(1))
}

/// Receives a matcher's descriptions until its stream ends.
async fn hear(
    replica: &Replica,
    patience: Duration,
    news: &mpsc::Sender<News>,
    backoff: &mut Backoff,
) -> Result<(), CallError> {
    let mut stream = replica.watch(patience).await?;
    let mut is_first = true;
    loop {
        let said = match &mut stream {
            Some(stream) => match stream.next(patience).await? {
                Some(said) => said,
                None => return Ok(()),
            },
            None => replica.describe(Instant::now() + patience).await?,
        };
        if is_first {
            *backoff = reopening();
            // The failures for which the replica was left out happened before this description.
            if let Some(turn) = replica.load.revive() {
                turn.log(&replica.endpoint, "");
            }
            is_first = false;
        }
        if news.send(News::Said(replica.endpoint.clone(), Ok(said))).await.is_err() {
            return Ok(());
        }
        if stream.is_none() {
            tokio::time::sleep(ASKED_EVERY).await;
        }
    }
}

/// Resolves a name until the directory ends, and reports its addresses. If it cannot be resolved, the last
/// addresses stay in use.
async fn resolve(name: MatcherEndpoint, watching: Watching, news: mpsc::Sender<News>) {
    let MatcherEndpoint::Name { scheme, host, port } = &name else { return };
    let mut looks = tokio::time::interval(watching.resolve_every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let looked_up = watching.network.resolve(host, *port);
        let report = match tokio::time::timeout(watching.resolve_every, looked_up).await {
            Ok(Ok(addresses)) => {
                let found = addresses.into_iter().map(|address| format!("{scheme}://{address}").into());
                News::Resolved(name.clone(), found.collect())
            }
            Ok(Err(error)) => {
                tracing::warn!(%name, %error, "cannot look a name up");
                News::Unresolved(name.clone())
            }
            Err(_) => {
                tracing::warn!(%name, "cannot look a name up in time");
                News::Unresolved(name.clone())
            }
        };
        if news.send(report).await.is_err() {
            return;
        }
    }
}
