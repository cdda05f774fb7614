// The check of an endpoint creates a channel, which needs a runtime such as the one of `main`. So these tests
// have one.

use super::*;

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn load_matcher(text: &str, set: &[&str]) -> anyhow::Result<RoleSettings<vigie_matcher::Config>> {
    let file = file(text);
    let set = set.iter().map(|one| (*one).to_owned()).collect();
    load(&RoleArgs { config: Some(file.path().to_owned()), listen: None, set })
}

/// Returns the faults of a file as they are printed, without the name of the file.
fn faults_of(text: &str, set: &[&str]) -> Vec<String> {
    let file = file(text);
    let set: Vec<String> = set.iter().map(|one| (*one).to_owned()).collect();
    let faults = check(Some(file.path()), &set).unwrap();
    let of_file = format!("{}: ", file.path().display());
    faults.iter().map(|fault| fault.to_string().replace(&of_file, "")).collect()
}

/// Checks that there is one fault for each of these beginnings, in any order, and no other fault.
fn check_faults(text: &str, places: &[&str]) {
    let faults = faults_of(text, &[]);
    for place in places {
        assert!(faults.iter().any(|fault| fault.starts_with(place)), "{place} in {faults:?}");
    }
    assert_eq!(faults.len(), places.len(), "{faults:?}");
    assert!(faults.iter().all(|fault| !fault.contains('\n')), "{faults:?}");
}

#[tokio::test]
async fn arguments_overrule_the_file_and_the_file_the_defaults() {
    let text = "listen = '127.0.0.1:9'\n[matcher]\nshard = 1\nshard_count = 4\n";
    let set = ["matcher.shard=3", "matcher.serving.drain_ms_max=7", "matcher.bank=http://127.0.0.1:1"];
    let RoleSettings { listen, config: matcher, .. } = load_matcher(text, &set).unwrap();
    assert_eq!((matcher.shard, matcher.shard_count), (3, 4));
    assert_eq!(matcher.serving.drain_ms_max, 7);
    assert_eq!(matcher.bank, "http://127.0.0.1:1");
    assert_eq!(matcher.feed_open_ms_max, vigie_matcher::Config::default().feed_open_ms_max);
    assert_eq!(listen.port(), 9);
}

#[tokio::test]
async fn unknown_keys_are_refused_by_name() {
    let error = format!("{:#}", load_matcher("[matcher]\nshards = 1\n", &[]).unwrap_err());
    assert!(error.contains("matcher.shards"), "{error}");
    assert!(load_matcher("", &["matcher"]).is_err());
    assert!(load_matcher("listen = '127.0.0.1:9'", &["listen.port=1"]).is_err());
}

#[tokio::test]
async fn a_role_runs_only_if_something_is_said_to_it() {
    let other = "listen = '127.0.0.1:9'\n[coordinator]\n";
    let error = format!("{:#}", load_matcher(other, &[]).unwrap_err());
    assert!(error.contains("has no [matcher] table"), "{error}");
    assert!(load_matcher(other, &["matcher.shard=0"]).is_ok(), "the faults of others are theirs");
}

#[tokio::test]
async fn every_fault_is_reported_with_its_key_or_line() {
    check_faults(
        "[matcher]\nshard = 4\nshard_count = 4\nfeed_open_ms_max = 0\n[frontend]\nquality_floor = 101\n",
        &["listen: ", "matcher.shard: ", "matcher.feed_open_ms_max: ", "frontend.quality_floor: "],
    );
    check_faults(
        "listen = 9\nbank = 1\nbnak = 1\n[matcher]\nshards = 4\nshard_count = 'x'\n[coordinator]\nmatchers = []\n",
        &[
            "listen: ",
            "bank: ",
            "bnak: ",
            "matcher.shards: ",
            "matcher.shard_count: ",
            "coordinator.matchers: ",
        ],
    );
    check_faults("listen = '127.0.0.1:9'\n", &["there is no table of a role"]);
    check_faults("listen = '127.0.0.1:9'\n[bank\n", &["line 2: "]);
    check_faults("listen = '127.0.0.1:9'\n[bank]\n", &[]);
}

