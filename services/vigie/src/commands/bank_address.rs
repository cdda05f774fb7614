//! The connection to the bank that a command calls.

use std::time::Duration;

use vigie_clients::{BankClient, Deadline, Network, Patience};

use crate::cli::BankAddressArgs;
use crate::commands::deadline::deadline;
use crate::output::Output;

/// Returns a client of the bank, and the deadline of a call that starts now. If several banks are named, the
/// client uses the one that serves.
pub(crate) fn connect(address: &BankAddressArgs, output: &Output) -> anyhow::Result<(BankClient, Deadline)> {
    let client = BankClient::among(&address.bank_urls, &network(address, output)?)?;
    Ok((client.with_patience(patience(address)), deadline(address.timeout_ms)))
}

/// Returns the network settings for calls to the bank.
pub(crate) fn network(address: &BankAddressArgs, output: &Output) -> anyhow::Result<Network> {
    Ok(address.tls.network(&address.bank_urls)?.noticing(output.notice()))
}

/// Returns for how long a call to the bank is retried while no connection can be made.
pub(crate) const fn patience(address: &BankAddressArgs) -> Patience {
    Patience::Connecting(Duration::from_millis(address.connect_timeout_ms))
}
