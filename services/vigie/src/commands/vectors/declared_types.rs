//! Hash types that the deployment declares, as commands know them: by asking the bank.

use vigie_clients::{Code, HashTypeClient};
use vigie_model::{HashType, declared};

use crate::cli::{BankAddressArgs, HashTypeName};
use crate::commands::bank_address::{network, patience};
use crate::commands::deadline::deadline;
use crate::output::Output;

/// Asks the bank for the declared hash types, so that this process knows their names.
///
/// # Errors
///
/// The bank does not answer. One that refuses the call, as one of an older version does, is left to the
/// command's own calls.
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

/// The hash type of a name that was typed. The bank is asked only for a name that this process does not know.
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
