//! The command line.

mod shape;
mod hma;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use vigie_model::BankName;
use vigie_net::TlsArgs;

pub(crate) use crate::cli::hma::{HmaArguments, HmaCall, VersusArguments};
pub(crate) use crate::cli::shape::ShapeName;
use crate::run::scenario::builtin::listing;
use crate::run::scenario::span::Span;

/// Makes data with known answers, and measures against it.
#[derive(Debug, Parser)]
#[command(name = "vigie-loadtest", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0   done, and everything that has to hold does
  1   the command failed, the run was not the one that its scenario
      describes, or two runs cannot be compared
  2   the command line is wrong
  98  not measurable here: the generator could not send in time, so that
      the run says nothing of the target
  99  a threshold does not hold, no rate holds, or, with
      `compare --strict`, the second run is worse
  130 asked to end (Ctrl-C, SIGTERM) before it was done; what was measured
      so far is reported";

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Writes hashes, queries (FILE.queries) and the right answers (FILE.answers).
    Data(DataArguments),
    /// Builds an index of a data file, checks its answers, and measures it.
    Index(IndexArguments),
    /// Puts a cluster under load, checks every answer, and says whether the scenario's thresholds hold.
    Run(RunArguments),
    /// Searches for the highest rate that holds.
    FindMax(FindMaxArguments),
    /// Writes the page and the other files of a run or a search again, from its `result.json`.
    Report(ReportArguments),
    /// Says what changed from one run to another, and whether that is more than noise.
    Compare(CompareArguments),
    /// Lists the banks that runs have left in a target, and removes them with --remove.
    Cleanup(CleanupArguments),
    /// Measures how much this program can send from this machine, against a service that does nothing.
    Ceiling(CeilingArguments),
    /// Measures the processor time and the latency of a lookup in clusters of processes on this machine.
    Cost(CostArguments),
    /// Compares two services that speak HMA's protocol, in turns: the rate of their lookups, and how long
    /// they take.
    Versus(VersusArguments),
}

/// Arguments of `data`.
#[derive(Debug, Args)]
pub(crate) struct DataArguments {
    /// What the rows look like.
    #[arg(long)]
    pub(crate) shape: ShapeName,
    /// Rows to write.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) hashes: u32,
    /// Queries to write: every other one planted at 0 to 31 flips of a row, the others fresh of the same
    /// shape.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) queries: u32,
    /// Queries, from the first, whose answers are written; all by default. Ten billion pairs of row and query
    /// take some 10 seconds on two cores.
    #[arg(long)]
    pub(crate) answered: Option<u32>,
    /// The same seed gives the same files.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Distances within which answers are written, ascending: 31, or 0,15,31,48,64.
    #[arg(long, value_delimiter = ',', default_value = "31")]
    pub(crate) radius: Vec<u16>,
    /// Threads that draw and scan; by default one for each core.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Where the rows go, 32 bytes each, with queries and answers beside them.
    #[arg(long, required_unless_present_any = ["csv", "bank_url"])]
    pub(crate) out: Option<PathBuf>,
    /// Where the rows go as `vigie item add --hashes` reads them: CSV of the hash and a reference that names
    /// the row. `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// The bank that the rows are loaded into.
    #[arg(long, value_name = "URL")]
    pub(crate) bank_url: Option<String>,
    /// That bank's name; by default the one under which load tests of this data look for it.
    #[arg(long, requires = "bank_url")]
    pub(crate) bank: Option<String>,
    /// Where the id of each row's item in that bank goes, as `id,hash`: what `versus --ids` and
    /// `run --hma-ids` read.
    #[arg(long, value_name = "FILE", requires = "bank_url")]
    pub(crate) ids: Option<PathBuf>,
    /// How it is reached.
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// What searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
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
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Mih => "mih",
            Self::Hnsw => "hnsw",
            Self::Flat => "flat",
        }
    }
}

