use std::convert::Infallible;
use std::future::{pending, ready};

use proptest::prelude::*;
use tonic_types::StatusExt as _;
use tower::service_fn;

use super::*;
use crate::admission::shares::Client;
use crate::call::message_limit::MessageLimitLayer;
use crate::load::Load;
use crate::refusal_log::RefusalLog;
use crate::{ClientIdentity, Concurrency, ServingConfig};

const CALL: &str = "/vigie.x.v1.S/A";

struct Limited {
    layer: InFlightLayer,
    load: Load,
}

fn limited(config: ServingConfig) -> Limited {
    let load = Load::default();
    let slots = Slots::new(&config, 100, load.clone(), 1);
    let exceptions = Exceptions {
        never_refused: vec!["/grpc.health.".to_owned()],
        bulk: vec!["/vigie.x.v1.S/Stream".to_owned()],
    };
    Limited { layer: InFlightLayer::new(slots, exceptions, &config), load }
}

fn calls_max(calls_in_flight_max: usize) -> Limited {
    limited(ServingConfig { calls_in_flight_max, ..Default::default() })
}

fn request(path: &str) -> Request<Body> {
    Request::builder().uri(path).body(Body::empty()).unwrap()
}

fn bulk_stream(layer: &InFlightLayer) -> Call {
    Call::new(layer.slots.clone(), Caller::default(), Priority::Bulk, "/a".parse().unwrap(), false)
}

/// Accepts messages of at most 100 bytes.
fn message_limit(config: &ServingConfig) -> MessageLimitLayer {
    MessageLimitLayer::new(100, config, RefusalLog::default())
}

fn answered() -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::empty()))
}

fn status(response: &Response<Body>) -> Option<Status> {
    Status::from_header_map(response.headers())
}

fn is_accepted<F>(future: &InFlightFuture<F>) -> bool {
    matches!(future, InFlightFuture::Accepted { .. })
}

#[tokio::test]
async fn one_call_too_many_is_refused_at_once_and_the_next_is_not() {
    let Limited { layer, load } = calls_max(1);
    let mut service = layer.layer(service_fn(|_: Request<Body>| async {
        pending::<()>().await;
        answered()
    }));
    let first = service.call(request(CALL));
    let refused = service.call(request(CALL)).await.unwrap();
    let refused = status(&refused).unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.get_details_retry_info().is_some());
    assert_eq!((load.in_flight(), load.accepted(), load.refused().full), (1, 1, 1));

    drop(first);
    assert_eq!(load.in_flight(), 0);
    assert!(is_accepted(&service.call(request(CALL))));
}

#[tokio::test(start_paused = true)]
async fn of_a_fixed_limit_exactly_so_many_calls_run_however_slow_they_are() {
    let Limited { layer, load } =
        limited(ServingConfig { concurrency: Concurrency::Fixed(5), ..Default::default() });
    let mut service = layer.layer(service_fn(|_: Request<Body>| async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        answered()
    }));
    for _ in 0..200 {
        let calls: Vec<_> = (0..8).map(|_| service.call(request(CALL))).collect();
        assert_eq!((load.limit(), load.in_flight()), (5, 5));
        let mut running = tokio::task::JoinSet::new();
        calls.into_iter().for_each(|call| drop(running.spawn(call)));
        let answers = running.join_all().await;
        let refused = answers.iter().filter_map(|answer| status(answer.as_ref().unwrap()));
        assert!(refused.map(|refusal| refusal.code()).eq([Code::ResourceExhausted; 3]));
        assert_eq!((load.limit(), load.in_flight()), (5, 0));
    }
    // Bulk work of a stream waits for its slot: three quarters of five are three.
    let call = bulk_stream(&layer);
    let later = || Instant::now() + Duration::from_secs(1);
    let mut working = Vec::new();
    for _ in 0..3 {
        working.push(call.enter(1, later()).await.unwrap());
    }
    assert_eq!(call.enter(1, later()).await.unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!((load.limit(), load.in_flight()), (5, 3));
}

