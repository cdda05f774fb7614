//! The files that the chart renders from `ci/production-values.yaml`, compared with the promises of the
//! chart's README. `helm/ci/check` ensures that these files equal helm's output.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::de::DeserializeOwned;
use vigie_serving::ServingConfig;
use vigie_telemetry::TelemetryConfig;
use yaml_rust2::{Yaml, YamlLoader};

use crate::repository::source::root;

const ROLES: [&str; 5] = ["frontend", "coordinator", "matcher", "bank", "gateway"];
const COMPONENT: &str = "app.kubernetes.io/component";

pub(crate) fn rendered(name: &str) -> Vec<Yaml> {
    let path = root().join(format!("helm/vigie/ci/golden/{name}.yaml"));
    YamlLoader::load_from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub(crate) fn of_kind<'a>(objects: &'a [Yaml], kind: &'a str) -> impl Iterator<Item = &'a Yaml> {
    objects.iter().filter(move |object| object["kind"].as_str() == Some(kind))
}

pub(crate) fn text(value: &Yaml) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value:?}"))
}

pub(crate) fn name(object: &Yaml) -> &str {
    text(&object["metadata"]["name"])
}

pub(crate) fn list(value: &Yaml) -> &[Yaml] {
    value.as_vec().map_or(&[], Vec::as_slice)
}

/// Returns each workload's name and the template of its pods.
fn templates(objects: &[Yaml]) -> Vec<(&str, &Yaml)> {
    let workloads = ["Deployment", "StatefulSet", "Job"].into_iter().flat_map(|kind| of_kind(objects, kind));
    let mut all: Vec<_> = workloads.map(|object| (name(object), &object["spec"]["template"])).collect();
    let scheduled = of_kind(objects, "CronJob");
    all.extend(scheduled.map(|one| (name(one), &one["spec"]["jobTemplate"]["spec"]["template"])));
    all.extend(of_kind(objects, "Pod").map(|pod| (name(pod), pod)));
    all
}

pub(crate) fn component(labelled: &Yaml) -> &str {
    text(&labelled["metadata"]["labels"][COMPONENT])
}

/// Returns the templates of the roles.
pub(crate) fn roles(objects: &[Yaml]) -> Vec<(&str, &Yaml)> {
    templates(objects).into_iter().filter(|(_, template)| ROLES.contains(&component(template))).collect()
}

fn containers(template: &Yaml) -> impl Iterator<Item = &Yaml> {
    ["containers", "initContainers"].into_iter().flat_map(|kind| list(&template["spec"][kind]))
}

/// Returns the configuration of each role; matchers have one for each set.
pub(crate) fn configurations(objects: &[Yaml]) -> Vec<(&str, toml::Table)> {
    of_kind(objects, "ConfigMap")
        .filter_map(|map| Some((component(map), map["data"]["vigie.toml"].as_str()?.parse().unwrap())))
        .collect()
}

#[test]
fn every_pod_may_do_as_little_as_can_be() {
    for golden in ["production", "small", "tls", "members", "http"] {
        let objects = rendered(golden);
        assert!(templates(&objects).len() >= 5);
        for (name, template) in templates(&objects) {
            let pod = &template["spec"];
            assert_eq!(pod["automountServiceAccountToken"].as_bool(), Some(false), "{name}");
            let security = &pod["securityContext"];
            assert_eq!(security["runAsNonRoot"].as_bool(), Some(true), "{name}");
            assert_eq!(security["runAsUser"].as_i64(), Some(65_532), "{name}");
            assert_eq!(text(&security["seccompProfile"]["type"]), "RuntimeDefault", "{name}");
            for container in containers(template) {
                let security = &container["securityContext"];
                assert_eq!(security["readOnlyRootFilesystem"].as_bool(), Some(true), "{name}");
                assert_eq!(security["allowPrivilegeEscalation"].as_bool(), Some(false), "{name}");
                assert_eq!(text(&security["capabilities"]["drop"][0]), "ALL", "{name}");
                assert!(!container["resources"]["requests"]["memory"].is_badvalue(), "{name}");
            }
        }
        assert!(
            of_kind(&objects, "ServiceAccount")
                .all(|one| one["automountServiceAccountToken"].as_bool() == Some(false))
        );
    }
}

