//! Absolute links to further pages.

use http::HeaderMap;
use http::header::HOST;

use crate::problem::Problem;
use crate::shared::Shared;

/// Returns the URL of a path and query of this gateway, as the caller reaches it.
pub(super) fn to(shared: &Shared, headers: &HeaderMap, path_and_query: &str) -> Result<String, Problem> {
    if let Some(base) = &shared.public_url {
        return Ok(format!("{}{path_and_query}", base.trim_end_matches('/')));
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.ok_or_else(|| Problem::bad("the request names no host"))?;
    let scheme = if shared.speaks_tls { "https" } else { "http" };
    Ok(format!("{scheme}://{host}{path_and_query}"))
}
