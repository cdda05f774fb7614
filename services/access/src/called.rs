//! A call that was let in, as its handler sees it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tonic::{Request, Status};
use vigie_consortium::{Admitted, Caller, Method, Process, Proven, View};
use vigie_credentials::UNAUTHENTICATED;
use vigie_model::UnixMillis;

use crate::directories::Directories;
use crate::refused::denied;

/// What a call has proven of its caller: that stays, while members may be turned on in the course of a stream.
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
}

/// Who makes a call, and of which method: an extension of each request that [`crate::Access`] let in.
#[derive(Debug, Clone)]
pub struct Called {
    pub(crate) proof: Proof,
    pub(crate) method: Method,
    pub(crate) directories: Arc<dyn Directories>,
    /// The first moment at which the credential is no longer good, where it says so itself.
    pub(crate) expires: Option<SystemTime>,
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