#[test]
fn each_shard_keeps_a_replica_whatever_is_rolled_or_drained() {
    let objects = rendered("production");
    let sets: Vec<_> = of_kind(&objects, "StatefulSet").filter(|set| component(set) == "matcher").collect();
    let mut shards = BTreeSet::new();
    for set in &sets {
        let (spec, name) = (&set["spec"], name(set));
        let pod = &spec["template"];
        let env = list(&pod["spec"]["containers"][0]["env"]);
        let shard = env.iter().find(|one| one["name"].as_str() == Some("VIGIE__MATCHER__SHARD")).unwrap();
        let shard = text(&shard["value"]);
        assert!(shards.insert(shard.to_owned()), "{name}");
        assert_eq!(text(&pod["metadata"]["labels"]["vigie/shard"]), shard);

        assert!(spec["replicas"].as_i64().unwrap() >= 2, "{name}");
        assert_eq!(text(&spec["podManagementPolicy"]), "Parallel");
        assert_eq!(text(&spec["updateStrategy"]["type"]), "RollingUpdate");
        // One at a time, which is the default of a StatefulSet; and longer than the interval of a
        // coordinator's name lookups.
        assert!(spec["updateStrategy"]["rollingUpdate"].is_badvalue(), "{name}");
        assert!(spec["minReadySeconds"].as_i64().unwrap() > 5 + 1, "{name}");

        let selector = &spec["selector"]["matchLabels"];
        let budget = of_kind(&objects, "PodDisruptionBudget")
            .find(|budget| &budget["spec"]["selector"]["matchLabels"] == selector)
            .unwrap();
        assert_eq!(budget["spec"]["maxUnavailable"].as_i64(), Some(1));
        let spread = list(&pod["spec"]["topologySpreadConstraints"]);
        let strict = |key| {
            spread.iter().any(|one| {
                text(&one["topologyKey"]) == key
                    && text(&one["whenUnsatisfiable"]) == "DoNotSchedule"
                    && one["maxSkew"].as_i64() == Some(1)
                    && &one["labelSelector"]["matchLabels"] == selector
            })
        };
        assert!(strict("topology.kubernetes.io/zone") && strict("kubernetes.io/hostname"), "{name}");
    }
    assert_eq!(shards, (0..8).map(|shard| shard.to_string()).collect());
    for role in ["frontend", "coordinator", "bank", "gateway"] {
        assert!(of_kind(&objects, "PodDisruptionBudget").any(|budget| component(budget) == role));
    }
}

#[test]
fn a_rollout_waits_for_new_pods_and_stops_at_a_fault_of_the_configuration() {
    for (golden, count) in [("production", 4), ("tls", 3), ("members", 6)] {
        let objects = rendered(golden);
        let deployments: Vec<_> = of_kind(&objects, "Deployment").collect();
        assert_eq!(deployments.len(), count, "{golden}");
        for deployment in deployments {
            let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
            assert_eq!(rolling["maxUnavailable"].as_i64(), Some(0), "{golden} {}", name(deployment));
        }
        for (name, template) in roles(&objects) {
            let check = &template["spec"]["initContainers"][0];
            let role = &template["spec"]["containers"][0];
            let arguments: Vec<_> = list(&check["args"]).iter().map(text).collect();
            assert_eq!(arguments, ["config", "check", "/etc/vigie/config/vigie.toml"], "{golden} {name}");
            // The check runs with the same files and variables as the role.
            for key in ["image", "env", "envFrom", "volumeMounts", "securityContext"] {
                assert_eq!(check[key], role[key], "{golden} {name} {key}");
            }
        }
        // The service name resolves to every bank, also those that do not serve.
        let service = of_kind(&objects, "Service").find(|one| component(one) == "bank").unwrap();
        assert_eq!(text(&service["spec"]["clusterIP"]), "None", "{golden}");
    }
}

