//! The driver of Hasher-Matcher-Actioner against a small service that speaks as it does.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use vigie_clients::Network;
use vigie_hashes::hex;

use crate::judge::truth::Truth;
use crate::run::scenario::Scenario;
use crate::run::target::Targets;
use crate::run::target::hma::Contents;

/// Row 0 is this content.
const FIRST: u64 = 40;

#[tokio::test]
async fn the_same_questions_go_to_another_system_and_the_same_oracle_judges_it() {
    let scenario = Scenario::parse(
        "name = 'hma'
        data = { shape = 'pdq', hashes = 2000 }
        questions = { pool = 300, matching = 0.9 }
        arrivals = { spacing = 'poisson', rate = 300 }
        drive = { warm_up = '0s', duration = '3s', deadline = '60s', connections = 3 }",
    )
    .unwrap();
    let truth = Arc::new(Truth::establish(&scenario, |_| {}).unwrap());
    let known: HashMap<String, Vec<(u32, u16)>> =
        truth.listed().into_iter().map(|(hash, matches)| (hex::encode(&hash), matches)).collect();
    let known = Arc::new(known);
    let dropped = Arc::new(AtomicU64::new(0));
    let asked = Arc::new(AtomicU64::new(0));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (counted_drops, counted) = (Arc::clone(&dropped), Arc::clone(&asked));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (known, dropped, asked) = (Arc::clone(&known), Arc::clone(&dropped), Arc::clone(&asked));
            let service = service_fn(move |request: Request<Incoming>| {
                let response = answer(&request, &known, &dropped, &asked);
                async move { Ok::<_, Infallible>(response) }
            });
            let serving =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serving);
        }
    });
    let targets = Targets::hma(&[url], &Network::tcp(), Contents::From(FIRST)).unwrap();
    let result = super::run(&scenario, truth, &targets, 0).await;
    let (drops, asked) = (counted_drops.load(Ordering::Relaxed), counted.load(Ordering::Relaxed));
    assert_eq!(result.summary.sent, asked);
    assert_eq!(result.summary.failed, asked / 50, "{:?}", result.record.totals.all_kinds().failures);
    assert!(drops >= 5, "{drops}");
    let verdict = result.record.totals.verdict;
    assert_eq!((verdict.missed, verdict.false_matches, verdict.wrong_distance), (drops, 0, 0));
    assert!(verdict.right > 500 && result.record.totals.coverage_min.is_none());
}

/// Every 50th request is refused, and every 40th that has a match loses one.
fn answer(
    request: &Request<Incoming>,
    known: &HashMap<String, Vec<(u32, u16)>>,
    dropped: &AtomicU64,
    asked: &AtomicU64,
) -> Response<Full<Bytes>> {
    let number = asked.fetch_add(1, Ordering::Relaxed);
    let reply = |status, body: String| {
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        response
    };
    if number % 50 == 49 {
        return reply(StatusCode::SERVICE_UNAVAILABLE, "index not yet ready".to_owned());
    }
    assert_eq!(request.uri().path(), "/m/raw_lookup");
    let query: HashMap<&str, &str> =
        request.uri().query().unwrap().split('&').filter_map(|pair| pair.split_once('=')).collect();
    assert_eq!(query["signal_type"], "pdq");
    let mut matches = known[query["signal"]].clone();
    if number % 40 == 7 && matches.pop().is_some() {
        dropped.fetch_add(1, Ordering::Relaxed);
    }
    let matches: Vec<serde_json::Value> = matches
        .iter()
        .map(|(row, distance)| {
            serde_json::json!({ "content_id": u64::from(*row) + FIRST, "distance": distance.to_string() })
        })
        .collect();
    reply(StatusCode::OK, serde_json::json!({ "matches": matches }).to_string())
}
