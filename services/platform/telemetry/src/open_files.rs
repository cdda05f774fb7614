//! The number of files and sockets that this process may have open.
//!
//! The system enforces the soft limit; a process may itself raise it up to the hard limit. Shells and service
//! managers often set a soft limit of 1,024 and a much higher hard limit, for programs that still use
//! `select`. Vigie does not use it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limits of open files. `None` means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// The limit that is in force.
    pub soft: Option<u64>,
    /// The most that the soft limit can be raised to.
    pub hard: Option<u64>,
}

impl OpenFiles {
    /// Returns the present limits.
    #[must_use]
    pub fn now() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        Self { soft: current, hard: maximum }
    }

    /// Raises the soft limit to the hard one.
    ///
    /// # Errors
    ///
    /// The system refuses it, as some do if there is no hard limit. The soft limit then stays as it was.
    pub fn raise() -> std::io::Result<()> {
        let Self { hard, .. } = Self::now();
        setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard })?;
        Ok(())
    }

    /// Returns how many connections each of `servers` servers of this process can have. Together they get
    /// three quarters of the soft limit, because stores, indexes, decoders and outgoing connections need
    /// files too; each gets at least 64.
    #[must_use]
    pub fn connections(&self, servers: usize) -> usize {
        let files = self.soft.map_or(usize::MAX, |soft| usize::try_from(soft).unwrap_or(usize::MAX));
        (files / 4 * 3 / servers.max(1)).max(64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_share_three_quarters_of_the_files() {
        let limited = |soft| OpenFiles { soft, hard: None };
        assert_eq!(limited(Some(1_024)).connections(1), 768);
        assert_eq!(limited(Some(1_024)).connections(4), 192);
        assert_eq!(limited(Some(1_024)).connections(100), 64, "there are some in any case");
        assert!(limited(None).connections(7) > 1_000_000);
    }

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        OpenFiles::raise().unwrap();
        let OpenFiles { soft, hard } = OpenFiles::now();
        assert_eq!(soft, hard);
    }
}
