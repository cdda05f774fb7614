//! Two clients of one cluster: one sends as much load as it can, and the other must not be slowed down. The
//! memory of the roles is checked meanwhile.
#![allow(clippy::print_stdout, reason = "measurements are printed")]

mod answers;
mod cost;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use vigie_clients::{BankClient, IdempotencyKey};
use vigie_harness::binary::vigie_binary;
use vigie_harness::cluster::{Builder, Cluster};
use vigie_harness::in_process::soon;
use vigie_model::{BankName, Hash, ItemContent, ItemDraft, PdqHash, Sequence};
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::matching::v1::match_query::Content;
use vigie_proto::pb::matching::v1::match_service_client::MatchServiceClient;
use vigie_proto::pb::model::v1 as model;
use vigie_tests::material::{generator, random_pdq};
use yaml_rust2::{Yaml, YamlLoader};

use crate::repository::source::root;

/// Clients without a certificate are distinguished by their addresses.
const QUIET: [u8; 4] = [127, 0, 0, 2];
const GREEDY: [u8; 4] = [127, 0, 0, 3];

/// The least number of calls from which a 99th percentile is computed.
const CALLS_MIN: usize = 20;

type Client = MatchServiceClient<Channel>;

async fn client(url: &str, address: [u8; 4]) -> Client {
    let endpoint = Endpoint::from_shared(url.to_owned()).unwrap().local_address(Some(IpAddr::from(address)));
    MatchServiceClient::new(endpoint.connect().await.unwrap())
}

fn query(hashes: impl IntoIterator<Item = PdqHash>) -> pb::MatchQuery {
    let hash = |hash: PdqHash| model::QueryHash {
        hash: Some(model::Hash { hash_type: model::HashType::Pdq.into(), value: hash.to_vec() }),
        variant: 0,
    };
    let hashed = pb::HashedContent { hashes: hashes.into_iter().map(hash).collect(), pdq_quality: None };
    pb::MatchQuery { content: Some(Content::Hashed(hashed)) }
}

fn request(queries: Vec<pb::MatchQuery>, within: u32, limit: i32) -> pb::MatchRequest {
    let distance = model::MaxDistance { hash_type: model::HashType::Pdq.into(), distance: within };
    let options = model::SearchOptions { max_distance: vec![distance], limit, ..Default::default() };
    pb::MatchRequest { queries, options: Some(options), ..pb::MatchRequest::default() }
}

/// A cluster of processes with one bank, and the hashes that its quiet client searches.
struct Ground {
    cluster: Cluster,
    known: Arc<[PdqHash]>,
    bank: BankName,
}

impl Ground {
    /// Starts two shards with some items that the quiet client searches.
    async fn start(edit: impl FnOnce(Builder) -> Builder) -> Self {
        let mut cluster = edit(Cluster::of(vigie_binary()).shards(2)).start().unwrap();
        cluster.wait_ready(Sequence::ZERO, Duration::from_secs(60)).await.unwrap();
        let bank: BankName = "known".parse().unwrap();
        let client = cluster.bank_client().unwrap();
        client.create_bank(&bank, IdempotencyKey::random(), soon()).await.unwrap();
        let mut rng = generator(41);
        let known: Arc<[PdqHash]> = (0..500).map(|_| random_pdq(&mut rng)).collect();
        let ground = Self { cluster, known, bank };
        ground.add(&client, ground.known.iter().map(|hash| plain_item(*hash)).collect()).await;
        ground
    }

    async fn add(&self, client: &BankClient, items: Vec<ItemContent>) {
        for batch in items.chunks(200) {
            client.add_items(&self.bank, batch.to_vec(), IdempotencyKey::random(), soon()).await.unwrap();
        }
    }

    fn url(&self) -> &str {
        &self.cluster.frontend_urls()[0]
    }

