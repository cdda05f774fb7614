//! The sources of a server's present directory.

use std::fmt;
use std::sync::Arc;

use tonic::Status;
use vigie_consortium::{Directory, PrincipalId, Row, View};
use vigie_model::{BankId, UnixMillis};

use crate::wall_clock::WallClock;

/// The source of a server's directory.
pub trait Directories: fmt::Debug + Send + Sync + 'static {
    /// Returns the present view. On an error there is no usable view, and no call that needs rights is
    /// admitted.
    fn view(&self) -> Result<Arc<View>, Status>;

    /// Returns the time by which rights expire, in milliseconds since 1970.
    fn now(&self) -> UnixMillis;
}

/// The directory of a server without members: the consortium is permanently off.
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

    /// Always 0: nothing expires here.
    fn now(&self) -> UnixMillis {
        UnixMillis(0)
    }
}

/// The directory of a server that serves only processes: there are members, and none of them may call here.
#[derive(Debug)]
pub(crate) struct ProcessesOnly {
    view: Arc<View>,
    clock: WallClock,
}

impl ProcessesOnly {
    /// Makes the directory. If processes cannot prove themselves (`is_set` is false), every caller counts as
    /// one.
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

    /// Returns the time for counts of refused calls. Nothing expires here.
    fn now(&self) -> UnixMillis {
        self.clock.now()
    }
}
