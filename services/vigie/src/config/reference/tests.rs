use std::collections::BTreeSet;

use super::*;
use crate::config::check;
use crate::config::names::ALLOW_PLAINTEXT;

/// Returns the faults that a role finds with one value, as `key: message`.
fn faults(key: &str, value: &str) -> Vec<String> {
    let role = key.split('.').next().unwrap();
    let mut set = vec![format!("{LISTEN}=127.0.0.1:0"), format!("{key}={value}")];
    if !ROLES.contains(&role) {
        set.push(format!("{BANK}={{}}"));
    }
    let found = check(None, &set).unwrap().into_iter();
    found.filter(|fault| fault.key.as_deref() == Some(key)).map(|fault| fault.to_string()).collect()
}

/// Returns the schema of a key.
fn property(key: &str) -> Value {
    let schema = schema(None);
    key.split('.').fold(schema, |table, name| table["properties"][name].clone())
}

fn numbers() -> impl Iterator<Item = &'static Key> {
    let keys = sections().iter().flat_map(|section| &section.keys);
    keys.filter(|key| {
        let kind = property(&key.key)["type"].clone();
        kind == "integer" || kind == "number"
    })
}

/// All keys that serde reads are shown, including those of inner tables.
#[test]
fn every_key_that_a_role_reads_is_shown() {
    let shown: BTreeSet<&str> =
        sections().iter().flat_map(|section| &section.keys).map(|key| key.key.as_str()).collect();
    let mut read = BTreeSet::new();
    let mut add = |table: &str, names: &'static [&'static str]| {
        assert!(!names.is_empty(), "{table}");
        read.extend(names.iter().map(|name| format!("{table}.{name}")));
    };
    for table in tables() {
        add(table.name, (table.fields)());
    }
    for section in sections() {
        let name = section.table.rsplit('.').next().unwrap();
        if let Some((_, fields)) = INNER.iter().find(|(inner, _)| *inner == name) {
            add(&section.table, fields());
        }
    }
    for key in &read {
        let is_table = sections().iter().any(|section| section.table == *key);
        assert!(is_table || shown.contains(key.as_str()), "{key} is not shown");
    }
    for key in shown.iter().filter(|key| key.contains('.') && !key.contains(".hnsw.")) {
        assert!(read.contains(*key), "{key} is shown and not read");
    }
    assert!(shown.contains("matcher.hnsw.ef_search") && shown.contains(LISTEN), "{shown:?}");
}

#[test]
fn every_key_has_a_comment_and_accepted_values_and_every_number_a_unit() {
    for key in sections().iter().flat_map(|section| &section.keys) {
        assert!(key.comment.len() > 10, "{} has no comment", key.key);
        assert!(!key.accepts.is_empty(), "{} has no accepted values", key.key);
    }
    for key in numbers() {
        assert!(key.unit.is_some(), "the name of {} holds no unit that is known", key.key);
    }
}

#[test]
fn the_order_is_that_of_the_declaration_and_defaults_are_toml() {
    let names: Vec<&str> = sections().iter().map(|section| section.table.as_str()).collect();
    let first = ["", "tls", "telemetry", "bank", "bank.serving", "bank.access"];
    assert_eq!(names[..6], first);
    let role_tables: Vec<_> = names.iter().filter(|name| ROLES.contains(name)).collect();
    assert_eq!(role_tables, ROLES.iter().collect::<Vec<_>>());
    let bank: Vec<&str> = of_role(BANK).flat_map(|section| &section.keys).map(Key::name).collect();
    let at = |name: &str| bank.iter().position(|one| *one == name).unwrap();
    assert!(at("store") < at("allow_unflushed") && at("banks_max") < at("followers_max"), "{bank:?}");
    assert!(!of_role(BANK).any(|section| section.is_of(MATCHER)));
    for key in sections().iter().flat_map(|section| &section.keys) {
        let text = format!("key = {}", key.default.as_ref().unwrap_or(&key.placeholder));
        assert!(text.parse::<toml::Table>().is_ok(), "{}: {text}", key.key);
    }
    assert_eq!(key("bank.message_bytes_max").unwrap().default.as_deref(), Some("4_194_304"));
    assert_eq!(key("frontend.sandbox").unwrap().accepts, r#""required", "best_effort" or "off""#);
}

/// The bounds that are shown are those that the roles enforce.
#[tokio::test]
async fn each_bound_is_the_one_that_the_role_keeps() {
    // The values that these keys accept depend on other keys.
    const BY_OTHERS: [&str; 8] = [
        "matcher.shard",
        "matcher.shards_served",
        "matcher.hnsw.list_rows_build",
        "matcher.hnsw.list_rows_max",
        "serving.deadline_ms_default",
        "serving.deadline_ms_max",
        "serving.calls_in_flight_max",
        "frontend.video_bytes_max",
    ];
    let mut bounds = 0;
    for key in numbers() {
        let (name, property) = (key.key.as_str(), property(&key.key));
        let is_by_others = BY_OTHERS.iter().any(|one| name.ends_with(one));
        let taken = |value: &str| {
            let found = faults(name, value);
            assert!(found.is_empty() || is_by_others, "{value} is shown as taken: {found:?}");
        };
        let refused =
            |value: &str| assert!(!faults(name, value).is_empty(), "{name} = {value} is shown as refused");
        if property["type"] == "number" {
            let (least, most) = (&property["minimum"], &property["maximum"]);
            taken(&format!("{least}.0"));
            taken(&format!("{most}.0"));
            refused(&format!("{}.5", most));
            refused("-0.5");
            bounds += 1;
            continue;
        }
        let least = property["minimum"].as_u64().unwrap_or(0);
        taken(&least.to_string());
        refused(&least.checked_sub(1).map_or("-1".to_owned(), |below| below.to_string()));
        if let Some(most) = property["maximum"].as_u64() {
            taken(&most.to_string());
            refused(&(most + 1).to_string());
            bounds += 1;
        } else {
            // No machine has more than this of anything that a key counts.
            taken("2000000000");
        }
    }
    assert!(bounds > 20, "{bounds}");
}

#[test]
fn the_schema_of_a_role_asks_for_its_table_and_knows_every_key() {
    let of_bank = schema(Some(BANK));
    assert_eq!(of_bank["required"], json!([LISTEN, BANK]));
    assert_eq!(of_bank["properties"][BANK]["additionalProperties"], false);
    assert_eq!(of_bank["properties"][TELEMETRY]["properties"]["trace_ratio"]["maximum"], 1);
    let shared = [LISTEN, ALLOW_PLAINTEXT, TLS, TELEMETRY];
    let expected: BTreeSet<&str> = shared.into_iter().chain(ROLES).collect();
    let properties = of_bank["properties"].as_object().unwrap();
    assert_eq!(properties.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
}
