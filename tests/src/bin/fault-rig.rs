//! Runs the fault rig: `cargo run --release --package vigie-tests --bin fault-rig -- --answers 10000`.

#![expect(clippy::print_stdout, reason = "its report is what it is for")]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use rand::RngExt as _;
use vigie_harness::binary::vigie_binary;
use vigie_harness::isolation::Network;
use vigie_tests::faults::{self, FaultPlan};

/// Stops, kills and cuts off replicas and whole shards, and proves that no answer is wrong or claims more
/// coverage than it has.
#[derive(Debug, Parser)]
struct Arguments {
    /// The least number of answers that are checked while a replica is stopped, killed or cut off
    #[arg(long, default_value_t = 10_000)]
    answers: u64,
    /// Number of shards
    #[arg(long, default_value_t = 3)]
    shard_count: u16,
    /// Number of matchers of each shard
    #[arg(long, default_value_t = 2)]
    replica_count: u16,
    /// Number of tasks that send lookups
    #[arg(long, default_value_t = 24)]
    readers: u64,
    /// Number of rounds of faults between two comparisons of everything
    #[arg(long, default_value_t = 10)]
    rounds_between_checks: u64,
    /// The longest duration of a round's faults, in milliseconds
    #[arg(long, default_value_t = 2_000)]
    pause_ms_max: u64,
    /// Give the matchers no network namespaces of their own; then none is cut off
    #[arg(long)]
    without_network: bool,
    /// Seed of victims, faults and moments; by default random, and printed
    #[arg(long)]
    seed: Option<u64>,
    /// The `vigie` binary; built by default
    #[arg(long)]
    vigie: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| rand::rng().random());
    println!("--seed {seed}");
    let folder = tempfile::Builder::new().prefix("vigie-faults-").disable_cleanup(true).tempdir()?;
    let network = (!arguments.without_network).then(Network::new).transpose();
    let network = network.context(
        "network namespaces cannot be created here; --without-network runs without cut-off matchers",
    )?;
    let plan = FaultPlan {
        vigie: arguments.vigie.unwrap_or_else(|| vigie_binary().to_owned()),
        folder: folder.path().to_owned(),
        shard_count: arguments.shard_count,
        replica_count: arguments.replica_count,
        network,
        readers: arguments.readers,
        answers: arguments.answers,
        rounds_between_checks: arguments.rounds_between_checks.max(1),
        pause_max: Duration::from_millis(arguments.pause_ms_max),
        seed,
    };
    let report = faults::run(&plan, |line| println!("{line}"))
        .await
        .with_context(|| format!("--seed {seed}; data and logs are in {}", folder.path().display()))?;
    println!("{report:#?}");
    std::fs::remove_dir_all(folder.path())?;
    Ok(())
}
