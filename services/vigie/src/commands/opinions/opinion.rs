//! `vigie opinion`: puts opinions of the caller's member on items, takes them back, and lists opinions.

use anyhow::ensure;
use vigie_clients::{IdempotencyKey, ListedOpinion, NewOpinion};
use vigie_consortium::{BankRef, OpinionWords, Text};
use vigie_model::{ItemId, OpinionKind, Sequence};

use crate::cli::{BankAddressArgs, OpinionCommand, OpinionPutArgs};
use crate::commands::banks::item_holds::each_once;
use crate::commands::date::date;
use crate::commands::deadline::deadline;
use crate::commands::opinions::connect::connect;
use crate::commands::vectors::declared_types;
use crate::output::{Exit, Output, Printed, counted};

/// Maximum number of opinions in one page.
const PAGE: u16 = 500;

pub(crate) async fn run(command: OpinionCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        OpinionCommand::Put(args) => put(*args, output).await,
        OpinionCommand::Withdraw { items, address } => {
            let (client, deadline) = connect(&address, output)?;
            let ids = each_once(items);
            let withdrawn = client.withdraw_opinions(&ids, IdempotencyKey::random(), deadline).await?;
            let of = counted(u64::try_from(ids.len())?, "item");
            let changed = withdrawn.value;
            output
                .say(format!("withdrew opinions on {changed} of {of} (sequence {})", withdrawn.sequence))?;
            output.object(&serde_json::json!({
                "withdrawn": numbers(&ids), "changed": changed, "sequence": withdrawn.sequence.0
            }))?;
            Ok(Exit::Done)
        }
        OpinionCommand::List { bank, mine, after, address } => {
            list(&bank, mine, Sequence(after), &address, output).await
        }
    }
}

async fn put(args: OpinionPutArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let OpinionPutArgs { items, positive, negative, seen: _, reason, dispute, proposed, hash, address } =
        args;
    let ids = each_once(items);
    ensure!(
        hash.is_none() || ids.len() == 1,
        "--hash: names a hash of one item, and {} items are named",
        ids.len()
    );
    let kind = match (positive, negative) {
        (true, _) => OpinionKind::Positive,
        (false, true) => OpinionKind::Negative,
        (false, false) => OpinionKind::Seen,
    };
    let words = OpinionWords { reason, disputes: dispute, proposed, foreign: Text::default() };
    let hash = match hash {
        Some(text) => Some(text.of(declared_types::resolve(&text.name, &address, output).await?)?),
        None => None,
    };
    let opinion = |item: &ItemId| NewOpinion { item: *item, hash: hash.clone(), kind, words: words.clone() };
    let opinions = ids.iter().map(opinion).collect();
    let (client, deadline) = connect(&address, output)?;
    let put = client.put_opinions(opinions, IdempotencyKey::random(), deadline).await?;
    let (of, changed) = (counted(u64::try_from(ids.len())?, "item"), put.value);
    output.say(format!("{}: new on {changed} of {of} (sequence {})", kind.name(), put.sequence))?;
    output.object(&serde_json::json!({
        "items": numbers(&ids), "kind": kind.name(), "changed": changed, "sequence": put.sequence.0
    }))?;
    Ok(Exit::Done)
}

async fn list(
    bank: &BankRef,
    mine: bool,
    mut after: Sequence,
    address: &BankAddressArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (client, _) = connect(address, output)?;
    loop {
        let page = client.list_opinions(bank, after, mine, PAGE, deadline(address.timeout_ms)).await?.value;
        for opinion in &page.opinions {
            show(opinion, output)?;
        }
        after = page.next_after;
        if !page.has_more {
            break;
        }
    }
    output.object(&serde_json::json!({ "next_after": after.0 }))?;
    output.note(format!("to list later changes, use --after {after}"));
    Ok(Exit::Done)
}

fn show(opinion: &ListedOpinion, output: &mut Output) -> Printed {
    let ListedOpinion { item, hash, kind, words, member, at, sequence, of_programme } = opinion;
    let proposed = words.proposed.as_ref().map(ToString::to_string);
    output.object(&serde_json::json!({
        "item_id": item.0, "hash": hash, "kind": kind.map(OpinionKind::name),
        "reason": words.reason.map(vigie_consortium::OpinionReason::name), "disputes": words.disputes,
        "proposed": proposed, "foreign_value": words.foreign.as_str(), "member": member, "at_unix_ms": at.0,
        "sequence": sequence.0, "of_programme": of_programme
    }))?;
    let mut said = vec![kind.map_or("taken back", OpinionKind::name).to_owned()];
    said.extend(words.reason.map(|reason| reason.name().to_owned()));
    said.extend(words.disputes.then(|| "disputes it".to_owned()));
    said.extend(proposed.map(|class| format!("proposes {class}")));
    said.extend(hash.map(|place| format!("of its hash {place}")));
    if *of_programme {
        let word = words.foreign.as_str();
        let word = if word.is_empty() { String::new() } else { format!(" ({word})") };
        said.push(format!("by a programme{word}"));
    }
    let member = if member.is_empty() { "a member" } else { member };
    output.say(format!("{:>8}  {}  {member}: {}", item.0, date(*at), said.join(", ")))
}

fn numbers(items: &[ItemId]) -> Vec<u64> {
    items.iter().map(|item| item.0).collect()
}
