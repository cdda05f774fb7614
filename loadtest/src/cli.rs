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

/// Puts Vigie under load, or measures its index alone, and compares every answer with the right one.
#[derive(Debug, Parser)]
#[command(name = "vigie-loadtest", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0   done, and every condition holds
  1   the command failed, the run differed from its scenario, or two runs
      cannot be compared
  2   the command line is wrong
  98  not measurable here: the generator could not send in time, so the
      run shows nothing about the target
  99  a threshold does not hold (run), no rate holds (find-max), answers
      are wrong (cost, versus), or the second run is worse
      (compare --strict)
  130 stopped by Ctrl-C or SIGTERM; the measurements so far are reported";

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Writes a file of hashes with its queries (.queries) and their right answers (.answers), or loads the
    /// hashes into a bank.
    Data(DataArguments),
    /// Builds an index of a data file, checks its answers, and measures it.
    Index(IndexArguments),
    /// Puts a cluster under load, checks every answer, and reports which thresholds of the scenario hold.
    Run(RunArguments),
    /// Searches for the highest rate at which latencies stay within limits and all answers are right.
    FindMax(FindMaxArguments),
    /// Writes the report files of a `run` or a `find-max` again, from its `result.json`.
    Report(ReportArguments),
    /// Reports which figures changed from one run to another, and whether by more than noise.
    Compare(CompareArguments),
    /// Lists the banks that runs have left in a target; with --remove, removes them.
    Cleanup(CleanupArguments),
    /// Measures whether this machine can send a given rate in time, against a service that does nothing.
    Ceiling(CeilingArguments),
    /// Measures the processor time and the latency of a lookup in clusters of processes on this machine.
    Cost(CostArguments),
    /// Compares the rate and the latency of lookups in two services that speak HMA's protocol, measured in
    /// alternation.
    Versus(VersusArguments),
}

/// Arguments of `data`.
#[derive(Debug, Args)]
pub(crate) struct DataArguments {
    /// The distribution of the rows' bits.
    #[arg(long)]
    pub(crate) shape: ShapeName,
    /// Number of rows, one hash each.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) hashes: u32,
    /// Number of queries. Every other one is a row with 0 to 31 bits flipped; the others are fresh hashes of
    /// the same shape.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) queries: u32,
    /// Number of queries, from the first, whose answers are written; by default all. Comparing ten billion
    /// pairs of row and query takes some 10 seconds on two cores.
    #[arg(long)]
    pub(crate) answered: Option<u32>,
    /// Seed of the random draws: the same seed gives the same files.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Distances in bits, ascending and at most 256, such as 0,15,31,48,64. The answers count the
    /// rows within each of them, and list the nearest rows.
    #[arg(long, value_delimiter = ',', default_value = "31")]
    pub(crate) radius: Vec<u16>,
    /// Number of threads that draw rows and compare them with the queries; by default one for each core.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// File for the rows, 32 bytes each; the files of queries and answers are written beside it.
    #[arg(long, required_unless_present_any = ["csv", "bank_url"])]
    pub(crate) out: Option<PathBuf>,
    /// CSV file for the rows, as `vigie item add --hashes` reads it: the hash, and a reference that names the
    /// row. `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Address of the bank service that the rows are loaded into, such as `http://127.0.0.1:7742`.
    #[arg(long, value_name = "URL")]
    pub(crate) bank_url: Option<String>,
    /// Name of the bank for the rows, which is created if needed; by default the name under which a `run`
    /// with the same shape, hashes and seed looks for it.
    #[arg(long, requires = "bank_url")]
    pub(crate) bank: Option<String>,
    /// CSV file for the id of each row's item in that bank, as `id,hash`: the form that `versus --ids` and
    /// `run --hma-ids` read.
    #[arg(long, value_name = "FILE", requires = "bank_url")]
    pub(crate) ids: Option<PathBuf>,
    /// TLS files and credential for the connection to the bank.
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// The index to measure.
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

/// Optional measurements. Building, memory and answers are always measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measurement {
    /// Times of single queries on one thread.
    Latency,
    /// Queries per second on each number of threads.
    Throughput,
    /// Search times without writes, with writes, and with writes and a merge of segments.
    Updates,
    /// Search times with nothing and with 100,000 hashes in the mutable tail.
    Tail,
}

