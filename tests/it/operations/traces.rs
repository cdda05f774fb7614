//! What a collector gets to see of calls: whole trees, with hedges and shared calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use vigie_clients::{CoordinatorClient, MatchClient, Network};
use vigie_frontend::CoordinatorAt;
use vigie_harness::in_process::{Cluster, Replicas, Role, Slot, soon};
use vigie_model::{Hash, PdqHash, SearchOptions};
use vigie_telemetry::trace::{self, Context, EXPORT_TIMEOUT, Tracer};
use vigie_telemetry::{Registry, Telemetry, TelemetryConfig};
use vigie_tests::collector::{Collector, SeenSpan};
use vigie_tests::material::{generator, item, pdq, random_pdq};

const SHARDS: u32 = 2;
const REPLICAS: u32 = 2;
const REQUESTS: u64 = 100;

const MATCH: &str = "vigie.matching.v1.MatchService/Match";
const COORDINATOR: &str = "vigie.coordinator.v1.CoordinatorService/Search";
const MATCHER: &str = "vigie.matcher.v1.MatcherService/Search";

/// What begins with the caller's own spans, which nobody sends.
const CALLER: &str = "00000000000000ca";

/// A bank, 2 shards of 2 replicas, a coordinator and a frontend, each with traces of its own; one replica has a link that can
/// be made slow.
struct Traced {
    cluster: Cluster,
    collector: Collector,
    matching: MatchClient,
    replicas: Replicas,
    known: PdqHash,
    coordinator: CoordinatorClient,
    /// The coordinator and the frontend.
    _roles: [Role; 2],
}

fn telemetry(collector: &Collector, service: &'static str, trace_slow_ms: u64) -> Telemetry {
    let otlp_endpoint = collector.url();
    let config = TelemetryConfig { otlp_endpoint, trace_ratio: 0.0, trace_slow_ms, listen: None };
    let channel = Network::tcp().channel_to(&collector.url(), EXPORT_TIMEOUT).unwrap();
    let tracer = Tracer::start(&config, service, channel, &mut Registry::default()).unwrap();
    Telemetry::default().with_tracer(tracer)
}

impl Traced {
    /// No trace is chosen but by its caller, and those that take so long are slow.
    async fn start(trace_slow_ms: u64) -> Self {
        let cluster = Box::pin(Cluster::start_with(|config| config.shard_count = 1)).await.unwrap();
        let mut rng = generator(31);
        let bank = cluster.create_bank("known").await.unwrap();
        let hashes: Vec<_> = (0..200).map(|_| random_pdq(&mut rng)).collect();
        let items = hashes.iter().map(|hash| item([Hash::pdq(*hash)]).unwrap()).collect();
        cluster.add(&bank, items).await.unwrap();

        let collector = Collector::start().unwrap();
        let telemetry = |service| telemetry(&collector, service, trace_slow_ms);
        let config = vigie_matcher::Config { bank: cluster.bank_url(), ..vigie_matcher::Config::default() };
        let replicas =
            Replicas::start(SHARDS, REPLICAS, &config, || telemetry("vigie-matcher")).await.unwrap();
        let config = vigie_coordinator::Config {
            matchers: replicas.urls(),
            extra_calls_share: 1.0,
            hedge_after_ms_min: 5,
            hedge_after_ms_first: 5,
            ..vigie_coordinator::Config::default()
        };
        let slot = Slot::take().await.unwrap();
        let coordinating = slot.start(config, telemetry("vigie-coordinator")).unwrap();
        let coordinator = CoordinatorAt::Endpoints(vec![coordinating.url()]);
        let config = vigie_frontend::Config { coordinator, ..vigie_frontend::Config::default() };
        let frontend = Slot::take().await.unwrap().start(config, telemetry("vigie-frontend")).unwrap();
        let coordinator = CoordinatorClient::new(&coordinating.url()).unwrap();
        let matching = MatchClient::new(&frontend.url()).unwrap();
        let (known, roles) = (hashes[0], [coordinating, frontend]);
        let traced = Self { cluster, collector, matching, replicas, known, coordinator, _roles: roles };
        traced.wait_ready(SHARDS * REPLICAS).await;
        traced
    }