#[test]
fn each_role_has_an_account_and_only_matchers_have_the_rights_of_the_bucket() {
    let objects = rendered("production");
    let mut used = BTreeMap::new();
    for (name, template) in templates(&objects) {
        let account = text(&template["spec"]["serviceAccountName"]);
        let role = component(template);
        assert_eq!(*used.entry(account).or_insert(role), role, "{name} shares the account {account}");
    }
    let (annotated, plain): (Vec<_>, Vec<_>) = of_kind(&objects, "ServiceAccount")
        .partition(|account| !account["metadata"]["annotations"].is_badvalue());
    assert_eq!(annotated.iter().map(|one| name(one)).collect::<Vec<_>>(), ["vigie-matcher"]);
    let made: BTreeSet<_> = annotated.into_iter().chain(plain).map(name).collect();
    assert_eq!(made, used.into_keys().collect());
}

/// Returns whether helm creates the object for `helm test` and deletes it afterwards.
fn is_of_tests(object: &Yaml) -> bool {
    let annotations = &object["metadata"]["annotations"];
    let policies = annotations["helm.sh/hook-delete-policy"].as_str().unwrap_or_default();
    annotations["helm.sh/hook"].as_str() == Some("test")
        && ["hook-succeeded", "hook-failed"].iter().all(|one| policies.contains(one))
}

/// Returns which pods of the release may connect to which, according to the policies of both ends.
fn arrows(objects: &[Yaml]) -> BTreeSet<(String, String)> {
    let of = |role: &str, direction: &str, end: &str| -> BTreeSet<String> {
        let policies = of_kind(objects, "NetworkPolicy");
        let own = policies
            .filter(|one| one["spec"]["podSelector"]["matchLabels"][COMPONENT].as_str() == Some(role));
        let peers = own.flat_map(|one| list(&one["spec"][direction])).flat_map(|rule| list(&rule[end]));
        peers
            .filter_map(|peer| Some(peer["podSelector"]["matchLabels"][COMPONENT].as_str()?.to_owned()))
            .collect()
    };
    let all = || ROLES.into_iter().chain(["client", "exchange"]);
    let pairs = all().flat_map(|from| all().map(move |to| (from, to)));
    pairs
        .filter(|(from, to)| {
            of(from, "egress", "to").contains(*to) && of(to, "ingress", "from").contains(*from)
        })
        .map(|(from, to)| (from.to_owned(), to.to_owned()))
        .collect()
}

#[test]
fn only_the_arrows_of_the_design_are_open() {
    let expected =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let objects = rendered("production");
    let roles: BTreeSet<_> =
        expected(&[("frontend", "coordinator"), ("coordinator", "matcher"), ("matcher", "bank")]);
    let of_gateways = expected(&[("gateway", "frontend"), ("gateway", "coordinator"), ("gateway", "bank")]);
    let apart: BTreeSet<_> = roles.union(&of_gateways).cloned().collect();
    let (of_tests, kept): (Vec<_>, Vec<_>) = objects.iter().cloned().partition(is_of_tests);
    assert_eq!(arrows(&kept), apart);
    let of_members: Vec<_> = rendered("members").into_iter().filter(|one| !is_of_tests(one)).collect();
    let followers = [("frontend", "bank"), ("coordinator", "bank"), ("exchange", "bank")];
    assert_eq!(&arrows(&of_members) - &apart, expected(&followers));
    // These connections are open only while tests run, by policies that are deleted afterwards.
    let tests: BTreeSet<_> =
        expected(&[("client", "frontend"), ("client", "coordinator"), ("client", "bank")]);
    assert_eq!(arrows(&of_tests), tests);
    let apart: BTreeSet<_> = roles.union(&tests).cloned().collect();
    let embedded: BTreeSet<_> = expected(&[("frontend", "matcher")]);
    assert_eq!(arrows(&rendered("small")).difference(&apart).cloned().collect::<BTreeSet<_>>(), embedded);

    let deny = of_kind(&objects, "NetworkPolicy").find(|one| name(one) == "vigie-deny").unwrap();
    assert!(deny["spec"]["podSelector"]["matchLabels"][COMPONENT].is_badvalue());
    assert_eq!(list(&deny["spec"]["policyTypes"]).len(), 2);
    assert!(deny["spec"]["ingress"].is_badvalue() && deny["spec"]["egress"].is_badvalue());
    for policy in of_kind(&objects, "NetworkPolicy") {
        for (direction, end) in [("ingress", "from"), ("egress", "to")] {
            for rule in list(&policy["spec"][direction]) {
                assert!(!list(&rule[end]).is_empty(), "{} is open to all", name(policy));
                assert!(!list(&rule["ports"]).is_empty(), "{} is open at every port", name(policy));
            }
        }
    }
}

