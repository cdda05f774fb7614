//! The schema of the chart's values, compared with the values and with the program's configuration; and the
//! shards that matchers serve by the values.

use std::collections::BTreeSet;

use serde::Serialize;
use vigie_serving::ServingConfig;
use yaml_rust2::YamlLoader;

use crate::repository::chart::{configurations, of_kind, rendered, text};
use crate::repository::source::root;

/// Checks that every schema which lists keys refuses others, or refers to a Kubernetes type.
fn check_closed(schema: &serde_json::Value, at: &str) {
    match schema {
        serde_json::Value::Object(map) => {
            if map.contains_key("properties") && at != "/properties" {
                let is_of_kubernetes = ["/definitions/container", "/definitions/volume"].contains(&at);
                assert_eq!(map.get("additionalProperties"), Some(&is_of_kubernetes.into()), "{at}");
            }
            for (key, value) in map {
                check_closed(value, &format!("{at}/{key}"));
            }
        }
        serde_json::Value::Array(all) => all.iter().for_each(|one| check_closed(one, at)),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}

/// Returns the schema of the chart's values.
fn values_schema() -> serde_json::Value {
    let schema = std::fs::read(root().join("helm/vigie/values.schema.json")).unwrap();
    serde_json::from_slice(&schema).unwrap()
}

/// Checks that a configuration table has the same keys as its definition in the schema.
fn check_keys(schema: &serde_json::Value, definition: &str, default: &impl Serialize) {
    let known = serde_json::to_value(default).unwrap();
    let known: BTreeSet<_> = known.as_object().unwrap().keys().cloned().collect();
    let definition_keys = schema["definitions"][definition]["properties"].as_object().unwrap();
    let listed: BTreeSet<_> = definition_keys.keys().cloned().collect();
    let help = "run helm/ci/config-schema";
    assert_eq!(
        listed.difference(&known).collect::<Vec<_>>(),
        [""; 0],
        "{definition}: unknown to the program; {help}"
    );
    assert_eq!(
        known.difference(&listed).collect::<Vec<_>>(),
        [""; 0],
        "{definition}: not in the schema; {help}"
    );
}

#[test]
fn the_schema_knows_every_key_of_the_configuration_and_no_other() {
    let schema = values_schema();
    check_keys(&schema, "bankConfig", &vigie_bank::Config::default());
    check_keys(&schema, "matcherConfig", &vigie_matcher::Config::default());
    check_keys(&schema, "coordinatorConfig", &vigie_coordinator::Config::default());
    check_keys(&schema, "frontendConfig", &vigie_frontend::Config::default());
    check_keys(&schema, "gatewayConfig", &vigie_gateway::Config::default());
    check_keys(&schema, "exchangeConfig", &vigie_exchange::Config::default());
    check_keys(&schema, "classifierConfig", &vigie_classifier::Config::default());
    check_keys(&schema, "servingConfig", &ServingConfig::default());
}

#[test]
fn values_that_nobody_knows_are_refused() {
    let schema = values_schema();
    check_closed(&schema, "");
    let values = std::fs::read_to_string(root().join("helm/vigie/values.yaml")).unwrap();
    let values = &YamlLoader::load_from_str(&values).unwrap()[0];
    for key in values.as_hash().unwrap().keys() {
        assert!(schema["properties"].get(key.as_str().unwrap()).is_some(), "{key:?}");
    }
}

#[test]
fn a_set_has_a_stateful_set_for_each_group_of_shards_that_a_matcher_serves() {
    let objects = rendered("tls");
    let shards = |set: &str| {
        let of_set = of_kind(&objects, "StatefulSet")
            .map(|one| &one["spec"]["template"]["metadata"]["labels"])
            .filter(|labels| labels["vigie/set"].as_str() == Some(set));
        of_set.map(|labels| text(&labels["vigie/shard"])).collect::<BTreeSet<_>>()
    };
    assert_eq!((shards("a"), shards("b")), (["0", "1"].into(), ["0", "1"].into()));
    let matchers = configurations(&objects).into_iter().filter(|(role, _)| *role == "matcher");
    let served: BTreeSet<_> = matchers
        .map(|(_, file)| {
            let number = |key| file["matcher"].get(key).map(|value| value.as_integer().unwrap());
            (number("shard_count"), number("shards_served"))
        })
        .collect();
    assert_eq!(served, [(Some(2), None), (Some(4), Some(2))].into());
}
