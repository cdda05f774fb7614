//! Commands for what a deployment publishes of itself.

use clap::{Args, ValueEnum};

use super::BankAddressArgs;

/// The form of statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatisticsForm {
    /// For a person
    Markdown,
    /// A row for each number
    Csv,
    /// With stable names
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
    /// The form; with --json it is JSON
    #[arg(long, value_enum, default_value = "markdown")]
    pub(crate) format: StatisticsForm,
    /// What is public alone, without the caller's own numbers in full
    #[arg(long)]
    pub(crate) public: bool,
    /// Where
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}
