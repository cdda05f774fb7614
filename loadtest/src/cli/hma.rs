//! Arguments for targets that speak HMA's protocol.

use std::fmt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use vigie_net::TlsArgs;

use crate::cli::shape::ShapeName;
use crate::run::scenario::span::Span;

/// The lookup of HMA's protocol that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HmaCall {
    /// `GET /m/raw_lookup`: the matches of the index, including disabled contents.
    #[default]
    RawLookup,
    /// `GET /m/lookup`: the matches of each bank, without disabled contents.
    Lookup,
}

impl fmt::Display for HmaCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RawLookup => "/m/raw_lookup",
            Self::Lookup => "/m/lookup",
        })
    }
}

/// The path that is called on a target that speaks HMA's protocol, and the contents that hold the data.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct HmaArguments {
    /// With --protocol hma: the lookup to call.
    #[arg(long = "hma-call", default_value = "raw-lookup", value_name = "CALL")]
    pub(crate) call: HmaCall,
    /// With --protocol hma, without --hma-ids: the content id of row 0 of the data. The following rows must
    /// have the following ids.
    #[arg(long = "hma-first-content", default_value_t = 1, value_name = "ID")]
    pub(crate) first_content: u64,
    /// With --protocol hma: CSV file with a line `id,hash` for the content of each row, in any order.
    #[arg(long = "hma-ids", value_name = "FILE")]
    pub(crate) ids: Option<PathBuf>,
    /// With --protocol hma: creates this bank and adds the data to it through the API, one call for each row.
    /// The ids are written to the file of --hma-ids, if one is named; if it exists already, nothing is added.
    #[arg(long = "hma-fill", value_name = "BANK")]
    pub(crate) fill: Option<String>,
}

/// Arguments of `versus`.
#[derive(Debug, Clone, Args)]
pub(crate) struct VersusArguments {
    /// Base URL of a service, such as `http://127.0.0.1:5100`; must be given twice. The second is compared
    /// with the first.
    #[arg(long, value_name = "URL", required = true)]
    pub(crate) target: Vec<String>,
    /// CSV file with a line `id,hash` for the content of each row, in any order. Given once for each target,
    /// in the order of the targets. Without a file, row 0 must have the content id 1, and so on.
    #[arg(long, value_name = "FILE")]
    pub(crate) ids: Vec<PathBuf>,
    /// Creates this bank in each target whose file of --ids is not named or does not exist, and adds the data
    /// to it through the API, one call for each row. The ids are written to the named files.
    #[arg(long, value_name = "BANK")]
    pub(crate) fill: Option<String>,
    /// The lookup to call.
    #[arg(long, default_value = "raw-lookup")]
    pub(crate) call: HmaCall,
    /// The distribution of the hashes' bits.
    #[arg(long, default_value = "pdq")]
    pub(crate) shape: ShapeName,
    /// Number of hashes in the bank of each target.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) hashes: u32,
    /// Seed of the random draws: the same seed gives the same data, questions and arrivals.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Numbers of connections, each measured by itself as a closed loop: a connection sends its next lookup
    /// when the one before is answered.
    #[arg(long, value_delimiter = ',', default_value = "1,8,32", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) connections: Vec<u32>,
    /// Also measures an open loop, on the largest number of connections, with this many lookups per second:
    /// each is sent in its time, whether or not the ones before are answered.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: Option<u32>,
    /// Number of measurements of each target with each loop.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Length of each measurement, after a second of warm-up.
    #[arg(long, default_value = "2s")]
    pub(crate) duration: Span,
    /// Sets a key of the scenario, such as `questions.matching=0.5`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Prints every measurement as JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// TLS files and credential for the connections to the targets.
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}
