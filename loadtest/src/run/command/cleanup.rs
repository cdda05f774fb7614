//! `vigie-loadtest cleanup`: removes the banks that runs have left in a target.
//!
//! A bank is recognised as one of a run by its name and its content: items of a load test have one hash, of a
//! picture or a video, no label, and an external reference from which the hash follows. Other banks are kept,
//! and reported.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Serialize;
use vigie_clients::{BankClient, BankListing, Code, IdempotencyKey};
use vigie_model::{BankName, BankRef, Hash, HashType, Item};

use crate::Exit;
use crate::cli::CleanupArguments;
use crate::data::shape::shape;
use crate::data::videos::{self, Videos};
use crate::judge::oracle::Identity;
use crate::report::moment::moment;
use crate::report::text::wrapped;
use crate::run::command::block_on;
use crate::run::scenario::run_bank::RunBank;

/// The time limit of a call to the bank.
const WITHIN: Duration = Duration::from_secs(10);
/// The time limit for deleting a bank: one of a million items takes seconds.
const DELETED_WITHIN: Duration = Duration::from_secs(120);
/// Banks on one page.
const PAGE: u16 = 500;
/// Items of a bank that are checked.
const LOOKED_AT: u16 = 100;

/// The banks that were found and removed.
#[derive(Debug, Serialize)]
struct Cleanup {
    schema: &'static str,
    /// Whether the banks were removed; false if they were only listed.
    removed: bool,
    banks: Vec<Found>,
    /// Banks with the name of a run's bank, but with content that no run creates.
    kept: Vec<Found>,
}

/// A bank that was found.
#[derive(Debug, Serialize)]
struct Found {
    bank: String,
    /// `data` or `live`.
    kind: &'static str,
    items: u64,
    created_unix_ms: u64,
    /// The reason why it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
}

pub(crate) fn run(arguments: &CleanupArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    let Some(cleanup) = block_on(|_| clean_up(arguments, out))? else { return Ok(Exit::Interrupted) };
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string(&cleanup)?)?;
    } else {
        summarize(&cleanup, &arguments.bank_url, out)?;
    }
    Ok(Exit::Done)
}

async fn clean_up(arguments: &CleanupArguments, out: &mut impl Write) -> anyhow::Result<Cleanup> {
    let url = arguments.bank_url.as_str();
    let client = BankClient::new_on(url, &arguments.tls.network(&[url])?)?;
    let mut cleanup = Cleanup {
        schema: "vigie-loadtest-cleanup/1",
        removed: arguments.remove,
        banks: vec![],
        kept: vec![],
    };
    for bank in candidates(&client, &arguments.banks).await? {
        let Some(kind) = RunBank::named(&bank.name.to_string()) else {
            bail!(
                "no run gives a bank the name {}, so it is not removed: `vigie bank delete` does that",
                bank.name
            );
        };
        let because = doubt(&client, &bank, kind).await?;
        let found = Found {
            bank: bank.name.to_string(),
            kind: match kind {
                RunBank::Data { .. } => "data",
                RunBank::Live(_) => "live",
            },
            items: bank.item_count,
            created_unix_ms: bank.created_at.0,
            because,
        };
        if found.because.is_some() {
            cleanup.kept.push(found);
            continue;
        }
        if arguments.remove {
            remove(&client, &bank.name).await?;
        }
        if !arguments.json {
            show(&found, arguments.remove, out)?;
        }
        cleanup.banks.push(found);
    }
    Ok(cleanup)
}

/// Returns the named banks that exist; without names, all banks with the name of a run's bank.
async fn candidates(client: &BankClient, named: &[BankName]) -> anyhow::Result<Vec<BankListing>> {
    let mut banks = Vec::new();
    if !named.is_empty() {
        for name in named {
            match client.get_bank(name, (Instant::now() + WITHIN).into()).await {
                Ok(found) => banks.push(found.value),
                Err(error) if error.code() == Code::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read the bank {name}")),
            }
        }
        return Ok(banks);
    }
    let mut after = None;
    loop {
        let page = client.list_banks(after, PAGE, (Instant::now() + WITHIN).into()).await;
        let page = page.context("cannot list the banks")?.value;
        after = page.last().map(|bank| bank.id);
        let is_last = page.len() < usize::from(PAGE);
        banks.extend(page.into_iter().filter(|bank| RunBank::named(&bank.name.to_string()).is_some()));
        if is_last {
            return Ok(banks);
        }
    }
}

/// Returns the reason why a bank with such a name may not belong to a run; `None` if there is none.
async fn doubt(client: &BankClient, bank: &BankListing, kind: RunBank) -> anyhow::Result<Option<String>> {
    let page = client.list_items(&bank.name, None, LOOKED_AT, (Instant::now() + WITHIN).into()).await;
    let page = page.with_context(|| format!("cannot list the items of {}", bank.name))?;
    let foreign = page.items.iter().find(|item| !is_of(item, kind));
    Ok(foreign.map(|item| format!("item {} is none that a run adds", item.id)))
}