#[tokio::test]
async fn a_path_that_is_no_program_is_a_fault_and_a_name_or_none_is_not() {
    let of = |ffmpeg: &str| format!("listen = '127.0.0.1:9'\n[frontend]\nffmpeg = '{ffmpeg}'\n");
    for path in ["/no/such/ffmpeg", "/etc/passwd", "./ffmpeg", "/bin"] {
        check_faults(&of(path), &["frontend.ffmpeg: "]);
    }
    for other in ["", "ffmpeg", "no-such-ffmpeg", "/bin/true"] {
        check_faults(&of(other), &[]);
    }
}

#[tokio::test]
async fn plain_text_does_not_leave_the_machine_unless_it_is_allowed() {
    let near = "listen = '127.0.0.1:9'\n[matcher]\nbank = 'http://localhost:1'\n";
    check_faults(near, &[]);
    let far = "listen = '0.0.0.0:9'\n[matcher]\nbank = 'http://bank:1'\n[coordinator]\n\
               matchers = ['dns+http://matchers:1', 'http://10.0.0.1:1', 'http://[::1]:1']\n\
               [frontend]\ncoordinator = 'embedded'\n";
    check_faults(
        far,
        &["listen: ", "matcher.bank: ", "coordinator.matchers: dns", "coordinator.matchers: http"],
    );
    check_faults(&format!("allow_plaintext = true\n{far}"), &[]);
    let error = format!("{:#}", load_matcher(far, &[]).unwrap_err());
    for remedy in ["[tls]", "allow_plaintext = true"] {
        assert!(error.contains(remedy), "{error}");
    }
    assert!(load_matcher(far, &["allow_plaintext=true"]).is_ok());
}

#[tokio::test]
async fn tls_is_read_and_its_faults_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let ca = vigie_tls::dev_ca::DevCa::open(folder.path()).unwrap();
    let validity = vigie_tls::dev_ca::Validity::days(1);
    let leaf = ca.server(&["localhost".to_owned()], validity).unwrap();
    let of = |certificate: &Path, key: &Path| {
        let (certificate, key, ca) = (certificate.display(), key.display(), ca.certificate());
        format!(
            "listen = '0.0.0.0:9'\n[tls]\ncertificate = '{certificate}'\nkey = '{key}'\nca = '{}'\n\
             [matcher]\nbank = 'https://bank:1'\n",
            ca.display()
        )
    };
    let good = of(&leaf.certificate, &leaf.key);
    check_faults(&good, &[]);
    let set = ["tls.client_certificates=optional", "tls.reload_ms=500"];
    let tls = load_matcher(&good, &set).unwrap().transport.tls.unwrap();
    assert_eq!((tls.client_certificates, tls.reload_ms), (vigie_tls::ClientCertificates::Optional, 500));
    let names = "client_names = ['spiffe://vigie.dev/frontend', 'Frontend']\n[matcher]";
    check_faults(&good.replace("[matcher]", names), &["tls.client_names: \"Frontend\""]);
    let error = format!("{:#}", load_matcher(&good, &["tls.key=/nowhere.key"]).unwrap_err());
    assert!(error.contains("tls.key: /nowhere.key"), "{error}");

    let other = ca.server(&["other".to_owned()], validity).unwrap();
    check_faults(&of(&leaf.certificate, &other.key), &["tls.key: "]);
    check_faults(&of(&leaf.key, &leaf.key), &["tls.certificate: "]);
    check_faults(
        &good.replace("[tls]", "[tls]\nkeys = 1\nreload_ms = 1"),
        &["tls.keys: ", "tls.reload_ms: "],
    );
    check_faults(
        "listen = '127.0.0.1:9'\n[tls]\n[bank]\n",
        &["tls.certificate: ", "tls.key: ", "tls.client_ca: "],
    );
    check_faults(
        "listen = '127.0.0.1:9'\nallow_plaintext = 1\ntls = 1\n[bank]\n",
        &["allow_plaintext: ", "tls: "],
    );
    let unsaid = "listen = '127.0.0.1:9'\n[matcher]\nbank = 'https://localhost:1'\n";
    check_faults(unsaid, &["matcher.bank: "]);
}

