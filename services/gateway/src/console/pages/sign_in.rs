//! Sign-in by an API key or at an identity provider, and sign-out.

mod shown;
mod by_key;
mod provider;

use crate::console::route::Route;

pub(crate) use shown::PATH;

pub(crate) fn routes() -> Vec<Route> {
    by_key::routes().into_iter().chain(provider::routes()).collect()
}
