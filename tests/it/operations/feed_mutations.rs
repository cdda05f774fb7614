//! Changes that are corrupted in transit are detected, and a state that they caused is not searched for long.
//!
//! A proxy is between the bank and a matcher. In each trial it drops, doubles, swaps or alters one change of
//! the stream. It then passes messages on up to the next proof (a message with a digest, which comes within a
//! heartbeat) and no further: by then the matcher must have dropped the stream. After that the matcher has to
//! recover the right state by itself.
//!
//! In half of the trials the proxy corrects the message's checksum, as a faulty bank would, so that only the
//! digest or the order of the changes reveals the fault. `VIGIE_TRIALS=1000` sets the number of trials;
//! `VIGIE_SEED` sets the seed.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};
use vigie_clients::{Deadline, MatcherClient};
use vigie_harness::in_process::{Cluster, Role, soon};
use vigie_model::{Hash, ShardGroup};
use vigie_proto::bank::changes_checksum;
use vigie_proto::pb::bank::v1 as pb;
use vigie_proto::pb::bank::v1::change::Kind;
use vigie_proto::pb::bank::v1::feed_service_client::FeedServiceClient;
use vigie_proto::pb::bank::v1::feed_service_server::{FeedService, FeedServiceServer};
use vigie_serving::Shutdown;
use vigie_tests::material::{generator, item, random_pdq};

/// Number of trials in a short run.
const TRIALS: u64 = 40;
const HEARTBEAT_MS: u64 = 20;

/// A mutation of the changes in one message.
#[derive(Debug, Clone, Copy)]
enum Mutation {
    Drop,
    Double,
    Swap,
    Alter,
}

impl Mutation {
    const ALL: [Self; 4] = [Self::Drop, Self::Double, Self::Swap, Self::Alter];

    /// Applies the mutation; returns `false` where the message has too few changes for it.
    fn apply(self, changes: &mut Vec<pb::Change>, rng: &mut SmallRng) -> bool {
        if changes.len() < 2 {
            return false;
        }
        let at = rng.random_range(0..changes.len());
        match self {
            Self::Drop => drop(changes.remove(at)),
            Self::Double => changes.insert(at, changes[at].clone()),
            Self::Swap => {
                let other = (at + 1) % changes.len();
                changes.swap(at, other);
            }
            Self::Alter => match &mut changes[at].kind {
                Some(Kind::ItemAdded(added)) => {
                    let hash = &mut added.content.as_mut().unwrap().hashes[0];
                    let bit = rng.random_range(0..hash.value.len() * 8);
                    hash.value[bit / 8] ^= 1 << (bit % 8);
                }
                Some(Kind::ItemRemoved(removed)) => removed.item_id = removed.item_id.saturating_sub(1),
                _ => return false,
            },
        }
        true
    }
}

/// The orders for the proxy in one trial.
#[derive(Debug, Default)]
struct Trial {
    /// The mutation, and whether to correct the checksum; taken when it is applied.
    mutation: Option<(Mutation, bool)>,
    rng: Option<SmallRng>,
}

#[derive(Debug, Clone)]
struct Proxy {
    bank: FeedServiceClient<tonic::transport::Channel>,
    trial: Arc<Mutex<Trial>>,
    /// Number of streams that were mutated, and how many of these the matcher has dropped.
    mutated: Arc<watch::Sender<u64>>,
    given_up: Arc<watch::Sender<u64>>,
}

/// Counts a stream as dropped by the matcher when this value is dropped.
struct GivenUp(Arc<watch::Sender<u64>>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count += 1);
    }
}

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl FeedService for Proxy {
    type WatchStream = Messages<pb::WatchResponse>;
    type LoadStream = Messages<pb::LoadResponse>;
    type ReadDirectoryStream = Messages<pb::ReadDirectoryResponse>;

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let messages = self.bank.clone().watch(request.into_inner()).await?.into_inner();
        let proxy = self.clone();
        // The guard is `Some` once the stream is mutated; it is dropped with the stream.
        let state = (messages, proxy, None::<GivenUp>, false);
        let passed = futures::stream::unfold(state, |(mut messages, proxy, mut mutated, ended)| async move {
            if ended {
                // The proof has passed, so now only the matcher can end the stream.
                futures::future::pending::<()>().await;
            }
            let mut message = messages.next().await?;
            if let Ok(message) = &mut message
                && mutated.is_none()
                && proxy.mutate(message)
            {
                mutated = Some(GivenUp(Arc::clone(&proxy.given_up)));
                proxy.mutated.send_modify(|count| *count += 1);
            }
            let proof = message.as_ref().is_ok_and(|message| message.digest.is_some());
            let ended = mutated.is_some() && proof;
            Some((message, (messages, proxy, mutated, ended)))
        });
        Ok(Response::new(passed.boxed()))
    }

    async fn load(&self, request: Request<pb::LoadRequest>) -> Result<Response<Self::LoadStream>, Status> {
        Ok(Response::new(self.bank.clone().load(request.into_inner()).await?.into_inner().boxed()))
    }

    async fn read_directory(
        &self,
        request: Request<pb::ReadDirectoryRequest>,
    ) -> Result<Response<Self::ReadDirectoryStream>, Status> {
        Ok(Response::new(self.bank.clone().read_directory(request.into_inner()).await?.into_inner().boxed()))
    }
}

