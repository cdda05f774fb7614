//! The cluster of a scenario: processes of the real binary that end with the run.
//!
//! The coordinator reaches matchers that a fault will slow down through a proxy that can add a delay.

pub(crate) mod fault;
pub(crate) mod processors;

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use vigie_harness::cluster::Cluster;
use vigie_model::Sequence;

use crate::run::scenario::{Action, Scenario};

/// The time within which the processes have to find each other.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Starts the processes of a scenario's cluster with further settings, and waits until every matcher is
/// ready. It does not wait where the scenario has members.
pub(crate) async fn start(scenario: &Scenario, vigie: &Path, further: &[String]) -> anyhow::Result<Cluster> {
    let plan = &scenario.cluster;
    let slowed = scenario.faults.iter().filter_map(|fault| {
        let Action::Slow { process, .. } = &fault.action else { return None };
        Some(process)
    });
    let mut cluster = Cluster::of(vigie)
        .shards(plan.shards)
        .shards_served(plan.shards_served)
        .replicas(plan.replicas)
        .frontends(plan.frontends)
        .set(&plan.set)
        .set(further)
        .slow(slowed)
        .log("warn", "text")
        .own_group()
        .start()?;
    // With members, matchers have a key and answer only processes of the deployment. In that case readiness
    // is checked through the frontends, once there is data.
    if scenario.consortium.is_none() {
        cluster.wait_ready(Sequence::ZERO, READY_WITHIN).await?;
    }
    Ok(cluster)
}

/// Applies a fault to the cluster. Commands and imports are not handled here.
pub(crate) async fn inflict(cluster: &mut Cluster, action: &Action) -> anyhow::Result<()> {
    match action {
        Action::Stop(name) => cluster.process(name)?.signal(Signal::STOP),
        Action::Continue(name) => cluster.process(name)?.signal(Signal::CONT),
        Action::Kill(name) => cluster.process(name)?.kill(),
        Action::Start(name) => cluster.process(name)?.start(),
        Action::Restart(name) => {
            let process = cluster.process(name)?;
            process.end().await?;
            process.start()
        }
        Action::Slow { process, by } => {
            cluster.link(process)?.delay(by.0);
            Ok(())
        }
        Action::Command(_) | Action::Import { .. } => Ok(()),
    }
}
