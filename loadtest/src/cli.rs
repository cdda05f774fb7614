//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Makes data with known answers, and measures against it.
#[derive(Debug, Parser)]
#[command(name = "vigie-loadtest", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Writes hashes, queries (FILE.queries) and the right answers (FILE.answers).
    Data(DataArguments),
    /// Builds an index of a data file, checks its answers, and measures it.
    Index(IndexArguments),
}

/// What the rows look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShapeName {
    /// Random bits.
    Uniform,
    /// Half of the bits set, correlated bits, 20 % near-duplicates.
    Pdq,
    /// What hurts an index of buckets: copies, clusters, equal groups of bits, low entropy.
    Adversarial,
}

/// Arguments of `data`.
#[derive(Debug, Args)]
pub struct DataArguments {
    /// What the rows look like.
    #[arg(long)]
    pub shape: ShapeName,
    /// Rows to write.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub hashes: u32,
    /// Queries to write: every other one planted at 0 to 31 flips of a row, the others fresh of the same shape.
    #[arg(long, default_value_t = 10_000)]
    pub queries: u32,
    /// Queries, from the first, whose answers are written; all by default. Ten billion pairs of row and query
    /// take some 10 seconds on two cores.
    #[arg(long)]
    pub answered: Option<u32>,
    /// The same seed gives the same files.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Distances within which answers are written, ascending: 31, or 0,15,31,48,64.
    #[arg(long, value_delimiter = ',', default_value = "31")]
    pub radius: Vec<u16>,
    /// Threads that draw and scan; by default one for each core.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Where the rows go.
    #[arg(long)]
    pub out: PathBuf,
}

/// What searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineName {
    /// Vigie's exact radius index.
    Mih,
    /// Vigie's approximate index, a graph.
    Hnsw,
    /// A linear scan of an array.
    Flat,
}

impl EngineName {
    /// The name, as on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mih => "mih",
            Self::Hnsw => "hnsw",
            Self::Flat => "flat",
        }
    }
}

/// What can be measured, beyond building, memory and answers, which always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measurement {
    /// Single queries on one thread.
    Latency,
    /// Queries a second on each number of threads.
    Throughput,
    /// Searching quietly, while written to, and while segments are merged.
    Updates,
    /// Searching with nothing and with 100,000 hashes in the mutable tail.
    Tail,
}

/// Arguments of `index`.
#[derive(Debug, Args)]
pub struct IndexArguments {
    /// A file that `data` wrote, with its queries and answers beside it.
    #[arg(long)]
    pub data: PathBuf,
    /// What searches.
    #[arg(long)]
    pub engine: EngineName,
    /// The distance that is measured; all distances of the answers file are checked.
    #[arg(long, default_value_t = 31)]
    pub radius: u16,
    /// Queries to use, from the first; all by default. Few queries, over and over, keep what they touch in the
    /// caches: take thousands for times that mean something.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub queries: Option<u32>,
    /// Queries a call; above 1, throughput is measured with single queries and with these batches.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,
    /// Numbers of threads to measure throughput on.
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Vec<u16>,
    /// Inserts a second, and as many removals, while searching.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub updates_per_second: u32,
    /// An empty or missing folder for the index's files; without it, the index lives in memory only.
    #[arg(long)]
    pub directory: Option<PathBuf>,
    /// What to measure.
    #[arg(long, value_delimiter = ',', default_value = "latency,throughput,updates,tail")]
    pub measure: Vec<Measurement>,
    /// Slices of each condition; conditions take turns.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// How long a slice lasts.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub slice_milliseconds: u64,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}
