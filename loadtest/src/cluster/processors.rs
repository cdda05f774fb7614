//! The processor time that each role of the run's own cluster uses during the measurement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use vigie_harness::cluster::Cluster;

/// Seconds of processor time by role: `bank`, `coordinator`, `frontend`, `matcher`. Empty where the system
/// does not report it.
pub(crate) type ByRole = BTreeMap<String, f64>;

/// Returns the processor time that all processes used between `from` and `until`; `None` if a process does
/// not run at both moments.
pub(crate) async fn used(cluster: Arc<Mutex<Cluster>>, from: Instant, until: Instant) -> Option<ByRole> {
    tokio::time::sleep_until(from.into()).await;
    let before = read(&*cluster.lock().await)?;
    tokio::time::sleep_until(until.into()).await;
    let after = read(&*cluster.lock().await)?;
    let mut by_role = ByRole::new();
    for ((name, id, before), (_, id_after, after)) in before.iter().zip(&after) {
        // The clock of a restarted process begins at zero again.
        let used = after.checked_sub(*before).filter(|_| id == id_after)?;
        *by_role.entry(role(name).to_owned()).or_default() += used.as_secs_f64();
    }
    Some(by_role)
}

/// Returns the name, the process id and the processor time of each process.
fn read(cluster: &Cluster) -> Option<Vec<(String, u32, Duration)>> {
    let clock = |process: &vigie_harness::process::Process| {
        Some((process.name().to_owned(), process.id()?, process.processor_time()?))
    };
    cluster.processes().iter().map(clock).collect()
}

/// Returns the role in a process name: the part before the first hyphen, as in `matcher-1-0`.
fn role(name: &str) -> &str {
    name.split_once('-').map_or(name, |(role, _)| role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_of_one_role_count_together() {
        assert_eq!(["bank", "matcher-1-0", "frontend-2"].map(role), ["bank", "matcher", "frontend"]);
    }
}
