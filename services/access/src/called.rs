//! A call that was let in, as its handler sees it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tonic::{Code, Request, Status};
use vigie_consortium::{Admitted, Caller, Method, Process, Proven, View};
use vigie_credentials::UNAUTHENTICATED;
use vigie_model::UnixMillis;

use crate::directories::Directories;
use crate::refused::denied;
use crate::tally::{Tally, Who, is_refusal};

/// The proof of a call's caller. The proof stays, while members may be turned on in the course of a stream.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Proof {
    pub(crate) proven: Option<Proven>,
    pub(crate) process: Option<Process>,
}

impl Proof {
    /// The caller in a view.
    pub(crate) fn caller(self, view: &View) -> Caller {
        view.caller(self.proven, self.process)
    }

    /// The caller as the audit names it.
    pub(crate) fn who(self, view: &View) -> Who {
        let principal = self.proven.map(|proven| proven.principal);
        let member = principal.and_then(|id| view.directory().principal(id)).map(|found| found.member);
        Who { member, principal }
    }
}

/// Who makes a call, and of which method: an extension of each request that [`crate::Access`] let in.
#[derive(Debug, Clone)]
pub struct Called {
    pub(crate) proof: Proof,
    pub(crate) method: Method,
    pub(crate) directories: Arc<dyn Directories>,
    /// The first moment at which the credential is no longer good, where it says so itself.
    pub(crate) expires: Option<SystemTime>,
    /// Where calls are counted; `None` where there is no audit.
    pub(crate) tally: Option<Arc<Tally>>,
}

impl Called {
    /// The call of a request.
    ///
    /// # Errors
    ///
    /// The server has no guard: a fault of ours, and no call is served without one.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let called = request.extensions().get().cloned();
        called.ok_or_else(|| Status::internal("the call has not passed the server's guard"))
    }

    /// The caller in a view of the directory.
    #[must_use]
    pub fn caller(&self, view: &View) -> Caller {
        self.proof.caller(view)
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The present view of the directory.
    pub fn view(&self) -> Result<Arc<View>, Status> {
        self.directories.view()
    }

    /// The time by which rights expire.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.directories.now()
    }

    /// The caller in a view, as the audit names it.
    #[must_use]
    pub fn who(&self, view: &View) -> Who {
        self.proof.who(view)
    }

    /// Counts a search, or a request of a stream of them, that was answered with so many items or refused. One that failed otherwise says
    /// nothing of its caller and is not counted, and neither is any without members.
    pub fn count(&self, code: Code, items: u64) {
        let Some(tally) = self.tally.as_ref().filter(|_| code == Code::Ok || is_refusal(code)) else {
            return;
        };
        // A directory that is too old refuses calls, and nobody knows for whom.
        let Ok(view) = self.view() else { return };
        if view.directory().is_on() {
            tally.count(self.who(&view), self.method, code, items, self.now());
        }
    }

    /// The caller's rights in a view, checked again: asked for each request of a stream.
    pub fn admitted<'v>(&self, view: &'v View) -> Result<Admitted<'v>, Status> {
        // A token ends by itself.
        let now = self.now();
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(now.0);
        if self.expires.is_some_and(|expires| at >= expires) {
            return Err(Status::unauthenticated(UNAUTHENTICATED));
        }
        view.admit(self.caller(view), self.method, now).map_err(denied)
    }
}
