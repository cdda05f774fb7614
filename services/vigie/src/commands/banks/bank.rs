//! `vigie bank`: runs a bank, maintains its store, or manages banks.

use anyhow::bail;
use vigie_bank::Verified;
use vigie_clients::{BankListing, IdempotencyKey, Written};
use vigie_model::{BankId, LogHead, MatchRatio, MemberName};

use crate::cli::{BankAddressArgs, BankArgs, BankCommand, OneBankArgs};
use crate::commands::bank_address::connect;
use crate::commands::banks::{bank_export, bank_sync};
use crate::commands::cluster::role;
use crate::commands::deadline::deadline;
use crate::commands::lines::BankObject;
use crate::commands::members::charter;
use crate::config::load_store;
use crate::output::{Exit, Output, counted, counted_as, style};

/// Maximum number of banks in one page.
const PAGE: u16 = 500;

pub(crate) async fn run(args: BankArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let Some(command) = args.command else {
        return role::bank(&args.role).await;
    };
    match command {
        BankCommand::Create(one) => {
            let (client, deadline) = connect(&one.address, output)?;
            let made = client.create_bank(&one.name, IdempotencyKey::random(), deadline).await?;
            show(output, "created: ", &made)
        }
        BankCommand::List(address) => list(&address, output).await,
        BankCommand::Show(one) => {
            let (client, deadline) = connect(&one.address, output)?;
            show(output, "", &client.get_bank(&one.name, deadline).await?)
        }
        BankCommand::Rename { name, new_name, address } => {
            let (client, deadline) = connect(&address, output)?;
            let made = client.rename_bank(&name, &new_name, IdempotencyKey::random(), deadline).await?;
            show(output, "renamed: ", &made)
        }
        BankCommand::Enable(one) => enable(&one, true, output).await,
        BankCommand::Disable(one) => enable(&one, false, output).await,
        BankCommand::Delete { one, with_items } => {
            let (client, deadline) = connect(&one.address, output)?;
            let items = client.get_bank(&one.name, deadline).await?.value.item_count;
            if items > 0 && !with_items {
                let items = counted(items, "item");
                bail!("bank {} holds {items}: add --with-items to delete them too", one.name);
            }
            let gone = client.delete_bank(&one.name, IdempotencyKey::random(), deadline).await?;
            let items = counted(gone.value, "item");
            output.say(format!("deleted {} and {items} (sequence {})", one.name, gone.sequence))?;
            output.object(&serde_json::json!({
                "bank": one.name.to_string(), "items": gone.value, "sequence": gone.sequence.0
            }))?;
            Ok(Exit::Done)
        }
        BankCommand::Sync(args) => Box::pin(bank_sync::run(args, output)).await,
        BankCommand::Export(args) => Box::pin(bank_export::run(args, output)).await,
        BankCommand::Charter(command) => charter::run(command, output).await,
        BankCommand::Migrate(store) => {
            vigie_bank::migrate(&load_store(&store)?).await?;
            output.say("the store is up to date")?;
            output.object(&serde_json::json!({ "migrated": true }))?;
            Ok(Exit::Done)
        }
        BankCommand::Verify(store) => {
            let verified = vigie_bank::verify(&load_store(&store)?).await?;
            show_verified(output, &verified)
        }
        BankCommand::Backup { file, store } => {
            let head = vigie_bank::backup(&load_store(&store)?, &file).await?;
            show_head(output, &format!("copied to {}", file.display()), &head)
        }
        BankCommand::Restore { file, store } => {
            let head = vigie_bank::restore(&load_store(&store)?, &file).await?;
            show_head(output, &format!("restored from {}", file.display()), &head)
        }
    }
}

fn show_verified(output: &mut Output, verified: &Verified) -> anyhow::Result<Exit> {
    let Verified { head, purged, audited, structure_unchecked } = verified;
    let done = "the store holds what its log says";
    output.say(format!("{done}: {} (sequence {})", contents(head), head.sequence))?;
    if purged.count() > 0 {
        let changes = counted(purged.count(), "purged change");
        output.say(format!("{changes}, of which the log keeps the digests: {purged}"))?;
    }
    if *audited > 0 {
        let entries = counted_as(*audited, "entry", "entries");
        output.say(format!("the audit agrees with its tree: {entries}"))?;
    }
    match structure_unchecked {
        None => output.say("the database's own check finds its tables and indexes whole")?,
        Some(reason) => output.say(format!("its tables and indexes were not checked: {reason}"))?,
    }
    let stretches = purged.stretches().iter().map(|(first, last)| [first.0, last.0]);
    output.object(&serde_json::json!({
        "sequence": head.sequence.0, "banks": head.banks, "items": head.items, "hashes": head.hashes,
        "audit_entries": audited, "purged": purged.count(), "purged_stretches": stretches.collect::<Vec<_>>(),
        "structure_checked": structure_unchecked.is_none(), "structure_unchecked_reason": structure_unchecked
    }))?;
    Ok(Exit::Done)
}

