//! Where the present state of the directory is.

use std::fmt;
use std::sync::Arc;

use tonic::Status;
use vigie_consortium::{Directory, PrincipalId, Row, View};
use vigie_model::{BankId, UnixMillis};

use crate::wall_clock::WallClock;

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

/// The directory of a server that serves processes alone: there are members, and none of them calls here.
#[derive(Debug)]
pub(crate) struct ProcessesOnly {
    view: Arc<View>,
    clock: WallClock,
}

impl ProcessesOnly {
    /// Where processes cannot prove themselves (`is_set`), everybody is taken for one.
    pub(crate) fn new(is_set: bool) -> Self {
        let mut directory = Directory::new();
        if is_set {
            directory.set_row(Row::Used { principal: PrincipalId(1), bank: BankId(0) });
        }
        Self { view: Arc::new(View::from(directory)), clock: WallClock::system() }
    }
}

impl Directories for ProcessesOnly {
    fn view(&self) -> Result<Arc<View>, Status> {
        Ok(Arc::clone(&self.view))
    }

    /// By which refused calls are counted. Nothing expires here.
    fn now(&self) -> UnixMillis {
        self.clock.now()
    }
}