/// Parses the role's table as the binary does. Its https URLs are changed to http, because the binary refuses
/// them without certificates, and its s3 URLs to file.
pub(crate) fn read<C: DeserializeOwned>(table: &toml::Table, role: &str) -> C {
    let written = toml::to_string(&table[role]).unwrap().replace("https://", "http://");
    toml::from_str(&written.replace("s3://", "file:///")).unwrap()
}

/// Returns the mistakes that the binary finds in a role's configuration, and its serving limits.
pub(crate) fn understood(role: &str, table: &toml::Table) -> (Vec<String>, ServingConfig) {
    let telemetry: TelemetryConfig = read(table, "telemetry");
    assert_eq!(telemetry.listen.map(|listen| listen.port()), Some(9_464), "{role}");
    let (mut faults, serving) = understood_role(role, table);
    faults.extend(telemetry.faults());
    (faults, serving)
}

fn understood_role(role: &str, table: &toml::Table) -> (Vec<String>, ServingConfig) {
    match role {
        "bank" => {
            let config: vigie_bank::Config = read(table, role);
            (config.faults(), config.serving)
        }
        "matcher" => {
            let config: vigie_matcher::Config = read(table, role);
            (config.faults(), config.serving)
        }
        "coordinator" => {
            let config: vigie_coordinator::Config = read(table, role);
            (config.faults(), config.serving)
        }
        "gateway" => {
            let config: vigie_gateway::Config = read(table, role);
            (config.faults(), config.serving)
        }
        "classifier" => {
            let config: vigie_classifier::Config = read(table, role);
            (config.faults(), config.serving)
        }
        _ => {
            let config: vigie_frontend::Config = read(table, role);
            (config.faults(), config.serving)
        }
    }
}

#[tokio::test]
async fn the_binary_understands_every_configuration_and_gets_the_time_to_stop() {
    for golden in ["production", "small", "tls", "http"] {
        let objects = rendered(golden);
        let configurations = configurations(&objects);
        assert!(configurations.len() >= 4);
        let mut stops = BTreeMap::new();
        for (role, table) in &configurations {
            let (faults, serving) = understood(role, table);
            assert_eq!(faults, Vec::<String>::new(), "{golden} {role}");
            stops.insert(*role, (serving.lame_duck_ms + serving.drain_ms_max) / 1_000);
            assert_eq!(table["allow_plaintext"].as_bool(), Some(!table.contains_key("tls")));
        }
        for (name, template) in roles(&objects) {
            let grace = template["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap();
            assert!(u64::try_from(grace).unwrap() > stops[component(template)] + 5, "{golden} {name}");
            assert!(template["metadata"]["annotations"]["checksum/config"].as_str().is_some(), "{name}");
        }
    }
}

/// Parses a quantity of the chart, in bytes.
pub(crate) fn quantity(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.find(|one: char| !one.is_ascii_digit()).unwrap());
    let exponent = ["Ki", "Mi", "Gi"].iter().position(|one| *one == unit).unwrap() + 1;
    number.parse::<u64>().unwrap() << (10 * exponent)
}

