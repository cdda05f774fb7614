//! Describes every key of the configuration: default, unit, bounds and comment, derived from the types that
//! the roles read.
//!
//! The comments are the doc comments of the fields, the defaults are those of the types, and the bounds come
//! from attributes. A test checks that each role accepts exactly these bounds. Nothing is written twice.

mod accepts;
mod units;

use std::net::SocketAddr;
use std::sync::LazyLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use vigie_access::{AccessConfig, DirectoryConfig, ProcessesConfig};
use vigie_credentials::CredentialsConfig;
use vigie_serving::ServingConfig;
use vigie_telemetry::TelemetryConfig;
use vigie_tls::TlsConfig;

use super::fields::fields;
use super::names::{
    ACCESS, AUDIT, BANK, CLASSIFIER, CLASSIFIERS, CONSOLE, COORDINATOR, CREDENTIALS, DIRECTORY, EXCHANGE,
    FETCH, FRONTEND, GATEWAY, LISTEN, MATCHER, OIDC, PROCESSES, ROLES, SERVING, TELEMETRY, TLS,
};

/// The keys that are not in a table.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is used: each key is read alone, so that all faults are found")]
struct Shared {
    /// The address and port where the role listens. Required, here or as `--listen`. An address that is not a
    /// loopback one needs a `[tls]` table or `allow_plaintext`.
    #[schemars(extend("x-value" = "ADDRESS:PORT"))]
    listen: SocketAddr,
    /// Whether plain text may leave the machine: everybody on the way may then read and change it.
    #[serde(default)]
    allow_plaintext: bool,
}

/// A key of the configuration.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Key {
    /// Name of the key with its table: `matcher.serving.drain_ms_max`.
    pub(crate) key: String,
    /// The default as TOML; `None` if the key is not set by default.
    pub(crate) default: Option<String>,
    /// Unit of the value, if it is a number.
    pub(crate) unit: Option<&'static str>,
    /// The accepted values, in words.
    pub(crate) accepts: String,
    /// An example value, for a key without a default.
    #[serde(skip)]
    pub(crate) placeholder: String,
    /// The comment: the meaning of the key.
    pub(crate) comment: String,
}

impl Key {
    /// Returns the name without that of the table.
    pub(crate) fn name(&self) -> &str {
        self.key.rsplit('.').next().unwrap_or_default()
    }
}

/// A table of the configuration, with its keys.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    /// Name of the table, such as `matcher.serving`; empty for the keys that are not in a table.
    pub(crate) table: String,
    /// The comment: the meaning of the table.
    pub(crate) comment: String,
    /// The keys, in the order of their declaration.
    pub(crate) keys: Vec<Key>,
}

impl Section {
    /// Returns whether the table belongs to a role, which may be given to [`of_role`].
    pub(crate) fn is_of(&self, role: &str) -> bool {
        self.table.split('.').next() == Some(role)
    }
}

/// Returns every table, the shared ones first. A table within another follows it.
pub(crate) fn sections() -> &'static [Section] {
    static SECTIONS: LazyLock<Vec<Section>> = LazyLock::new(|| {
        let mut sections = Vec::new();
        collect("", &schema_of::<Shared>(), fields::<Shared>(), &mut sections);
        for table in tables() {
            collect(table.name, &(table.schema)(), (table.fields)(), &mut sections);
        }
        sections
    });
    &SECTIONS
}

/// Returns the tables that one role reads.
pub(crate) fn of_role(role: &str) -> impl Iterator<Item = &'static Section> {
    sections()
        .iter()
        .filter(move |section| section.is_of(role) || !ROLES.iter().any(|other| section.is_of(other)))
}

/// Returns the key of this name, such as `matcher.shard`.
pub(crate) fn key(name: &str) -> Option<&'static Key> {
    sections().iter().flat_map(|section| &section.keys).find(|key| key.key == name)
}

/// Returns whether a table contains a key or a table of this name.
pub(crate) fn is_known(table: &str, name: &str) -> bool {
    let full = format!("{table}.{name}");
    key(&full).is_some() || sections().iter().any(|section| section.table == full)
}

/// Returns the JSON Schema of a file for one role, or for any of them.
pub(crate) fn schema(role: Option<&str>) -> Value {
    let mut shared = schema_of::<Shared>();
    let mut properties = shared["properties"].take();
    for table in tables() {
        properties[table.name] = (table.schema)();
    }
    let title = role.map_or("Configuration of Vigie".to_owned(), |role| format!("Configuration of a {role}"));
    let required: Vec<&str> = [LISTEN].into_iter().chain(role).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// A table at the top level of the file.
struct Table {
    name: &'static str,
    schema: fn() -> Value,
    fields: Fields,
}

/// Returns the keys of a table, in the order of their declaration.
type Fields = fn() -> &'static [&'static str];

