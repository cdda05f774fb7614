//! `vigie decision`: lists recorded decisions, sets their outcomes, and writes statements of reasons.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use vigie_clients::{DecisionClient, IdempotencyKey};
use vigie_consortium::cases::{DecisionListing, DecisionOutcome};
use vigie_model::UnixMillis;
use vigie_statistics::statement::{PrivateWords, Template, batches, prepare};

use crate::cli::{BankAddressArgs, DecisionCommand, DecisionOutcomeArgs, DecisionTimeArgs, StatementsArgs};
use crate::commands::cases::decision_record::{bank, decision_record, hex, object};
use crate::commands::cases::explain::connect;
use crate::commands::date::{date, now};
use crate::commands::deadline::deadline;
use crate::output::{Exit, Output, counted};

/// Maximum size of a template, in bytes.
const TEMPLATE_BYTES_MAX: u64 = 1 << 20;

pub(crate) async fn run(command: DecisionCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        DecisionCommand::List { time, address } => list(time, &address, output).await,
        DecisionCommand::Outcome(args) => outcome(args, output).await,
        DecisionCommand::Statements(args) => statements(args, output).await,
    }
}

/// Reads decisions page by page, and passes each page to `page`.
async fn each_page(
    client: &DecisionClient,
    time: DecisionTimeArgs,
    address: &BankAddressArgs,
    mut page: impl FnMut(Vec<DecisionListing>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let now = now();
    let [from, before] = [time.from, time.before].map(|when| when.map(|when| when.moment(now)));
    let mut after = Vec::new();
    loop {
        let (listings, next) = client.list(after, from, before, deadline(address.timeout_ms)).await?;
        page(listings)?;
        if next.is_empty() {
            return Ok(());
        }
        after = next;
    }
}

async fn list(
    time: DecisionTimeArgs,
    address: &BankAddressArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let client = connect(address, output)?;
    let mut rows = Vec::new();
    each_page(&client, time, address, |listings| {
        for listing in listings {
            output.object(&object(&listing))?;
            rows.push(row(&listing));
        }
        Ok(())
    })
    .await?;
    if rows.is_empty() {
        output.say("there are no records of decisions")?;
    } else {
        let head = ["decision", "taken (UTC)", "verdict", "rule", "bank", "item", "distance", "outcome"];
        output.table(&head, &rows)?;
    }
    Ok(Exit::Done)
}

fn row(listing: &DecisionListing) -> Vec<String> {
    let record = &listing.record;
    let decided = record.decided.as_ref();
    let nearest = record.matches.first();
    let action =
        listing.outcome.map(|(outcome, _)| outcome.action.map_or("no action", |action| action.name()));
    vec![
        hex(record.id),
        date(record.decided_at),
        decided.map_or("-", |decided| decided.verdict.name()).to_owned(),
        decided.map(|decided| decided.rule.to_string()).unwrap_or_default(),
        nearest.map(bank).unwrap_or_default(),
        nearest.and_then(|found| found.item).map(|item| item.to_string()).unwrap_or_default(),
        nearest.map(|found| found.distance.to_string()).unwrap_or_default(),
        action.unwrap_or_default().to_owned(),
    ]
}

async fn outcome(args: DecisionOutcomeArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let client = connect(&args.address, output)?;
    let explained = client.explain(args.id, &[], deadline(args.address.timeout_ms)).await?;
    // The call fails if somebody else has set the outcome in the meantime.
    let expected = explained.listing.outcome.map_or(UnixMillis(0), |(_, at)| at);
    let before = explained.listing.outcome.map(|(outcome, _)| outcome).filter(|_| !args.anew);
    let before = before.unwrap_or_default();
    let outcome = DecisionOutcome {
        action: args.action.or(before.action),
        person_looked: args.person_looked.or(before.person_looked),
        review: args.review.or(before.review),
        complaint: args.complaint.or(before.complaint),
        basis: args.basis.or(before.basis),
        media: args.media.or(before.media),
        hosted_since: args.hosted_since.map(|since| since.moment(now())).or(before.hosted_since),
        // A new action has a new time, so the time of a different action is not kept.
        acted_at: args
            .acted
            .map(|since| since.moment(now()))
            .or(before.acted_at.filter(|_| args.action.is_none_or(|action| before.action == Some(action)))),
    };
    let key = IdempotencyKey::random();
    let set =
        client.set_outcome(args.id, outcome, Some(expected), key, deadline(args.address.timeout_ms)).await?;
    let opinions = match set.value {
        0 => String::new(),
        items => format!(", with a negative opinion on {}", counted(items.into(), "item")),
    };
    output.say(format!("the outcome is set{opinions} (sequence {})", set.sequence))?;
    output.object(&json!({
        "decision_id": hex(args.id), "opinions_put": set.value, "sequence": set.sequence.0
    }))?;
    Ok(Exit::Done)
}

async fn statements(args: StatementsArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let template = read_template(&args.template)?;
    let client = connect(&args.address, output)?;
    let (mut records, mut names) = (Vec::new(), Vec::new());
    let now = now();
    let [from, before] = [args.acted_from, args.acted_before].map(|when| when.map(|when| when.moment(now)));
    let every = DecisionTimeArgs { from: None, before: None };
    each_page(&client, every, &args.address, |listings| {
        for listing in &listings {
            let acted_at = listing.outcome.and_then(|(outcome, _)| outcome.acted_at);
            let is_in = acted_at.is_none_or(|at| {
                from.is_none_or(|from| at >= from) && before.is_none_or(|before| at < before)
            });
            if !is_in {
                continue;
            }
            names.extend(listing.record.matches.iter().filter_map(|found| found.bank_name.clone()));
            records.push(decision_record(listing)?);
        }
        Ok(())
    })
    .await?;
    names.sort();
    names.dedup();
    // The names of lists, both with and without their owners.
    let whole = names.iter().map(ToString::to_string);
    let private: Vec<String> = whole.chain(names.iter().map(|name| name.name.to_string())).collect();
    let prepared = prepare(&records, &template, &PrivateWords::new(&private));
    let mut raw = output.raw();
    for body in batches(&prepared.statements) {
        writeln!(raw, "{body}")?;
    }
    raw.flush()?;
    for rejected in &prepared.rejected {
        for fault in &rejected.faults {
            output.note(format!("{}: {}: {}", hex(rejected.id), fault.attribute, fault.reason));
        }
    }
    output.note(format!(
        "{} written; {} without an action; {} after an order under Article 9; {} left out",
        counted(prepared.statements.len().try_into()?, "statement"),
        prepared.without_action,
        prepared.after_order,
        prepared.rejected.len()
    ));
    Ok(if prepared.rejected.is_empty() { Exit::Done } else { Exit::SomeInputsFailed })
}

fn read_template(path: &Path) -> anyhow::Result<Template> {
    let size = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    anyhow::ensure!(size <= TEMPLATE_BYTES_MAX, "a template has at most {TEMPLATE_BYTES_MAX} bytes");
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let read = if is_json {
        serde_json::from_str(&text).map_err(anyhow::Error::from)
    } else {
        toml::from_str(&text).map_err(anyhow::Error::from)
    };
    read.with_context(|| format!("{} is no template", path.display()))
}
