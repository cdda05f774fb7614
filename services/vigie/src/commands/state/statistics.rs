//! `vigie statistics`: the figures that a deployment publishes about itself, for a period.

use std::io::Write as _;

use vigie_clients::{StatisticsClient, StatisticsFormat};

use crate::cli::{StatisticsArgs, StatisticsForm};
use crate::commands::bank_address::{network, patience};
use crate::commands::deadline::deadline;
use crate::output::{Exit, Output, PrintError};

pub(crate) async fn run(args: StatisticsArgs, output: &mut Output, json: bool) -> anyhow::Result<Exit> {
    let StatisticsArgs { from, to, format, public, address } = args;
    let network = network(&address, output)?;
    let client = StatisticsClient::among(&address.bank_urls, &network)?.with_patience(patience(&address));
    let format = match format {
        _ if json => StatisticsFormat::Json,
        StatisticsForm::Markdown => StatisticsFormat::Markdown,
        StatisticsForm::Csv => StatisticsFormat::Csv,
        StatisticsForm::Json => StatisticsFormat::Json,
    };
    let to = to.as_deref().unwrap_or(&from);
    let text = client.get_statistics((&from, to), format, public, deadline(address.timeout_ms)).await?;
    let mut raw = output.raw();
    raw.write_all(text.trim_end().as_bytes()).map_err(PrintError::from)?;
    raw.write_all(b"\n").and_then(|()| raw.flush()).map_err(PrintError::from)?;
    Ok(Exit::Done)
}
