//! Describes the values that a key accepts, in words, from the key's schema.

use serde_json::Value;

/// Returns whether the key accepts a number.
pub(super) fn is_number(schema: &Value) -> bool {
    let is_one = |name: &Value| name == "integer" || name == "number";
    is_one(&schema["type"])
        || schema["type"].as_array().is_some_and(|types| types.iter().any(is_one))
        || alternatives(schema).iter().any(is_number)
}

/// Describes the accepted values: `1 to 256`, `true or false`, `"required", "best_effort" or "off"`.
pub(super) fn in_words(schema: &Value) -> String {
    let value = schema["x-value"].as_str();
    let listed = schema["enum"].as_array().map(|all| all.iter().map(Value::to_string).collect::<Vec<_>>());
    if let Some(listed) = listed {
        return joined(&listed);
    }
    if let Some(one) = schema.get("const") {
        return one.to_string();
    }
    let alternatives = alternatives(schema);
    if !alternatives.is_empty() {
        let words: Vec<_> = alternatives
            .iter()
            .filter(|one| one["type"] != "null")
            .map(|one| with_value(one, value))
            .collect();
        return joined(&words);
    }
    match kind(schema) {
        "integer" => number(schema, "a whole number"),
        "number" => number(schema, "a number"),
        "boolean" => "true or false".to_owned(),
        "array" => list(schema, value),
        "object" => "a table of texts".to_owned(),
        _ if schema.get("pattern").is_some() => "a name that ends in one, such as \"matcher-1\"".to_owned(),
        _ => text(value).to_owned(),
    }
}

/// Returns an example value, such as `"FILE"`.
pub(super) fn placeholder(schema: &Value) -> String {
    match schema["x-value"].as_str() {
        Some("TABLE") => "{}".to_owned(),
        value if kind(schema) == "array" => format!("[\"{}\"]", value.unwrap_or("TEXT")),
        value => format!("\"{}\"", value.unwrap_or("TEXT")),
    }
}

/// Returns the type in the schema. `null` is ignored: it means that the key is not set.
fn kind(schema: &Value) -> &str {
    let types = schema["type"].as_array().map(Vec::as_slice).unwrap_or_default();
    let first = types.iter().find(|one| *one != "null").unwrap_or(&schema["type"]);
    first.as_str().unwrap_or_default()
}

fn alternatives(schema: &Value) -> &[Value] {
    let either = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array());
    either.map(Vec::as_slice).unwrap_or_default()
}

/// Describes a part of a schema. `value` is the kind of value that the whole schema names.
fn with_value(schema: &Value, value: Option<&str>) -> String {
    let mut schema = schema.clone();
    if let (Some(value), Some(schema)) = (value, schema.as_object_mut()) {
        schema.insert("x-value".to_owned(), value.into());
    }
    in_words(&schema)
}

fn number(schema: &Value, any: &str) -> String {
    let bound = |name: &str| schema.get(name).filter(|bound| !bound.is_null());
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => any.to_owned(),
    }
}

fn list(schema: &Value, value: Option<&str>) -> String {
    let of = match value {
        Some("URL") => "URLs as http://host:port".to_owned(),
        Some("NAME") => "names".to_owned(),
        _ if schema["items"]["type"] == "string" && schema["items"].get("enum").is_none() => {
            "texts".to_owned()
        }
        _ if schema["items"]["properties"].is_object() => tables(&schema["items"]),
        _ => format!("any of {}", in_words(&schema["items"]).replace(" or ", ", ")),
    };
    match (schema["minItems"].as_u64(), schema["maxItems"].as_u64()) {
        (Some(least), Some(most)) => format!("a list of {least} to {most} {of}"),
        (None, Some(most)) => format!("a list of at most {most} {of}"),
        (_, None) => format!("a list of {of}"),
    }
}

/// Describes a list of tables by their keys, the required ones first.
fn tables(item: &Value) -> String {
    let keys = item["properties"].as_object().into_iter().flat_map(|keys| keys.keys());
    let is_needed =
        |key: &str| item["required"].as_array().is_some_and(|all| all.iter().any(|one| one == key));
    let (needed, others): (Vec<_>, Vec<_>) =
        keys.map(|key| format!("`{key}`")).partition(|key| is_needed(key.trim_matches('`')));
    match (needed.is_empty(), others.is_empty()) {
        (false, false) => format!("tables with {}, and perhaps {}", needed.join(", "), others.join(", ")),
        (false, true) => format!("tables with {}", needed.join(", ")),
        (true, _) => format!("tables with any of {}", others.join(", ")),
    }
}

fn text(value: Option<&str>) -> &'static str {
    match value {
        Some("FILE") => "the path of a file",
        Some("DIR") => "the path of a folder",
        Some("URL") => "a URL",
        Some("PROGRAM") => "the path or the name of a program, or \"\"",
        Some("ADDRESS:PORT") => "an address with a port, such as \"127.0.0.1:7740\"",
        _ => "a text",
    }
}

fn joined(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_value_is_said_in_words() {
        let check = |schema: Value, expected: &str| assert_eq!(in_words(&schema), expected);
        check(json!({ "type": "integer", "minimum": 1, "maximum": 256 }), "1 to 256");
        check(json!({ "type": "integer", "minimum": 1 }), "at least 1");
        check(json!({ "type": "integer", "minimum": 0 }), "at least 0");
        check(json!({ "type": "boolean" }), "true or false");
        check(json!({ "type": ["string", "null"], "x-value": "FILE" }), "the path of a file");
        check(
            json!({ "oneOf": [{ "const": "a" }, { "const": "b" }, { "const": "c" }] }),
            r#""a", "b" or "c""#,
        );
        check(
            json!({ "anyOf": [{ "const": "adaptive" }, { "type": "integer", "minimum": 1 }] }),
            r#""adaptive" or at least 1"#,
        );
        check(json!({ "anyOf": [{ "type": "string" }, { "type": "null" }], "x-value": "URL" }), "a URL");
        check(json!({ "type": "array", "items": { "enum": ["x", "y"] } }), r#"a list of any of "x", "y""#);
        let keys = json!({ "a": { "type": "string" }, "b": { "type": "string" } });
        let table = json!({ "type": "object", "properties": keys, "required": ["b"] });
        check(json!({ "type": "array", "items": table }), "a list of tables with `b`, and perhaps `a`");
    }
}
