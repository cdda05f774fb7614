//! Runs the crash rig: `cargo run --release --package vigie-tests --bin crash-rig -- --kills 200`.

#![expect(clippy::print_stdout, reason = "its report is what it is for")]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use rand::RngExt as _;
use vigie_harness::binary::vigie_binary;
use vigie_test_postgres::Server;
use vigie_tests::crash::{self, CrashPlan};

/// Kills processes of a cluster at random moments, and proves that nothing acknowledged is lost.
#[derive(Debug, Parser)]
struct Arguments {
    /// Number of kills
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// Number of kills between two comparisons of everything
    #[arg(long, default_value_t = 20)]
    kills_between_checks: u64,
    /// URL of the bank's store; by default a new SQLite file
    #[arg(long)]
    store: Option<String>,
    /// Start a PostgreSQL server and use it as the bank's store
    #[arg(long, conflicts_with = "store")]
    postgres: bool,
    /// Number of shards, each with one matcher
    #[arg(long, default_value_t = 3)]
    shard_count: u16,
    /// Number of tasks that write
    #[arg(long, default_value_t = 6)]
    writers: u64,
    /// Number of tasks that read
    #[arg(long, default_value_t = 2)]
    readers: u64,
    /// The longest pause between two kills, in milliseconds
    #[arg(long, default_value_t = 1_500)]
    pause_ms_max: u64,
    /// Seed of victims, moments and hashes; by default random, and printed
    #[arg(long)]
    seed: Option<u64>,
    /// The `vigie` binary whose processes are killed; built by default
    #[arg(long)]
    vigie: Option<PathBuf>,
}

/// Starts a PostgreSQL server; fails where PostgreSQL is not installed.
fn postgres() -> anyhow::Result<Server> {
    Server::start("").context("PostgreSQL is not installed")
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| rand::rng().random());
    println!("--seed {seed}");
    let folder = tempfile::Builder::new().prefix("vigie-crash-").disable_cleanup(true).tempdir()?;
    let server = arguments.postgres.then(postgres).transpose()?;
    let database = server.as_ref().map(Server::database);
    let own = || match &database {
        Some(database) => database.url(),
        None => format!("sqlite:{}", folder.path().join("bank.db").display()),
    };
    let store = arguments.store.unwrap_or_else(own);
    let plan = CrashPlan {
        vigie: arguments.vigie.unwrap_or_else(|| vigie_binary().to_owned()),
        folder: folder.path().to_owned(),
        store,
        shard_count: arguments.shard_count,
        writers: arguments.writers,
        readers: arguments.readers,
        kills: arguments.kills,
        kills_between_checks: arguments.kills_between_checks.max(1),
        pause_max: Duration::from_millis(arguments.pause_ms_max),
        seed,
    };
    let report = crash::run(&plan, |line| println!("{line}"))
        .await
        .with_context(|| format!("--seed {seed}; data and logs are in {}", folder.path().display()))?;
    println!("{report:#?}");
    std::fs::remove_dir_all(folder.path())?;
    Ok(())
}
