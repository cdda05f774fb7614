//! Banks as feeds in the formats of sharing programmes, so that clients of those programmes follow a
//! deployment unchanged.
//!
//! | base URL of a client | format | credential |
//! |---|---|---|
//! | `/feeds/ncmec/BANK` | NCMEC hash sharing, version 2 | HTTP Basic; the password is an API key |
//! | `/feeds/threat_exchange/BANK` | `threat_updates`, any privacy group | `access_token=APP|KEY` |
//! | `/feeds/stop_ncii/BANK` | StopNCII, version 1 | `x-functions-key` |
//! | `/feeds/tat/BANK/` | Tech Against Terrorism, version 2 | the password of the login is an API key |
//!
//! A key that is not an API key of this project counts as none, because clients of a deployment without
//! members have to send something.
//!
//! Always true: a client that reads all pages, and later continues from a checkpoint, has the bank's matching
//! items. A page that cannot be complete is an error. A follower that was away for longer than removed hashes
//! are kept, and so might keep one permanently, gets 410 and must start again.
//!
//! Reading order: `source`, `values`, then one format.

mod values;
mod source;
mod link;
mod ncmec;
mod threat_exchange;
mod stop_ncii;
mod tat;

use axum::Router;
use axum::routing::{get, post};

use crate::shared::Shared;

/// The path prefix of all feeds.
pub(crate) const PREFIX: &str = "/feeds/";

/// The end of the path of a login. Its password is checked when it is used.
pub(crate) const LOGIN: &str = "/token-auth/tcap/";

/// Returns every route.
pub(crate) fn routes() -> Router<Shared> {
    let routes = [
        ("/feeds/ncmec/{bank}/v2/status", get(ncmec::status)),
        ("/feeds/ncmec/{bank}/v2/members", get(ncmec::members)),
        ("/feeds/ncmec/{bank}/v2/entries", get(ncmec::entries)),
        ("/feeds/ncmec/{bank}/v2/feedback/{kind}/reasons", get(ncmec::reasons)),
        ("/feeds/threat_exchange/{bank}/{group}/threat_updates", get(threat_exchange::updates)),
        ("/feeds/threat_exchange/{bank}/{group}/threat_updates/", get(threat_exchange::updates)),
        ("/feeds/threat_exchange/{bank}/{app}/threat_privacy_groups_member", get(threat_exchange::groups)),
        ("/feeds/stop_ncii/{bank}/FetchHashes", get(stop_ncii::fetch_hashes)),
        ("/feeds/tat/{bank}/token-auth/tcap/", post(tat::login)),
        ("/feeds/tat/{bank}/api/hash-list/v2/all", get(tat::all)),
    ];
    routes.into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods))
}
