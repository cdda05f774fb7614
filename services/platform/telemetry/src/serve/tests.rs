use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use super::*;
use crate::ask::{AskError, Readiness, ask};
use crate::telemetry::Telemetry;

struct Served {
    address: std::net::SocketAddr,
    telemetry: Telemetry,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn served() -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, telemetry) = (listener.local_addr().unwrap(), Telemetry::default());
    let task = tokio::spawn(serve(listener, telemetry.clone()));
    Served { address, telemetry, task }
}

impl Served {
    async fn send(&self, bytes: &[u8]) -> String {
        let mut io = TcpStream::connect(self.address).await.unwrap();
        // The server may close the connection before everything was sent.
        let _ = io.write_all(bytes).await;
        let mut said = Vec::new();
        let _ = io.read_to_end(&mut said).await;
        String::from_utf8_lossy(&said).into_owned()
    }

    async fn get(&self, path: &str) -> String {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await
    }

    async fn asked(&self, path: &str) -> Result<Readiness, AskError> {
        ask(&format!("http://{}{path}", self.address), Duration::from_secs(5)).await
    }
}

#[tokio::test]
async fn metrics_are_served_as_openmetrics_with_the_figures_of_the_process() {
    let served = served().await;
    let counter = Counter::<u64>::default();
    served.telemetry.register(|registry| registry.register("vigie_things", "Things", counter.clone()));
    counter.inc();
    let said = served.get("/metrics").await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    assert!(said.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
    assert!(said.contains("connection: close\r\n"), "{said}");
    assert!(said.contains("\nvigie_things_total 1\n"), "{said}");
    assert!(said.contains("\nprocess_resident_memory_bytes ") || !cfg!(target_os = "linux"), "{said}");
    assert!(said.ends_with("# EOF\n"), "{said}");
}

#[tokio::test]
async fn probes_answer_with_the_condition_of_the_role() {
    let served = served().await;
    assert_eq!(served.asked("/livez").await.unwrap(), Readiness::Ready(Vec::new()));
    for probe in ["/readyz", "/startupz"] {
        assert_eq!(served.asked(probe).await.unwrap(), Readiness::Unready("starting".to_owned()));
    }
    served.telemetry.set_condition(|| Condition::Ready);
    assert_eq!(served.asked("/startupz").await.unwrap(), Readiness::Ready(Vec::new()));
    assert_eq!(served.asked("/readyz").await.unwrap(), Readiness::Ready(Vec::new()));
    served.telemetry.stopping();
    assert_eq!(served.asked("/readyz").await.unwrap(), Readiness::Unready("shutting down".to_owned()));
    assert_eq!(served.asked("/startupz").await.unwrap(), Readiness::Ready(Vec::new()));
    assert_eq!(served.asked("/livez").await.unwrap(), Readiness::Ready(Vec::new()));
}

#[tokio::test]
async fn nothing_but_get_of_what_there_is() {
    let served = served().await;
    assert!(served.get("/").await.starts_with("HTTP/1.1 404"));
    assert!(served.get("/metrics/").await.starts_with("HTTP/1.1 404"));
    for method in ["POST", "HEAD", "DELETE"] {
        let said = served.send(format!("{method} /metrics HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
        assert!(said.starts_with("HTTP/1.1 405") && said.contains("allow: GET\r\n"), "{said}");
    }
    assert!(matches!(served.asked("/elsewhere").await, Err(AskError::NoProbe(..))));
}

#[tokio::test]
async fn a_head_without_end_and_what_is_no_http_are_refused() {
    let served = served().await;
    let long = format!("GET /livez HTTP/1.1\r\nhost: x\r\nlong: {}\r\n\r\n", "a".repeat(2 * HEAD_BYTES_MAX));
    let many = format!("GET /livez HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(2 * HEADERS_MAX));
    for head in [long, many] {
        let said = served.send(head.as_bytes()).await;
        assert!(!said.contains("200 OK"), "{said}");
    }
    assert!(!served.send(b"\x16\x03\x01\x00\x05hello\r\n\r\n").await.contains("200 OK"));
    assert_eq!(served.asked("/livez").await.unwrap(), Readiness::Ready(Vec::new()));
}

#[tokio::test]
async fn those_who_say_nothing_hold_no_place_for_long() {
    let served = served().await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        silent.push(TcpStream::connect(served.address).await.unwrap());
    }
    assert!(served.asked("/livez").await.is_err(), "there is no place left");
    let deadline = tokio::time::Instant::now() + 4 * CONNECTION_MAX;
    while served.asked("/livez").await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "no place is given back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn who_asks_learns_what_is_wrong_with_the_address() {
    let within = Duration::from_secs(5);
    for address in ["", "9464", "https://127.0.0.1:1/readyz", "/readyz"] {
        let error = ask(address, within).await.unwrap_err();
        assert!(matches!(error, AskError::Address(_)), "{address}: {error}");
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = ask(&format!("http://{closed}/readyz"), within).await.unwrap_err();
    assert!(matches!(error, AskError::Connect(..)), "{error}");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}/readyz", silent.local_addr().unwrap());
    let error = ask(&silent, Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, AskError::TooLate(_)), "{error}");
}
