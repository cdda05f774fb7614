//! Types of signals and of content, and the states of indexes. An index is always live: it contains
//! everything that is banked.

use axum::extract::{Query, State};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use vigie_model::HashType;

use crate::cluster::Indexed;
use crate::hma::refusal::Refusal;
use crate::hma::signals::{ContentType, TYPES, name_of, type_named};
use crate::problem::Problem;
use crate::shared::Shared;
use crate::upstream::Caller;

/// Lists the types of signals.
pub(crate) async fn signal_types() -> Json<Value> {
    let types = TYPES.map(|hash_type| json!({ "enabled_ratio": 1.0, "name": name_of(hash_type) }));
    Json(Value::from(types.to_vec()))
}

/// Lists the types of content.
pub(crate) async fn content_types() -> Json<Value> {
    let types = ContentType::ALL.map(|kind| json!({ "enabled": true, "name": kind.name() }));
    Json(Value::from(types.to_vec()))
}

/// The type that a request names.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OfType {
    signal_type: Option<String>,
}

impl OfType {
    /// Returns the named type, or all of HMA's.
    fn types(&self) -> Result<Vec<HashType>, Refusal> {
        match self.signal_type.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => Ok(vec![type_named(name)?]),
            None => Ok(TYPES.to_vec()),
        }
    }
}

/// Returns the index of a type as a coordinator reports it; `None` for an empty one.
async fn indexed(shared: &Shared, caller: &Caller, hash_type: HashType) -> Result<Option<Indexed>, Refusal> {
    // A caller that may list banks may know how much is searched.
    caller.banks().list_banks(None, 1, caller.deadline()).await?;
    let indexed = shared.cluster.indexed(hash_type);
    let indexed = indexed.ok_or_else(|| Problem::busy("the state of the index is not known"))?;
    Ok(Some(indexed).filter(|indexed| indexed.hashes > 0))
}

/// Shows the searched hashes of each type.
pub(crate) async fn index_status(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Query(of): Query<OfType>,
) -> Result<Json<Map<String, Value>>, Refusal> {
    let mut shown = Map::new();
    for hash_type in of.types()? {
        let state = match indexed(&shared, &caller, hash_type).await? {
            Some(Indexed { hashes, at, .. }) => {
                json!({ "built_to": at.0 / 1_000, "present": true, "size": hashes })
            }
            None => json!({ "built_to": -1, "present": false, "size": 0 }),
        };
        shown.insert(name_of(hash_type), state);
    }
    Ok(Json(shown))
}

/// Shows the banked and the searched hashes of each type.
pub(crate) async fn signal_type_index(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Query(of): Query<OfType>,
) -> Result<Json<Map<String, Value>>, Refusal> {
    let mut shown = Map::new();
    for hash_type in of.types()? {
        let found = indexed(&shared, &caller, hash_type).await?;
        let (size, at) =
            found.map_or((0, json!(-1)), |Indexed { hashes, at, .. }| (hashes, json!(at.0 / 1_000)));
        let state = json!({
            "db_size": size, "index_built_to": at, "index_out_of_date": false, "index_size": size, "newest_db_item": at
        });
        shown.insert(name_of(hash_type), state);
    }
    Ok(Json(shown))
}
