//! Tests with a real HTTP server on loopback: limits of bytes, time and redirects, and a whole round.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as Asked, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response as Answer};
use axum::routing::any;
use url::Url;

use super::memory::MemoryBank;
use super::model::{Change, Model};
use super::playing::{clock, round};
use super::servers::Programme;
use crate::asking::fetch::{Fetch as _, FetchError};
use crate::asking::http::{Bounds, HttpFetch};
use crate::asking::origins::Origins;
use crate::asking::request::Request;
use crate::secret::Secret;

#[derive(Clone, Default)]
struct Server {
    model: Arc<Mutex<Model>>,
    calls: Arc<AtomicUsize>,
    /// The method, media type and body of the request to `/mirror`.
    mirrored: Arc<Mutex<Vec<String>>>,
    /// The `Authorization` header of the request to `/echo`.
    echoed: Arc<Mutex<Option<String>>>,
}

/// Serves until the test's runtime ends.
async fn serve(server: Server) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new()
        .route("/long", any(async || Body::from(vec![b'x'; 5_000])))
        .route("/slow", any(slow))
        .route("/torn", any(torn))
        .route("/circle", any(async || Redirect::temporary("/circle")))
        .route("/away", any(async || Redirect::temporary("https://evil.example/")))
        .route("/private", any(async || Redirect::temporary("http://127.0.0.1:1/")))
        .route("/moved", any(async || Redirect::permanent("/echo")))
        .route("/busy", any(async || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")], "")))
        .route("/echo", any(echo))
        .route("/mirror", any(mirror))
        .route("/stop/{*rest}", any(programme))
        .with_state(server);
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    origin
}

/// Returns a body whose second half never arrives.
async fn slow() -> Body {
    let half = futures::stream::iter([Ok::<_, std::io::Error>("half")]);
    Body::from_stream(futures::StreamExt::chain(half, futures::stream::pending()))
}

/// Returns an answer whose body breaks off before its announced length.
async fn torn() -> Answer {
    let parts = [Ok("half"), Err(std::io::Error::other("torn"))];
    let body = Body::from_stream(futures::stream::iter(parts));
    ([("content-length", "8")], body).into_response()
}

async fn echo(State(server): State<Server>, asked: Asked) -> &'static str {
    let header = asked.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    *server.echoed.lock().unwrap() = header;
    "echo"
}

async fn mirror(State(server): State<Server>, asked: Asked) -> &'static str {
    let media_type = asked.headers().get("content-type").map_or("none", |value| value.to_str().unwrap());
    let line = format!("{} {media_type}", asked.method());
    let body = axum::body::to_bytes(asked.into_body(), 1_000).await.unwrap();
    server.mirrored.lock().unwrap().push(format!("{line} {}", String::from_utf8(body.to_vec()).unwrap()));
    "mirrored"
}

