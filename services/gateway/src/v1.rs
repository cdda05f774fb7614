//! The REST API of Vigie (`/v1/...`): the operations of gRPC, for programs that speak HTTP and JSON.
//!
//! - A handler converts the request, calls one service with the caller's credential, and converts the answer.
//!   The services decide about rights.
//! - Field names are those of the command line's `--json`. An unknown field is refused. An error names the
//!   field that is wrong.
//! - A failure is `application/problem+json` (RFC 9457) with the gRPC code. It never repeats a hash or a
//!   credential.
//! - A lookup asks for the newest write that went through this gateway. Its answer reports its coverage in
//!   the body and in two headers.
//! - Answers are marked so that caches do not store them.
//!
//! Reading order: `paths`, `request` (caller, deadline, options, bodies), `faults` (errors of
//! deserialization, by field), `values` (conversions to the model), `files`, `matching`, `hashing`, `banks`
//! (with the published lists that other deployments follow), `items`, `cases`, `members`, `audit`, `state`,
//! `vectors`, `classifiers`, `description` (OpenAPI).

pub(crate) mod paths;
mod request;
mod faults;
pub(crate) mod values;
mod files;
mod matching;
mod hashing;
mod banks;
pub(crate) mod items;
pub(crate) mod cases;
pub(crate) mod members;
mod audit;
mod state;
/// Hash types of vectors, which a deployment declares.
mod vectors {
    pub(super) mod hash_types;
}
/// Model cards of classifiers.
mod classifiers {
    pub(super) mod cards;
}
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
use crate::v1::banks::published;
use crate::v1::cases::{decisions, incidents, referrals, reports};
use crate::v1::items::{batches, disputes, opinions};
use crate::v1::members::{grants, policies, principals, settings};
use crate::v1::request::Handlers;

/// Returns every route below `/v1`, with the answers to unknown paths and methods.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(cluster: Cluster, bodies: Bodies) -> Router<S> {
    let (routes, _) = described().split_for_parts();
    routes
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(map_response(uncached))
        .with_state(Handlers { cluster, bodies })
}

/// Returns the handlers with their descriptions.
fn described() -> OpenApiRouter<Handlers> {
    OpenApiRouter::with_openapi(description::begun())
        .routes(routes!(matching::match_hashes))
        .routes(routes!(matching::match_image))
        .routes(routes!(matching::match_video))
        .routes(routes!(matching::conversation::score_conversation))
        .routes(routes!(hashing::hash_image))
        .routes(routes!(hashing::hash_video))
        .routes(routes!(banks::list_banks, banks::create_bank))
        .routes(routes!(banks::show_bank, banks::change_bank, banks::delete_bank))
        .routes(routes!(published::read_list))
        .routes(routes!(items::list_items, items::add_items))
        .routes(routes!(items::list_removed_items))
        .routes(routes!(items::find_items))
        .routes(routes!(batches::remove_items))
        .routes(routes!(batches::restore_items))
        .routes(routes!(batches::hold_items))
        .routes(routes!(batches::lift_items))
        .routes(routes!(items::show_item, items::change_item, items::remove_item))
        .routes(routes!(batches::hold_item, batches::lift_item))
        .routes(routes!(opinions::put_opinion, opinions::withdraw_opinion))
        .routes(routes!(opinions::list_opinions))
        .routes(routes!(disputes::list_disputes))
        .routes(routes!(disputes::resolve_dispute))
        .routes(routes!(disputes::hold_here, disputes::lift_here))
        .routes(routes!(disputes::list_held_here))
        .routes(routes!(reports::list_reports, reports::submit_report))
        .routes(routes!(reports::show_report))
        .routes(routes!(reports::review_report))
        .routes(routes!(referrals::list_referrals, referrals::add_referral))
        .routes(routes!(referrals::set_referral_outcome))
        .routes(routes!(incidents::list_incidents, incidents::open_incident))
        .routes(routes!(incidents::close_incident))
        .routes(routes!(incidents::subscribe))
        .routes(routes!(decisions::list_decisions))
        .routes(routes!(decisions::show_decision))
        .routes(routes!(decisions::compare_hashes))
        .routes(routes!(decisions::set_decision_outcome))
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
        .routes(routes!(policies::show_policy, policies::set_policy))
        .routes(routes!(policies::try_policy))
        .routes(routes!(audit::list_entries))
        .routes(routes!(audit::show_checkpoint))
        .routes(routes!(audit::prove_inclusion))
        .routes(routes!(audit::prove_consistency))
        .routes(routes!(state::show_log))
        .routes(routes!(state::show_cluster))
        .routes(routes!(vectors::hash_types::list_hash_types))
        .routes(routes!(classifiers::cards::list_classifiers))
        .routes(routes!(classifiers::cards::show_classifier))
        .routes(routes!(show_document))
}