impl Proxy {
    fn mutate(&self, message: &mut pb::WatchResponse) -> bool {
        let mut trial = self.trial.lock().unwrap();
        let Trial { mutation: Some((mutation, hidden)), rng: Some(rng) } = &mut *trial else { return false };
        if !mutation.apply(&mut message.changes, rng) {
            return false;
        }
        if *hidden {
            message.changes_checksum = changes_checksum(&message.changes);
        }
        trial.mutation = None;
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_change_dropped_doubled_swapped_or_altered_is_found_by_the_next_proof() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seed = number("VIGIE_SEED").unwrap_or_else(|| rand::rng().random());
    println!("VIGIE_SEED={seed}");
    let mut rng = generator(seed);
    let edit = |config: &mut vigie::local_cluster::LocalClusterConfig| {
        config.shard_count = 1;
        config.bank.heartbeat_ms = HEARTBEAT_MS;
    };
    let cluster = Cluster::start_with(edit).await.unwrap();
    let name = cluster.create_bank("known").await.unwrap();

    let bank = FeedServiceClient::connect(cluster.bank_url()).await.unwrap();
    let proxy = Proxy {
        bank,
        trial: Arc::default(),
        mutated: Arc::new(watch::Sender::new(0)),
        given_up: Arc::new(watch::Sender::new(0)),
    };
    let (listener, shutdown) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Shutdown::new());
    let proxy_url = format!("http://{}", listener.local_addr().unwrap());
    let server = tonic::transport::Server::builder()
        .add_service(FeedServiceServer::new(proxy.clone()))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), shutdown.clone().cancelled_owned());
    tokio::spawn(server);
    // The proxy is silent after the proof. A long limit on silence ensures that the mutation is not detected
    // by that.
    let config = vigie_matcher::Config {
        bank: proxy_url,
        feed_silence_ms_max: 120_000,
        ..vigie_matcher::Config::default()
    };
    let mut running = Role::start(config).await.unwrap();
    let matcher = MatcherClient::new(&running.url()).unwrap();

    let truth = MatcherClient::new_on(&cluster.matcher_url(0), cluster.network()).unwrap();
    let mut living = Vec::new();
    for trial in 0..number("VIGIE_TRIALS").unwrap_or(TRIALS) {
        agree(&matcher, &truth).await;
        let (mutation, hidden) = (Mutation::ALL[(trial % 4) as usize], trial / 4 % 2 == 1);
        let before = *proxy.given_up.borrow();
        *proxy.trial.lock().unwrap() =
            Trial { mutation: Some((mutation, hidden)), rng: Some(generator(rng.random())) };
        if living.len() > 12 && rng.random_bool(0.3) {
            let items: Vec<_> = living.drain(..6).collect();
            let key = vigie_clients::IdempotencyKey::random();
            cluster.bank.remove_items(&items, key, soon()).await.unwrap();
        } else {
            let items = (0..6).map(|_| item([Hash::pdq(random_pdq(&mut rng))]).unwrap()).collect();
            living.extend(cluster.add(&name, items).await.unwrap().0);
        }
        let mut mutated = proxy.mutated.subscribe();
        let wait = mutated.wait_for(|count| *count > trial);
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the proxy mutates").unwrap();
        let mut given_up = proxy.given_up.subscribe();
        let wait = given_up.wait_for(|count| *count > before);
        let found = tokio::time::timeout(Duration::from_secs(10), wait).await;
        found
            .unwrap_or_else(|_| panic!("trial {trial}: {mutation:?} was not found, hidden: {hidden}"))
            .unwrap();
    }
    agree(&matcher, &truth).await;
    running.stop().await.unwrap();
    shutdown.cancel();
    cluster.stop().await.unwrap();
}

/// Waits until the matcher is ready and has the same state as the other one.
async fn agree(matcher: &MatcherClient, truth: &MatcherClient) {
    let deadline = Deadline::now() + Duration::from_secs(30);
    loop {
        let soon = Deadline::now() + Duration::from_secs(5);
        let (own, other) = tokio::join!(matcher.describe(soon), truth.describe(soon));
        if let (Ok(own), Ok(other)) = (&own, &other)
            && own.unready_reason.is_none()
            && (own.sequence, own.digest) == (other.sequence, other.digest)
        {
            assert_eq!(own.shards, ShardGroup::new(0, 1, 1).unwrap());
            return;
        }
        assert!(Deadline::now() < deadline, "{own:?} does not come to {other:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
