//! The telemetry of a cluster of processes: metrics, probes, traces and logs.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use rustix::process::Signal;
use vigie_harness::binary::{Finished, run, vigie_binary};
use vigie_harness::cluster::Cluster;
use vigie_harness::process::Process;
use vigie_harness::up::UpProcess;
use vigie_hashes::hex;
use vigie_pictures::{draw, encode_jpeg};
use vigie_tests::collector::{Collector, SeenSpan};
use vigie_tests::material::hashes_of_a_picture;
use vigie_tests::metrics::Exposition;

use crate::repository::source::root;

/// The time limit, which only a stuck process exceeds.
const WITHIN: Duration = Duration::from_secs(60);

/// The trace that commands are asked to join.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A process, observed through its telemetry.
trait Seen {
    /// Returns status and body, if there is an answer.
    fn get(&self, path: &str) -> Option<(u16, String)>;
    /// Waits until the probe answers with this status, and a text with this start.
    fn wait_for(&mut self, path: &str, status: u16, text: &str);
    /// Returns the result of `vigie health`.
    fn health(&self) -> Finished;
    /// Returns the metrics, as text and parsed.
    fn scrape(&self) -> (String, Exposition);
}

impl Seen for Process {
    fn get(&self, path: &str) -> Option<(u16, String)> {
        get(&self.telemetry().unwrap().to_string(), path)
    }

