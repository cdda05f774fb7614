//! The members as known to a server other than a bank: the directory that it reads from the bank, and the
//! counted calls that it reports.

use std::pin::Pin;
use std::sync::Arc;

use vigie_clients::{EndpointError, Network};

use crate::directories::{Directories, NoMembers};
use crate::followed::{DirectoryConfig, FollowedDirectory};
use crate::reporting::Reporting;
use crate::tally::Tally;
use crate::wall_clock::WallClock;

/// The directory of members, and the reporting of calls, of one server.
pub struct Membership {
    followed: Option<Arc<FollowedDirectory>>,
    tally: Arc<Tally>,
    following: Pin<Box<dyn Future<Output = ()> + Send>>,
    reporting: Option<Reporting>,
}

impl Membership {
    /// Starts following the banks of these settings; rights expire by `clock`. Without banks, the server
    /// knows no members.
    ///
    /// # Errors
    ///
    /// An endpoint is invalid.
    pub fn start(
        config: &DirectoryConfig,
        network: &Network,
        clock: WallClock,
    ) -> Result<Self, EndpointError> {
        let tally = Arc::<Tally>::default();
        if config.bank.is_empty() {
            let following = Box::pin(std::future::pending());
            return Ok(Self { followed: None, tally, following, reporting: None });
        }
        let followed = FollowedDirectory::new(config, clock.clone());
        let following = Box::pin(followed.follow(config, network)?);
        let reporting = Reporting::new(Arc::clone(&tally), clock, &config.bank, network)?;
        Ok(Self { followed: Some(followed), tally, following, reporting: Some(reporting) })
    }

    /// Returns the directory; `None` if the server knows no members.
    #[must_use]
    pub const fn followed(&self) -> Option<&Arc<FollowedDirectory>> {
        self.followed.as_ref()
    }

    /// Returns the source of the directory.
    #[must_use]
    pub fn source(&self) -> Arc<dyn Directories> {
        match &self.followed {
            Some(followed) => Arc::clone(followed) as _,
            None => Arc::new(NoMembers::default()),
        }
    }

    /// Returns the tally that counts calls.
    #[must_use]
    pub const fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// Reads the directory and reports calls, for as long as it is polled. It ends only by a failure of its
    /// own.
    pub async fn run(&mut self) {
        let Self { following, reporting, .. } = self;
        let Some(reporting) = reporting else { return following.as_mut().await };
        tokio::select! {
            () = following.as_mut() => {}
            () = reporting.run() => {}
        }
    }

    /// Reports the remaining calls, after the server has ended.
    pub async fn finish(&mut self) {
        if let Some(reporting) = &mut self.reporting {
            reporting.finish().await;
        }
    }
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Membership").field("tally", &self.tally).finish_non_exhaustive()
    }
}
