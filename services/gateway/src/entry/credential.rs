//! The credential of a request: an API key or a token as `Authorization: Bearer`.
//!
//! The gateway refuses an invalid credential itself, so that failed attempts count against the client's host
//! and not against the gateway. The services, which get the credential with each call, decide what the caller
//! may do.

use data_encoding::BASE64;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use url::form_urlencoded;
use vigie_access::Access;
use vigie_clients::{Bearer, Code};
use vigie_rpc::details;
use vigie_serving::{Guard as _, Origin};

use zeroize::Zeroizing;

use crate::problem::Problem;

/// The prefix of an API key.
const PREFIX: &str = "vgk_";

/// The method under which a credential is checked. Every principal may call it.
const CHECKED_BY: &str = "/vigie.consortium.v1.ConsortiumService/WhoAmI";

/// Returns the credential of a request, if it carries one.
pub(super) fn of(headers: &HeaderMap) -> Result<Option<Bearer>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let wrong =
        || Problem::new(StatusCode::UNAUTHORIZED, "send one credential, as `Authorization: Bearer KEY`");
    if values.next().is_some() {
        return Err(wrong());
    }
    let text = value.to_str().map_err(|_| wrong())?;
    let (scheme, credential) = text.split_once(' ').ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(wrong());
    }
    Bearer::new(credential.trim(), "the request").map(Some).map_err(|_| wrong())
}

/// Returns the credential of a feed's follower, from the header or parameter that clients of the programme
/// use. A value that is no API key of this project counts as none.
pub(super) fn of_follower(uri: &Uri, headers: &HeaderMap) -> Option<Bearer> {
    let key =
        |text: &str| text.starts_with(PREFIX).then(|| Bearer::new(text.trim(), "the request").ok()).flatten();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(authorization) = text(header::AUTHORIZATION.as_str()) {
        let (scheme, credential) = authorization.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return key(credential.trim());
        }
        let decoded = Zeroizing::new(BASE64.decode(credential.trim().as_bytes()).ok()?);
        return key(std::str::from_utf8(&decoded).ok()?.split_once(':')?.1);
    }
    if let Some(functions_key) = text("x-functions-key") {
        return key(functions_key);
    }
    let mut parameters = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let (_, token) = parameters.find(|(name, _)| name == "access_token")?;
    key(token.split_once('|')?.1)
}

/// Checks credentials.
#[derive(Debug)]
pub(crate) struct Admission(Access);

impl Admission {
    pub(crate) const fn new(access: Access) -> Self {
        Self(access)
    }

    /// Refuses an invalid credential and, in a deployment with members, a missing one. The check is made
    /// here, since a gateway fetches and hashes before it calls a service.
    pub(crate) async fn check(&self, bearer: Option<&Bearer>, origin: &Origin) -> Result<(), Problem> {
        let (mut call, ()) = Request::new(()).into_parts();
        call.uri = http::Uri::from_static(CHECKED_BY);
        if let Some(bearer) = bearer {
            bearer.write(&mut call.headers);
        }
        // The client certificate of the connection to the gateway is not a credential for the caller's calls.
        let origin = Origin { certificate_name: None, ..origin.clone() };
        let Err(status) = self.0.admit(&mut call, origin).await else { return Ok(()) };
        let is_of_caller =
            matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied | Code::ResourceExhausted);
        if !is_of_caller {
            // The directory of members is not available, so the answer does not mention the credential.
            return Err(Problem::busy(status.message()));
        }
        let problem = Problem::of_code(status.code(), status.message());
        Err(Problem { retry_after: details::retry_after(&status), ..problem })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use vigie_credentials::api_key::ApiKey;

    use super::*;

    fn follower(uri: &str, headers: &[(&'static str, String)]) -> Option<Bearer> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        of_follower(&uri.parse().unwrap(), &map)
    }

    #[test]
    fn a_key_is_found_where_each_programme_has_it() {
        let key = ApiKey::generate().unwrap().reveal();
        let basic = format!("Basic {}", BASE64.encode(format!("user:{}", *key).as_bytes()));
        let token = format!("/feeds/threat_exchange/b/1/threat_updates/?access_token=12345678%7C{}", *key);
        assert!(follower("/feeds/ncmec/b/v2/status", &[("authorization", basic)]).is_some());
        assert!(follower("/feeds/tat/b/x", &[("authorization", format!("Bearer {}", *key))]).is_some());
        assert!(
            follower("/feeds/stop_ncii/b/FetchHashes", &[("x-functions-key", key.to_string())]).is_some()
        );
        assert!(follower(&token, &[]).is_some());
    }

    #[test]
    fn what_a_client_has_to_send_to_anybody_counts_as_none() {
        let basic = format!("Basic {}", BASE64.encode(b"user:secret"));
        for headers in [vec![("authorization", basic)], vec![("x-functions-key", "a".to_owned())], vec![]] {
            assert!(follower("/feeds/x?access_token=12345678|abcdefghijklmnopqrstuvwx", &headers).is_none());
        }
    }
}