    fn wait_for(&mut self, path: &str, status: u16, text: &str) {
        let deadline = Instant::now() + WITHIN;
        loop {
            match self.get(path) {
                Some((is, body)) if is == status && body.starts_with(text) => return,
                other => {
                    let name = self.name();
                    assert!(Instant::now() < deadline, "{name} {path} is {other:?}, not {status} {text}");
                }
            }
            self.check_running().unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn health(&self) -> Finished {
        run(&["health", "--url", &format!("http://{}/readyz", self.telemetry().unwrap())], &[]).unwrap()
    }

    fn scrape(&self) -> (String, Exposition) {
        let (status, body) = self.get("/metrics").unwrap();
        assert_eq!(status, 200);
        let read =
            Exposition::parse(&body).unwrap_or_else(|error| panic!("{}: {error:#}\n{body}", self.name()));
        (body, read)
    }
}

/// Returns status and body of one answer.
pub(crate) fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut io = TcpStream::connect(address).ok()?;
    io.set_read_timeout(Some(WITHIN)).unwrap();
    write!(io, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").ok()?;
    let mut said = String::new();
    io.read_to_string(&mut said).ok()?;
    let (head, body) = said.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

#[test]
fn a_cluster_in_one_process_shows_the_metrics_of_all_roles_at_one_address() {
    let data = tempfile::tempdir().unwrap();
    let up = UpProcess::start_with(vigie_binary(), data.path(), &["--shards", "4"]).unwrap();
    let deadline = Instant::now() + WITHIN;
    while get(&up.telemetry, "/readyz").unwrap().0 != 200 {
        assert!(Instant::now() < deadline, "{:?}", get(&up.telemetry, "/readyz"));
        std::thread::sleep(Duration::from_millis(20));
    }
    let (status, body) = get(&up.telemetry, "/metrics").unwrap();
    assert_eq!(status, 200);
    let metrics = Exposition::parse(&body).unwrap_or_else(|error| panic!("{error:#}\n{body}"));
    let roles = |name: &str| {
        let samples = metrics.families[name].samples.iter();
        samples.filter_map(|sample| sample.labels.get("role").cloned()).collect::<Vec<_>>()
    };
    assert_eq!(roles("vigie_matcher_items"), ["matcher"; 4]);
    assert_eq!(roles("vigie_bank_sequence"), ["bank"]);
    let serving: BTreeSet<String> = roles("vigie_serving_connections").into_iter().collect();
    assert_eq!(serving, ["bank", "coordinator", "frontend", "gateway", "matcher"].map(str::to_owned).into());
    let process = &metrics.families["process_resident_memory_bytes"].samples;
    assert_eq!((process.len(), process[0].labels.len()), (1, 0), "the figures of the process are there once");
    let ready = run(&["health", "--url", &format!("http://{}/readyz", up.telemetry)], &[]).unwrap();
    assert_eq!((ready.code, &ready.lines[0][..]), (0, "ready"));
    up.kill().unwrap();
}

/// Builds a bank, a matcher and their callers, without starting them.
fn cluster(set: &[String]) -> Cluster {
    Cluster::of(vigie_binary()).telemetry().log("debug", "json").set(set).build().unwrap()
}

#[test]
fn a_matchers_probes_follow_its_life() {
    let mut cluster = cluster(&[]);
    let [bank, matcher, ..] = cluster.processes_mut() else { unreachable!() };
    assert_eq!(matcher.health().code, 4, "nobody is there");

    // Without a bank the matcher is live, but neither started nor ready.
    matcher.start().unwrap();
    matcher.wait_for("/livez", 200, "");
    matcher.wait_for("/readyz", 503, "waiting for the bank's feed; before that: cannot reach the bank at ");
    assert_eq!(matcher.get("/startupz").unwrap().0, 503);
    let health = matcher.health();
    assert_eq!(health.code, 1);
    assert!(health.lines[0].starts_with("not ready: waiting for the bank's feed; "), "{:?}", health.lines);

    bank.start().unwrap();
    bank.wait_for("/readyz", 200, "");
    matcher.wait_for("/readyz", 200, "");
    matcher.wait_for("/startupz", 200, "");
    let health = matcher.health();
    assert_eq!((health.code, &health.lines[0][..]), (0, "ready"));

    // It stays ready without the bank.
    bank.kill().unwrap();
    assert_eq!(matcher.get("/readyz").unwrap().0, 200);

    // After a stop signal it is at once unready, and still answers; then it ends.
    matcher.signal(Signal::TERM).unwrap();
    matcher.wait_for("/readyz", 503, "shutting down\n");
    assert_eq!(matcher.get("/startupz").unwrap().0, 200);
    assert_eq!(matcher.get("/livez").unwrap().0, 200);
    let deadline = Instant::now() + WITHIN;
    while matcher.exit_code().unwrap() != Some(0) {
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(matcher.health().code, 4);
}

/// All label names. Their values contain nothing that a caller sends.
const LABELS: [&str; 18] = [
    "error_type",
    "format",
    "hash_type",
    "kind",
    "le",
    "method",
    "outcome",
    "posture",
    "priority",
    "reason",
    "route",
    "rpc_method",
    "rpc_response_status_code",
    "rpc_system_name",
    "shard",
    "state",
    "status",
    "verdict",
];

/// Braces are for the parameters of a route.
fn is_word(text: &str) -> bool {
    text.len() <= 80 && text.chars().all(|one| one.is_ascii_alphanumeric() || "_./-+{}".contains(one))
}

/// The prefix of the metrics of a gateway.
const OF_GATEWAY: &str = "vigie_gateway_";
/// Prefixes of the metrics of roles that this cluster does not have.
const ELSEWHERE: [&str; 3] = [OF_GATEWAY, "vigie_exchange_", "vigie_classifier_"];

#[test]
fn a_gateway_counts_its_requests_by_route_and_never_shows_their_content() {
    let data = tempfile::tempdir().unwrap();
    let up = UpProcess::start_with(vigie_binary(), data.path(), &[]).unwrap();
    let http = up.http.trim_start_matches("http://");
    let deadline = Instant::now() + WITHIN;
    while get(http, "/status").unwrap().0 != 200 {
        assert!(Instant::now() < deadline, "{:?}", get(http, "/status"));
        std::thread::sleep(Duration::from_millis(20));
    }
    let hash = "0f".repeat(32);
    let (status, body) = get(http, &format!("/m/raw_lookup?signal_type=pdq&signal={hash}")).unwrap();
    assert_eq!(status, 200, "{body}");
    assert_eq!(get(http, "/no/such/secret-path").unwrap().0, 404);

    let (_, text) = get(&up.telemetry, "/metrics").unwrap();
    let metrics = Exposition::parse(&text).unwrap_or_else(|error| panic!("{error:#}\n{text}"));
    assert!(!text.contains(&hash) && !text.contains("secret-path"));
    let counted = |labels: &[(&str, &str)]| metrics.sum("vigie_gateway_request_seconds_count", labels);
    assert!(counted(&[("route", "/status"), ("status", "200")]) >= 1.0, "{text}");
    assert_eq!(counted(&[("route", "/m/raw_lookup"), ("method", "GET"), ("status", "200")]), 1.0, "{text}");
    assert_eq!(counted(&[("status", "404")]), 1.0, "{text}");
    assert_eq!(metrics.sum("vigie_gateway_status", &[]), 1.0);
    for (name, family) in metrics.families.iter().filter(|(name, _)| name.starts_with(OF_GATEWAY)) {
        for (label, value) in family.samples.iter().flat_map(|sample| &sample.labels) {
            let is_known = label == "role" || LABELS.contains(&label.as_str());
            assert!(is_known && is_word(value), "{name}: {label}={value}");
        }
    }
    let asked: Vec<_> =
        names_in_the_chart().into_iter().filter(|name| name.starts_with(OF_GATEWAY)).collect();
    assert!(asked.len() >= 4, "{asked:?}");
    for name in asked {
        assert!(metrics.knows(&name), "no gateway has the metric {name}, which the chart uses");
    }
    up.kill().unwrap();
}

#[test]
fn every_role_has_metrics_that_are_whole_bounded_and_hold_no_hash() {
    let collector = Collector::start().unwrap();
    let to = format!("telemetry.otlp_endpoint={}", collector.url());
    let mut cluster = cluster(&[to, "telemetry.trace_ratio=1.0".to_owned()]);
    let mut environment = cluster.environment();
    environment.push(("TRACEPARENT".to_owned(), format!("00-{TRACE}-b7ad6b7169203331-01")));
    let folder = cluster.folder().to_owned();
    for role in cluster.processes_mut() {
        role.start().unwrap();
        role.wait_for("/readyz", 200, "");
    }
    let [bank, matcher, coordinator, frontend] = cluster.processes_mut() else { unreachable!() };

    // The standard error of commands; the answers of `vigie hash` contain hashes.
    let said = RefCell::new(String::new());
    let vigie = |args: &[&str], code: i32| {
        let finished = run(&[&["--json"], args].concat(), &environment).unwrap();
        assert_eq!(finished.code, code, "{args:?}: {:?} {}", finished.lines, finished.stderr);
        said.borrow_mut().push_str(&finished.stderr);
        finished.json().unwrap()
    };
    let picture = folder.join("picture.jpg");
    std::fs::write(&picture, encode_jpeg(&draw(3, 320, 240), 90)).unwrap();
    let broken = folder.join("broken.jpg");
    std::fs::write(&broken, b"\xff\xd8\xff\xe0 and no more").unwrap();
    let picture = picture.to_str().unwrap();
    vigie(&["bank", "create", "known"], 0);
    let added = &vigie(&["item", "add", "known", picture], 0)[0];
    let matched = vigie(&["match", picture, "--min-sequence", &added["sequence"].to_string()], 0);
    assert_eq!(matched[0]["matches"].as_array().map(Vec::len), Some(1));
    vigie(&["match", broken.to_str().unwrap()], 3);
    let hashed = serde_json::to_string(&vigie(&["hash", picture], 0)).unwrap();
    let hashes: BTreeSet<_> = hashed
        .split('"')
        .filter(|text| text.len() >= 32 && text.chars().all(|one| one.is_ascii_hexdigit()))
        .collect();
    assert!(hashes.len() >= 3, "{hashed}");
    // One trace for all commands, through every role.
    let everywhere = |spans: &[SeenSpan]| {
        let of_trace = spans.iter().filter(|span| span.trace == TRACE).map(|span| span.service.as_str());
        let services: BTreeSet<_> = of_trace.collect();
        services.len() == 4 && spans.iter().any(|span| span.name == "hash an image")
    };
    collector.wait_for(everywhere).unwrap();

    let mut known = Vec::new();
    for role in [&*bank, &*matcher, &*coordinator, &*frontend] {
        // The collector has the spans a moment before their role counts them as sent.
        let deadline = Instant::now() + WITHIN;
        let (text, metrics) = loop {
            let (text, metrics) = role.scrape();
            if metrics.sum("vigie_trace_spans_total", &[("outcome", "sent")]) >= 1.0 {
                break (text, metrics);
            }
            assert!(Instant::now() < deadline, "{}: {text}", role.name());
            std::thread::sleep(Duration::from_millis(20));
        };
        for (name, family) in &metrics.families {
            assert!(
                ["vigie_", "process_", "rpc_server_"].iter().any(|prefix| name.starts_with(prefix)),
                "{name}"
            );
            // A histogram has two dozen lines for each set of labels.
            assert!(family.samples.len() <= 500, "{name} has {} lines", family.samples.len());
            for (label, value) in family.samples.iter().flat_map(|sample| &sample.labels) {
                assert!(LABELS.contains(&label.as_str()) && is_word(value), "{name}: {label}={value}");
            }
        }
        assert!(metrics.sum("vigie_serving_calls_accepted_total", &[]) >= 1.0, "{}: {text}", role.name());
        assert!(metrics.sum("process_resident_memory_bytes", &[]) > 1e6);
        // Without TLS there is no certificate: the metric exists without a value, so that no alert fires.
        assert!(metrics.families["vigie_tls_certificate_not_after_seconds"].samples.is_empty());
        let logged = role.logged().unwrap().to_lowercase();
        check_log(&logged, role.name());
        check_with_promtool(&metrics);
        known.push(metrics);
    }
    for name in names_in_the_chart()
        .into_iter()
        .filter(|name| !ELSEWHERE.iter().any(|prefix| name.starts_with(prefix)))
    {
        assert!(
            known.iter().any(|metrics| metrics.knows(&name)),
            "no role has the metric {name}, which the chart uses"
        );
    }
    let (_, metrics) = frontend.scrape();
    assert!(metrics.sum("vigie_images_hashed_total", &[]) >= 1.0);
    assert!(metrics.sum("vigie_image_decode_failures_total", &[]) >= 1.0);
    check_calls(&metrics, "vigie.matching.v1.MatchService/Match", "OK");
    let (_, metrics) = bank.scrape();
    check_calls(&metrics, "vigie.bank.v1.BankService/AddItems", "OK");
    assert_eq!(metrics.sum("vigie_bank_sequence", &[]), 2.0);
    let (_, metrics) = coordinator.scrape();
    check_calls(&metrics, "vigie.coordinator.v1.CoordinatorService/Search", "OK");
    assert!(metrics.sum("vigie_coordinator_shard_search_duration_seconds_count", &[("shard", "0")]) >= 1.0);
    assert_eq!(metrics.sum("vigie_coordinator_shards_ready", &[]), 1.0);
    assert_eq!(metrics.sum("vigie_coordinator_replicas", &[("state", "ready")]), 1.0);
    let (_, metrics) = matcher.scrape();
    assert!(metrics.sum("vigie_matcher_searches_total", &[("outcome", "answered")]) >= 1.0);
    check_calls(&metrics, "vigie.matcher.v1.MatcherService/Search", "OK");
    assert_eq!(metrics.sum("vigie_matcher_items", &[]), 1.0);
    let held = u32::try_from(hashes_of_a_picture()).unwrap();
    assert_eq!(metrics.sum("vigie_matcher_hashes", &[]), f64::from(held));
    assert_eq!(metrics.sum("vigie_matcher_feed_lag_changes", &[]), 0.0);
    assert!(metrics.sum("vigie_matcher_feed_lag_seconds", &[]) < 10.0);

    // The bank dies, and the matcher reports a growing lag, because it cannot know its real one. A call of an
    // unknown method is counted with all others of its kind, without its name.
    bank.kill().unwrap();
    let deadline = Instant::now() + WITHIN;
    while matcher.scrape().1.sum("vigie_matcher_feed_lag_seconds", &[]) < 3.0 {
        assert!(Instant::now() < deadline, "the lag does not grow");
        std::thread::sleep(Duration::from_millis(200));
    }
    vigie(&["bank", "list", "--bank-url", &frontend.url()], 1);
    let (_, metrics) = frontend.scrape();
    check_calls(&metrics, "_OTHER", "UNIMPLEMENTED");

    // Everything that any process has sent or logged.
    collector.settled();
    let mut all = collector.raw();
    for role in [&*matcher, &*coordinator, &*frontend] {
        all.extend(role.scrape().0.bytes());
    }
    for role in [&*bank, &*matcher, &*coordinator, &*frontend] {
        all.extend(std::fs::read(role.log()).unwrap());
    }
    all.extend(said.borrow().bytes());
    assert!(all.len() > 10_000);
    for hash in &hashes {
        assert!(!holds_hash(&all, hash), "{hash} is sent or logged");
        // The search itself works: it finds a hash in each form.
        for form in forms(hash) {
            assert!(holds_hash(&[b"ab", &form[..], b"cd"].concat(), hash));
        }
    }
}

/// Returns a hash in each form in which it might be written: both cases of digits, bytes, a list of numbers,
/// and base64.
fn forms(hash: &str) -> Vec<Vec<u8>> {
    let bytes = hex::decode(hash).unwrap();
    let list = bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&bytes);
    vec![hash.to_lowercase().into(), hash.to_uppercase().into(), bytes, list.into(), base64.into()]
}

fn holds_hash(text: &[u8], hash: &str) -> bool {
    forms(hash).iter().any(|form| text.windows(form.len()).any(|part| part == form))
}

/// Checks that each line is a JSON object, and that a call's line names its trace.
fn check_log(logged: &str, role: &str) {
    let lines = logged.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect(line));
    let mut calls = lines.filter(|line| line["target"] == "access" && line["trace_id"] == TRACE);
    assert!(calls.any(|call| call["span_id"].as_str().is_some_and(|id| id.len() == 16)), "{role}: {logged}");
}

#[test]
fn a_role_reports_when_its_certificate_ends_and_whether_it_took_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = folder.path().join("certificates");
    let make = || {
        let made = run(&["tls", "dev-ca", certificates.to_str().unwrap()], &[]).unwrap();
        assert_eq!(made.code, 0, "{}", made.stderr);
    };
    make();
    let builder = Cluster::of(vigie_binary()).telemetry().certificates(&certificates).log("debug", "json");
    let mut cluster = builder.build().unwrap();
    let bank = cluster.process("bank").unwrap();
    bank.start().unwrap();
    bank.wait_for("/readyz", 200, "");
    let reloads =
        |bank: &Process, outcome| bank.scrape().1.sum("vigie_tls_reloads_total", &[("outcome", outcome)]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let (_, metrics) = bank.scrape();
    let ends = metrics.sum("vigie_tls_certificate_not_after_seconds", &[]);
    assert!(ends > now + 86_400.0, "{ends}");
    check_with_promtool(&metrics);
    assert_eq!((reloads(bank, "ok"), reloads(bank, "failed")), (0.0, 0.0));

    let wait_for = |bank: &Process, outcome| {
        let deadline = Instant::now() + WITHIN;
        while reloads(bank, outcome) < 1.0 {
            assert!(Instant::now() < deadline, "{outcome} does not grow");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    make();
    wait_for(bank, "ok");
    let renewed = bank.scrape().1.sum("vigie_tls_certificate_not_after_seconds", &[]);
    assert!(renewed >= ends, "{renewed} {ends}");
    std::fs::write(certificates.join("localhost.key"), "no key").unwrap();
    wait_for(bank, "failed");
    assert_eq!(bank.scrape().1.sum("vigie_tls_certificate_not_after_seconds", &[]), renewed);
}

/// Checks that calls of this method with this code were counted, and that each is in a bucket.
fn check_calls(metrics: &Exposition, method: &str, code: &str) {
    let labels = [("rpc_system_name", "grpc"), ("rpc_method", method), ("rpc_response_status_code", code)];
    let seen = metrics.sum("rpc_server_call_duration_seconds_count", &labels);
    assert!(seen >= 1.0, "{method} {code} in {:?}", metrics.families["rpc_server_call_duration_seconds"]);
    let all = [&labels[..], &[("le", "+Inf")]].concat();
    assert_eq!(metrics.sum("rpc_server_call_duration_seconds_bucket", &all), seen);
}

/// Returns our metrics that the chart's dashboard, alerts and scaler use.
pub(crate) fn names_in_the_chart() -> BTreeSet<String> {
    let dashboard = std::fs::read_to_string(root().join("helm/vigie/files/dashboard.json")).unwrap();
    let objects = std::fs::read_to_string(root().join("helm/vigie/ci/golden/production.yaml")).unwrap();
    let rules =
        objects.lines().filter(|line| line.contains("expr: ") || line.contains("name: vigie_serving"));
    let expressions = dashboard.lines().filter(|line| line.contains("\"expr\"")).chain(rules);
    let words =
        expressions.flat_map(|line| line.split(|one: char| !one.is_ascii_alphanumeric() && one != '_'));
    let ours = words.filter(|word| word.starts_with("vigie_") || word.starts_with("rpc_server_"));
    let names: BTreeSet<_> = ours.map(str::to_owned).collect();
    assert!(names.len() >= 20, "{names:?}");
    names
}

/// Checks the metrics with Prometheus' own tool, where it is installed.
fn check_with_promtool(metrics: &Exposition) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut promtool) = command.spawn() else {
        eprintln!("SKIPPED: promtool is not installed, so nothing but our own reader has read the metrics");
        return;
    };
    promtool.stdin.take().unwrap().write_all(metrics.classic().as_bytes()).unwrap();
    let finished = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&finished.stderr).into_owned();
    assert!(finished.status.success() && said.is_empty(), "{said}");
}

#[test]
fn a_port_that_is_taken_ends_the_role_and_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let store = format!("bank.store=sqlite:{}", folder.path().join("bank.db").display());
    let telemetry = format!("telemetry.listen={address}");
    let ended = run(&["bank", "--listen", "127.0.0.1:0", "--set", &store, "--set", &telemetry], &[]).unwrap();
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains(&format!("telemetry: cannot listen on {address}")), "{}", ended.stderr);
}
