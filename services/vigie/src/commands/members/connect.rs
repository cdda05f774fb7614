//! Clients of the bank's service of members, and complete lists from it.

use vigie_clients::{BankClient, BankListing, CallError, ConsortiumClient, Deadline};
use vigie_consortium::{Member, MemberId};
use vigie_model::BankId;

use crate::cli::BankAddressArgs;
use crate::commands::bank_address::{network, patience};
use crate::commands::deadline::deadline;
use crate::output::Output;

/// Maximum number of members, principals, grants or banks in one page.
pub(super) const PAGE: u16 = 500;

/// Returns a client of the bank's members, and the deadline of a call that starts now.
pub(super) fn connect(
    address: &BankAddressArgs,
    output: &Output,
) -> anyhow::Result<(ConsortiumClient, Deadline)> {
    let network = network(address, output)?;
    let client = ConsortiumClient::among(&address.bank_urls, &network)?.with_patience(patience(address));
    Ok((client, deadline(address.timeout_ms)))
}

/// Returns every member that the caller may read.
pub(super) async fn all_members(
    client: &ConsortiumClient,
    address: &BankAddressArgs,
) -> Result<Vec<Member>, CallError> {
    let mut all = Vec::new();
    let mut after: Option<MemberId> = None;
    loop {
        let page = client.list_members(after, PAGE, deadline(address.timeout_ms)).await?.value;
        let is_last = page.len() < usize::from(PAGE);
        after = page.last().map(|member| member.id);
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

/// Returns every bank that the caller may see.
pub(super) async fn all_banks(
    client: &BankClient,
    address: &BankAddressArgs,
) -> Result<Vec<BankListing>, CallError> {
    let mut all = Vec::new();
    let mut after: Option<BankId> = None;
    loop {
        let page = client.list_banks(after, PAGE, deadline(address.timeout_ms)).await?.value;
        let is_last = page.len() < usize::from(PAGE);
        after = page.last().map(|bank| bank.id);
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}
