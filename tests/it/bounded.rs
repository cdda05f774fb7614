//! Two clients of one cluster: one does its worst, and the other does not notice. And what the roles take of memory meanwhile.
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

/// Those of whom no certificate is known are told apart by their addresses.
const QUIET: [u8; 4] = [127, 0, 0, 2];
const GREEDY: [u8; 4] = [127, 0, 0, 3];

/// The 99th percentile of fewer calls says nothing.
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

/// A cluster of processes with one bank, and what its quiet client looks for.
struct Ground {
    cluster: Cluster,
    known: Arc<[PdqHash]>,
    bank: BankName,
}

impl Ground {
    /// Two shards, and some items that the quiet client asks for.
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

    /// Waits until a search finds so many items.
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

    /// One that asks for known items, one after the other, until it is stopped. It has a thread of its own: what the greedy client
    /// does with its answers is no work of the cluster, and does not delay it.
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

    /// The most memory that each process has had, against the limit of its role in the chart.
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

/// An amount as Kubernetes writes it.
fn bytes(amount: &Yaml) -> u64 {
    let amount = amount.as_str().unwrap();
    let (number, unit) = amount.split_at(amount.len() - 2);
    number.parse::<u64>().unwrap() << if unit == "Gi" { 30 } else { 20 }
}

/// The quiet client at work.
struct Quiet {
    stop: Arc<AtomicBool>,
    /// Answered so far.
    calls: Arc<AtomicUsize>,
    asking: std::thread::JoinHandle<Vec<Duration>>,
}

impl Quiet {
    /// The latency that 99 of 100 of its calls had at most, after `lasts`, and longer on a machine that has much else to do.
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

/// What the quiet client is held against.
#[derive(Debug, Clone, Copy)]
struct Measure {
    /// Its p99 alone, in the same run.
    alone: Duration,
    /// Times below this are taken for it: those of the machine, not of the cluster.
    noise: Duration,
    /// A busy machine makes every call beside others wait, however fair the cluster is. In a short run a quarter of what the greedy
    /// client's answers take is accepted too: a call that waits behind those takes as long as they.
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

/// A runtime whose threads get what the cluster and the quiet client leave of the processors: a greedy client reads its answers on a
/// machine of its own.
fn elsewhere() -> tokio::runtime::Runtime {
    const LAST: i32 = 19;
    let give_way = || {
        // On Linux this is of the thread, and not of the process.
        #[cfg(target_os = "linux")]
        rustix::process::setpriority_process(None, LAST).expect("a thread may give way to others");
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).on_thread_start(give_way).enable_all().build().unwrap()
}

/// The greedy client at work: calls of this many tasks, one after the other, until it is stopped.
struct Greedy {
    stop: Arc<AtomicBool>,
    asking: Vec<tokio::task::JoinHandle<Vec<Duration>>>,
    runtime: tokio::runtime::Runtime,
}

impl Greedy {
    /// `check` is given each answer; whatever else comes only says to wait.
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

    /// How long its answers took in the middle.
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

/// Whether the greedy client was only told to wait.
fn is_held_back(code: Code) -> bool {
    matches!(code, Code::ResourceExhausted | Code::DeadlineExceeded | Code::Unavailable | Code::Cancelled)
}
