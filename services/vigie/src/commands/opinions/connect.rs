//! The bank's service of opinions, as the commands call it.

use vigie_clients::{Deadline, OpinionClient};

use crate::cli::BankAddressArgs;
use crate::commands::bank_address::{network, patience};
use crate::commands::deadline::deadline;
use crate::output::Output;

/// A client, and until when its first call may take.
pub(super) fn connect(
    address: &BankAddressArgs,
    output: &Output,
) -> anyhow::Result<(OpinionClient, Deadline)> {
    let client = OpinionClient::among(&address.bank_urls, &network(address, output)?)?;
    Ok((client.with_patience(patience(address)), deadline(address.timeout_ms)))
}