/// What can be measured, beyond building, memory and answers, which always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measurement {
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
pub(crate) struct IndexArguments {
    /// A file that `data` wrote, with its queries and answers beside it.
    #[arg(long)]
    pub(crate) data: PathBuf,
    /// What searches.
    #[arg(long)]
    pub(crate) engine: EngineName,
    /// The distance that is measured; all distances of the answers file are checked.
    #[arg(long, default_value_t = 31)]
    pub(crate) radius: u16,
    /// Queries to use, from the first; all by default. Few queries, over and over, keep what they touch in
    /// the caches: take thousands for times that mean something.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) queries: Option<u32>,
    /// Queries a call; above 1, throughput is measured with single queries and with these batches.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) batch: u32,
    /// Numbers of threads to measure throughput on.
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Vec<u16>,
    /// Inserts a second, and as many removals, while searching.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) updates_per_second: u32,
    /// An empty or missing folder for the index's files; without it, the index lives in memory only.
    #[arg(long)]
    pub(crate) directory: Option<PathBuf>,
    /// What to measure.
    #[arg(long, value_delimiter = ',', default_value = "latency,throughput,updates,tail")]
    pub(crate) measure: Vec<Measurement>,
    /// Slices of each condition; conditions take turns.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// How long a slice lasts.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) slice_milliseconds: u64,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `run`.
#[derive(Debug, Clone, Args)]
#[command(after_help = listing())]
pub(crate) struct RunArguments {
    /// A file, or the name of a scenario that comes with the program; without one these are listed.
    pub(crate) scenario: Option<String>,
    /// Where to reach it.
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    /// Sets a key of the scenario, such as `arrivals.rate=5000` or `drive.duration=30s`; may be given again.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// A folder for the results; by default one of the scenario's name and the time.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Prints the figures as one JSON object, without the histograms, instead of as text.
    #[arg(long)]
    pub(crate) json: bool,
    /// Says one line a second also at a terminal.
    #[arg(long)]
    pub(crate) plain: bool,
    /// Leaves the data and the logs of an own cluster where they are.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Generator processes that send together, this one included: it leads, and waits for the others to join.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) generators: u32,
    /// Where to wait for them. Whoever reaches this address takes part.
    #[arg(long, default_value = "127.0.0.1:7799", value_name = "ADDRESS:PORT")]
    pub(crate) listen: String,
    /// Takes part in the run of the leader at this address, which tells the scenario.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["scenario", "set", "out", "target"])]
    pub(crate) join: Option<String>,
}

/// What a target speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Protocol {
    /// Vigie's gRPC.
    #[default]
    Vigie,
    /// The HTTP lookups of Meta's Hasher-Matcher-Actioner.
    Hma,
}