    /// Waits until the coordinator knows so many replicas that are ready.
    async fn wait_ready(&self, replicas: u32) {
        let within = soon();
        loop {
            let topology = self.coordinator.describe_topology(soon()).await;
            if topology.is_ok_and(|topology| topology.ready_count() == replicas as usize) {
                return;
            }
            assert!(vigie_clients::Deadline::now() < within, "never {replicas} replicas");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A call as a part of the caller's trace of this number. It is answered in full.
    async fn ask(&self, trace: u64, chosen: bool) {
        let context = caller(trace, chosen);
        let call = vigie_model::MatchCall {
            contents: vec![pdq(self.known)],
            options: SearchOptions::default(),
            quality_floor: None,
            surface: Box::default(),
            classifiers: Vec::new(),
        };
        let answer = trace::scope(Some(context), self.matching.match_content(call, soon())).await.unwrap();
        assert!(answer.coverage.is_full());
        assert_eq!(answer.results[0].as_ref().unwrap().found.matches.len(), 1);
    }

    async fn stop(self) {
        self.cluster.stop().await.unwrap();
    }
}

fn trace_id(number: u64) -> String {
    format!("{number:032x}")
}

fn caller(number: u64, chosen: bool) -> Context {
    let flags = if chosen { "01" } else { "00" };
    let parent = format!("00-{}-{CALLER}-{flags}", trace_id(number)).parse().unwrap();
    let headers = HeaderMap::from_iter([(http::HeaderName::from_static("traceparent"), parent)]);
    Tracer::default().serve(&Arc::from(""), &headers, false).context().cloned().unwrap()
}

/// The spans of a trace, below each other.
struct Tree<'a> {
    under: BTreeMap<&'a str, Vec<&'a SeenSpan>>,
}

impl<'a> Tree<'a> {
    /// Each span has a parent that is there, or is the caller's.
    fn of(spans: &'a [SeenSpan]) -> Self {
        let ids: BTreeSet<_> = spans.iter().map(|span| span.id.as_str()).chain([CALLER]).collect();
        assert_eq!(ids.len(), spans.len() + 1, "an id comes twice");
        let mut under: BTreeMap<&str, Vec<&SeenSpan>> = BTreeMap::new();
        for span in spans {
            assert!(ids.contains(span.parent.as_str()), "{span:?} is under nothing");
            assert!(span.times.0 <= span.times.1, "{span:?}");
            under.entry(&span.parent).or_default().push(span);
        }
        Self { under }
    }

    fn under(&self, id: &str) -> &[&'a SeenSpan] {
        self.under.get(id).map_or(&[], Vec::as_slice)
    }

    /// The only span of this name under that one.
    fn only(&self, id: &str, name: &str, service: &str, kind: i32) -> &'a SeenSpan {
        let [span] = self.under(id) else {
            panic!("one {name} of {service} under {id}, and not {:?}, in {:#?}", self.under(id), self.under)
        };
        assert_eq!((&*span.name, &*span.service, span.kind), (name, service, kind), "{span:?}");
        span
    }

    /// Where the calls to the coordinator's shards are, below the caller.
    fn shards(&self) -> &[&'a SeenSpan] {
        let call = self.only(CALLER, MATCH, "vigie-frontend", 2);
        assert_eq!(call.attribute("rpc.response.status_code"), "OK");
        let to_coordinator = self.only(&call.id, COORDINATOR, "vigie-frontend", 3);
        let at_coordinator = self.only(&to_coordinator.id, COORDINATOR, "vigie-coordinator", 2);
        self.under(&at_coordinator.id)
    }
}

