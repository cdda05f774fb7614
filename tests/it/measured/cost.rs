//! The overhead of the cluster over the bare index, and over bare gRPC.
//!
//! The same lookups of PDQ hashes, one call each, as a stream, and 64 in a call: straight on the index crate,
//! through a frontend, a coordinator and 4 matchers, through a frontend with the coordinator inside, and
//! through a bare tonic server that reads the same requests and answers each with a constant of the same
//! shape. All run in one process, in alternation, so that their ratios are from one run.
//!
//! ```text
//! VIGIE_ITEMS=100000 cargo test --release --package vigie-tests --test it -- cost --ignored --nocapture
//! ```
//!
//! To profile one of them, set `VIGIE_WAYS=batch VIGIE_SERVERS=cluster`.
//!
//! A second measurement is the overhead of traces: a cluster that sends one in a hundred and all slow ones to
//! a collector, against one that sends none, in alternation.
//!
//! ```text
//! cargo test --release --package vigie-tests --test it -- cost::traces --ignored --nocapture
//! ```
//!
//! `VIGIE_TRACE_RATIO` sets another share than 0.01; `none` turns traces off on both sides.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, Streaming};
use vigie_access::ProcessesConfig;
use vigie_clients::{Code, MatchClient};
use vigie_frontend::CoordinatorAt;
use vigie_harness::in_process::{Calls, Cluster, Role, as_of, soon};
use vigie_index::{BankFilter, Cancellation, Edit, Entry, RadiusIndex};
use vigie_model::{BankId, Content, Distance, Hash, ItemId, MatchCall, PdqHash, SearchOptions};
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::matching::v1::match_service_server::{MatchService, MatchServiceServer};
use vigie_telemetry::TelemetryConfig;
use vigie_tests::collector::Collector;
use vigie_tests::material::{generator, item, pdq, random_pdq};

const ROUNDS: usize = 3;
const EACH: Duration = Duration::from_secs(3);
/// Number of pairs of runs without and with traces, and the length of a run: many short ones, because the
/// machine's own speed changes.
const PAIRS: usize = 25;
const TURN: Duration = Duration::from_secs(1);
const CALLERS: usize = 64;
const BATCH: usize = 64;
const BATCH_CALLERS: usize = 8;
/// Number of streams, and of requests under way on each.
const STREAMS: (usize, usize) = (4, 32);
const WAYS: [&str; 3] = ["single", "stream", "batch"];
const SERVERS: [&str; 4] = ["echo", "embedded", "cluster", "up"];

