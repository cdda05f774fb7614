//! Doubled slashes. Leading ones count as one, as in HMA: a client's base URL may end in a slash. Inner ones
//! cause a redirect.

use axum::response::{IntoResponse as _, Response};
use http::uri::{PathAndQuery, Uri};
use http::{StatusCode, header};

/// The result of the check of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Slashes {
    /// No slash is doubled.
    Fit,
    /// The path began with several slashes. Holds the URI with one.
    Leading(Uri),
    /// The path has doubled slashes inside. Holds the path without them.
    Inner(String),
}

/// Checks the path of a request.
pub(super) fn of(uri: &Uri) -> Slashes {
    let path = uri.path();
    if !path.contains("//") {
        return Slashes::Fit;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let rest = path.trim_start_matches('/');
    if rest.contains("//") {
        let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
        let end = if rest.ends_with('/') { "/" } else { "" };
        return Slashes::Inner(format!("/{}{end}{query}", parts.join("/")));
    }
    let fit = format!("/{rest}{query}").parse::<PathAndQuery>();
    fit.map_or(Slashes::Fit, |fit| Slashes::Leading(Uri::from(fit)))
}

/// Redirects a client to the path without doubled slashes, with the same method.
pub(super) fn moved(location: &str) -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_slashes_are_one_and_inner_ones_lead_elsewhere() {
        let of = |text: &str| of(&text.parse().unwrap());
        assert_eq!(of("/c/banks?a=//b"), Slashes::Fit);
        assert_eq!(of("//c/bank/A?x=1"), Slashes::Leading("/c/bank/A?x=1".parse().unwrap()));
        assert_eq!(of("///"), Slashes::Leading("/".parse().unwrap()));
        assert_eq!(of("/c//bank///A?x=1"), Slashes::Inner("/c/bank/A?x=1".to_owned()));
        assert_eq!(of("//c//bank//"), Slashes::Inner("/c/bank/".to_owned()));
    }
}