#[tokio::test]
async fn telemetry_has_settings_of_its_own_and_its_faults_are_reported_with_the_others() {
    let role = "listen = '127.0.0.1:9'\n[matcher]\n";
    let loaded = load_matcher(role, &[]).unwrap();
    assert_eq!(loaded.telemetry, TelemetryConfig::default());
    // Telemetry accepts any address without TLS and without `allow_plaintext`.
    let loaded = load_matcher(&format!("{role}[telemetry]\nlisten = '0.0.0.0:9464'\n"), &[]).unwrap();
    assert_eq!(loaded.telemetry.listen.unwrap().port(), 9_464);
    check_faults(
        &format!("{role}[telemetry]\nport = 1\ntrace_ratio = 'all'\n"),
        &["telemetry.port: ", "telemetry.trace_ratio: "],
    );
    check_faults(
        &format!("{role}[telemetry]\notlp_endpoint = 'collector'\ntrace_ratio = 2.0\n"),
        &["telemetry.otlp_endpoint: ", "telemetry.trace_ratio: "],
    );
    check_faults(&format!("{role}[telemetry]\nlisten = '0.0.0.0:9'\n"), &["telemetry.listen: "]);
    check_faults(&format!("telemetry = 9464\n{role}"), &["telemetry: "]);
}

#[tokio::test]
async fn faults_of_type_and_of_value_and_of_the_tables_within_are_found_together() {
    check_faults(
        "listen = '127.0.0.1:9'\n[frontend]\nquality_floor = 101\nhashing_queue_max = 'many'\nqualty_floor = 1\n\
         coordinator = 'http://127.0.0.1'\ndecoder_program = '/no/such/program'\n\
         [frontend.serving]\ndrain_ms_max = 'long'\ndeadline_ms_default = 0\nlameduck_ms = 1\n",
        &[
            "frontend.quality_floor: ",
            "frontend.hashing_queue_max: invalid type: string \"many\", expected a number (accepts at least 1)",
            "frontend.qualty_floor: is unknown; `quality_floor` is like it; `vigie config show frontend` lists",
            "frontend.coordinator: `http://127.0.0.1` is no endpoint; write it as http://host:port",
            "frontend.decoder_program: /no/such/program is not there",
            "frontend.serving.drain_ms_max: ",
            "frontend.serving.deadline_ms_default: must be at least 1",
            "frontend.serving.lameduck_ms: is unknown; `lame_duck_ms` is like it",
        ],
    );
    check_faults(
        "listen = '127.0.0.1:9'\n[tls]\ncertificate = '/no.crt'\nkey = '/no.key'\nca = '/no/ca.crt'\nreload_ms = 1\n\
         [matcher]\nbank = 'https://bank'\nshard = 'x'\n",
        &[
            "tls.certificate: /no.crt: ",
            "tls.key: /no.key: ",
            "tls.ca: /no/ca.crt: ",
            "tls.reload_ms: ",
            "matcher.bank: ",
            "matcher.shard: ",
        ],
    );
    check_faults("listen = '127.0.0.1:9\n[bank\nx = \n", &["line 1: ", "line 2: "]);
}

#[tokio::test]
async fn a_fault_names_the_argument_that_set_the_value_and_what_is_taken() {
    let text = "listen = '127.0.0.1:9'\n[matcher]\nfeed_open_ms_max = 0\n";
    let set = ["matcher.shard_count=many", "matcher.serving.drain_ms_max=-1", "listen.port=1", "matcher"];
    let faults = faults_of(text, &set);
    for expected in [
        "matcher.feed_open_ms_max: must be at least 1",
        "--set matcher.shard_count: matcher.shard_count: invalid type: string \"many\", expected a number (accepts 1 to 256)",
        "--set matcher.serving.drain_ms_max: matcher.serving.drain_ms_max: ",
        "--set listen.port: listen.port: cannot be set, for `listen` is no table",
        "--set matcher: write it as KEY=VALUE",
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{expected} in {faults:#?}");
    }
    assert_eq!(faults.len(), 5, "{faults:#?}");
}