/// Whether the tree is whole: every shard, every replica that was asked, and what it did. Gives how many shards were hedged.
fn check_whole(spans: &[SeenSpan]) -> usize {
    let tree = Tree::of(spans);
    let shards = tree.shards();
    let numbers: BTreeSet<_> = shards.iter().map(|shard| shard.attribute("vigie.shard")).collect();
    assert_eq!(numbers, ["0", "1"].into(), "{shards:?}");
    let mut hedged = 0;
    for shard in shards {
        assert_eq!((&*shard.name, &*shard.service), ("search a shard", "vigie-coordinator"));
        let calls = tree.under(&shard.id);
        let hedges = shard.events.iter().filter(|event| *event == "hedge").count();
        // A hedge whose rival answers at that very moment is never sent.
        assert!((1..=1 + hedges).contains(&calls.len()), "{shard:?}");
        hedged += calls.len() - 1;
        let answered = calls.iter().filter(|call| call.attribute("rpc.response.status_code") == "OK");
        assert_eq!(answered.count(), 1, "{calls:?}");
        for call in calls {
            assert_eq!((&*call.name, &*call.service, call.kind), (MATCHER, "vigie-coordinator", 3));
            assert_eq!(call.attribute("server.address"), "127.0.0.1");
            // One that lost may have been withdrawn before it came to that.
            let has_lost = |span: &SeenSpan| span.attribute("rpc.response.status_code") == "CANCELLED";
            if has_lost(call) && tree.under(&call.id).is_empty() {
                continue;
            }
            let at_matcher = tree.only(&call.id, MATCHER, "vigie-matcher", 2);
            if has_lost(at_matcher) && tree.under(&at_matcher.id).is_empty() {
                continue;
            }
            let index = tree.only(&at_matcher.id, "search the index", "vigie-matcher", 1);
            assert_eq!(index.attribute("vigie.queries"), "1");
        }
    }
    hedged
}

/// Waits until the frontend's part of every trace has come, and then for as long as the others may take.
async fn all_of(traced: &Traced) -> Vec<SeenSpan> {
    let frontends = |spans: &[SeenSpan]| {
        let firsts = spans.iter().filter(|span| span.parent == CALLER && span.service == "vigie-frontend");
        u64::try_from(firsts.count()).unwrap() == REQUESTS
    };
    tokio::task::block_in_place(|| traced.collector.wait_for(frontends)).unwrap();
    tokio::task::block_in_place(|| traced.collector.settled())
}