/// Arguments of `index`.
#[derive(Debug, Args)]
pub(crate) struct IndexArguments {
    /// A file that `data` wrote, with its queries and answers beside it.
    #[arg(long)]
    pub(crate) data: PathBuf,
    /// The index to build and measure.
    #[arg(long)]
    pub(crate) engine: EngineName,
    /// Distance in bits within which measured searches look; answers are checked at every distance of the
    /// answers file.
    #[arg(long, default_value_t = 31)]
    pub(crate) radius: u16,
    /// Number of queries to use, from the first; by default all. Few queries, repeated, find their data in
    /// the processor's caches: use thousands for realistic times.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) queries: Option<u32>,
    /// Queries per call. Above 1, throughput is measured both with single queries and with batches of this
    /// size.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) batch: u32,
    /// Numbers of threads to measure throughput on.
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Vec<u16>,
    /// Inserts per second, and as many removals, during searches.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) updates_per_second: u32,
    /// Folder for the index's files, which must be empty or not exist; without it, the index is in memory
    /// only.
    #[arg(long)]
    pub(crate) directory: Option<PathBuf>,
    /// Measurements to take. Building, memory and answers are always measured.
    #[arg(long, value_delimiter = ',', default_value = "latency,throughput,updates,tail")]
    pub(crate) measure: Vec<Measurement>,
    /// Number of slices measured in each condition; the conditions alternate.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Length of a slice, in milliseconds.
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
    /// Path of a scenario file, or the name of a built-in scenario; without it, the built-in scenarios are
    /// listed.
    pub(crate) scenario: Option<String>,
    /// The target of the requests.
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    /// Sets a key of the scenario, such as `arrivals.rate=5000` or `drive.duration=30s`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Folder for the results; by default `loadtest-results/SCENARIO-SECONDS`, with the Unix time in seconds.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Prints the figures as one JSON object, without the histograms, instead of as text.
    #[arg(long)]
    pub(crate) json: bool,
    /// Prints progress as one line per second, also at a terminal.
    #[arg(long)]
    pub(crate) plain: bool,
    /// Keeps the data and the logs of the run's own cluster, and prints their folder.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Number of generator processes that send together, including this one, which leads and waits until the
    /// others have joined.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) generators: u32,
    /// Address at which the leader waits for the other generators. Any generator that can reach it may join:
    /// there is no authentication.
    #[arg(long, default_value = "127.0.0.1:7799", value_name = "ADDRESS:PORT")]
    pub(crate) listen: String,
    /// Joins the run of the leader at this address, which sends the scenario and the target.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["scenario", "set", "out", "target"])]
    pub(crate) join: Option<String>,
}

/// The protocol of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Protocol {
    /// Vigie's gRPC API.
    #[default]
    Vigie,
    /// The HTTP lookups of Meta's Hasher-Matcher-Actioner.
    Hma,
}

/// Where requests go.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TargetArguments {
    /// URL of a frontend, such as `https://vigie.example:7740`, or, with --protocol hma, of an HMA service;
    /// may be repeated, to spread the connections. Without it, the run starts its own cluster on this
    /// machine.
    #[arg(long, value_name = "URL")]
    pub(crate) target: Vec<String>,
    /// Address of the target's bank service, such as `http://127.0.0.1:7742`. The scenario's data is added
    /// there unless it exists already. Without it, nothing is written, and the data must exist.
    #[arg(long, value_name = "URL")]
    pub(crate) bank_url: Option<String>,
    /// Protocol of the target.
    #[arg(long, default_value = "vigie", requires = "target")]
    pub(crate) protocol: Protocol,
    /// With --protocol hma: the lookup to call, and the contents that hold the data.
    #[command(flatten)]
    pub(crate) hma: HmaArguments,
    /// The `vigie` program of the run's own cluster; by default the one beside this program.
    #[arg(long, value_name = "PATH")]
    pub(crate) vigie: Option<PathBuf>,
    /// TLS files and credential for the connections to the target. A generator that joins a run receives the
    /// addresses from its leader, but uses its own files.
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// Arguments of `find-max`.
#[derive(Debug, Clone, Args)]
#[command(after_help = listing())]
pub(crate) struct FindMaxArguments {
    /// Path of a scenario file, or the name of a built-in scenario. Its rates, duration, faults and
    /// thresholds are not used.
    #[arg(default_value = "steady")]
    pub(crate) scenario: String,
    /// The target of the requests.
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    /// Sets a key of the scenario, such as `data.hashes=1000000`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Limit of the median latency, such as `20ms`. At least one of --p50, --p99 and --p999 is required.
    #[arg(long)]
    pub(crate) p50: Option<Span>,
    /// Limit of the latency of 99 % of the requests.
    #[arg(long)]
    pub(crate) p99: Option<Span>,
    /// Limit of the latency of 99.9 % of the requests.
    #[arg(long)]
    pub(crate) p999: Option<Span>,
    /// The first rate to try, in requests per second.
    #[arg(long, default_value_t = 200.0)]
    pub(crate) from: f64,
    /// How long each rate is measured.
    #[arg(long, default_value = "5s")]
    pub(crate) step: Span,
    /// Pause after each rate.
    #[arg(long, default_value = "1s")]
    pub(crate) pause: Span,
    /// Folder for the report; by default `loadtest-results/find-max-SCENARIO-SECONDS`, with the Unix time in
    /// seconds.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Prints the result as JSON instead of as text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `report`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReportArguments {
    /// The `result.json` of a `run` or a `find-max`.
    pub(crate) result: PathBuf,
    /// Folder for the report files.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// Arguments of `compare`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CompareArguments {
    /// The `result.json` of the first run.
    pub(crate) a: PathBuf,
    /// The `result.json` of the second run, which is compared with the first.
    pub(crate) b: PathBuf,
    /// Prints the changes as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Exits with 99 if the second run has a figure that is worse by more than noise, or more wrong answers.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Compares runs that differ in scenario, data, rate or kind of target, and marks the comparison as such.
    /// Without it they are refused, and the differences are named.
    #[arg(long)]
    pub(crate) force: bool,
}

