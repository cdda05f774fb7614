//! Our own REST API (`/v1/...`): what gRPC offers, for programs that speak HTTP and JSON.
//!
//! - A handler converts, calls one of the services with the caller's credential, and converts. The services decide rights.
//! - Field names are those of the command line's `--json`. A field that is not known is refused, and one that is wrong is named.
//! - A failure is `application/problem+json` (RFC 9457) with the gRPC code. It repeats nothing of a hash or a credential.
//! - A lookup asks for the newest write that went through this gateway, and says what it covers, in its body and in two headers.
//! - Nothing is stored by caches.
//!
//! Reading order: `request` (caller, time, options, bodies), `faults` and `values` (what is wrong with them, and what they mean), `image`,
//! `matching`, `hashing`, `banks`, `items`, `members`, `audit`, `state`, `description` (OpenAPI).

mod request;
mod faults;
mod values;
mod image;
mod matching;
mod hashing;
mod banks;
mod items;
mod members;
mod audit;
mod state;
mod description;

use std::sync::LazyLock;

use axum::Router;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cluster::Cluster;
use crate::media::bodies::Bodies;
use crate::problem::Problem;
use crate::v1::items::batches;
use crate::v1::members::{grants, principals, settings};
use crate::v1::request::Handlers;

/// Whether a path is one of this API, known or not.
pub(crate) fn owns(path: &str) -> bool {
    let rest = path.trim_start_matches('/').strip_prefix("v1");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Every route, below `/v1`, with the answers to what is not there.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(cluster: Cluster, bodies: Bodies) -> Router<S> {
    let (routes, _) = described().split_for_parts();
    routes
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(map_response(uncached))
        .with_state(Handlers { cluster, bodies })
}

/// The handlers with their descriptions.
fn described() -> OpenApiRouter<Handlers> {
    OpenApiRouter::with_openapi(description::begun())
        .routes(routes!(matching::match_hashes))
        .routes(routes!(matching::match_image))
        .routes(routes!(hashing::hash_image))
        .routes(routes!(banks::list_banks, banks::create_bank))
        .routes(routes!(banks::show_bank, banks::change_bank, banks::delete_bank))
        .routes(routes!(items::list_items, items::add_items))
        .routes(routes!(items::list_removed_items))
        .routes(routes!(items::find_items))
        .routes(routes!(batches::remove_items))
        .routes(routes!(batches::restore_items))
        .routes(routes!(batches::hold_items))
        .routes(routes!(batches::lift_items))
        .routes(routes!(items::show_item, items::change_item, items::remove_item))
        .routes(routes!(batches::hold_item, batches::lift_item))
        .routes(routes!(members::who_am_i))
        .routes(routes!(members::list_members, members::create_member))
        .routes(routes!(members::show_member, members::change_member))
        .routes(routes!(settings::show_quota, settings::set_quota))
        .routes(routes!(settings::show_charter, settings::set_charter))
        .routes(routes!(principals::list_principals, principals::create_principal))
        .routes(routes!(principals::revoke_principal))
        .routes(routes!(principals::rotate_key))
        .routes(routes!(grants::list_received_grants))
        .routes(routes!(grants::list_grants))
        .routes(routes!(grants::put_grant, grants::revoke_grant))
        .routes(routes!(grants::set_alias, grants::remove_alias))
        .routes(routes!(audit::list_entries))
        .routes(routes!(audit::show_checkpoint))
        .routes(routes!(audit::prove_inclusion))
        .routes(routes!(audit::prove_consistency))
        .routes(routes!(state::show_log))
        .routes(routes!(state::show_cluster))
        .routes(routes!(show_document))
}

/// The description of the API.
fn document() -> OpenApi {
    let all = OpenApiRouter::<Handlers>::with_openapi(description::begun()).nest("/v1", described());
    description::completed(all.into_openapi())
}

/// The description as it is sent.
static DOCUMENT: LazyLock<Option<Bytes>> =
    LazyLock::new(|| serde_json::to_vec(&document()).ok().map(Bytes::from));

/// Shows this description
#[utoipa::path(
    get, path = "/openapi.json", tag = "state",
    responses((status = 200, description = "The description of the API (OpenAPI)", body = Object))
)]
async fn show_document() -> Result<Response, Problem> {
    let unwritable = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the description cannot be written");
    let text = DOCUMENT.clone().ok_or_else(unwritable)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// The answer to an unknown path.
async fn no_such_path() -> Problem {
    Problem::not_found("there is no such path; /v1/openapi.json lists those that there are")
}

/// The answer to an unknown method of a path.
async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take that method")
}

/// Keeps answers out of caches.
async fn uncached(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