    /// Waits until a search finds this number of items.
    async fn wait_for(&self, asked: pb::MatchRequest, items: usize) {
        let mut client = client(self.url(), QUIET).await;
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = client.r#match(asked.clone()).await.unwrap().into_inner();
            let found = matched(&answer).next().unwrap();
            if found.matches.len() + usize::try_from(found.matches_left_out).unwrap() >= items {
                return;
            }
            assert!(Instant::now() < until, "{} of {items} items are searched", found.matches.len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts the quiet client, which searches known items one after the other until it is stopped. It has a
    /// thread of its own, so that the greedy client's handling of answers, which is not the cluster's work,
    /// does not delay it.
    fn quiet(&self) -> Quiet {
        let (url, known) = (self.url().to_owned(), Arc::clone(&self.known));
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&calls));
        let asking = async move {
            let (mut client, mut times) = (client(&url, QUIET).await, Vec::new());
            for hash in known.iter().cycle() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let begun = Instant::now();
                let answer = client.r#match(request(vec![query([*hash])], 31, 0)).await;
                let answer = answer.expect("the quiet client is never refused").into_inner();
                times.push(begun.elapsed());
                counted.fetch_add(1, Ordering::Relaxed);
                assert_eq!(matched(&answer).next().unwrap().matches[0].distance, 0);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            times
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let asking = std::thread::spawn(move || runtime.block_on(asking));
        Quiet { stop, calls, asking }
    }

    /// Compares the peak memory of each process with the limit of its role in the chart.
    fn check_memory(&self) {
        let values = std::fs::read_to_string(root().join("helm/vigie/values.yaml")).unwrap();
        let values = YamlLoader::load_from_str(&values).unwrap();
        for process in self.cluster.processes() {
            let role = process.name().split('-').next().unwrap();
            let limit = bytes(&values[0][role]["resources"]["limits"]["memory"]);
            let status = format!("/proc/{}/status", process.id().unwrap());
            let status = std::fs::read_to_string(status).unwrap();
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
            let peak = peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10;
            println!("{}: {} of {} MiB at most", process.name(), peak >> 20, limit >> 20);
            assert!(peak < limit, "{} has taken {} MiB", process.name(), peak >> 20);
        }
    }
}

/// Parses an amount in Kubernetes notation, in bytes.
fn bytes(amount: &Yaml) -> u64 {
    let amount = amount.as_str().unwrap();
    let (number, unit) = amount.split_at(amount.len() - 2);
    number.parse::<u64>().unwrap() << if unit == "Gi" { 30 } else { 20 }
}

/// The running quiet client.
struct Quiet {
    stop: Arc<AtomicBool>,
    /// Number of answered calls so far.
    calls: Arc<AtomicUsize>,
    asking: std::thread::JoinHandle<Vec<Duration>>,
}

impl Quiet {
    /// Returns the 99th percentile of its latencies, after at least `lasts` and [`CALLS_MIN`] calls; a busy
    /// machine takes longer.
    async fn p99(self, lasts: Duration) -> Duration {
        tokio::time::sleep(lasts).await;
        let until = Instant::now() + Duration::from_secs(120);
        while self.calls.load(Ordering::Relaxed) < CALLS_MIN && !self.asking.is_finished() {
            assert!(Instant::now() < until, "the quiet client has few answers");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.stop.store(true, Ordering::Relaxed);
        let times = tokio::task::spawn_blocking(|| self.asking.join()).await.unwrap();
        let mut times = times.expect("the quiet client is answered");
        times.sort_unstable();
        println!("quiet client: {} calls, {:.1?} in the middle", times.len(), times[times.len() / 2]);
        times[(times.len() - 1) * 99 / 100]
    }
}

/// The bounds for the latency of the quiet client.
#[derive(Debug, Clone, Copy)]
struct Measure {
    /// Its 99th percentile in the same run, without the greedy client.
    alone: Duration,
    /// The lower bound of `alone`: shorter times measure the machine, not the cluster.
    noise: Duration,
    /// The median time of the greedy client's answers; set in short runs only. On a busy machine every call
    /// waits for others, however fair the cluster is. A quarter of this time is therefore accepted too: a
    /// call that queues behind the greedy client's calls takes as long as they do.
    of_greedy: Option<Duration>,
}

impl Measure {
    fn check(self, beside: Duration) {
        println!("quiet client, p99: {beside:.1?} beside the greedy one; {self:.1?}");
        let as_alone = beside <= 2 * self.alone.max(self.noise);
        let never_behind = self.of_greedy.is_some_and(|of_greedy| 4 * beside <= of_greedy);
        assert!(as_alone || never_behind, "p99 {beside:?} beside the greedy client; {self:?}");
    }
}

/// Returns a runtime whose threads have the lowest priority, below the cluster and the quiet client. So the
/// greedy client reads its answers as if it were on another machine.
fn elsewhere() -> tokio::runtime::Runtime {
    const LAST: i32 = 19;
    let give_way = || {
        // On Linux this sets the priority of the thread, not of the process.
        #[cfg(target_os = "linux")]
        rustix::process::setpriority_process(None, LAST).expect("a thread may give way to others");
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).on_thread_start(give_way).enable_all().build().unwrap()
}

/// The running greedy client: each task sends one call after the other until it is stopped.
struct Greedy {
    stop: Arc<AtomicBool>,
    asking: Vec<tokio::task::JoinHandle<Vec<Duration>>>,
    runtime: tokio::runtime::Runtime,
}

impl Greedy {
    /// Starts the greedy client. `check` gets each answer; every failure has to be a request to wait.
    fn start(url: &str, at_once: usize, asked: &pb::MatchRequest, check: fn(&pb::MatchResponse)) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let runtime = elsewhere();
        let task = |_| {
            let (url, asked, stopped) = (url.to_owned(), asked.clone(), Arc::clone(&stop));
            runtime.spawn(async move {
                let (mut client, mut times) = (client(&url, GREEDY).await, Vec::new());
                while !stopped.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let mut asking = tonic::Request::new(asked.clone());
                    asking.set_timeout(Duration::from_secs(50));
                    match client.r#match(asking).await {
                        Ok(answer) => {
                            times.push(begun.elapsed());
                            check(answer.get_ref());
                        }
                        Err(status) => assert!(is_held_back(status.code()), "{status:?}"),
                    }
                }
                times
            })
        };
        let asking = (0..at_once).map(task).collect();
        Self { stop, asking, runtime }
    }

    /// Stops it, and returns the median time of its answers.
    async fn end(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        let mut times = Vec::new();
        for one in self.asking {
            times.extend(one.await.unwrap());
        }
        times.sort_unstable();
        assert!(!times.is_empty(), "it is answered too");
        self.runtime.shutdown_background();
        println!("greedy client: {} answers, {:.1?} in the middle", times.len(), times[times.len() / 2]);
        times[times.len() / 2]
    }
}

fn plain_item(hash: PdqHash) -> ItemContent {
    ItemDraft { hashes: vec![Hash::pdq(hash)], ..ItemDraft::default() }.try_into().unwrap()
}

fn matched(answer: &pb::MatchResponse) -> impl Iterator<Item = &pb::Matched> {
    answer.results.iter().map(|result| match &result.outcome {
        Some(pb::match_result::Outcome::Matched(matched)) => matched,
        Some(pb::match_result::Outcome::Failure(_)) | None => panic!("a query has no answer"),
    })
}

/// Returns whether a failure only asks the greedy client to wait.
fn is_held_back(code: Code) -> bool {
    matches!(code, Code::ResourceExhausted | Code::DeadlineExceeded | Code::Unavailable | Code::Cancelled)
}
