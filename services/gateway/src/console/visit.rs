//! One request of a person: who it is, in which language, and what the person's roles allow.

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

/// One request of a person. A clone is a handle of the same.
#[derive(Debug, Clone)]
pub(crate) struct Visit(Arc<Inner>);

/// What is known of a request.
#[derive(Debug)]
pub(crate) struct Inner {
    /// The services, with the person's credential.
    pub(crate) caller: Caller,
    /// The language of the page.
    pub(crate) language: Language,
    /// The token against cross-site requests.
    pub(crate) csrf: String,
    /// The principal and its member; `None` where the bank does not answer, or nobody is signed in.
    pub(crate) who: Option<WhoAmI>,
    /// How the person has signed in; `None` where the gateway acts for everybody who reaches it.
    pub(crate) signed_in: Option<SignedInBy>,
    /// The path of the page, without its query.
    pub(crate) path: String,
    /// The query of the page; may be empty.
    pub(crate) query: String,
    /// The present time.
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

    /// The text of this key in the person's language.
    pub(crate) fn t(&self, key: &str) -> &'static str {
        self.language.text(key)
    }

    /// The text of this key, with values in the place of `{name}`.
    pub(crate) fn fill(&self, key: &str, values: &[(&str, &dyn Display)]) -> String {
        self.language.fill(key, values)
    }

    /// The text for a number of things: of `key.one` or `key.other`, with the number in the place of `{count}`.
    pub(crate) fn count(&self, key: &str, count: u64) -> String {
        self.language.count(key, count)
    }

    /// Whether one of the person's roles may call the method at all. Everything is allowed where the bank does not answer: the call itself
    /// is what decides.
    pub(crate) fn may(&self, method: Method) -> bool {
        let Some(WhoAmI { principal, .. }) = &self.who else { return true };
        // Without a principal there are no members, and every caller has every role.
        principal.as_ref().is_none_or(|principal| principal.roles.iter().any(|role| method.is_open_to(role)))
    }

    /// Whether one of these methods may be called.
    pub(crate) fn may_any(&self, methods: &[Method]) -> bool {
        methods.is_empty() || methods.iter().any(|method| self.may(*method))
    }

    /// When the answer has to be there.
    pub(crate) fn deadline(&self) -> Instant {
        self.caller.deadline()
    }

    /// Remembers a write, so that the searches after it see it.
    pub(crate) fn wrote(&self, sequence: Sequence) {
        self.caller.newest().wrote(sequence);
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Failed;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Failed> {
        let visit = head.extensions.get::<Self>().cloned();
        // The frame puts it there.
        visit.ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "no visit").into())
    }
}