#[test]
fn decoder_processes_are_required_and_fit_into_the_memory_of_their_frontend() {
    for golden in ["production", "small", "tls"] {
        let objects = rendered(golden);
        let configurations = configurations(&objects);
        let (_, table) = configurations.iter().find(|(role, _)| *role == "frontend").unwrap();
        let config: vigie_frontend::Config = read(table, "frontend");
        assert_eq!(table["frontend"]["sandbox"].as_str(), Some("required"), "{golden}");
        let (_, template) =
            roles(&objects).into_iter().find(|(_, one)| component(one) == "frontend").unwrap();
        let limit = quantity(text(&template["spec"]["containers"][0]["resources"]["limits"]["memory"]));
        let process =
            config.image_alloc_bytes_max + u64::try_from(config.image_bytes_max).unwrap() + (64 << 20);
        let threads = u64::try_from(config.hashing_threads).unwrap();
        assert!(threads >= 1 && (256 << 20) + threads * process <= limit, "{golden}");
    }
}

#[test]
fn coordinators_hear_matchers_that_are_not_ready_yet() {
    let objects = rendered("tls");
    let configurations = configurations(&objects);
    let (_, coordinator) = configurations.iter().find(|(role, _)| *role == "coordinator").unwrap();
    let endpoints: BTreeSet<_> = coordinator["coordinator"]["matchers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect();
    // Both sets of matchers, while one replaces the other.
    let headless = of_kind(&objects, "Service").filter(|service| component(service) == "matcher");
    let expected: Vec<_> = headless
        .map(|service| {
            assert_eq!(text(&service["spec"]["clusterIP"]), "None");
            assert_eq!(service["spec"]["publishNotReadyAddresses"].as_bool(), Some(true));
            format!("dns+https://{}.vigie.svc.cluster.local:7750", name(service))
        })
        .collect();
    assert_eq!(endpoints, expected.iter().map(String::as_str).collect());
    assert_eq!(endpoints.len(), 2);
}

#[test]
fn probes_ask_the_telemetry_port_and_leave_time_to_load() {
    for (name, template) in roles(&rendered("production")) {
        let container = &template["spec"]["containers"][0];
        for (probe, path) in
            [("startupProbe", "/startupz"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
        {
            assert_eq!(text(&container[probe]["httpGet"]["path"]), path, "{name}");
            assert_eq!(text(&container[probe]["httpGet"]["port"]), "telemetry", "{name}");
        }
        let startup = &container["startupProbe"];
        let patience =
            startup["periodSeconds"].as_i64().unwrap() * startup["failureThreshold"].as_i64().unwrap();
        let loads = component(template) == "matcher";
        assert!(patience >= if loads { 900 } else { 60 }, "{name}");
    }
}

#[test]
fn frontends_grow_with_processor_time_and_with_calls() {
    let objects = rendered("production");
    let scaler = of_kind(&objects, "HorizontalPodAutoscaler").next().unwrap();
    let metrics = list(&scaler["spec"]["metrics"]);
    assert_eq!(text(&metrics[0]["resource"]["name"]), "cpu");
    assert_eq!(text(&metrics[1]["pods"]["metric"]["name"]), "vigie_serving_calls_in_flight");
    let target = text(&scaler["spec"]["scaleTargetRef"]["name"]);
    let deployment = of_kind(&objects, "Deployment").find(|one| name(one) == target).unwrap();
    assert!(deployment["spec"]["replicas"].is_badvalue(), "the scaler and helm would take turns");
}

#[test]
fn no_password_is_anywhere_but_in_its_secret() {
    let objects = rendered("production");
    let (_, bank) = roles(&objects).into_iter().find(|(_, one)| component(one) == "bank").unwrap();
    let env = list(&bank["spec"]["containers"][0]["env"]);
    let password = env.iter().find(|one| one["name"].as_str() == Some("PGPASSWORD")).unwrap();
    assert_eq!(text(&password["valueFrom"]["secretKeyRef"]["name"]), "vigie-database");
    assert_eq!(of_kind(&objects, "Secret").count(), 0);
}

#[test]
fn every_role_has_a_certificate_for_the_names_that_others_call_it() {
    ["production", "gateway"].into_iter().for_each(check_certificates);
}

fn check_certificates(golden: &str) {
    let objects = rendered(golden);
    let names: BTreeSet<_> = of_kind(&objects, "Certificate")
        .flat_map(|one| list(&one["spec"]["dnsNames"]))
        .map(|one| text(one).to_owned())
        .collect();
    let secrets: BTreeSet<_> =
        of_kind(&objects, "Certificate").map(|one| text(&one["spec"]["secretName"]).to_owned()).collect();
    for service in of_kind(&objects, "Service") {
        assert!(names.contains(&format!("{}.vigie.svc.cluster.local", name(service))), "{}", name(service));
    }
    // A backup calls no other role.
    for (name, template) in templates(&objects).into_iter().filter(|(_, one)| component(one) != "backup") {
        let volumes = list(&template["spec"]["volumes"]).iter();
        let own: Vec<_> = volumes.filter_map(|volume| volume["secret"]["secretName"].as_str()).collect();
        assert_eq!(own.len(), 1, "{name}");
        assert!(secrets.contains(own[0]), "{name}");
    }
}

#[test]
fn the_load_test_shows_the_certificate_of_clients_where_there_is_tls_and_may_else_speak_plain_text() {
    for (golden, scheme) in [("tls", "https://"), ("small", "http://")] {
        let objects = rendered(golden);
        let job = of_kind(&objects, "Job").next().unwrap();
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        let reached: Vec<_> =
            list(&container["args"]).iter().map(text).filter_map(|one| one.split_once('=')).collect();
        for argument in ["--target", "--bank-url"] {
            let (_, url) = reached.iter().find(|(name, _)| *name == argument).unwrap();
            assert!(url.starts_with(scheme), "{golden} {url}");
        }
        let env: BTreeMap<_, _> =
            list(&container["env"]).iter().map(|one| (text(&one["name"]), text(&one["value"]))).collect();
        let mounts: Vec<_> =
            list(&container["volumeMounts"]).iter().map(|one| text(&one["mountPath"])).collect();
        let files = ["VIGIE_CA", "VIGIE_CERTIFICATE", "VIGIE_KEY"].map(|name| env.get(name).copied());
        if golden == "tls" {
            for file in files {
                let folder = Path::new(file.unwrap()).parent().unwrap();
                assert!(mounts.contains(&folder.to_str().unwrap()), "{file:?}");
            }
            assert!(!env.contains_key("VIGIE_ALLOW_PLAINTEXT"));
        } else {
            assert_eq!((files, env["VIGIE_ALLOW_PLAINTEXT"]), ([None; 3], "true"));
        }
    }
}

fn alerts(objects: &[Yaml]) -> impl Iterator<Item = &Yaml> {
    let rule = of_kind(objects, "PrometheusRule").next().unwrap();
    list(&rule["spec"]["groups"]).iter().flat_map(|group| list(&group["rules"]))
}

#[test]
fn every_alert_says_what_to_do() {
    let objects = rendered("production");
    let runbook = std::fs::read_to_string(root().join("helm/vigie/RUNBOOK.md")).unwrap();
    let of_production: Vec<_> = alerts(&objects).collect();
    assert!(of_production.len() >= 10);
    for alert in &of_production {
        let name = text(&alert["alert"]);
        let page = format!("https://wiki.example.com/vigie/RUNBOOK.md#{}", name.to_lowercase());
        assert_eq!(text(&alert["annotations"]["runbook_url"]), page);
    }
    let of_members = rendered("members");
    let all: BTreeSet<_> =
        of_production.into_iter().chain(alerts(&of_members)).map(|one| text(&one["alert"])).collect();
    let sections = runbook.lines().filter_map(|line| line.strip_prefix("### "));
    let sections: BTreeSet<_> = sections.filter(|section| section.starts_with("Vigie")).collect();
    // Those of classifiers, too, which no release of the files runs.
    let template = std::fs::read_to_string(root().join("helm/vigie/templates/prometheusrule.yaml")).unwrap();
    let named = template.split("\"name\" \"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let named: BTreeSet<_> = named.filter(|name| name.starts_with("Vigie")).collect();
    assert!(named.is_superset(&all));
    assert_eq!(sections, named);
    assert_eq!(of_kind(&objects, "PodMonitor").count(), 1);
}