/// Asks a new cluster for a hundred traces and checks that each is whole. Returns how many searches of a shard were hedged.
async fn hedged_of_a_hundred() -> usize {
    let traced = Traced::start(60_000).await;
    let mut hedged = 0;
    for number in 1..=REQUESTS {
        // Long enough to be hedged; and not so often that it is left out for being slow.
        let is_slow = number % 5 == 0;
        traced.replicas.link().delay_answers(Duration::from_millis(if is_slow { 60 } else { 0 }));
        traced.ask(number, true).await;
        traced.replicas.link().delay_answers(Duration::ZERO);
        tokio::time::sleep(Duration::from_millis(if is_slow { 80 } else { 0 })).await;
    }
    all_of(&traced).await;
    for number in 1..=REQUESTS {
        hedged += check_whole(&traced.collector.trace(&trace_id(number)));
    }
    traced.stop().await;
    hedged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_traces_of_a_hundred_are_whole_hedged_ones_too() {
    // A busy machine answers late without any delay, so a coordinator there may see no reason to hedge.
    let mut hedged = 0;
    for round in 1..=10 {
        hedged += Box::pin(hedged_of_a_hundred()).await;
        println!("{round} times {REQUESTS} traces, {hedged} hedges");
        if hedged >= 3 {
            return;
        }
    }
    panic!("{hedged} hedges say little");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_that_share_a_call_are_linked_to_it() {
    let traced = Traced::start(60_000).await;
    let numbers: Vec<_> = (1..=REQUESTS).collect();
    for together in numbers.chunks(20) {
        futures::future::join_all(together.iter().map(|number| traced.ask(*number, true))).await;
    }
    // Each trace has its part in the frontend, and its search has a call of its own or shares one.
    let spans = all_of(&traced).await;
    let by_id: BTreeMap<_, _> = spans.iter().map(|span| ((&*span.trace, &*span.id), span)).collect();
    let tree: BTreeMap<(&str, &str), Vec<&SeenSpan>> =
        spans.iter().fold(BTreeMap::new(), |mut tree, span| {
            tree.entry((&span.trace, &span.parent)).or_default().push(span);
            tree
        });
    let under = |span: &SeenSpan| tree.get(&(&*span.trace, &*span.id)).cloned().unwrap_or_default();
    let mut shared = 0;
    for number in 1..=REQUESTS {
        let trace = trace_id(number);
        let call = tree[&(&*trace, CALLER)][0];
        let [way] = under(call)[..] else { panic!("one way in {:?}", under(call)) };
        // The span of the call itself: of this trace, or of the one that it is linked to.
        let carried = match &*way.name {
            COORDINATOR => way,
            "shared call" => {
                shared += 1;
                let own = under(way);
                let [call] = own[..] else {
                    assert!(own.is_empty() && way.links.len() == 1, "{way:?}");
                    let (trace, id) = &way.links[0];
                    let call = by_id[&(&**trace, &**id)];
                    assert!(
                        call.links.contains(&(way.trace.clone(), way.id.clone())),
                        "the link goes both ways"
                    );
                    let searches: usize = call.attribute("vigie.searches").parse().unwrap();
                    assert_eq!(searches, call.links.len() + 1, "{call:?}");
                    assert!(way.times.0 <= call.times.1, "{way:?} {call:?}");
                    continue;
                };
                call
            }
            other => panic!("{other}"),
        };
        assert_eq!(&*carried.name, COORDINATOR);
        assert_eq!(under(carried)[0].service, "vigie-coordinator", "{carried:?}");
    }
    println!("{shared} of {REQUESTS} searches shared their call");
    assert!(shared >= 10, "{shared} say little");
    traced.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_traces_that_nobody_chose_only_those_of_failures_come() {
    let traced = Traced::start(60_000).await;
    for number in 1..=20 {
        traced.ask(number, false).await;
    }
    let call = vigie_model::MatchCall {
        contents: vec![pdq(traced.known)],
        // A change that never comes, so that it fails late, for want of time.
        options: SearchOptions { min_sequence: vigie_model::Sequence(1 << 40), ..SearchOptions::default() },
        quality_floor: None,
        surface: Box::default(),
        classifiers: Vec::new(),
    };
    let deadline = vigie_clients::Deadline::now() + Duration::from_millis(200);
    let failed = trace::scope(Some(caller(77, false)), traced.matching.match_content(call, deadline)).await;
    assert!(failed.is_err());
    let is_there = |spans: &[SeenSpan]| spans.iter().any(|span| span.parent == CALLER);
    tokio::task::block_in_place(|| traced.collector.wait_for(is_there)).unwrap();
    let spans = tokio::task::block_in_place(|| traced.collector.settled());
    assert!(spans.iter().all(|span| span.trace == trace_id(77)), "{spans:?}");
    assert!(spans.iter().any(|span| span.is_error), "{spans:?}");
    traced.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incomplete_answer_is_kept_though_nobody_chose_its_trace() {
    let traced = Traced::start(60_000).await;
    traced.replicas.cancel(1);
    traced.wait_ready(REPLICAS).await;
    let call = vigie_model::MatchCall {
        contents: vec![pdq(traced.known)],
        options: SearchOptions {
            min_coverage: vigie_model::MinCoverage::new(0.0).unwrap(),
            ..SearchOptions::default()
        },
        quality_floor: None,
        surface: Box::default(),
        classifiers: Vec::new(),
    };
    let answered = trace::scope(Some(caller(7, false)), traced.matching.match_content(call, soon())).await;
    assert!(!answered.unwrap().coverage.is_full());
    let is_there = |spans: &[SeenSpan]| {
        let services: BTreeSet<_> = spans.iter().map(|span| span.service.as_str()).collect();
        services.is_superset(&["vigie-frontend", "vigie-coordinator"].into())
    };
    let spans = tokio::task::block_in_place(|| traced.collector.wait_for(is_there)).unwrap();
    let of_shards = spans.iter().filter(|span| span.name == "search a shard");
    let failed: Vec<_> = of_shards.filter(|span| span.is_error).collect();
    assert_eq!(failed.len(), 1, "{spans:?}");
    assert_eq!(failed[0].attribute("vigie.shard"), "1");
    traced.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_answer_is_kept_in_every_service_that_was_slow() {
    // Whatever takes a millisecond is slow.
    let traced = Traced::start(1).await;
    for number in 1..=20 {
        traced.ask(number, false).await;
    }
    let is_there = |spans: &[SeenSpan]| spans.iter().any(|span| span.parent == CALLER);
    tokio::task::block_in_place(|| traced.collector.wait_for(is_there)).unwrap();
    let spans = tokio::task::block_in_place(|| traced.collector.settled());
    // What is kept of a service is the span of its call, which took that long, and what is below it.
    for span in spans.iter().filter(|span| span.kind == 2) {
        assert!(span.times.1 - span.times.0 >= 1_000_000, "{span:?}");
    }
    traced.stop().await;
}
