//! `vigie incident`: events that have a bank of their own.

use anyhow::Context as _;
use serde_json::{Value, json};
use vigie_clients::{IdempotencyKey, IncidentClient, IncidentListing};
use vigie_consortium::cases::{IncidentTypes, IncidentWords};

use crate::cli::{
    BankAddressArgs, HashFileArgs, IncidentAddArgs, IncidentCommand, ItemAddArgs, ItemCommand, OriginArgs,
};
use crate::commands::bank_address::{network, patience};
use crate::commands::banks::item;
use crate::commands::date::date;
use crate::commands::deadline::deadline;
use crate::output::{Exit, Output, counted};

pub(crate) async fn run(command: IncidentCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        IncidentCommand::Open { of, title, reason, bank, address } => {
            let (client, key) = (connect(&address, output)?, IdempotencyKey::random());
            let words = IncidentWords { of, title, reason };
            let opened = client.open(words, bank.as_ref(), key, deadline(address.timeout_ms)).await?;
            let (incident, sequence) = (opened.value, opened.sequence);
            let members = counted(incident.members.into(), "member");
            let (number, bank) = (incident.number, &incident.bank);
            output.say(format!(
                "incident {number} is open: its bank {bank} is shared with {members} (sequence {sequence})"
            ))?;
            output.object(&json!({
                "incident": number, "bank": bank.to_string(), "members": incident.members,
                "sequence": sequence.0
            }))?;
            Ok(Exit::Done)
        }
        IncidentCommand::Add(args) => add(*args, output).await,
        IncidentCommand::Close { number, reason, keep_days, address } => {
            let (client, key) = (connect(&address, output)?, IdempotencyKey::random());
            let closed = client.close(number, reason, keep_days, key, deadline(address.timeout_ms)).await?;
            let days = keep_days.unwrap_or(IncidentWords::KEEP_DAYS_DEFAULT);
            let kept = match days {
                0 => "is deleted now".to_owned(),
                days => format!("is kept for {}", counted(days.into(), "day")),
            };
            output.say(format!(
                "incident {number} is closed; its bank is searched no more and {kept} (sequence {})",
                closed.sequence
            ))?;
            output.object(&json!({
                "incident": number, "keep_days": days, "sequence": closed.sequence.0
            }))?;
            Ok(Exit::Done)
        }
        IncidentCommand::List(address) => list(&address, output).await,
        IncidentCommand::Subscribe { of, every, none: _, address } => {
            let types = if every { IncidentTypes::Every } else { IncidentTypes::only(&of)? };
            let (client, key) = (connect(&address, output)?, IdempotencyKey::random());
            let words = describe(&types);
            let set = client.subscribe(types, key, deadline(address.timeout_ms)).await?;
            let open = counted(set.value.into(), "open incident");
            output.say(format!("subscribed to {words}: {open} (sequence {})", set.sequence))?;
            output.object(&json!({
                "subscribed": words, "open_incidents": set.value, "sequence": set.sequence.0
            }))?;
            Ok(Exit::Done)
        }
    }
}

fn connect(address: &BankAddressArgs, output: &Output) -> anyhow::Result<IncidentClient> {
    let client = IncidentClient::among(&address.bank_urls, &network(address, output)?)?;
    Ok(client.with_patience(patience(address)))
}

/// Adds items to the bank of an open incident, as `vigie item add` does.
async fn add(args: IncidentAddArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (incidents, _) = all_incidents(&args.address, output).await?;
    let is_meant = |one: &&IncidentListing| one.number == args.number && one.closed.is_none();
    let incident = incidents.iter().find(is_meant);
    let incident = incident.with_context(|| format!("there is no open incident {}", args.number))?;
    let bank = incident.bank.clone();
    let bank =
        bank.with_context(|| format!("the bank of incident {} is not shared with you", args.number))?;
    let items = ItemAddArgs {
        bank,
        paths: args.paths,
        hashes: args.hashes,
        reading: HashFileArgs::default(),
        dry_run: false,
        strict: false,
        after_line: 0,
        labels: args.labels,
        origin: OriginArgs::default(),
        details: args.details,
        address: args.address,
    };
    item::run(ItemCommand::Add(Box::new(items)), output).await
}

async fn all_incidents(
    address: &BankAddressArgs,
    output: &Output,
) -> anyhow::Result<(Vec<IncidentListing>, IncidentTypes)> {
    let client = connect(address, output)?;
    let (mut all, mut after) = (Vec::new(), Vec::new());
    loop {
        let ((page, next), types) = client.list(after, deadline(address.timeout_ms)).await?;
        all.extend(page);
        if next.is_empty() {
            return Ok((all, types));
        }
        after = next;
    }
}

async fn list(address: &BankAddressArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (incidents, types) = all_incidents(address, output).await?;
    let mut rows = Vec::new();
    for incident in &incidents {
        output.object(&object(incident))?;
        let bank = match (&incident.bank, &incident.closed) {
            (_, Some(closed)) if closed.is_bank_deleted => "deleted".to_owned(),
            (Some(bank), Some(closed)) => format!("{bank}, until {}", date(closed.bank_until)),
            (Some(bank), None) => bank.to_string(),
            (None, _) => "not shared".to_owned(),
        };
        rows.push(vec![
            incident.number.to_string(),
            incident.of.to_string(),
            incident.title.clone(),
            date(incident.opened_at),
            incident.closed.as_ref().map_or_else(|| "open".to_owned(), |closed| date(closed.at)),
            bank,
            incident.items.to_string(),
        ]);
    }
    if rows.is_empty() {
        output.say("there are no incidents")?;
    } else {
        let head = ["incident", "type", "title", "opened (UTC)", "closed (UTC)", "bank", "items"];
        output.table(&head, &rows)?;
    }
    output.say(format!("your member subscribes to {}", describe(&types)))?;
    Ok(Exit::Done)
}

fn describe(types: &IncidentTypes) -> String {
    match types {
        IncidentTypes::Every => "every type".to_owned(),
        IncidentTypes::Only(types) if types.is_empty() => "no type".to_owned(),
        IncidentTypes::Only(types) => types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Returns an incident as `--json` prints it, a contract with scripts.
fn object(incident: &IncidentListing) -> Value {
    let closed = incident.closed.as_ref();
    json!({
        "incident": incident.number,
        "type": incident.of.as_str(),
        "title": incident.title,
        "opened_at_unix_ms": incident.opened_at.0,
        "opened_reason": incident.opened_reason,
        "closed_at_unix_ms": closed.map(|closed| closed.at.0),
        "closed_reason": closed.map(|closed| closed.reason.as_str()),
        "bank": incident.bank.as_ref().map(ToString::to_string),
        "bank_until_unix_ms": closed.map(|closed| closed.bank_until.0),
        "bank_deleted": closed.is_some_and(|closed| closed.is_bank_deleted),
        "items": incident.items,
    })
}