fn tables() -> [Table; 9] {
    const fn of<'de, T: JsonSchema + Deserialize<'de>>(name: &'static str) -> Table {
        Table { name, schema: schema_of::<T>, fields: fields::<T> }
    }
    [
        of::<TlsConfig>(TLS),
        of::<TelemetryConfig>(TELEMETRY),
        of::<vigie_bank::Config>(BANK),
        of::<vigie_matcher::Config>(MATCHER),
        of::<vigie_coordinator::Config>(COORDINATOR),
        of::<vigie_frontend::Config>(FRONTEND),
        of::<vigie_gateway::Config>(GATEWAY),
        of::<vigie_exchange::Config>(EXCHANGE),
        of::<vigie_classifier::Config>(CLASSIFIER),
    ]
}

/// The tables within a role's table that several roles share.
const INNER: [(&str, Fields); 10] = [
    (SERVING, fields::<ServingConfig>),
    (DIRECTORY, fields::<DirectoryConfig>),
    (ACCESS, fields::<AccessConfig>),
    (CREDENTIALS, fields::<CredentialsConfig>),
    (PROCESSES, fields::<ProcessesConfig>),
    (AUDIT, fields::<vigie_bank::AuditConfig>),
    (CLASSIFIERS, fields::<vigie_frontend::ClassifiersConfig>),
    (FETCH, fields::<vigie_gateway::FetchConfig>),
    (CONSOLE, fields::<vigie_gateway::ConsoleConfig>),
    (OIDC, fields::<vigie_gateway::OidcConfig>),
];

/// Returns the keys of an inner table in the order of their declaration; none if the table is not in
/// [`INNER`]. The keys of such a table are sorted by name.
fn inner_fields(table: &str) -> &'static [&'static str] {
    let inner = INNER.iter().find(|(name, _)| *name == table);
    inner.map_or(&[], |(_, fields)| fields())
}

/// Returns the schema of a type, with references replaced by their definitions.
fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    // The title is the name of a Rust type, and all tables have the same.
    schema.remove("title");
    schema.to_value()
}

fn collect(table: &str, schema: &Value, order: &[&str], sections: &mut Vec<Section>) {
    let no_properties = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&no_properties);
    let mut sorted: Vec<_> = properties.iter().collect();
    sorted.sort_by_key(|(name, _)| order.iter().position(|one| one == name).unwrap_or(usize::MAX));
    let (inner, keys): (Vec<_>, Vec<_>) =
        sorted.into_iter().partition(|(_, property)| property["properties"].is_object());
    let full = |name: &str| if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") };
    sections.push(Section {
        table: table.to_owned(),
        comment: comment(schema),
        keys: keys.into_iter().map(|(name, property)| read(full(name), name, property)).collect(),
    });
    for (name, property) in inner {
        collect(&full(name), property, inner_fields(name), sections);
    }
}

fn read(key: String, name: &str, property: &Value) -> Key {
    Key {
        default: property.get("default").and_then(toml_of),
        unit: accepts::is_number(property).then(|| units::of(name)).flatten(),
        accepts: accepts::in_words(property),
        placeholder: accepts::placeholder(property),
        comment: comment(property),
        key,
    }
}

/// Returns the comment of a field, in one line.
fn comment(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Formats a default as TOML; `None` for a key that is not set.
fn toml_of(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => grouped(&number.to_string()),
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        Value::Array(values) => {
            format!("[{}]", values.iter().filter_map(toml_of).collect::<Vec<_>>().join(", "))
        }
        Value::Object(values) => {
            let pair = |(name, value): (&String, &Value)| Some(format!("{name} = {}", toml_of(value)?));
            let pairs: Vec<_> = values.iter().filter_map(pair).collect();
            if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
        }
    })
}

/// Formats a whole number of more than four digits with `_` between thousands, as TOML allows.
fn grouped(number: &str) -> String {
    if number.len() <= 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return number.to_owned();
    }
    let mut grouped = String::new();
    for (index, digit) in number.chars().enumerate() {
        if index > 0 && (number.len() - index).is_multiple_of(3) {
            grouped.push('_');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests;
