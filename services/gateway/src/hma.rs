//! The REST API of Hasher-Matcher-Actioner (HMA) 1.1.7, so that its clients can be pointed here unchanged.
//!
//! Paths, methods, status codes, shapes and the texts that clients look for are HMA's. Improvements: an added
//! item matches at once, and a removed one stops at once; content is read and changed only through its own
//! bank; a picture that cannot be decoded is the caller's fault (400); ratios outside 0 to 1 are refused; a
//! server that cannot know the answer answers 503.
//!
//! HMA's format has no field for opinions, so answers have none unless a lookup asks for them
//! (`include_opinions`).
//!
//! Reading order: `refusal` and `json` (failures and bodies), `signals`, `input` (pictures that are sent or
//! named by URL), `status`, `hashing`, `matching`, `compare`, `banks`, `content`, `exchanges`, `types`,
//! `description`.

mod refusal;
pub(crate) mod json;
mod signals;
mod input;
mod status;
mod hashing;
mod matching;
mod compare;
pub(crate) mod banks;
mod content;
pub(crate) mod exchanges;
mod types;
mod description;

use axum::Router;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use http::StatusCode;

use crate::shared::Shared;

pub(crate) use refusal::Refusal;

/// Returns every route, with its template as in `/site-map`.
pub(crate) fn routes() -> Router<Shared> {
    let routes = [
        ("/", get(status::root)),
        ("/status", get(status::status)),
        ("/status/live", get(status::live)),
        ("/site-map", get(description::site_map)),
        ("/openapi/openapi.json", get(description::document)),
        ("/h/hash", get(hashing::of_url).post(hashing::of_file)),
        ("/m/lookup", get(matching::lookup).post(matching::lookup_sent)),
        ("/m/raw_lookup", get(matching::raw_lookup)),
        ("/m/index/status", get(types::index_status)),
        ("/m/compare", post(compare::compare)),
        ("/c/banks", get(banks::list).post(banks::create)),
        ("/c/bank/{bank}", get(banks::show).put(banks::change).delete(banks::delete)),
        ("/c/bank/{bank}/content", post(content::add)),
        ("/c/bank/{bank}/signal", post(content::add_signals)),
        ("/c/bank/{bank}/content/{id}", get(content::show).put(content::change).delete(content::delete)),
        ("/c/exchanges", get(exchanges::list).post(exchanges::create)),
        ("/c/exchanges/apis", get(exchanges::apis)),
        ("/c/exchanges/api/{api}", get(exchanges::show_api).post(exchanges::set_credentials)),
        ("/c/exchanges/api/{api}/schema", get(exchanges::schema)),
        ("/c/exchange/{name}", get(exchanges::show).put(exchanges::change).delete(exchanges::delete)),
        ("/c/exchange/{name}/status", get(exchanges::status)),
        ("/c/signal_type", get(types::signal_types)),
        ("/c/signal_type/index", get(types::signal_type_index)),
        ("/c/content_type", get(types::content_types)),
    ];
    routes.into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods))
}

/// Answers an unknown path with an HTML page, as HMA does.
pub(crate) async fn no_such_page() -> Response {
    let page = "<!doctype html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>There is no such page here.</p>\n";
    (StatusCode::NOT_FOUND, Html(page)).into_response()
}

/// Answers an unknown method of a path.
pub(crate) async fn no_such_method() -> Response {
    let page = "<!doctype html>\n<title>405 Method Not Allowed</title>\n<h1>Method Not Allowed</h1>\n<p>This path does not take \
                that method.</p>\n";
    (StatusCode::METHOD_NOT_ALLOWED, Html(page)).into_response()
}
