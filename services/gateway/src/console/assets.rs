//! Files that pages load: styles, scripts, the icon. The binary contains them. Their URLs contain a digest of
//! the content, so browsers cache them for a year and load a new version at once.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use data_encoding::HEXLOWER;
use http::{HeaderName, StatusCode, header};
use ring::digest::{SHA256, digest};

use crate::console::paths::STATIC;
use crate::console::state::Console;

/// The name, content type and content of each file. `htmx.min.js` is htmx 2.0.11, unchanged; a test compares
/// its digest.
const FILES: [(&str, &str, &str); 8] = [
    ("console.css", "text/css; charset=utf-8", include_str!("assets/console.css")),
    ("console.js", "text/javascript; charset=utf-8", include_str!("assets/console.js")),
    ("reviewing.js", "text/javascript; charset=utf-8", include_str!("assets/reviewing.js")),
    ("keys.js", "text/javascript; charset=utf-8", include_str!("assets/keys.js")),
    ("checking.js", "text/javascript; charset=utf-8", include_str!("assets/checking.js")),
    ("adding.js", "text/javascript; charset=utf-8", include_str!("assets/adding.js")),
    ("htmx.min.js", "text/javascript; charset=utf-8", include_str!("assets/htmx.min.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// The scripts of every page, in the order in which they run.
pub(crate) const SCRIPTS: [&str; 6] =
    ["htmx.min.js", "console.js", "checking.js", "adding.js", "reviewing.js", "keys.js"];

/// The URL of each file, by name.
static URLS: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    let url = |name: &str, content: &str| format!("{STATIC}{name}?v={}", &digest_of(content)[..16]);
    FILES.iter().map(|(name, _, content)| (*name, url(name, content))).collect()
});

fn digest_of(content: &str) -> String {
    HEXLOWER.encode(digest(&SHA256, content.as_bytes()).as_ref())
}

/// Returns the URL of a file.
pub(crate) fn url(name: &str) -> &'static str {
    URLS.get(name).map_or(STATIC, String::as_str)
}

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/static/{name}", get(file))
}

async fn file(Path(name): Path<String>) -> Response {
    const HEADERS: [(HeaderName, &str); 3] = [
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let file = FILES.iter().find(|(known, ..)| *known == name);
    file.map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        |(_, kind, content)| (HEADERS, [(header::CONTENT_TYPE, *kind)], *content).into_response(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn htmx_is_the_published_file() {
        let (.., htmx) = FILES.iter().find(|(name, ..)| *name == "htmx.min.js").unwrap();
        assert_eq!(digest_of(htmx), "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717");
        let licence = include_str!("assets/htmx.LICENSE");
        assert!(licence.starts_with("Zero-Clause BSD"));
    }

    #[test]
    fn no_page_exceeds_its_bytes_by_what_it_loads() {
        let bytes: usize = FILES.iter().map(|(.., content)| content.len()).sum();
        assert!(bytes < 120_000, "{bytes} bytes of files");
    }
}
