//! Where the present state of the directory is.

use std::fmt;
use std::sync::Arc;

use tonic::Status;
use vigie_consortium::{Directory, View};
use vigie_model::UnixMillis;

/// The source of a server's directory.
pub trait Directories: fmt::Debug + Send + Sync + 'static {
    /// The present view, or why there is none that may be used: then no call that needs rights is let in.
    fn view(&self) -> Result<Arc<View>, Status>;

    /// The time by which rights expire: milliseconds since 1970.
    fn now(&self) -> UnixMillis;
}

/// The directory of a server that is told nothing of members: the consortium is off, and stays so.
#[derive(Debug)]
pub struct NoMembers(Arc<View>);

impl Default for NoMembers {
    fn default() -> Self {
        Self(Arc::new(View::from(Directory::new())))
    }
}

impl Directories for NoMembers {
    fn view(&self) -> Result<Arc<View>, Status> {
        Ok(Arc::clone(&self.0))
    }

    /// Nothing expires here.
    fn now(&self) -> UnixMillis {
        UnixMillis(0)
    }
}
