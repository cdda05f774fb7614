//! Commands for exchanges: hash-sharing programmes and files that banks follow.

use clap::{Args, Subcommand};
use vigie_consortium::ExchangeName;
use vigie_exchange::Api;
use vigie_model::BankRef;

use super::{BankAddressArgs, RoleArgs};

/// The subcommands of `vigie exchange`.
#[derive(Debug, Subcommand)]
pub(crate) enum ExchangeCommand {
    /// Run the process that follows the exchanges of a deployment; if several run, one follows and the others
    /// stand by
    Run(RoleArgs),
    /// Follow a programme or a file: its items go to a bank
    Add(ExchangeAddArgs),
    /// List exchanges
    List(BankAddressArgs),
    /// Show an exchange: its settings, how far it has come, and what needs attention
    Status(OneExchangeArgs),
    /// Request an immediate round of exchanges
    Fetch(ExchangeFetchArgs),
    /// Stop following an exchange until it is resumed
    Pause(OneExchangeArgs),
    /// Follow a paused exchange again, from where it was
    Resume(OneExchangeArgs),
    /// Remove an exchange; its bank and the items in it stay
    Remove(OneExchangeArgs),
}

/// Arguments of `vigie exchange add`.
#[derive(Debug, Args)]
pub(crate) struct ExchangeAddArgs {
    /// The exchange's name: letters, digits, `.`, `_` and `-`
    pub(crate) name: ExchangeName,
    /// The programme's interface: ncmec, fb_threatexchange, stop_ncii, tat, vigie, local_file, http_file or
    /// sample
    #[arg(long, value_parser = api)]
    pub(crate) api: Api,
    /// The bank that its items go to
    #[arg(long)]
    pub(crate) bank: BankRef,
    /// The interface's settings, a JSON object without credentials, such as {"environment": "NGO"}
    #[arg(long = "settings", value_name = "JSON", default_value = "{}")]
    pub(crate) settings: String,
    /// Seconds between rounds, 10 to 2592000 [default: the process's `exchange.interval_seconds`]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(10..=2_592_000))]
    pub(crate) interval_s: Option<u32>,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

fn api(text: &str) -> Result<Api, String> {
    text.parse::<Api>().map_err(|error| error.to_string())
}

/// An exchange by name.
#[derive(Debug, Args)]
pub(crate) struct OneExchangeArgs {
    /// The exchange's name
    pub(crate) name: ExchangeName,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}

/// Arguments of `vigie exchange fetch`.
#[derive(Debug, Args)]
pub(crate) struct ExchangeFetchArgs {
    /// The exchanges' names
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) names: Vec<ExchangeName>,
    /// Every exchange that is not paused
    #[arg(long)]
    pub(crate) all: bool,
    /// Wait until the rounds have ended
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long --wait may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
    pub(crate) wait_s_max: u64,
    /// The bank to call
    #[command(flatten)]
    pub(crate) address: BankAddressArgs,
}