/// Returns whether a run would have put this item into such a bank.
fn is_of(item: &Item, kind: RunBank) -> bool {
    let content = &item.content;
    let [hash] = content.hashes() else { return false };
    let is_video = hash.hash_type() == HashType::VPDQ;
    if !content.labels().is_empty() || !(is_video || hash.hash_type() == HashType::PDQ) {
        return false;
    }
    match (kind, Identity::of_reference(content.external_reference().unwrap_or_default())) {
        (RunBank::Data { videos: Some((count, frames)), seed, .. }, Identity::Video(number)) if is_video => {
            let videos = Videos::new(seed, count, frames);
            number < count && hash.as_bytes() == videos::bytes(&videos.banked(number))
        }
        (_, _) if is_video => false,
        (RunBank::Data { shape: name, hashes, seed, .. }, Identity::Row(row)) if row < hashes => {
            *hash == Hash::pdq(shape(name, seed).draw_row(row.into()))
        }
        // The hash of a picture is not checked, because the picture would have to be drawn.
        (RunBank::Data { hashes, pictures, .. }, Identity::Row(row)) => row - hashes < pictures,
        (RunBank::Live(_), Identity::Live(_)) => true,
        (_, Identity::Row(_) | Identity::Video(_) | Identity::Live(_) | Identity::Unknown) => false,
    }
}

async fn remove(client: &BankClient, name: &BankRef) -> anyhow::Result<()> {
    let deadline = Instant::now() + DELETED_WITHIN;
    match client.delete_bank(name, IdempotencyKey::random(), deadline.into()).await {
        Ok(_) => Ok(()),
        // Another client has already deleted it.
        Err(error) if error.code() == Code::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot remove the bank {name}")),
    }
}

fn show(found: &Found, removed: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let what = match found.kind {
        "data" => "data of scenarios, used again by later runs",
        _ => "written by one run",
    };
    let done = if removed { "removed  " } else { "found    " };
    writeln!(out, "{done}{}", found.bank)?;
    let line = format!("{} items, created {}, {what}", found.items, moment(found.created_unix_ms));
    write!(out, "{}", wrapped("           ", &line))?;
    Ok(())
}

fn summarize(cleanup: &Cleanup, url: &str, out: &mut impl Write) -> anyhow::Result<()> {
    for found in &cleanup.kept {
        let why = found.because.as_deref().unwrap_or_default();
        write!(out, "{}", wrapped("kept     ", &format!("{}: {why}", found.bank)))?;
    }
    let (count, items) = (cleanup.banks.len(), cleanup.banks.iter().map(|found| found.items).sum::<u64>());
    let banks = if count == 1 { "bank" } else { "banks" };
    let line = match (count, cleanup.removed) {
        (0, _) => format!("no run has left anything in the bank at {url}"),
        (_, true) => format!("removed {count} {banks} with {items} items"),
        (_, false) => format!(
            "{count} {banks} with {items} items; nothing is removed yet. The same command with --remove removes them: not \
             while a run uses them"
        ),
    };
    write!(out, "{}", wrapped("", &line))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use vigie_model::{BankId, ItemContent, ItemDraft, ItemId, UnixMillis};

    use super::*;
    use crate::cli::ShapeName;

    fn item(draft: ItemDraft) -> Item {
        let content = ItemContent::try_from(draft).unwrap();
        Item {
            id: ItemId(1),
            bank: BankId(1),
            added_at: UnixMillis(0),
            contributor: vigie_model::MemberId::HOST,
            content,
        }
    }

    fn draft(hash: [u8; 32], reference: &str) -> ItemDraft {
        let external_reference = reference.to_owned();
        ItemDraft { hashes: vec![Hash::pdq(hash)], external_reference, ..ItemDraft::default() }
    }

    #[test]
    fn only_what_a_run_would_have_added_is_taken_for_a_runs() {
        let data =
            RunBank::Data { shape: ShapeName::Pdq, hashes: 100, pictures: 2, videos: Some((9, 16)), seed: 5 };
        let row = |number| shape(ShapeName::Pdq, 5).draw_row(number);
        assert!(is_of(&item(draft(row(7), "r7")), data));
        assert!(is_of(&item(draft([1; 32], "r101")), data), "a picture");
        for (hash, reference) in
            [(row(7), "r8"), (row(7), "a7"), (row(7), ""), ([1; 32], "r102"), (row(7), "case-7")]
        {
            assert!(!is_of(&item(draft(hash, reference)), data), "{reference}");
        }
        let video = |number, reference: &str| {
            let bytes = videos::bytes(&Videos::new(5, 9, 16).banked(number));
            ItemDraft {
                hashes: vec![Hash::from_bytes(HashType::VPDQ, &bytes).unwrap()],
                ..draft([0; 32], reference)
            }
        };
        assert!(is_of(&item(video(3, "v3")), data));
        for (number, reference) in [(3, "v4"), (9, "v9"), (3, "r3"), (3, "a3")] {
            assert!(!is_of(&item(video(number, reference)), data), "{reference}");
        }
        assert!(!is_of(&item(draft(row(3), "v3")), data));
        let without =
            RunBank::Data { shape: ShapeName::Pdq, hashes: 100, pictures: 2, videos: None, seed: 5 };
        assert!(!is_of(&item(video(3, "v3")), without));
        assert!(!is_of(&item(video(3, "a3")), RunBank::Live(1)));
        let labelled = ItemDraft { labels: vec!["known".to_owned()], ..draft(row(7), "r7") };
        assert!(!is_of(&item(labelled), data));
        let two = ItemDraft { hashes: vec![Hash::pdq(row(7)), Hash::pdq([1; 32])], ..draft(row(7), "r7") };
        assert!(!is_of(&item(two), data));
        let digest = ItemDraft { hashes: vec![Hash::md5([1; 16])], ..draft(row(7), "a7") };
        assert!(!is_of(&item(digest), RunBank::Live(1)));
        assert!(is_of(&item(draft([3; 32], "a7")), RunBank::Live(1)));
        assert!(!is_of(&item(draft([3; 32], "r7")), RunBank::Live(1)));
    }
}
