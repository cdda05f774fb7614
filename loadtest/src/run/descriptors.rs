//! The limit on open connections of this process and of the processes that it starts.

use anyhow::ensure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors that a process has open in addition to connections.
const OTHERS: u64 = 100;

/// Raises the limit to what the system allows this user; where that fails, the limit stays.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    // An error is ignored here; `check` compares the limit with the required number.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Fails if the limit does not allow `connections` open connections.
pub(crate) fn check(connections: u32) -> anyhow::Result<()> {
    // The system reports no limit as none.
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let needed = u64::from(connections) + OTHERS;
    ensure!(
        needed <= limit,
        "{connections} connections need {needed} open files, and the limit is {limit}: raise it (ulimit -n)"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_connections_than_files_may_be_open_are_refused_beforehand() {
        raise();
        assert!(check(10).is_ok());
        if getrlimit(Resource::Nofile).current.is_some_and(|limit| limit < u64::from(u32::MAX)) {
            assert!(check(u32::MAX).unwrap_err().to_string().contains("ulimit"));
        }
    }
}