/// Returns the OpenAPI document of this API.
fn document() -> OpenApi {
    let all = OpenApiRouter::<Handlers>::with_openapi(description::begun()).nest("/v1", described());
    description::completed(all.into_openapi())
}

/// The OpenAPI document as it is sent; `None` if it cannot be serialized.
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

/// Returns the answer to an unknown path.
async fn no_such_path() -> Problem {
    Problem::not_found("there is no such path; /v1/openapi.json lists those that there are")
}

/// Returns the answer to a method that a path does not have.
async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take that method")
}

/// Forbids caches to store an answer.
async fn uncached(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::body::{Body, to_bytes};
    use http::{Method, Request};
    use serde_json::Value;
    use tower::Service as _;

    use super::*;
    use crate::config::Config;

    /// Paths whose POST changes nothing.
    const ASKING: [&str; 9] = [
        "/v1/conversations/score",
        "/v1/match",
        "/v1/match/image",
        "/v1/match/video",
        "/v1/hash",
        "/v1/hash/video",
        "/v1/items/find",
        "/v1/policy/try",
        "/v1/decisions/{decision_id}/compare",
    ];

    async fn asked(method: &Method, path: &str) -> Response {
        let config = Config::default();
        let api: Router<()> = routes(Cluster::new(&config), Bodies::new(&config));
        let mut gateway = Router::new().nest("/v1", api);
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        gateway.call(request).await.unwrap()
    }

    async fn body(answer: Response) -> Value {
        serde_json::from_slice(&to_bytes(answer.into_body(), 4 << 20).await.unwrap()).unwrap()
    }

    /// Returns the methods of each path of the OpenAPI document.
    fn described_methods() -> Vec<(String, BTreeSet<String>)> {
        let document = serde_json::to_value(document()).unwrap();
        let methods =
            |path: &Value| path.as_object().unwrap().keys().map(|name| name.to_uppercase()).collect();
        let paths = document["paths"].as_object().unwrap();
        paths.iter().map(|(path, of)| (path.clone(), methods(of))).collect()
    }

    #[tokio::test]
    async fn a_path_takes_exactly_the_methods_that_are_described() {
        let paths = described_methods();
        assert!(paths.len() >= 30, "{paths:?}");
        for (path, described) in paths {
            let filled = path.replace(['{', '}'], "");
            for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                let answer = asked(&method, &filled).await;
                let is_there = answer.status() != StatusCode::METHOD_NOT_ALLOWED;
                assert_ne!(answer.status(), StatusCode::NOT_FOUND, "{method} {path}");
                assert_eq!(is_there, described.contains(method.as_str()), "{method} {path}");
                assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store", "{method} {path}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_a_problem_too() {
        for path in ["/v1/nothing", "/v1/banks/a/b/c", "/v1/items/1/2"] {
            let answer = asked(&Method::GET, path).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
            assert_eq!(body(answer).await["code"], "NOT_FOUND");
        }
        let answer = asked(&Method::DELETE, "/v1/banks").await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        let allowed = answer.headers()[header::ALLOW].to_str().unwrap().to_owned();
        assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(body(answer).await["code"], "UNIMPLEMENTED");
    }

    #[tokio::test]
    async fn the_description_is_sent_and_complete() {
        let answer = asked(&Method::GET, "/v1/openapi.json").await;
        assert_eq!(answer.status(), StatusCode::OK);
        let document = body(answer).await;
        let mut ids = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let place = format!("{method} {path}");
                assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{place}");
                assert!(operation["responses"]["default"].is_object(), "{place}");
                assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{place}");
                let parameters = operation["parameters"].as_array().unwrap();
                let named = |place: &str| -> BTreeSet<&str> {
                    let of = parameters.iter().filter(|one| one["in"] == place);
                    of.map(|one| one["name"].as_str().unwrap()).collect()
                };
                let in_path: BTreeSet<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
                assert_eq!(named("path"), in_path, "{place}");
                assert!(named("query").contains("timeout_ms"), "{place}");
                let only_asks = ASKING.contains(&path.as_str());
                let is_write = method != "get" && !only_asks;
                assert_eq!(named("header").contains("Idempotency-Key"), is_write, "{place}");
            }
        }
        // Every schema that the document refers to is defined.
        let text = document.to_string();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for named in text.split("\"#/components/schemas/").skip(1) {
            let name = named.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name}");
        }
        assert_eq!(schemas["MatchAsked"]["additionalProperties"], false);
        assert_eq!(schemas["FileBody"]["format"], "binary");
    }
}
