//! Objects of HMA's REST API: the answer of `GET /h/hash`, and content with its signals.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use vigie_model::ItemDraft;

use super::Found;
use crate::files::fault::Unknown;
use crate::files::left_out::LeftOut;
use crate::files::lines::item_json::parse;
use crate::files::lines::parts::hash;
use crate::files::lines::table::typed;

/// Content, or the hashes of a file: if `signals` is missing, the other fields are the signals.
#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    signals: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    content_id: Option<String>,
}

/// Reads a record that begins on this line.
pub(in crate::files) fn read(text: &str, line: u64, unknown: Unknown, left_out: &mut LeftOut) -> Found {
    let mut found = Found::default();
    let Content { signals, id, metadata, others } = match parse(text) {
        Ok(content) => content,
        Err(reason) => {
            found.bad.push((line, reason));
            return found;
        }
    };
    let is_content = signals.is_some();
    let (mut hashes, mut has_unknown) = (Vec::new(), false);
    for (name, value) in signals.unwrap_or(others) {
        let Value::String(value) = value else {
            found.bad.push((line, "has a signal that is no text".to_owned()));
            continue;
        };
        // HMA returns an empty signal for a picture of too little detail.
        if value.is_empty() {
            found.bad.push((line, "has an empty signal: the picture has too little detail".to_owned()));
            continue;
        }
        match typed(Some(&name), None, unknown, left_out) {
            Ok(None) => has_unknown = true,
            Ok(Some(hash_type)) => match hash(hash_type, &value) {
                Ok(hash) => hashes.push(hash),
                Err(reason) => found.bad.push((line, reason)),
            },
            Err(reason) => found.bad.push((line, reason)),
        }
    }
    let of_metadata = metadata.and_then(|metadata| metadata.content_id);
    let external_reference = of_metadata.or(id.filter(|_| is_content).map(|id| id.to_string()));
    if !hashes.is_empty() {
        let external_reference = external_reference.unwrap_or_default();
        found.draft = Some(ItemDraft { hashes, labels: Vec::new(), external_reference });
    } else if found.bad.is_empty() && !has_unknown {
        found.bad.push((line, "has no signal".to_owned()));
    }
    found
}
