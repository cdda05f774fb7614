//! A client of the bank's service of opinions, for the commands.

use vigie_clients::{Deadline, OpinionClient};

use crate::cli::BankAddressArgs;
use crate::commands::bank_address::{network, patience};
use crate::commands::deadline::deadline;
use crate::output::Output;

/// Returns a client of the bank's opinions, and the deadline of a call that starts now.
pub(super) fn connect(
    address: &BankAddressArgs,
    output: &Output,
) -> anyhow::Result<(OpinionClient, Deadline)> {
    let client = OpinionClient::among(&address.bank_urls, &network(address, output)?)?;
    Ok((client.with_patience(patience(address)), deadline(address.timeout_ms)))
}
