//! Tests of which spans of a trace are kept, and of their data.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use opentelemetry::trace::Status;
use opentelemetry::{Context as OtelContext, SpanId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span as SdkSpan, SpanData, SpanProcessor};
use tonic::Code;

use super::*;

/// Keeps the spans that it gets.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Kept {
    fn on_start(&self, _: &mut SdkSpan, _: &OtelContext) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Kept {
    fn take(&self) -> Vec<SpanData> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const METHOD: &str = "vigie.matching.v1.MatchService/Match";

fn tracer(trace_ratio: f64, trace_slow_ms: u64) -> (Tracer, Kept) {
    let kept = Kept::default();
    let config = TelemetryConfig { trace_ratio, trace_slow_ms, ..TelemetryConfig::default() };
    (Tracer::to(&config, kept.clone()), kept)
}

fn headers(flags: &str) -> HeaderMap {
    let parent = format!("00-{TRACE}-{CALLER}-{flags}").parse().unwrap();
    HeaderMap::from_iter([(HeaderName::from_static("traceparent"), parent)])
}

/// Makes a call with a span below it. Both end with these codes.
fn call(tracer: &Tracer, headers: &HeaderMap, codes: (Code, Code)) {
    let mut whole = tracer.serve(&METHOD.into(), headers, false);
    let mut below = whole.context().unwrap().client("a.B/C", &"http://127.0.0.1:7750".into());
    below.ended_with(codes.1);
    drop(below);
    whole.ended_with(codes.0);
}

const WELL: (Code, Code) = (Code::Ok, Code::Ok);

#[test]
fn a_chosen_trace_is_kept_with_its_tree() {
    let (tracer, kept) = tracer(0.0, 60_000);
    call(&tracer, &headers("01"), WELL);
    let spans = kept.take();
    let [below, whole] = &spans[..] else { panic!("{spans:?}") };
    assert!(spans.iter().all(|span| span.span_context.trace_id().to_string() == TRACE));
    assert!(spans.iter().all(|span| span.span_context.is_sampled() && span.status == Status::Unset));
    assert_eq!(whole.parent_span_id.to_string(), CALLER);
    assert!(whole.parent_span_is_remote && !below.parent_span_is_remote);
    assert_eq!(below.parent_span_id, whole.span_context.span_id());
    assert_eq!((&*whole.name, &*below.name), (METHOD, "a.B/C"));
    assert!(whole.start_time <= below.start_time && below.end_time <= whole.end_time);
    let attributes: Vec<_> =
        below.attributes.iter().map(|one| format!("{}={}", one.key, one.value)).collect();
    for expected in [
        "rpc.system.name=grpc",
        "rpc.method=a.B/C",
        "rpc.response.status_code=OK",
        "server.address=127.0.0.1",
        "server.port=7750",
    ] {
        assert!(attributes.iter().any(|one| one == expected), "{expected} in {attributes:?}");
    }
}

#[test]
fn of_those_that_nobody_chose_only_what_failed_or_was_slow_or_incomplete_is_kept() {
    let (tracer, kept) = tracer(0.0, 60_000);
    call(&tracer, &headers("00"), WELL);
    call(&tracer, &HeaderMap::new(), WELL);
    // The caller is at fault, or the load.
    for code in [Code::InvalidArgument, Code::ResourceExhausted, Code::Cancelled] {
        call(&tracer, &headers("00"), (code, code));
    }
    assert_eq!(kept.take(), []);
    for codes in [(Code::Unavailable, Code::Ok), (Code::Ok, Code::Unavailable)] {
        call(&tracer, &headers("00"), codes);
        let spans = kept.take();
        assert_eq!(spans.len(), 2, "{codes:?}");
        let failed = spans.iter().filter(|span| span.status != Status::Unset).count();
        assert_eq!(failed, 1, "{spans:?}");
    }
    let whole = tracer.serve(&METHOD.into(), &headers("00"), false);
    whole.context().unwrap().keep();
    drop(whole);
    assert_eq!(kept.take().len(), 1);
}

#[test]
fn what_is_slow_is_kept_unless_it_is_a_stream() {
    let (tracer, kept) = tracer(0.0, 20);
    for (is_stream, expected) in [(false, 1), (true, 0)] {
        let whole = tracer.serve(&METHOD.into(), &HeaderMap::new(), is_stream);
        std::thread::sleep(Duration::from_millis(25));
        drop(whole);
        assert_eq!(kept.take().len(), expected, "{is_stream}");
    }
}

#[test]
fn one_in_so_many_traces_is_chosen_and_that_goes_with_the_call() {
    let (tracer, kept) = tracer(0.25, 60_000);
    let chosen: usize = (0..4_000)
        .map(|_| {
            let whole = tracer.serve(&METHOD.into(), &HeaderMap::new(), false);
            let context = whole.context().unwrap().clone();
            let traceparent = context.traceparent();
            assert!(traceparent.to_str().unwrap().ends_with(if context.is_chosen() { "-01" } else { "-00" }));
            usize::from(context.is_chosen())
        })
        .sum();
    // The standard deviation is 27.
    assert!((800..1_200).contains(&chosen), "{chosen}");
    assert_eq!(kept.take().len(), chosen);
    assert!(!Ratio::new(0.0).chooses(u128::MIN.into()) && Ratio::new(1.0).chooses(u128::MAX.into()));
}

#[test]
fn what_ends_after_the_call_is_kept_if_the_call_was() {
    let (tracer, kept) = tracer(0.0, 60_000);
    for (flags, expected) in [("01", 2), ("00", 0)] {
        let whole = tracer.serve(&METHOD.into(), &headers(flags), false);
        let below = whole.context().unwrap().child("later");
        drop(whole);
        drop(below);
        assert_eq!(kept.take().len(), expected, "{flags}");
    }
}

#[test]
fn a_recording_is_bounded() {
    let (tracer, kept) = tracer(1.0, 60_000);
    let whole = tracer.serve(&METHOD.into(), &HeaderMap::new(), true);
    for _ in 0..5_000 {
        drop(whole.context().unwrap().child("one of many"));
    }
    drop(whole);
    let spans = kept.take();
    assert!(spans.len() <= 1_100 && spans.iter().any(|span| span.name == METHOD), "{}", spans.len());
}

#[test]
fn who_records_nothing_passes_on_what_came() {
    let off = Tracer::default();
    assert!(off.serve(&METHOD.into(), &HeaderMap::new(), false).context().is_none());
    let mut headers = headers("01");
    headers.insert("tracestate", "a=1".parse().unwrap());
    let whole = off.serve(&METHOD.into(), &headers, false);
    let below = whole.context().unwrap().child("work");
    let mut sent = HeaderMap::new();
    below.context().unwrap().write(&mut sent);
    assert_eq!(sent, headers);
}

#[tokio::test]
async fn the_context_goes_with_the_task_and_not_with_what_it_spawns() {
    let (tracer, _) = tracer(1.0, 60_000);
    assert!(current().is_none() && child("nothing").context().is_none());
    let whole = tracer.serve(&METHOD.into(), &HeaderMap::new(), false);
    let trace = whole.context().unwrap().ids().0;
    let inside = scope(whole.context().cloned(), async {
        tokio::task::yield_now().await;
        assert!(tokio::spawn(async { current().is_none() }).await.unwrap());
        child("below").context().unwrap().ids().0
    });
    assert_eq!(inside.await, trace);
    assert!(current().is_none());
}

#[test]
fn a_piece_of_a_streams_work_has_a_trace_of_its_own_that_links_to_the_stream() {
    let (tracer, kept) = tracer(1.0, 60_000);
    let stream = tracer.serve(&METHOD.into(), &headers("01"), true);
    drop(stream.context().unwrap().linked_root("a request of a stream"));
    let spans = kept.take();
    assert_eq!(spans.len(), 1);
    assert_ne!(spans[0].span_context.trace_id().to_string(), TRACE);
    assert_eq!(spans[0].parent_span_id, SpanId::INVALID);
    assert_eq!(spans[0].links[0].span_context.trace_id().to_string(), TRACE);
    // The caller's decision applies to each piece; without a tracer all belong to the caller's trace.
    let (unwilling, kept) = self::tracer(0.0, 60_000);
    for (flags, expected) in [("01", 1), ("00", 0)] {
        let stream = unwilling.serve(&METHOD.into(), &headers(flags), true);
        drop(stream.context().unwrap().linked_root("a request of a stream"));
        assert_eq!(kept.take().len(), expected, "{flags}");
        drop(stream);
        kept.take();
    }
    let stream = Tracer::default().serve(&METHOD.into(), &headers("01"), true);
    let request = stream.context().unwrap().linked_root("a request of a stream");
    assert_eq!(request.context().unwrap().ids().0, TRACE);
}

/// Measures the cost of traces for a call that is not sampled: `cargo test --release -p vigie-telemetry --lib
/// -- costs --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn what_an_unchosen_call_costs() {
    let (tracer, _) = tracer(0.0, 60_000);
    let method: std::sync::Arc<str> = METHOD.into();
    let endpoint: std::sync::Arc<str> = "http://127.0.0.1:7750".into();
    let nanos = |work: &mut dyn FnMut()| {
        let began = std::time::Instant::now();
        (0..1_000_000).for_each(|_| work());
        began.elapsed().as_secs_f64() * 1e3
    };
    for _ in 0..3 {
        let whole_of = |headers: &HeaderMap| tracer.serve(&method, headers, false).ended_with(Code::Ok);
        let root = nanos(&mut || whole_of(&HeaderMap::new()));
        let headers = headers("00");
        let parented = nanos(&mut || whole_of(&headers));
        let whole = tracer.serve(&method, &headers, false);
        let context = whole.context().unwrap().clone();
        let below = nanos(&mut || context.client("a.B/C", &endpoint).ended_with(Code::Ok));
        let mut written = HeaderMap::new();
        let header = nanos(&mut || context.write(&mut written));
        println!("ns: root {root:.0}, with a parent {parented:.0}, below {below:.0}, header {header:.0}");
    }
}
