//! A whole cluster on a simulated network: partitions, crashes, delays and wrong clocks, drawn from a seed.
//!
//! ```text
//! cargo test --package vigie-tests --test sim                        # a few seeds of everything
//! VIGIE_SEEDS=1000 cargo test --release --package vigie-tests --test sim -- whatever_the_network_does
//! VIGIE_SEEDS=1000 cargo test --release --package vigie-tests --test sim -- hostile
//! VIGIE_SEEDS=1000 cargo test --release --package vigie-tests --test sim -- sets
//! VIGIE_SEED=17 cargo test --package vigie-tests --test sim -- whatever_the_network_does --nocapture
//! ```
//!
//! Bank, matchers (two replicas of each of two shards) and coordinator are the real ones; their network, the
//! bank's disk and its clock are simulated. Under a workload of writers and readers there are faults for a
//! while; then all faults end, and everything that was acknowledged has to be on every replica, and nothing
//! else.
//!
//! Odd seeds have members: two frontends, and three organisations that bank, share, revoke and search
//! (`members`). On a cluster without faults, one member attacks three others with everything that it may do
//! (`hostile`), and opinions and policies must change no set of matches (`sets`).

mod network;
mod cluster;
mod faults;
mod members;
mod scenario;
mod seeds;
mod quiet;
mod caller;
mod hostile;
mod sets;

/// Number of seeds in a short run.
const SEEDS: u64 = 4;

#[test]
fn what_was_acknowledged_holds_whatever_the_network_does() {
    seeds::over(SEEDS, scenario::run);
}
