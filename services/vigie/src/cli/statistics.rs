//! Commands for what a deployment publishes of itself.

use clap::{Args, ValueEnum};

use super::BankAddressArgs;

/// The form of statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatisticsForm {
    /// Markdown, for a person
    Markdown,
    /// CSV, a row for each number
    Csv,
    /// JSON with stable names
    Json,
}

/// Arguments of `vigie statistics`.
#[derive(Debug, Args)]
pub(crate) struct StatisticsArgs {
    /// The first month, as in 2026-11
    #[arg(long, value_name = "MONTH")]
    pub(crate) from: String,
    /// The last month, which is part of the period [default: the first]
    #[arg(long, value_name = "MONTH")]
    pub(crate) to: Option<String>,
    /// The form; --json implies json
    #[arg(long, value_enum, default_value = "markdown")]
    pub(crate) format: StatisticsForm,
    /// Leave out the caller's own unsuppressed numbers: print what is public only
    #[arg(long)]
    pub(crate) public: bool,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}
