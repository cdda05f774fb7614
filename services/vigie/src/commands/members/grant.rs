//! `vigie grant`: banks that are shared between members.

use std::collections::BTreeMap;

use vigie_clients::{BankListing, GivenGrant, IdempotencyKey, Written};
use vigie_consortium::{BankRef, Capabilities, Grant, MemberId};
use vigie_model::BankId;

use crate::cli::{BankAddressArgs, GrantCommand};
use crate::commands::bank_address;
use crate::commands::date::now;
use crate::commands::deadline::deadline;
use crate::commands::members::connect::{PAGE, all_banks, connect};
use crate::commands::members::lines::{GrantObject, expires, until};
use crate::output::{Exit, Output};

pub(crate) async fn run(command: GrantCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        GrantCommand::Put { bank, member, capabilities, expires: end, address } => {
            let (client, deadline) = connect(&address, output)?;
            let capabilities = Capabilities::new(capabilities)?;
            let (expiry, key) = (end.expiry("--expires", now())?, IdempotencyKey::random());
            let made = client.put_grant(&bank, &member, capabilities, expiry, key, deadline).await?;
            let Grant { capabilities, expiry, .. } = made.value;
            let end = expires(expiry);
            output.say(format!(
                "{bank} is shared with {member} for {capabilities}, {end} (sequence {})",
                made.sequence
            ))?;
            print_object(output, &made)
        }
        GrantCommand::Revoke { bank, member, address } => {
            let (client, deadline) = connect(&address, output)?;
            let revoked = client.revoke_grant(&bank, &member, IdempotencyKey::random(), deadline).await?;
            output
                .say(format!("{bank} is no longer shared with {member} (sequence {})", revoked.sequence))?;
            output.object(&serde_json::json!({
                "bank": bank.to_string(), "member": member.as_str(), "sequence": revoked.sequence.0
            }))?;
            Ok(Exit::Done)
        }
        GrantCommand::List { bank: Some(bank), address } => list_of(&bank, &address, output).await,
        GrantCommand::List { bank: None, address } => list_received(&address, output).await,
        GrantCommand::Alias { bank, alias, none: _, address } => {
            let (client, deadline) = connect(&address, output)?;
            let made = client.set_alias(&bank, alias.as_ref(), IdempotencyKey::random(), deadline).await?;
            let sequence = made.sequence;
            match &alias {
                Some(alias) => output.say(format!("{bank} is called {alias} (sequence {sequence})"))?,
                None => output.say(format!("{bank} has no alias any more (sequence {sequence})"))?,
            }
            print_object(output, &made)
        }
    }
}

fn print_object(output: &mut Output, made: &Written<Grant>) -> anyhow::Result<Exit> {
    let mut object = serde_json::to_value(GrantObject::from(&made.value))?;
    object["sequence"] = made.sequence.0.into();
    output.object(&object)?;
    Ok(Exit::Done)
}

/// Lists the members that a bank is shared with. A bank of an older version does not return their names, so
/// they are shown by id then.
async fn list_of(bank: &BankRef, address: &BankAddressArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, _) = connect(address, output)?;
    let mut grants = Vec::new();
    let mut after: Option<MemberId> = None;
    loop {
        let page = client.list_grants_of(bank, after, PAGE, deadline(address.timeout_ms)).await?.value;
        after = page.last().map(|given| given.grant.member);
        let is_last = page.len() < usize::from(PAGE);
        grants.extend(page);
        if is_last {
            break;
        }
    }
    let mut rows = Vec::new();
    for GivenGrant { grant, member } in &grants {
        let member = member.as_ref().map(ToString::to_string);
        let mut object = serde_json::to_value(GrantObject::from(grant))?;
        object["bank"] = bank.to_string().into();
        object["member"] = member.clone().into();
        output.object(&object)?;
        rows.push(vec![
            member.unwrap_or_else(|| format!("member {}", grant.member)),
            grant.capabilities.to_string(),
            until(grant.expiry),
        ]);
    }
    if rows.is_empty() {
        output.say(format!("{bank} is shared with nobody"))?;
    } else {
        output.table(&["member", "allowed", "expires (UTC)"], &rows)?;
    }
    Ok(Exit::Done)
}

async fn list_received(address: &BankAddressArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, _) = connect(address, output)?;
    let (banks, _) = bank_address::connect(address, output)?;
    let mut grants = Vec::new();
    let mut after: Option<BankId> = None;
    loop {
        let page = client.list_received_grants(after, PAGE, deadline(address.timeout_ms)).await?.value;
        after = page.last().map(|grant| grant.bank);
        let is_last = page.len() < usize::from(PAGE);
        grants.extend(page);
        if is_last {
            break;
        }
    }
    let banks = all_banks(&banks, address).await?.into_iter();
    let banks: BTreeMap<BankId, BankListing> = banks.map(|bank| (bank.id, bank)).collect();
    let mut rows = Vec::new();
    for grant in &grants {
        let bank = banks.get(&grant.bank);
        let name = bank.map(|bank| bank.name.to_string());
        let owner = bank.and_then(|bank| bank.owner.as_ref()).map(ToString::to_string);
        let mut object = serde_json::to_value(GrantObject::from(grant))?;
        object["bank"] = name.clone().into();
        object["owner"] = owner.clone().into();
        output.object(&object)?;
        rows.push(vec![
            // The bank may have been shared or revoked between the two calls.
            name.unwrap_or_else(|| format!("bank {}", grant.bank)),
            owner.unwrap_or_default(),
            grant.capabilities.to_string(),
            until(grant.expiry),
        ]);
    }
    if rows.is_empty() {
        output.say("nothing is shared with the caller's member")?;
    } else {
        output.table(&["bank", "owner", "allowed", "expires (UTC)"], &rows)?;
    }
    Ok(Exit::Done)
}
