//! Loads the hash types that the deployment declares from the bank.

use vigie_clients::{Code, HashTypeClient};
use vigie_model::{HashType, declared};

use crate::cli::{BankAddressArgs, HashTypeName};
use crate::commands::bank_address::{network, patience};
use crate::commands::deadline::deadline;
use crate::output::Output;

/// Loads the declared hash types from the bank, so that this process knows their names.
///
/// # Errors
///
/// The bank does not answer. If it refuses the call, as a bank of an older version does, this is not an
/// error: the command's own calls report it.
pub(crate) async fn hear(address: &BankAddressArgs, output: &Output) -> anyhow::Result<()> {
    let network = network(address, output)?;
    let client = HashTypeClient::among(&address.bank_urls, &network)?.with_patience(patience(address));
    match client.list(deadline(address.timeout_ms)).await {
        Ok(listed) => listed.value.iter().try_for_each(declared::register)?,
        Err(error) if matches!(error.code(), Code::Unavailable | Code::DeadlineExceeded) => {
            return Err(error.into());
        }
        Err(_) => {}
    }
    Ok(())
}

/// Returns the hash type of a name that was typed. The bank is called only if this process does not know the
/// name.
pub(crate) async fn resolve(
    name: &HashTypeName,
    address: &BankAddressArgs,
    output: &Output,
) -> anyhow::Result<HashType> {
    if let Ok(known) = name.resolve() {
        return Ok(known);
    }
    hear(address, output).await?;
    Ok(name.resolve()?)
}
