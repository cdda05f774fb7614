//! A fake bank: its feed over loopback, with faults on demand.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use vigie_clients::FeedClient;
use vigie_model::change::{Cursor, LogId};
use vigie_model::{Bank, Change, FeedRange, Item, Sequence, ShardIdentity, StatePart, UnixMillis};
use vigie_proto::pb::bank::v1 as pb;
use vigie_proto::pb::bank::v1::feed_service_server::{FeedService, FeedServiceServer};

use super::{LOG, Replay, Step, item_of};

/// The interval of heartbeats, short enough for tests that wait for one.
const HEARTBEAT: Duration = Duration::from_millis(20);

/// The state of the bank, which tests change while it runs.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) log: LogId,
    pub(crate) replay: Replay,
    changes: Vec<Change>,
    /// Changes up to this one are no longer kept.
    pub(crate) floor: Sequence,
    /// Steps that are taken between the cursor of a state and its items.
    pub(crate) while_loading: Vec<Step>,
    /// The number of next loads that are refused, and of those that break off before their end.
    pub(crate) refused_loads: u32,
    pub(crate) broken_loads: u32,
    /// The number of loads that were requested.
    pub(crate) loads: u32,
    /// The number of next digests that are sent wrong, and whether digests are sent at all.
    pub(crate) wrong_digests: u32,
    pub(crate) sends_digests: bool,
    /// Whether the deployment has a member.
    pub(crate) members_on: bool,
}

impl Held {
    pub(crate) fn take(&mut self, step: Step) {
        self.changes.extend(self.replay.take(step));
    }

    fn range(&mut self, after: Sequence, identity: ShardIdentity) -> FeedRange {
        let through = Sequence(self.replay.sequence);
        let follows = |change: &&Change| {
            let partition = change.kind.partition();
            let is_own = partition.is_none_or(|one| identity.shard_count().shard_of(one) == identity.shard());
            change.sequence > after && is_own
        };
        let changes: Vec<Change> = self.changes.iter().filter(follows).cloned().collect();
        let mut digest = self.sends_digests.then(|| self.replay.digest_of(identity));
        if let (Some(digest), 1..) = (&mut digest, self.wrong_digests) {
            self.wrong_digests -= 1;
            digest.sums[3] ^= 1;
        }
        // The commit times are one second apart.
        let head_committed = Some(UnixMillis(1_000 * through.0));
        FeedRange {
            log: self.log,
            after,
            through,
            head: through,
            head_committed,
            chain: None,
            first_committed: changes.first().map(|change| UnixMillis(1_000 * change.sequence.0)),
            changes,
            digest,
            members_on: self.members_on,
        }
    }

    fn state(&mut self, identity: ShardIdentity) -> Vec<StatePart> {
        self.loads += 1;
        let bank = |(id, (name, enabled)): (&_, &(_, _))| Bank {
            id: *id,
            owner: vigie_model::MemberId::HOST,
            name: Clone::clone(name),
            enabled: *enabled,
            created_at: UnixMillis(0),
            item_count: 0,
            hash_count: 0,
            match_ratio: vigie_model::MatchRatio::ALWAYS,
        };
        let banks = self.replay.banks.iter().map(bank).collect();
        let cursor = Cursor { log: self.log, sequence: Sequence(self.replay.sequence), chain: None };
        for step in std::mem::take(&mut self.while_loading) {
            self.take(step);
        }
        let living =
            self.replay.items.iter().filter(|(id, _)| id.0 <= cursor.sequence.0 && identity.holds(**id));
        let items: Vec<Item> =
            living.map(|(id, (bank, content))| item_of(*id, *bank, content.clone())).collect();
        let mut parts = vec![StatePart::Begin { cursor, banks, members_on: self.members_on }];
        let part = |items: &[Item]| {
            let held = items.iter().map(|item| item.id).filter(|item| self.replay.held.contains(item));
            let standing = |item: &Item| Some((item.id, self.replay.standings.get(&item.id)?.clone()));
            let standings = items.iter().filter_map(standing).collect();
            StatePart::Items { items: items.to_vec(), held: held.collect(), standings }
        };
        parts.extend(items.chunks(7).map(part));
        if self.broken_loads == 0 {
            parts.push(StatePart::End { settled: Sequence(self.replay.sequence) });
        }
        self.broken_loads = self.broken_loads.saturating_sub(1);
        parts
    }
}

