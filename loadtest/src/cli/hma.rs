//! Arguments for targets that speak HMA's protocol.

use std::fmt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use vigie_net::TlsArgs;

use crate::cli::shape::ShapeName;
use crate::run::scenario::span::Span;

/// Which lookup is called with the protocol of HMA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HmaCall {
    /// `GET /m/raw_lookup`: the matches of the index, whatever is disabled.
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
    /// With `hma`: which lookup is called.
    #[arg(long = "hma-call", default_value = "raw-lookup", value_name = "CALL")]
    pub(crate) call: HmaCall,
    /// With `hma`: the content id of row 0 of the data, where the rows were added in their order.
    #[arg(long = "hma-first-content", default_value_t = 1, value_name = "ID")]
    pub(crate) first_content: u64,
    /// With `hma`: a file with a line `id,hash` for the content of each row, in any order.
    #[arg(long = "hma-ids", value_name = "FILE")]
    pub(crate) ids: Option<PathBuf>,
    /// With `hma`: creates this bank and adds the data to it through the API, one call for each row. The ids
    /// are written to the file of `--hma-ids`; where that file is there already, nothing is added.
    #[arg(long = "hma-fill", value_name = "BANK")]
    pub(crate) fill: Option<String>,
}

/// Arguments of `versus`.
#[derive(Debug, Clone, Args)]
pub(crate) struct VersusArguments {
    /// A base URL, such as `http://127.0.0.1:5100`; two of them. The second is compared with the first.
    #[arg(long, value_name = "URL", required = true)]
    pub(crate) target: Vec<String>,
    /// A file with a line `id,hash` for the content of each row, in any order: one for each target, in their
    /// order.
    #[arg(long, value_name = "FILE")]
    pub(crate) ids: Vec<PathBuf>,
    /// Creates this bank in each target whose file of ids is not there, and adds the data to it through the
    /// API, one call for each row. Where files are named, the ids are written to them.
    #[arg(long, value_name = "BANK")]
    pub(crate) fill: Option<String>,
    /// Which lookup is called.
    #[arg(long, default_value = "raw-lookup")]
    pub(crate) call: HmaCall,
    /// What the hashes look like.
    #[arg(long, default_value = "pdq")]
    pub(crate) shape: ShapeName,
    /// Hashes in the bank of each.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) hashes: u32,
    /// Data, questions and arrivals are the same for the same seed.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Numbers of connections; on each a lookup follows the other (a closed loop).
    #[arg(long, value_delimiter = ',', default_value = "1,8,32", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) connections: Vec<u32>,
    /// Lookups a second that do not wait for each other, on the largest number of connections (an open loop);
    /// measured beside the closed loops.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: Option<u32>,
    /// Turns of each target with each number of connections.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// How long each turn is measured, after a second of warm-up.
    #[arg(long, default_value = "2s")]
    pub(crate) duration: Span,
    /// Sets a key of the scenario, such as `questions.matching=0.5`; may be given again.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Prints every turn as JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// How the targets are reached.
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}