/// Describes the contents of the bank: its numbers of banks, items and hashes.
fn contents(head: &LogHead) -> String {
    let banks = counted(head.banks, "bank");
    let (items, hashes) = (counted(head.items, "item"), counted_as(head.hashes, "hash", "hashes"));
    format!("{banks}, {items}, {hashes}")
}

fn show_head(output: &mut Output, done: &str, head: &LogHead) -> anyhow::Result<Exit> {
    output.say(format!("{done}: {} (sequence {})", contents(head), head.sequence))?;
    output.object(&serde_json::json!({
        "sequence": head.sequence.0, "banks": head.banks, "items": head.items, "hashes": head.hashes
    }))?;
    Ok(Exit::Done)
}

async fn list(address: &BankAddressArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, _) = connect(address, output)?;
    let mut rows = Vec::new();
    let mut after: Option<BankId> = None;
    loop {
        let page = client.list_banks(after, PAGE, deadline(address.timeout_ms)).await?;
        for bank in &page.value {
            output.object(&BankObject::new(bank, page.sequence))?;
            let owner = bank.owner.as_ref().filter(|owner| **owner != MemberName::of_host());
            rows.push(vec![
                bank.name.to_string(),
                state(bank).to_owned(),
                bank.item_count.to_string(),
                bank.hash_count.to_string(),
                owner.map(ToString::to_string).unwrap_or_default(),
                ratio(bank),
            ]);
        }
        after = page.value.last().map(|bank| bank.id);
        if page.value.len() < usize::from(PAGE) {
            break;
        }
    }
    if rows.is_empty() {
        output.say("no banks yet; make one with `vigie bank create NAME`")?;
    } else {
        // Without members, the host owns everything, and the column is left out.
        let owner = if rows.iter().any(|row| !row[4].is_empty()) { "owner" } else { "" };
        let ratio = if rows.iter().any(|row| !row[5].is_empty()) { "match ratio" } else { "" };
        output.styled_table(
            &["bank", "state", "items", "hashes", owner, ratio],
            &rows,
            |column, cell| match (column, cell) {
                (1, DISABLED) => style::DOUBTFUL,
                _ => style::PLAIN,
            },
        )?;
    }
    Ok(Exit::Done)
}

async fn enable(one: &OneBankArgs, enabled: bool, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(&one.address, output)?;
    let made = client.set_bank_enabled(&one.name, enabled, IdempotencyKey::random(), deadline).await?;
    show(output, "", &made)
}

fn show(output: &mut Output, done: &str, made: &Written<BankListing>) -> anyhow::Result<Exit> {
    let Written { value: bank, sequence } = made;
    output.say(format!(
        "{done}{} is {}{}, with {} and {} (sequence {sequence})",
        bank.name,
        state(bank),
        share(bank),
        counted(bank.item_count, "item"),
        counted_as(bank.hash_count, "hash", "hashes"),
    ))?;
    output.object(&BankObject::new(bank, *sequence))?;
    Ok(Exit::Done)
}

/// Formats the share of lookups that search the bank; empty if all do.
fn ratio(bank: &BankListing) -> String {
    if bank.match_ratio == MatchRatio::ALWAYS { String::new() } else { bank.match_ratio.to_string() }
}

/// Describes the share of lookups that search the bank in words.
fn share(bank: &BankListing) -> String {
    if bank.match_ratio == MatchRatio::ALWAYS {
        return String::new();
    }
    format!(" with the match ratio {}", bank.match_ratio)
}

const DISABLED: &str = "disabled";

const fn state(bank: &BankListing) -> &'static str {
    if bank.enabled { "enabled" } else { DISABLED }
}

#[cfg(test)]
mod tests {
    use vigie_model::UnixMillis;

    use super::*;

    #[test]
    fn a_ratio_is_shown_where_it_is_below_one() {
        let check = |number: f64, in_words: &str, in_a_table: &str| {
            let bank = BankListing {
                id: BankId(1),
                owner: None,
                name: "known".parse().unwrap(),
                enabled: true,
                created_at: UnixMillis(0),
                item_count: 0,
                hash_count: 0,
                match_ratio: number.try_into().unwrap(),
            };
            assert_eq!((share(&bank).as_str(), ratio(&bank).as_str()), (in_words, in_a_table));
        };
        check(1.0, "", "");
        check(0.25, " with the match ratio 0.25", "0.25");
        check(0.0, " with the match ratio 0", "0");
    }
}