/// A fake bank on loopback. It ends with the test's runtime.
#[derive(Debug, Clone)]
pub(crate) struct FakeBank {
    held: Arc<Mutex<Held>>,
    changed: watch::Sender<()>,
    pub(crate) url: String,
}

impl FakeBank {
    /// Starts a bank that has taken these steps.
    pub(crate) async fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        let mut held = Held {
            log: LOG,
            replay: Replay::default(),
            changes: Vec::new(),
            floor: Sequence::ZERO,
            while_loading: Vec::new(),
            refused_loads: 0,
            broken_loads: 0,
            loads: 0,
            wrong_digests: 0,
            sends_digests: true,
            members_on: false,
        };
        steps.into_iter().for_each(|step| held.take(step));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bank = Self { held: Arc::new(Mutex::new(held)), changed: watch::Sender::new(()), url };
        let server = tonic::transport::Server::builder().add_service(FeedServiceServer::new(bank.clone()));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        bank
    }

    pub(crate) fn client(&self) -> FeedClient {
        FeedClient::new(&self.url).unwrap()
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap()
    }

    /// Takes steps, and notifies the followers.
    pub(crate) fn take(&self, steps: impl IntoIterator<Item = Step>) {
        let mut held = self.held();
        steps.into_iter().for_each(|step| held.take(step));
        self.changed.send_replace(());
    }

    /// Ends every stream, like a bank that is restarted, and continues with this log.
    pub(crate) fn end_streams(&self, log: LogId) {
        self.held().log = log;
        self.changed.send_replace(());
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl FeedService for FakeBank {
    type WatchStream = Answers<pb::WatchResponse>;
    type LoadStream = Answers<pb::LoadResponse>;
    type ReadDirectoryStream = Answers<pb::ReadDirectoryResponse>;

    async fn read_directory(
        &self,
        _: Request<pb::ReadDirectoryRequest>,
    ) -> Result<Response<Self::ReadDirectoryStream>, Status> {
        Err(Status::unimplemented("no matcher asks for it"))
    }

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (from, identity): (Option<Cursor>, ShardIdentity) = request.into_inner().try_into()?;
        let log = {
            let held = self.held();
            let follows = from.map_or(held.floor == Sequence::ZERO, |cursor| {
                cursor.log == held.log && held.floor <= cursor.sequence
            });
            if !follows {
                return Err(Status::out_of_range("the log does not go on from there"));
            }
            held.log
        };
        let (sender, receiver) = mpsc::channel(4);
        let (bank, mut changed) = (self.clone(), self.changed.subscribe());
        tokio::spawn(async move {
            let mut after = from.map_or(Sequence::ZERO, |cursor| cursor.sequence);
            loop {
                let range = {
                    let mut held = bank.held();
                    if held.log != log {
                        return;
                    }
                    held.range(after, identity)
                };
                after = range.through;
                if sender.send(Ok(range.into())).await.is_err() {
                    return;
                }
                let _either = tokio::time::timeout(HEARTBEAT, changed.changed()).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn load(&self, request: Request<pb::LoadRequest>) -> Result<Response<Self::LoadStream>, Status> {
        let identity = request.into_inner().try_into()?;
        let mut held = self.held();
        if held.refused_loads > 0 {
            held.refused_loads -= 1;
            return Err(Status::unimplemented("no such stream"));
        }
        let parts: Vec<_> = held.state(identity).into_iter().map(|part| Ok(part.into())).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(parts))))
    }
}