/// Arguments of `cleanup`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CleanupArguments {
    /// Address of the target's bank service, such as `http://127.0.0.1:7742`.
    #[arg(long, value_name = "URL")]
    pub(crate) bank_url: String,
    /// Removes the banks instead of only listing them. Do not remove a bank that a run is using. A bank of
    /// data is created again by the next run that needs it.
    #[arg(long)]
    pub(crate) remove: bool,
    /// Names of the banks to list or remove; by default all banks that runs have left. A bank is removed only
    /// if its name is one that runs give (load-live-NUMBER, load-SHAPE-HASHES-PICTURES-seed-SEED, or, with
    /// videos, load-SHAPE-HASHES-PICTURES-videos-VIDEOS-FRAMES-seed-SEED) and its first 100 items are ones
    /// that runs add.
    #[arg(value_name = "BANK")]
    pub(crate) banks: Vec<BankName>,
    /// Prints the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// TLS files and credential for the connection to the bank.
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// Arguments of `ceiling`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CeilingArguments {
    /// Lookups per second, from all lanes together.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) rate: u32,
    /// Number of threads that send. At its highest rate each uses a whole core; the service that does nothing
    /// uses one more.
    #[arg(long, default_value_t = 1)]
    pub(crate) lanes: u16,
    /// Number of connections, shared out between the lanes.
    #[arg(long, default_value_t = 4)]
    pub(crate) connections: u32,
    /// How long the sending is measured, after a second of warm-up.
    #[arg(long, default_value = "5s")]
    pub(crate) duration: Span,
}

/// How lookups are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// Each lookup has one hash, on a stream that stays open.
    Stream,
    /// Each call has 64 lookups, of one hash each.
    Batch,
    /// Each call has 64 lookups, of one hash each, in the packed form.
    Packed,
    /// Each lookup has one hash, and a call of its own.
    Single,
}

/// Arguments of `cost`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CostArguments {
    /// A `vigie` program, whose cluster is measured; by default the one beside this program. May be repeated:
    /// the clusters are measured in alternation.
    #[arg(long, value_name = "PATH")]
    pub(crate) vigie: Vec<PathBuf>,
    /// Ways of sending lookups that are measured. A build of an earlier version may not know `packed`.
    #[arg(long, value_delimiter = ',', default_value = "stream,batch,single")]
    pub(crate) way: Vec<Way>,
    /// Lookups per second on streams, and in batches of 64.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(64..=1_000_000))]
    pub(crate) rate: u32,
    /// Lookups per second with one call each.
    #[arg(long, default_value_t = 6_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) single_rate: u32,
    /// Number of hashes in the bank.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) hashes: u32,
    /// Number of shards of each cluster.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) shards: u16,
    /// Number of shards that each matcher serves, for each cluster in order. The shorter one of the two
    /// lists, of programs and of numbers, continues with its last entry. A build of an earlier version may
    /// know only 1.
    #[arg(long, value_name = "SHARDS", value_delimiter = ',', default_value = "1")]
    pub(crate) shards_served: Vec<u16>,
    /// Number of measurements of each program with each way of sending.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Length of each measurement, after a second of warm-up.
    #[arg(long, default_value = "5s")]
    pub(crate) duration: Span,
    /// Sets a key of the scenario, such as `cluster.set=["frontend.calls_at_once_max=9"]`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Prints every measurement as JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}
