//! The bank that a command speaks to.

use std::time::Duration;

use vigie_clients::{BankClient, Deadline, Network, Patience};

use crate::cli::BankAddressArgs;
use crate::commands::deadline::deadline;
use crate::output::Output;

/// The bank, or that one of the banks named which serves; and until when a call may take.
pub(crate) fn connect(address: &BankAddressArgs, output: &Output) -> anyhow::Result<(BankClient, Deadline)> {
    let client = BankClient::among(&address.bank_urls, &network(address, output)?)?;
    Ok((client.with_patience(patience(address)), deadline(address.timeout_ms)))
}

/// The network on which the bank is reached.
pub(crate) fn network(address: &BankAddressArgs, output: &Output) -> anyhow::Result<Network> {
    Ok(address.tls.network(&address.bank_urls)?.noticing(output.notice()))
}

/// How long a call to the bank is tried again.
pub(crate) const fn patience(address: &BankAddressArgs) -> Patience {
    Patience::Connecting(Duration::from_millis(address.connect_timeout_ms))
}