#[tokio::test]
async fn health_is_never_refused() {
    let Limited { layer, load } = calls_max(1);
    let mut service = layer.layer(service_fn(|_: Request<Body>| ready(answered())));
    let _full = service.call(request(CALL));
    assert_eq!(load.in_flight(), 1);
    let answer = service.call(request("/grpc.health.v1.Health/Check")).await.unwrap();
    assert!(status(&answer).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_arrives_gives_its_place_back() {
    let Limited { layer, load } = calls_max(1);
    let mut service = layer.layer(service_fn(|_: Request<Body>| async {
        pending::<()>().await;
        answered()
    }));
    let answer = service.call(request(CALL)).await.unwrap();
    assert_eq!(status(&answer).unwrap().code(), Code::DeadlineExceeded);
    assert_eq!(load.in_flight(), 0);
}

#[tokio::test]
async fn bulk_calls_are_refused_first_and_handlers_see_what_a_call_is() {
    let Limited { layer, load } = calls_max(16);
    let mut service = layer.layer(service_fn(|request: Request<Body>| async move {
        pending::<()>().await;
        drop(request);
        answered()
    }));
    let bulk = || {
        let mut request = request(CALL);
        request.headers_mut().insert(vigie_rpc::priority::HEADER, "bulk".parse().unwrap());
        request
    };
    // The limit begins at its minimum: 8.
    let accepted: Vec<_> = (0..6).map(|_| service.call(bulk())).collect();
    assert!(accepted.iter().all(is_accepted));
    assert!(!is_accepted(&service.call(bulk())));
    assert!(!is_accepted(&service.call(request("/vigie.x.v1.S/Stream"))));
    assert!(is_accepted(&service.call(request(CALL))));
    assert_eq!(load.refused().bulk, 2);

    let mut service = calls_max(16).layer.layer(service_fn(|request: Request<Body>| {
        let call = request.extensions().get::<Call>().unwrap().priority();
        assert_eq!(request.extensions().get::<Priority>(), Some(&call));
        assert_eq!(call, Priority::Bulk);
        ready(answered())
    }));
    service.call(bulk()).await.unwrap();
    service.call(request("/vigie.x.v1.S/Stream")).await.unwrap();
}

#[tokio::test]
async fn clients_are_distinguished_by_their_identity() {
    let Limited { layer, load } = calls_max(32);
    let mut service = layer.layer(service_fn(|_: Request<Body>| async {
        pending::<()>().await;
        answered()
    }));
    let of = |client: &str| {
        let mut request = request(CALL);
        request.extensions_mut().insert(ClientIdentity(client.into()));
        request
    };
    let greedy: Vec<_> = (0..100).map(|_| service.call(of("greedy"))).filter(is_accepted).collect();
    assert_eq!(greedy.len(), 8);
    assert!(is_accepted(&service.call(of("modest"))));
    assert!(!is_accepted(&service.call(of("greedy"))));
    assert_eq!(load.refused().share, 1);
}

/// Returns whether a server that can do two calls at once learns that from calls that are handled and end
/// like this.
async fn is_learned(handle: fn(&Call), code: Code) -> bool {
    let Limited { layer, load } = calls_max(64);
    let workers = Arc::new(tokio::sync::Semaphore::new(2));
    let mut service = layer.layer(service_fn(move |request: Request<Body>| {
        let workers = Arc::clone(&workers);
        async move {
            let call = request.extensions().get::<Call>().unwrap();
            call.arrive();
            handle(call);
            let _working = workers.acquire().await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
            if code == Code::Ok { answered() } else { Ok(Status::new(code, "").into_http()) }
        }
    }));
    for _ in 0..100 {
        service.call(request(CALL)).await.unwrap();
    }
    let before = load.limit();
    let mut least = before;
    for _ in 0..100 {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..64 {
            calls.spawn(service.call(request(CALL)));
        }
        while calls.join_next().await.is_some() {
            least = least.min(load.limit());
        }
    }
    assert_eq!(load.in_flight(), 0);
    least < before
}

#[tokio::test(start_paused = true)]
async fn only_evidence_of_the_load_moves_the_limit() {
    assert!(is_learned(|_| {}, Code::Ok).await, "answers");
    assert!(is_learned(|_| {}, Code::DeadlineExceeded).await, "deadlines");
    assert!(!is_learned(|_| {}, Code::NotFound).await, "errors");
    assert!(!is_learned(Call::not_load, Code::Ok).await, "what says so itself");
}

#[tokio::test(start_paused = true)]
async fn time_spent_waiting_for_something_else_is_no_load() {
    let Limited { layer, load } = calls_max(64);
    let before = load.limit();
    let mut service = layer.layer(service_fn(|request: Request<Body>| async move {
        let call = request.extensions().get::<Call>().unwrap().clone();
        let waiting = call.waiting();
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(waiting);
        answered()
    }));
    for _ in 0..100 {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..64 {
            calls.spawn(service.call(request(CALL)));
        }
        while calls.join_next().await.is_some() {}
    }
    assert!(load.limit() >= before, "{}", load.limit());
}

#[tokio::test(start_paused = true)]
async fn work_of_a_stream_waits_for_a_place_and_never_begins_too_late() {
    let Limited { layer, load } = calls_max(1);
    let call = bulk_stream(&layer);
    let soon = || Instant::now() + Duration::from_secs(1);
    let first = call.enter(10, soon()).await.unwrap();
    assert_eq!((load.in_flight(), load.bytes()), (1, 10));
    let late = call.enter(10, soon()).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert_eq!((load.waiting(), load.bytes()), (0, 10));

    let second = tokio::spawn({
        let call = call.clone();
        async move { call.enter(10, soon()).await.map(|work| work.end(&Ok(()))) }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(load.waiting(), 1);
    first.end(&Ok(()));
    second.await.unwrap().unwrap();
    assert_eq!((load.in_flight(), load.bytes(), load.waiting()), (0, 0, 0));
}

#[tokio::test]
async fn a_place_that_came_to_one_who_has_gone_goes_to_the_next() {
    let Limited { layer, load } = calls_max(1);
    let call = bulk_stream(&layer);
    let later = Instant::now() + Duration::from_secs(60);
    let first = call.enter(1, later).await.unwrap();
    let mut gone = Box::pin(call.enter(1, later));
    let mut next = Box::pin(call.enter(1, later));
    assert!(std::future::poll_fn(|context| Poll::Ready(gone.as_mut().poll(context))).await.is_pending());
    assert!(std::future::poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await.is_pending());
    drop(first);
    // Its slot has been sent to it, but it is dropped before it receives the slot.
    drop(gone);
    assert!(next.await.is_ok());
    assert_eq!((load.in_flight(), load.bytes()), (0, 0));
}

/// Returns a gRPC message of this length.
fn message(length: usize) -> bytes::Bytes {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(length).unwrap().to_be_bytes());
    bytes.resize(5 + length, 7);
    bytes.into()
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_deadline_has_the_default_one_and_nobody_has_more_than_the_longest() {
    let config = ServingConfig { deadline_ms_default: 3_000, deadline_ms_max: 7_000, ..Default::default() };
    let Limited { layer, load } = limited(config);
    let mut service = layer.layer(service_fn(|_: Request<Body>| async {
        pending::<()>().await;
        answered()
    }));
    // A call that is never refused has a deadline too.
    for path in [CALL, "/grpc.health.v1.Health/Check"] {
        for (timeout, expected_ms) in [(None, 3_000), (Some("500m"), 500), (Some("1H"), 7_000)] {
            let mut request = request(path);
            if let Some(timeout) = timeout {
                request.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
            }
            let begun = Instant::now();
            let answer = service.call(request).await.unwrap();
            assert_eq!(status(&answer).unwrap().code(), Code::DeadlineExceeded);
            assert_eq!(begun.elapsed(), Duration::from_millis(expected_ms), "{path} {timeout:?}");
        }
    }
    assert_eq!(load.in_flight(), 0);
}

/// The course of one call: its messages, whether its body breaks off, and when it is dropped.
#[derive(Debug, Clone)]
struct Fate {
    messages: Vec<usize>,
    breaks: bool,
    polls: usize,
    answers_after: usize,
}

struct Broken {
    frames: std::vec::IntoIter<bytes::Bytes>,
    breaks: bool,
}

impl http_body::Body for Broken {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Status>>> {
        match self.frames.next() {
            Some(data) => Poll::Ready(Some(Ok(http_body::Frame::data(data)))),
            None if self.breaks => Poll::Ready(Some(Err(Status::unknown("reset")))),
            None => Poll::Ready(None),
        }
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    (prop::collection::vec(0_usize..120, 0..5), any::<bool>(), 0_usize..12, 0_usize..12)
        .prop_map(|(messages, breaks, polls, answers_after)| Fate { messages, breaks, polls, answers_after })
}

proptest! {
    /// Bodies that end, break off, are too large, find no memory, or are half read: no slot and no byte stays
    /// reserved.
    #[test]
    fn no_place_and_no_byte_is_lost_whatever_becomes_of_calls(fates in prop::collection::vec(fate(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let Limited { layer, load } = limited(ServingConfig {
                calls_in_flight_max: 4,
                bytes_in_flight_max: 150,
                ..Default::default()
            });
            let stack = |answers_after: usize| {
                let handler = service_fn(move |request: Request<Body>| async move {
                    let mut body = request.into_body();
                    for _ in 0..answers_after {
                        let frame = std::future::poll_fn(|context| {
                            http_body::Body::poll_frame(Pin::new(&mut body), context)
                        });
                        match frame.await {
                            Some(Ok(_)) => tokio::task::yield_now().await,
                            Some(Err(status)) => return Ok::<_, Infallible>(status.into_http()),
                            None => break,
                        }
                    }
                    // The answer begins; the body is read further with it, as that of a stream is.
                    Ok(Response::new(body))
                });
                layer.layer(message_limit(&ServingConfig::default()).layer(handler))
            };
            let mut alive = Vec::new();
            for fate in &fates {
                let frames: Vec<_> = fate.messages.iter().map(|length| message(*length)).collect();
                let body = Body::new(Broken { frames: frames.into_iter(), breaks: fate.breaks });
                let request = Request::builder().uri(CALL).body(body).unwrap();
                let mut call = Box::pin(stack(fate.answers_after).call(request));
                let mut answer = None;
                for _ in 0..fate.polls {
                    let polled = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
                    if let Poll::Ready(ended) = polled {
                        answer = Some(ended.unwrap().into_body());
                        break;
                    }
                }
                if let Some(body) = &mut answer {
                    for _ in 0..fate.polls {
                        let polled = std::future::poll_fn(|context| {
                            Poll::Ready(http_body::Body::poll_frame(Pin::new(&mut *body), context))
                        });
                        if polled.await.is_pending() {
                            break;
                        }
                    }
                }
                assert!(load.bytes() <= 300, "{}", load.bytes());
                alive.push((call, answer));
            }
            drop(alive);
            prop_assert_eq!((load.in_flight(), load.bytes(), load.waiting()), (0, 0, 0));
            // All the memory is free again.
            let whole = layer.slots.take_bytes(&Client::Unknown, 100);
            prop_assert!(whole.is_ok());
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_body_without_room_is_refused_with_the_time_to_return() {
    let Limited { layer, load } = limited(ServingConfig { bytes_in_flight_max: 100, ..Default::default() });
    let kept = layer.slots.take_bytes(&Client::Unknown, 60).unwrap();
    let mut service = layer.layer(message_limit(&ServingConfig::default()).layer(service_fn(
        |request: Request<Body>| async move {
            let mut body = request.into_body();
            let frame =
                std::future::poll_fn(|context| http_body::Body::poll_frame(Pin::new(&mut body), context));
            Ok::<_, Infallible>(match frame.await {
                Some(Err(status)) => status.into_http(),
                Some(Ok(_)) | None => Response::new(Body::empty()),
            })
        },
    )));
    let sent = || {
        let body = Broken { frames: vec![message(60)].into_iter(), breaks: false };
        Request::builder().uri(CALL).body(Body::new(body)).unwrap()
    };
    let refused = status(&service.call(sent()).await.unwrap()).unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.get_details_retry_info().is_some());
    assert_eq!((load.bytes(), load.refused().bytes), (60, 1));
    drop(kept);
    assert!(status(&service.call(sent()).await.unwrap()).is_none());
    assert_eq!(load.bytes(), 0);
}

#[tokio::test]
async fn the_end_of_one_message_is_read_before_there_is_room_for_the_next() {
    let Limited { layer, load } = limited(ServingConfig { bytes_in_flight_max: 100, ..Default::default() });
    // Another stream overdraws the total, and no second one may.
    let _overdrawn = {
        let _all = layer.slots.take_bytes(&Client::Unknown, 100).unwrap();
        let soon = Instant::now() + Duration::from_secs(1);
        layer.slots.wait_bytes(&Client::Unknown, 20, false, soon).await.unwrap()
    };
    let both = bytes::Bytes::from([message(60), message(60)].concat());
    let frames = vec![both.slice(..30), both.slice(30..)];
    let body = Broken { frames: frames.into_iter(), breaks: false };
    let stack = service_fn(|request: Request<Body>| async move {
        let call = request.extensions().get::<Call>().cloned().unwrap();
        let mut response = Response::new(request.into_body());
        response.extensions_mut().insert(call);
        Ok::<_, Infallible>(response)
    });
    let request = Request::builder().uri(CALL).body(Body::new(body)).unwrap();
    let response =
        layer.layer(message_limit(&ServingConfig::default()).layer(stack)).call(request).await.unwrap();
    let call = response.extensions().get::<Call>().cloned().unwrap();
    let mut body = response.into_body();
    let mut polled = || {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let frame = http_body::Body::poll_frame(Pin::new(&mut body), &mut context);
        frame.map(|frame| frame.unwrap().unwrap().into_data().unwrap().len())
    };
    assert_eq!((polled(), polled()), (Poll::Ready(30), Poll::Ready(35)), "the first message, and no more");
    let work = call.enter(60, Instant::now() + Duration::from_secs(1)).await.unwrap();
    assert_eq!(load.bytes(), 20 + 60, "its room went over to the work");
    assert_eq!(polled(), Poll::Pending, "there is none for the second");
    work.end(&Ok(()));
    assert_eq!(polled(), Poll::Ready(65));
}
