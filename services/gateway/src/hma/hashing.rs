//! `/h/hash`: computes hashes without a search.

use axum::body::Body;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use http::Request;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::hma::input::{self, ByUrl, Computed, Sampled};
use crate::hma::refusal::Refusal;
use crate::shared::Shared;
use crate::upstream::Caller;

/// Computes the hashes of the content at a URL.
pub(crate) async fn of_url(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Query(by): Query<ByUrl>,
) -> Result<Json<Map<String, Value>>, Refusal> {
    let url = by.url.as_deref().ok_or_else(|| Refusal::query("url", "is required"))?;
    let media = by.fetch(&shared, url).await?;
    let computed = input::hashes(&caller, &media, by.types.as_deref(), Sampled::Sparsely).await?;
    Ok(Json(by_type(&computed)))
}

/// The query of a request with a file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    types: Option<String>,
}

/// Computes the hashes of a sent file.
pub(crate) async fn of_file(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Query(wanted): Query<Wanted>,
    request: Request<Body>,
) -> Result<Json<Map<String, Value>>, Refusal> {
    let (_, _, media) = input::of_form(&shared, request).await?;
    let computed = input::hashes(&caller, &media, wanted.types.as_deref(), Sampled::Sparsely).await?;
    Ok(Json(by_type(&computed)))
}

/// Returns the hashes as an object with one key for each type.
fn by_type(computed: &[Computed]) -> Map<String, Value> {
    let entry = |one: &Computed| (super::signals::name_of(one.hash_type), Value::String(one.text()));
    computed.iter().map(entry).collect()
}