/// Where requests go.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TargetArguments {
    /// A frontend, such as `https://vigie.example:7740`; several share the connections. Without one, a
    /// cluster of the real binary is started on this machine.
    #[arg(long, value_name = "URL")]
    pub(crate) target: Vec<String>,
    /// The bank behind it, which is filled with the scenario's data if it does not hold it yet. Without one
    /// nothing is written, and the data has to be there.
    #[arg(long, value_name = "URL")]
    pub(crate) bank_url: Option<String>,
    /// What the target speaks.
    #[arg(long, default_value = "vigie", requires = "target")]
    pub(crate) protocol: Protocol,
    /// With `hma`: what is called there, and which contents hold the data.
    #[command(flatten)]
    pub(crate) hma: HmaArguments,
    /// The binary of which an own cluster is made; by default the one beside this program.
    #[arg(long, value_name = "PATH")]
    pub(crate) vigie: Option<PathBuf>,
    /// How they are reached. A generator that joins a run is told where they are, and has files of its own.
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// Arguments of `find-max`.
#[derive(Debug, Clone, Args)]
#[command(after_help = listing())]
pub(crate) struct FindMaxArguments {
    /// A file, or the name of a scenario that comes with the program. Its arrivals and faults are left out.
    #[arg(default_value = "steady")]
    pub(crate) scenario: String,
    /// Where to reach it.
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    /// Sets a key of the scenario; may be given again.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// What half of the requests may take at most.
    #[arg(long)]
    pub(crate) p50: Option<Span>,
    /// What 99 % of the requests may take at most.
    #[arg(long)]
    pub(crate) p99: Option<Span>,
    /// What 99.9 % of the requests may take at most.
    #[arg(long)]
    pub(crate) p999: Option<Span>,
    /// The first rate that is tried, in requests a second.
    #[arg(long, default_value_t = 200.0)]
    pub(crate) from: f64,
    /// How long each rate is measured.
    #[arg(long, default_value = "5s")]
    pub(crate) step: Span,
    /// The pause after each.
    #[arg(long, default_value = "1s")]
    pub(crate) pause: Span,
    /// A folder for the report; by default one of the scenario's name and the time.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Prints the result as JSON instead of as text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `report`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReportArguments {
    /// The `result.json` of a run, or of find-max.
    pub(crate) result: PathBuf,
    /// A folder for the files.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// Arguments of `compare`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CompareArguments {
    /// The `result.json` of one run.
    pub(crate) a: PathBuf,
    /// That of another.
    pub(crate) b: PathBuf,
    /// Prints the changes as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Exits with 99 if a figure is worse by more than noise, or more answers are wrong.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Compares runs of different scenarios, data, rates or kinds of target all the same, and says so:
    /// without it these are refused, with the differences named.
    #[arg(long)]
    pub(crate) force: bool,
}

/// Arguments of `cleanup`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CleanupArguments {
    /// The bank of the target.
    #[arg(long, value_name = "URL")]
    pub(crate) bank_url: String,
    /// Removes what would only be listed otherwise. Banks of data are made again by the next run that needs
    /// them; do not remove what a run is using.
    #[arg(long)]
    pub(crate) remove: bool,
    /// Only these banks; by default all that runs have made. Others are never touched: a bank is known as one
    /// of a run by its name (load-SHAPE-HASHES-PICTURES-seed-SEED, load-live-NUMBER) and by its items.
    #[arg(value_name = "BANK")]
    pub(crate) banks: Vec<BankName>,
    /// Prints the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// How it is reached.
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// Arguments of `ceiling`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CeilingArguments {
    /// Lookups a second.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) rate: u32,
    /// Threads that send; each takes a core at its ceiling. The service that does nothing takes another.
    #[arg(long, default_value_t = 1)]
    pub(crate) lanes: u16,
    /// Connections, in all.
    #[arg(long, default_value_t = 4)]
    pub(crate) connections: u32,
    /// How long is measured.
    #[arg(long, default_value = "5s")]
    pub(crate) duration: Span,
}

/// How lookups are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// Each lookup has one hash, on a stream that stays open.
    Stream,
    /// 64 hashes in a call.
    Batch,
    /// Each lookup has one hash, and a call of its own.
    Single,
}

/// Arguments of `cost`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CostArguments {
    /// A program of which a cluster is made; by default the one beside this program. Several take turns.
    #[arg(long, value_name = "PATH")]
    pub(crate) vigie: Vec<PathBuf>,
    /// How lookups are made.
    #[arg(long, value_delimiter = ',', default_value = "stream,batch,single")]
    pub(crate) way: Vec<Way>,
    /// Lookups a second by streams, and in batches of 64.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(64..=1_000_000))]
    pub(crate) rate: u32,
    /// Lookups a second that are calls of their own.
    #[arg(long, default_value_t = 6_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) single_rate: u32,
    /// Hashes in the bank.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) hashes: u32,
    /// Shards of each cluster.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) shards: u16,
    /// Turns of each build in each way.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// How long each turn is measured.
    #[arg(long, default_value = "5s")]
    pub(crate) duration: Span,
    /// Sets a key of the scenario, such as `cluster.set=["frontend.calls_at_once_max=9"]`; may be given
    /// again.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Prints every turn as JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}