/// Returns the names listed in an environment variable, or all.
fn chosen(variable: &str, all: &[&'static str]) -> Vec<&'static str> {
    let named = std::env::var(variable).unwrap_or_default();
    all.iter().copied().filter(|one| named.is_empty() || named.split(',').any(|name| name == *one)).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn lookups_through_the_cluster_against_the_bare_index_and_bare_grpc() {
    let items = std::env::var("VIGIE_ITEMS").map_or(100_000, |items| items.parse().unwrap());
    let mut rng = generator(17);
    let banked: Vec<PdqHash> = (0..items).map(|_| random_pdq(&mut rng)).collect();
    let index = bare_index(&banked);

    let cluster = Cluster::start().await.unwrap();
    let bank = cluster.create_bank("known").await.unwrap();
    let contents = banked.iter().map(|hash| item([Hash::pdq(*hash)]).unwrap()).collect();
    let (_, sequence) = cluster.add(&bank, contents).await.unwrap();
    cluster.ask(vec![pdq(banked[0])], as_of(sequence)).await.unwrap();
    let matchers = (0..4).map(|shard| cluster.matcher_url(shard)).collect();
    let embedded = embedded(matchers, cluster.processes()).await;
    cluster.ask(vec![pdq(banked[0])], as_of(sequence)).await.unwrap();
    let echo = echo().await;
    // The configuration of `vigie up`.
    let up = Cluster::start_with(|config| {
        (config.shard_count, config.calls) = (1, Calls::AsFunctions);
    });
    let up = up.await.unwrap();
    let bank = up.create_bank("known").await.unwrap();
    let contents = banked.iter().map(|hash| item([Hash::pdq(*hash)]).unwrap()).collect();
    let (_, sequence) = up.add(&bank, contents).await.unwrap();
    up.ask(vec![pdq(banked[0])], as_of(sequence)).await.unwrap();

    // One query in ten is known.
    let queries: Arc<[PdqHash]> = (0..10_000)
        .map(|number| if number % 10 == 0 { banked[number % banked.len()] } else { random_pdq(&mut rng) })
        .collect();
    let servers = [
        ("cluster", cluster.frontend_url()),
        ("embedded", embedded.url()),
        ("echo", echo),
        ("up", up.frontend_url()),
    ];
    let (ways, names) = (chosen("VIGIE_WAYS", &WAYS), chosen("VIGIE_SERVERS", &SERVERS));
    let mut figures: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for &way in &ways {
            let batch = if way == "batch" { BATCH } else { 1 };
            figures.entry((way, "index")).or_default().push(on_the_index(&index, &queries, batch));
            for (name, url) in servers.iter().filter(|(name, _)| names.contains(name)) {
                let client = MatchClient::new(url).unwrap();
                let rate = match way {
                    "single" => by_calls(&client, &queries, 1, CALLERS, EACH).await,
                    "stream" => by_streams(&client, &queries, EACH).await,
                    _ => by_calls(&client, &queries, BATCH, BATCH_CALLERS, EACH).await,
                };
                figures.entry((way, name)).or_default().push(rate);
            }
        }
    }
    println!(
        "lookups a second, median of {ROUNDS} rounds; {items} hashes; share of the bare index, of bare gRPC"
    );
    for way in ways {
        let median = |name: &str| {
            let mut rates = figures.get(&(way, name)).cloned().unwrap_or_default();
            rates.sort_unstable_by(f64::total_cmp);
            rates.get(ROUNDS / 2).copied().unwrap_or(f64::NAN)
        };
        for name in ["index"].into_iter().chain(names.iter().copied()) {
            let (rate, of_index, of_echo) =
                (median(name), median(name) / median("index"), median(name) / median("echo"));
            println!("{way:>7} {name:>9} {rate:>10.0}  {of_index:>6.3}  {of_echo:>6.3}");
        }
    }
    cluster.stop().await.unwrap();
    up.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn traces_of_one_in_a_hundred_against_none() {
    let collector = Collector::start().unwrap();
    let ratio = std::env::var("VIGIE_TRACE_RATIO").unwrap_or_else(|_| "0.01".to_owned());
    let telemetry = match ratio.parse() {
        Ok(trace_ratio) => {
            TelemetryConfig { otlp_endpoint: collector.url(), trace_ratio, ..TelemetryConfig::default() }
        }
        // The same configuration on both sides shows the noise of the machine.
        Err(_) => TelemetryConfig::default(),
    };
    let without = Cluster::start().await.unwrap();
    let with = Cluster::start_with(|config| config.telemetry = telemetry).await.unwrap();
    let mut rng = generator(19);
    let banked: Vec<PdqHash> = (0..10_000).map(|_| random_pdq(&mut rng)).collect();
    for cluster in [&without, &with] {
        let bank = cluster.create_bank("known").await.unwrap();
        let contents = banked.iter().map(|hash| item([Hash::pdq(*hash)]).unwrap()).collect();
        let (_, sequence) = cluster.add(&bank, contents).await.unwrap();
        cluster.ask(vec![pdq(banked[0])], as_of(sequence)).await.unwrap();
    }
    let queries: Arc<[PdqHash]> = (0..10_000).map(|_| random_pdq(&mut rng)).collect();
    println!(
        "lookups a second without and with traces, and the share that is left: medians and quartiles of {PAIRS} pairs"
    );
    for way in chosen("VIGIE_WAYS", &WAYS) {
        let rate = async |cluster: &Cluster| match way {
            "single" => by_calls(&cluster.matching, &queries, 1, CALLERS, TURN).await,
            "stream" => by_streams(&cluster.matching, &queries, TURN).await,
            _ => by_calls(&cluster.matching, &queries, BATCH, BATCH_CALLERS, TURN).await,
        };
        let (mut plain, mut traced, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            // The order alternates.
            let (first, second) = if pair % 2 == 0 { (&without, &with) } else { (&with, &without) };
            let (one, other) = (rate(first).await, rate(second).await);
            let (before, after) = if pair % 2 == 0 { (one, other) } else { (other, one) };
            plain.push(before);
            traced.push(after);
            shares.push(after / before);
        }
        for figures in [&mut plain, &mut traced, &mut shares] {
            figures.sort_unstable_by(f64::total_cmp);
        }
        let (low, median, high) = (shares[PAIRS / 4], shares[PAIRS / 2], shares[PAIRS * 3 / 4]);
        let (plain, traced) = (plain[PAIRS / 2], traced[PAIRS / 2]);
        println!("{way:>7} {plain:>9.0} {traced:>9.0}  {median:.3}  ({low:.3} to {high:.3})");
    }
    with.stop().await.unwrap();
    without.stop().await.unwrap();
    let spans = collector.spans();
    let traces: std::collections::BTreeSet<_> = spans.iter().map(|span| &span.trace).collect();
    println!("{} spans of {} traces came", spans.len(), traces.len());
    assert!(ratio != "0.01" || spans.len() > 1_000, "hardly anything was traced");
}

/// Returns an index of all hashes, merged into one segment.
fn bare_index(banked: &[PdqHash]) -> Arc<RadiusIndex<32>> {
    let index = RadiusIndex::new();
    let edit =
        |(item, hash): (u64, &PdqHash)| Edit::Insert(*hash, Entry { item: ItemId(item), bank: BankId(1) });
    let edits: Vec<_> = (1..).zip(banked).map(edit).collect();
    index.apply(&edits);
    index.merge().unwrap();
    Arc::new(index)
}

/// Measures the bare index on as many threads as the machine has cores; returns queries per second.
fn on_the_index(index: &Arc<RadiusIndex<32>>, queries: &Arc<[PdqHash]>, batch: usize) -> f64 {
    let (done, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let running: Vec<_> = (0..threads)
        .map(|thread| {
            let (index, queries, done) = (Arc::clone(index), Arc::clone(queries), Arc::clone(&done));
            std::thread::spawn(move || {
                let (all, never) = (BankFilter::all(), Cancellation::never());
                for part in queries.chunks_exact(batch).cycle().skip(thread * 17) {
                    if begun.elapsed() > EACH {
                        break;
                    }
                    index.search(part, Distance(31), &all, &never).unwrap();
                    done.fetch_add(batch as u64, Ordering::Relaxed);
                }
            })
        })
        .collect();
    running.into_iter().for_each(|thread| thread.join().unwrap());
    done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}

fn call(queries: &[PdqHash]) -> MatchCall {
    let contents: Vec<Content> = queries.iter().map(|hash| pdq(*hash)).collect();
    MatchCall {
        contents,
        options: SearchOptions::default(),
        quality_floor: None,
        surface: Box::default(),
        classifiers: Vec::new(),
    }
}

async fn by_calls(
    client: &MatchClient,
    queries: &Arc<[PdqHash]>,
    batch: usize,
    callers: usize,
    lasts: Duration,
) -> f64 {
    let (done, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let running: Vec<_> = (0..callers)
        .map(|caller| {
            let (client, queries, done) = (client.clone(), Arc::clone(queries), Arc::clone(&done));
            tokio::spawn(async move {
                for part in queries.chunks_exact(batch).cycle().skip(caller * 17) {
                    if begun.elapsed() > lasts {
                        break;
                    }
                    match client.match_content(call(part), soon()).await {
                        Ok(answer) => {
                            assert_eq!(answer.results.len(), batch);
                            done.fetch_add(batch as u64, Ordering::Relaxed);
                        }
                        // There are more callers than the server accepts: this one waits and retries, and is
                        // not counted.
                        Err(error) if error.code() == Code::ResourceExhausted => {
                            tokio::time::sleep(error.retry_after().unwrap_or_default()).await;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    for caller in running {
        caller.await.unwrap();
    }
    done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}

async fn by_streams(client: &MatchClient, queries: &Arc<[PdqHash]>, lasts: Duration) -> f64 {
    let (done, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let running: Vec<_> = (0..STREAMS.0)
        .map(|number| {
            let (client, queries, done) = (client.clone(), Arc::clone(queries), Arc::clone(&done));
            tokio::spawn(async move {
                let (stop, permits) =
                    (Arc::new(AtomicBool::new(false)), Arc::new(tokio::sync::Semaphore::new(STREAMS.1)));
                let (sending, mut answers) = loop {
                    let (sender, receiver) = tokio::sync::mpsc::channel(STREAMS.1);
                    let calls = tokio_stream::wrappers::ReceiverStream::new(receiver);
                    match client.match_stream(calls).await {
                        Ok(answers) => {
                            let (stop, permits) = (Arc::clone(&stop), Arc::clone(&permits));
                            let queries = Arc::clone(&queries);
                            let sending = async move {
                                for (id, hash) in (0..).zip(queries.iter().cycle().skip(number * 17)) {
                                    permits.acquire().await.unwrap().forget();
                                    let call = call(std::slice::from_ref(hash));
                                    if stop.load(Ordering::Relaxed) || sender.send((id, call)).await.is_err()
                                    {
                                        break;
                                    }
                                }
                            };
                            break (tokio::spawn(sending), answers);
                        }
                        Err(error) if error.code() == Code::ResourceExhausted => {
                            tokio::time::sleep(error.retry_after().unwrap_or_default()).await;
                        }
                        Err(error) => panic!("{error}"),
                    }
                };
                while let Some(answer) = answers.next().await {
                    if answer.unwrap().1.is_ok() {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    permits.add_permits(1);
                    if begun.elapsed() > lasts {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
                sending.await.unwrap();
            })
        })
        .collect();
    for stream in running {
        stream.await.unwrap();
    }
    done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}

/// Starts a frontend with an embedded coordinator.
async fn embedded(matchers: Vec<String>, processes: &ProcessesConfig) -> Role {
    let config = vigie_frontend::Config {
        coordinator: CoordinatorAt::Embedded,
        embedded: vigie_coordinator::Config { matchers, ..vigie_coordinator::Config::default() },
        processes: processes.clone(),
        ..vigie_frontend::Config::default()
    };
    Role::start(config).await.unwrap()
}

/// A server that only does gRPC.
struct Echo;

fn constant(request: &pb::MatchRequest) -> pb::MatchResponse {
    let matched = pb::Matched {
        searches: vec![pb::HashTypeSearch { hash_type: 1, max_distance: 31, exact: true, skip_reason: 0 }],
        quality_floor: 50,
        ..pb::Matched::default()
    };
    let result = pb::MatchResult { outcome: Some(pb::match_result::Outcome::Matched(matched)) };
    pb::MatchResponse {
        results: vec![result; request.queries.len()],
        coverage: Some(vigie_proto::pb::model::v1::Coverage::default()),
        sequence: 1,
        ..pb::MatchResponse::default()
    }
}

#[tonic::async_trait]
impl MatchService for Echo {
    async fn r#match(
        &self,
        request: Request<pb::MatchRequest>,
    ) -> Result<Response<pb::MatchResponse>, Status> {
        Ok(Response::new(constant(request.get_ref())))
    }

    type MatchStreamStream = Pin<Box<dyn Stream<Item = Result<pb::MatchStreamResponse, Status>> + Send>>;

    async fn match_stream(
        &self,
        request: Request<Streaming<pb::MatchStreamRequest>>,
    ) -> Result<Response<Self::MatchStreamStream>, Status> {
        let answers = request.into_inner().map(|incoming| {
            let pb::MatchStreamRequest { request_id, request } = incoming?;
            let answer = constant(&request.unwrap_or_default());
            let outcome = Some(pb::match_stream_response::Outcome::Response(answer));
            Ok(pb::MatchStreamResponse { request_id, outcome })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn hash(&self, _: Request<pb::HashRequest>) -> Result<Response<pb::HashResponse>, Status> {
        Err(Status::unimplemented("it only echoes"))
    }

    async fn match_video(
        &self,
        _: Request<Streaming<pb::MatchVideoRequest>>,
    ) -> Result<Response<pb::MatchVideoResponse>, Status> {
        Err(Status::unimplemented("it only echoes"))
    }

    async fn describe_decoding(
        &self,
        _: Request<pb::DescribeDecodingRequest>,
    ) -> Result<Response<pb::DescribeDecodingResponse>, Status> {
        Err(Status::unimplemented("it only echoes"))
    }

    async fn hash_video(
        &self,
        _: Request<Streaming<pb::HashVideoRequest>>,
    ) -> Result<Response<pb::HashVideoResponse>, Status> {
        Err(Status::unimplemented("it only echoes"))
    }
}

async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
        let served = tonic::transport::Server::builder()
            .add_service(MatchServiceServer::new(Echo))
            .serve_with_incoming(incoming);
        served.await.unwrap();
    });
    url
}
