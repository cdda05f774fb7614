//! A person's request: identity, language, and the rights of the person's roles.

use std::fmt::Display;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;
use tokio::time::Instant;
use vigie_clients::WhoAmI;
use vigie_consortium::rights::Method;
use vigie_model::{Sequence, UnixMillis};

use crate::console::page::Failed;
use crate::console::session::SignedInBy;
use crate::console::text::Language;
use crate::problem::Problem;
use crate::upstream::Caller;

/// A person's request. Clones share the same data.
#[derive(Debug, Clone)]
pub(crate) struct Visit(Arc<Inner>);

/// The data of a request.
#[derive(Debug)]
pub(crate) struct Inner {
    /// The services, with the person's credential.
    pub(crate) caller: Caller,
    /// The language of the page.
    pub(crate) language: Language,
    /// The CSRF token of the session.
    pub(crate) csrf: String,
    /// The principal and its member; `None` if the bank does not answer, or nobody is signed in.
    pub(crate) who: Option<WhoAmI>,
    /// The way in which the person has signed in; `None` if the gateway uses one credential for everybody.
    pub(crate) signed_in: Option<SignedInBy>,
    /// The path of the page, without its query.
    pub(crate) path: String,
    /// The query of the page; may be empty.
    pub(crate) query: String,
    /// The time at which the request arrived.
    pub(crate) now: UnixMillis,
}

impl std::ops::Deref for Visit {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Visit {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Returns the text of this key in the person's language.
    pub(crate) fn t(&self, key: &str) -> &'static str {
        self.language.text(key)
    }

    /// Returns the text of this key, with each `{name}` replaced by its value.
    pub(crate) fn fill(&self, key: &str, values: &[(&str, &dyn Display)]) -> String {
        self.language.fill(key, values)
    }

    /// Returns the text for a count: `key.one` or `key.other`, with `{count}` replaced by the number.
    pub(crate) fn count(&self, key: &str, count: u64) -> String {
        self.language.count(key, count)
    }

    /// Returns whether one of the person's roles may call the method. Returns true if the bank does not
    /// answer: the service checks the call itself.
    pub(crate) fn may(&self, method: Method) -> bool {
        let Some(WhoAmI { principal, .. }) = &self.who else { return true };
        // A deployment without members has no principals, and every caller has every role.
        principal.as_ref().is_none_or(|principal| principal.roles.iter().any(|role| method.is_open_to(role)))
    }

    /// Returns whether the person may call one of these methods.
    pub(crate) fn may_any(&self, methods: &[Method]) -> bool {
        methods.is_empty() || methods.iter().any(|method| self.may(*method))
    }

    /// Returns the deadline of the request.
    pub(crate) fn deadline(&self) -> Instant {
        self.caller.deadline()
    }

    /// Remembers a write, so that later searches of this person include it.
    pub(crate) fn wrote(&self, sequence: Sequence) {
        self.caller.newest().wrote(sequence);
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Failed;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Failed> {
        let visit = head.extensions.get::<Self>().cloned();
        // The frame adds the extension.
        visit.ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "no visit").into())
    }
}
