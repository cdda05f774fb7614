//! The credential of a request: an API key or a token as `Authorization: Bearer`.
//!
//! A wrong one is refused here, so that failed attempts count against the host that makes them and not against the gateway. What the caller
//! may do is decided by the services, which get the credential with each call.

use http::{HeaderMap, Request, StatusCode, header};
use vigie_access::Access;
use vigie_clients::{Bearer, Code};
use vigie_rpc::details;
use vigie_serving::{Guard as _, Origin};

use crate::problem::Problem;

/// A method that anybody may call who proves to be somebody, by which a credential is checked.
const CHECKED_BY: &str = "/vigie.consortium.v1.ConsortiumService/WhoAmI";

/// The credential of a request, if it carries one.
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

/// Refuses a wrong credential. Without one, the services decide.
pub(super) async fn check(access: &Access, bearer: Option<&Bearer>, origin: &Origin) -> Result<(), Problem> {
    let Some(bearer) = bearer else { return Ok(()) };
    let (mut call, ()) = Request::new(()).into_parts();
    call.uri = http::Uri::from_static(CHECKED_BY);
    bearer.write(&mut call.headers);
    // The certificate of a connection to the gateway is none of the caller's calls.
    let origin = Origin { certificate_name: None, ..origin.clone() };
    let Err(status) = access.admit(&mut call, origin).await else { return Ok(()) };
    let code = status.code();
    let of = |status_code| Problem::new(status_code, status.message());
    Err(match code {
        Code::Unauthenticated => of(StatusCode::UNAUTHORIZED),
        Code::PermissionDenied => of(StatusCode::FORBIDDEN),
        Code::ResourceExhausted => {
            let retry_after = details::retry_after(&status);
            Problem { retry_after, ..of(StatusCode::TOO_MANY_REQUESTS) }
        }
        _ => Problem::busy(status.message()),
    })
}
