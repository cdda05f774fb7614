//! An admitted call, as its handler sees it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tonic::{Code, Request, Status};
use vigie_consortium::{Admitted, Caller, Method, Process, Proven, View};
use vigie_credentials::UNAUTHENTICATED;
use vigie_model::UnixMillis;

use crate::directories::Directories;
use crate::refused::denied;
use crate::tally::{Tally, Who, is_refusal};

/// The proof of a call's caller. The proof stays the same, while members may be turned on during a stream.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Proof {
    pub(crate) proven: Option<Proven>,
    pub(crate) process: Option<Process>,
}

impl Proof {
    /// Returns the caller in a view.
    pub(crate) fn caller(self, view: &View) -> Caller {
        view.caller(self.proven, self.process)
    }

    /// Returns the caller as the audit names it.
    pub(crate) fn who(self, view: &View) -> Who {
        let principal = self.proven.map(|proven| proven.principal);
        let member = principal.and_then(|id| view.directory().principal(id)).map(|found| found.member);
        Who { member, principal }
    }
}

/// The caller and the method of a call: an extension of each request that [`crate::Access`] admitted.
#[derive(Debug, Clone)]
pub struct Called {
    pub(crate) proof: Proof,
    pub(crate) method: Method,
    pub(crate) directories: Arc<dyn Directories>,
    /// The time at which the credential expires, if the credential itself has one.
    pub(crate) expires: Option<SystemTime>,
    /// The tally that counts calls; `None` if there is no audit.
    pub(crate) tally: Option<Arc<Tally>>,
}

impl Called {
    /// Returns the call of a request.
    ///
    /// # Errors
    ///
    /// `INTERNAL` if the server has no guard. That is a programming error; no call is served without a guard.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let called = request.extensions().get().cloned();
        called.ok_or_else(|| Status::internal("the call has not passed the server's guard"))
    }

    /// Returns the caller in a view of the directory.
    #[must_use]
    pub fn caller(&self, view: &View) -> Caller {
        self.proof.caller(view)
    }

    /// Returns the method.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// Returns the present view of the directory.
    pub fn view(&self) -> Result<Arc<View>, Status> {
        self.directories.view()
    }

    /// Returns the time by which rights expire.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.directories.now()
    }

    /// Returns the caller in a view, as the audit names it.
    #[must_use]
    pub fn who(&self, view: &View) -> Who {
        self.proof.who(view)
    }

    /// Counts a search, or one request of a stream of searches, that was answered with `items` items or
    /// refused. Other failures say nothing about the caller and are not counted. Nothing is counted while
    /// there are no members.
    pub fn count(&self, code: Code, items: u64) {
        let Some(tally) = self.tally.as_ref().filter(|_| code == Code::Ok || is_refusal(code)) else {
            return;
        };
        // A directory that is too old refuses calls of unknown members.
        let Ok(view) = self.view() else { return };
        if view.directory().is_on() {
            tally.count(self.who(&view), self.method, code, items, self.now());
        }
    }

    /// Returns the caller's rights in a view. They are checked again for each request of a stream.
    pub fn admitted<'v>(&self, view: &'v View) -> Result<Admitted<'v>, Status> {
        // A token expires during a stream too.
        let now = self.now();
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(now.0);
        if self.expires.is_some_and(|expires| at >= expires) {
            return Err(Status::unauthenticated(UNAUTHENTICATED));
        }
        view.admit(self.caller(view), self.method, now).map_err(denied)
    }
}
