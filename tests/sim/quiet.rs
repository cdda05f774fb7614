//! A small cluster with members and without faults.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use vigie_net::retry;
use vigie_tests::material::generator;

use crate::cluster::{Setup, Surroundings};
use crate::scenario::{CLUSTER_KEY, as_text, secrets};

/// The limit on simulated time of one run; most take a few seconds.
const RUN_MAX: Duration = Duration::from_secs(900);
const TICK: Duration = Duration::from_millis(5);

/// Runs the work of members on a cluster of its own, and returns its result.
pub(crate) fn run<T, F>(
    seed: u64,
    members: impl FnOnce(SmallRng, Arc<Surroundings>) -> F,
) -> anyhow::Result<T>
where
    T: 'static,
    F: Future<Output = anyhow::Result<T>> + 'static,
{
    let mut rng = generator(seed);
    retry::seed(rng.random());
    let mut sim = turmoil::Builder::new()
        .rng_seed(rng.random())
        .tick_duration(TICK)
        .min_message_latency(Duration::ZERO)
        .max_message_latency(Duration::from_millis(2))
        .tcp_capacity(4_096)
        .simulation_duration(RUN_MAX)
        .build();
    let secrets = secrets()?;
    let setup = Setup { cluster_key: Some(secrets.path().join(CLUSTER_KEY)), is_small: true };
    let surroundings = Arc::<Surroundings>::default();
    setup.start(&mut sim, &surroundings, &mut rng);
    let (sender, ended) = std::sync::mpsc::channel();
    let members = Box::pin(members(rng, surroundings));
    sim.client("members", async move {
        let ran = members.await.map_err(as_text)?;
        sender.send(ran).map_err(|_| "nobody waits for the run".into())
    });
    sim.run().map_err(|error| anyhow::anyhow!("{error}"))?;
    ended.try_recv().context("the members did not end")
}
