//! Members, their limits, their principals and the principals' keys.
//!
//! A new key appears only in the answer to the form that created it: not on other pages, in URLs or in logs.
//! A repeated form, as from a browser that reloads the page, is the same write and returns no key again.
//!
//! Reading order: `facts` (shared parts of pages), `list` (and the invitation), `one` (a member, with `words`
//! and `limits`), `keys` (principals), `credential` (the form of a new principal), `new_key` (the page with a
//! key), `ending` (further keys, removing a principal).

mod facts;
mod list;
mod one;
mod words;
mod limits;
mod keys;
mod credential;
mod new_key;
mod ending;

use axum::routing::get;
use vigie_clients::WhoAmI;
use vigie_consortium::MemberName;
use vigie_consortium::rights::Method;

use crate::console::page::Failed;
use crate::console::route::Route;
use crate::console::visit::Visit;

/// The path of the list of members.
const PATH: &str = "/console/members";
/// The path of the list of principals.
const KEYS: &str = "/console/keys";

pub(crate) fn routes() -> Vec<Route> {
    const READ: &[Method] = &[Method::GetMember];
    const KEYS_READ: &[Method] = &[Method::ListPrincipals];
    vec![
        Route::form(
            PATH,
            &[Method::ListMembers],
            &[Method::CreateMember],
            get(list::show).post(list::invite),
        ),
        Route::page("/console/members/{name}", READ, get(one::show)),
        Route::form(
            "/console/members/{name}/words",
            READ,
            &[Method::UpdateMember],
            get(one::back).post(one::set_words),
        ),
        Route::form(
            "/console/members/{name}/state",
            READ,
            &[Method::SetMemberState],
            get(one::back).post(one::set_state),
        ),
        Route::form(
            "/console/members/{name}/issuers",
            READ,
            &[Method::SetTokenIssuers],
            get(one::back).post(one::set_issuers),
        ),
        Route::form(
            "/console/members/{name}/limits",
            READ,
            &[Method::SetQuota],
            get(one::back).post(one::set_limits),
        ),
        Route::form(KEYS, KEYS_READ, &[Method::CreatePrincipal], get(keys::show).post(keys::create)),
        Route::form(
            "/console/keys/{id}/rotate",
            &[Method::RotateKey],
            &[Method::RotateKey],
            get(ending::show_rotation).post(ending::rotate),
        ),
        Route::form(
            "/console/keys/{id}/revoke",
            &[Method::RevokePrincipal],
            &[Method::RevokePrincipal],
            get(ending::show_end).post(ending::revoke),
        ),
    ]
}

/// Parses the name of a member in a path or a query. An invalid name is answered as not found.
fn member_name(text: &str) -> Result<MemberName, Failed> {
    text.parse().map_err(|_| Failed::not_there())
}

/// Whether members are off, so that every caller acts for the single member.
fn is_off(visit: &Visit) -> bool {
    matches!(visit.who, Some(WhoAmI { principal: None, .. }))
}