/// Simulates StopNCII. Answers the first four requests with 503.
async fn programme(State(server): State<Server>, asked: Asked) -> Answer {
    if server.calls.fetch_add(1, Ordering::Relaxed) < 4 {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let mut request = Request::get(Url::parse(&format!("http://x{}", asked.uri())).unwrap());
    if let Some(key) = asked.headers().get("x-functions-key") {
        request = request.with("x-functions-key", Secret::new(key.to_str().unwrap().to_owned()));
    }
    let answer = Programme::StopNcii.answer(&server.model.lock().unwrap(), &request);
    (StatusCode::from_u16(answer.status).unwrap(), answer.body).into_response()
}

fn fetch(origin: &str) -> HttpFetch {
    let bounds = Bounds { request_ms_max: 500, body_bytes_max: 4_096, redirects_max: 2 };
    HttpFetch::new(Origins::new(&[origin.to_owned()]).unwrap(), None, bounds).unwrap()
}

#[tokio::test]
async fn bytes_time_redirects_and_origins_are_bounded() {
    let origin = serve(Server::default()).await;
    let fetch = fetch(&origin);
    let get =
        async |path: &str| fetch.fetch(&Request::get(Url::parse(&format!("{origin}{path}")).unwrap())).await;
    assert_eq!(get("/long").await, Err(FetchError::TooLong(4_096)));
    assert_eq!(get("/slow").await, Err(FetchError::Slow(500)));
    assert!(matches!(get("/torn").await, Err(FetchError::Connection(_))));
    assert_eq!(get("/circle").await, Err(FetchError::Redirect));
    assert_eq!(get("/away").await, Err(FetchError::Origin("https://evil.example".to_owned())));
    assert_eq!(get("/private").await, Err(FetchError::Origin("http://127.0.0.1:1".to_owned())));
    let busy = get("/busy").await.unwrap();
    assert_eq!((busy.status, busy.retry_after), (429, Some(Duration::from_secs(7))));
    let nobody = "http://127.0.0.1:1".to_owned();
    let elsewhere = Request::get(Url::parse(&format!("{nobody}/x?access_token=secret")).unwrap());
    assert_eq!(fetch.fetch(&elsewhere).await, Err(FetchError::Origin(nobody.clone())));
    // The error of a failed connection does not contain the query.
    let bounds = Bounds { request_ms_max: 2_000, body_bytes_max: 1, redirects_max: 0 };
    let reaching = HttpFetch::new(Origins::new(&[nobody]).unwrap(), None, bounds).unwrap();
    let error = reaching.fetch(&elsewhere).await.unwrap_err();
    assert!(matches!(error, FetchError::Connection(_)) && !error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn credentials_follow_a_redirect_within_the_origin_and_forms_follow_none() {
    let server = Server::default();
    let origin = serve(server.clone()).await;
    let fetch = fetch(&origin);
    let url = Url::parse(&format!("{origin}/moved")).unwrap();
    let request = Request::get(url.clone()).with("Authorization", Secret::new("Basic x".to_owned()));
    assert_eq!(fetch.fetch(&request).await.unwrap().body, "echo");
    assert_eq!(server.echoed.lock().unwrap().as_deref(), Some("Basic x"));
    let body = || Secret::new("password=x".to_owned());
    for request in [
        Request::form(url.clone(), body()),
        Request::json(url.clone(), body()),
        Request::put_xml(url.clone(), body()),
        Request::delete(url.clone()),
    ] {
        assert_eq!(fetch.fetch(&request).await, Err(FetchError::Redirect));
    }
}

#[tokio::test]
async fn a_request_goes_by_its_method_with_its_body() {
    let server = Server::default();
    let origin = serve(server.clone()).await;
    let url = Url::parse(&format!("{origin}/mirror")).unwrap();
    let body = |text: &str| Secret::new(text.to_owned());
    for request in [
        Request::get(url.clone()),
        Request::form(url.clone(), body("a=b")),
        Request::json(url.clone(), body("{}")),
        Request::put_xml(url.clone(), body("<a/>")),
        Request::delete(url),
    ] {
        assert_eq!(fetch(&origin).fetch(&request).await.unwrap().body, "mirrored");
        assert!(!format!("{request:?}").contains("mirror"), "Debug shows a path");
    }
    let expected = [
        "GET none ",
        "POST application/x-www-form-urlencoded a=b",
        "POST application/json {}",
        "PUT application/xml; charset=utf-8 <a/>",
        "DELETE none ",
    ];
    assert_eq!(*server.mirrored.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_round_over_http_ends_with_what_is_shared() {
    let server = Server::default();
    let mut changes: Vec<Change> = (0..20).map(Change::Put).collect();
    changes.push(Change::Withdraw(4));
    server.model.lock().unwrap().change(&changes);
    let origin = serve(server.clone()).await;
    let bank = MemoryBank::with("stop_ncii", &format!(r#"{{"base_url": "{origin}/stop"}}"#));
    let done = round(&bank, &fetch(&origin), &clock(&server.model), 4).await.unwrap();
    assert_eq!((done.retries, done.puts, done.withdrawn), (4, 19, 1));
    assert_eq!(bank.records("programme"), Programme::StopNcii.living(&server.model.lock().unwrap()));
}

#[tokio::test]
async fn files_of_the_folder_are_followed_and_the_sample_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let bounds = Bounds { request_ms_max: 2_000, body_bytes_max: 4_096, redirects_max: 0 };
    let fetch = HttpFetch::new(Origins::default(), Some(folder.path().to_owned()), bounds).unwrap();
    let model = Arc::new(Mutex::new(Model::default()));
    let clock = clock(&model);
    let write = |numbers: std::ops::Range<u8>| {
        let lines: String = numbers.map(|number| Model::hash(number).to_text() + "\n").collect();
        std::fs::write(folder.path().join("list.txt"), lines).unwrap();
    };
    let bank = MemoryBank::with("local_file", r#"{"path": "list.txt", "signal_type": "md5"}"#);
    let missing = round(&bank, &fetch, &clock, 0).await.unwrap_err();
    assert!(format!("{missing:?}").contains("File("), "{missing:?}");
    for (numbers, expected) in [(0..8, 8), (0..8, 8), (2..10, 8)] {
        write(numbers);
        round(&bank, &fetch, &clock, 0).await.unwrap();
        assert_eq!(bank.records("programme").len(), expected);
    }
    std::fs::write(folder.path().join("list.txt"), vec![b'\n'; 5_000]).unwrap();
    assert!(format!("{:?}", round(&bank, &fetch, &clock, 0).await).contains("TooLong"));
    let sample = MemoryBank::with("sample", "{}");
    for _ in 0..2 {
        round(&sample, &fetch, &clock, 0).await.unwrap();
        assert_eq!(sample.records("programme").len(), 18);
    }
    // The second round found the same bytes, and stored nothing.
    assert_eq!(sample.lock().parts.iter().map(|(_, puts)| puts).sum::<usize>(), 18);
}
