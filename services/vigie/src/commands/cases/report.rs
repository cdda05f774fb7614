//! `vigie report`: reports of suspected material, and the decisions on them.

use serde_json::{Value, json};
use vigie_clients::{IdempotencyKey, ReportClient, ReportListing};
use vigie_consortium::Classification;
use vigie_consortium::cases::{ReportContents, ReportReview};
use vigie_model::{Distance, UnixMillis};

use crate::cli::{BankAddressArgs, DetailsArgs, ReportCommand, ReportReviewArgs, ReportSubmitArgs, When};
use crate::commands::bank_address::{network, patience};
use crate::commands::banks::item_details::details_of;
use crate::commands::cases::decision::Decision;
use crate::commands::cases::{accuracy, explain, fragment};
use crate::commands::date::{date, now};
use crate::commands::deadline::deadline;
use crate::commands::vectors::declared_types;
use crate::output::{Exit, Output};

pub(crate) async fn run(command: ReportCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        ReportCommand::Submit(args) => submit(*args, output).await,
        ReportCommand::List { waiting, address } => list(waiting, &address, output).await,
        ReportCommand::Show { number, format, address } => {
            let client = connect(&address, output)?;
            let found = client.get(number, deadline(address.timeout_ms)).await?;
            let report = found.ok_or_else(|| anyhow::anyhow!("there is no report {number}"))?;
            match format {
                Some(format) => {
                    use std::io::Write as _;
                    let mut raw = output.raw();
                    writeln!(raw, "{}", fragment::fragment(&report, format)?)?;
                    raw.flush()?;
                }
                None => show(&report, output)?,
            }
            Ok(Exit::Done)
        }
        ReportCommand::Review(args) => review(args, output).await,
        ReportCommand::Accuracy(address) => show_accuracy(&address, output).await,
    }
}

fn connect(address: &BankAddressArgs, output: &Output) -> anyhow::Result<ReportClient> {
    let client = ReportClient::among(&address.bank_urls, &network(address, output)?)?;
    Ok(client.with_patience(patience(address)))
}

async fn submit(args: ReportSubmitArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let mut decision = args.decision.as_deref().map(Decision::read).transpose()?.unwrap_or_default();
    if let (Some(id), None, None) = (args.decision_id, &args.bank, &decision.bank) {
        let client = explain::connect(&args.address, output)?;
        let explained = client.explain(id, &[], deadline(args.address.timeout_ms)).await?;
        decision = Decision::of_record(&explained.listing)?;
    }
    let bank = args.bank.or(decision.bank);
    let bank = bank.ok_or_else(|| anyhow::anyhow!("the decision names no bank; name it with --bank"))?;
    let classification = if args.classes.is_empty() {
        Classification::new(decision.classes)?
    } else {
        details_of(&DetailsArgs { classes: args.classes, ..DetailsArgs::default() })?.classification
    };
    let distance = Distance(args.distance.or(decision.distance).unwrap_or_default());
    let hash_type = match &args.hash_type {
        Some(name) => Some(declared_types::resolve(name, &args.address, output).await?),
        None => decision.hash_type,
    };
    anyhow::ensure!(hash_type.is_some() || distance.0 == 0, "--distance needs --hash-type");
    let contents = ReportContents {
        item: args.item.map(vigie_model::ItemId).or(decision.item),
        decision: args.decision_id.or(decision.id),
        decided_at: decision.decided_at,
        classification,
        matched: hash_type.map(|hash_type| (hash_type, distance)),
        verdict: args.verdict.or(decision.verdict),
        person_looked: args.person_looked.or(decision.person_looked),
        urgent: args.urgent,
        legal_basis: args.legal_basis,
        third_country_reference: args.third_country_reference,
        note: args.note,
        adds_to: args.adds_to,
    };
    let client = connect(&args.address, output)?;
    let key = IdempotencyKey::random();
    let sent = client.submit(&bank, contents, key, deadline(args.address.timeout_ms)).await?;
    let number = sent.value;
    output.say(format!("report {number} is with the reviewers (sequence {})", sent.sequence))?;
    output.object(&json!({ "report": number, "bank": bank.to_string(), "sequence": sent.sequence.0 }))?;
    Ok(Exit::Done)
}

async fn all_reports(
    client: &ReportClient,
    waiting: bool,
    address: &BankAddressArgs,
) -> anyhow::Result<Vec<ReportListing>> {
    let (mut all, mut after) = (Vec::new(), Vec::new());
    loop {
        let (page, next) = client.list(after, waiting, deadline(address.timeout_ms)).await?;
        all.extend(page);
        if next.is_empty() {
            return Ok(all);
        }
        after = next;
    }
}

async fn list(waiting: bool, address: &BankAddressArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let client = connect(address, output)?;
    let reports = all_reports(&client, waiting, address).await?;
    let mut rows = Vec::new();
    for report in &reports {
        output.object(&object(report))?;
        rows.push(vec![
            report.number.to_string(),
            date(report.submitted_at),
            report.member.clone(),
            bank(report),
            report.contents.item.map(|item| item.to_string()).unwrap_or_default(),
            if report.contents.urgent { "urgent" } else { "" }.to_owned(),
            outcome(report).to_owned(),
        ]);
    }
    if rows.is_empty() {
        output.say(if waiting { "no report waits" } else { "there are no reports" })?;
    } else {
        output.table(&["report", "sent (UTC)", "member", "bank", "item", "", "outcome"], &rows)?;
    }
    Ok(Exit::Done)
}

fn show(report: &ReportListing, output: &mut Output) -> anyhow::Result<()> {
    output.object(&object(report))?;
    let ReportListing { number, member, contents, submitted_at, .. } = report;
    output.say(format!(
        "report {number} of {member} about {}, sent {} UTC",
        bank(report),
        date(*submitted_at)
    ))?;
    let looked = match contents.person_looked {
        Some(true) => "a person looked at the whole content",
        Some(false) => "no person looked",
        None => "not known",
    };
    let lines = [
        ("outcome", outcome(report).to_owned()),
        ("item", contents.item.map(|item| item.to_string()).unwrap_or_default()),
        ("decision", contents.decision.map(hex).unwrap_or_default()),
        (
            "matched",
            contents.matched.map(|(of, distance)| format!("{of} at distance {distance}")).unwrap_or_default(),
        ),
        ("verdict", contents.verdict.map(|verdict| verdict.name().to_ascii_lowercase()).unwrap_or_default()),
        ("viewed", looked.to_owned()),
        ("urgent", if contents.urgent { "yes" } else { "" }.to_owned()),
        ("class", contents.classification.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        ("legal basis", contents.legal_basis.to_string()),
        ("third country", contents.third_country_reference.to_string()),
        ("note", contents.note.to_string()),
        ("adds to", contents.adds_to.map(|number| format!("report {number}")).unwrap_or_default()),
    ];
    for (what, text) in lines.iter().filter(|(_, text)| !text.is_empty()) {
        output.say(format!("  {what:<14}{text}"))?;
    }
    if let Some((review, at)) = &report.review {
        let until = |until: Option<UnixMillis>| until.map(date).unwrap_or_default();
        let lines = [
            ("reviewed", format!("{} UTC", date(*at))),
            ("reason", review.reason.to_string()),
            ("do not tell", until(review.do_not_tell_until)),
            ("do not remove", until(review.do_not_remove_until)),
        ];
        for (what, text) in lines.iter().filter(|(_, text)| !text.is_empty()) {
            output.say(format!("  {what:<14}{text}"))?;
        }
    }
    Ok(())
}

async fn review(args: ReportReviewArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let until = |when: Option<When>, argument: &str| {
        let end = when.map(|when| when.expiry(argument, now())).transpose()?;
        let is_never = end.is_some_and(|end| end.moment().is_none());
        anyhow::ensure!(!is_never, "{argument} cannot be `never`: name a moment at most 550 days from now");
        anyhow::Ok(end.and_then(vigie_consortium::Expiry::moment))
    };
    let review = ReportReview {
        outcome: args.outcome,
        reason: args.reason,
        opinion_reason: args.opinion_reason,
        do_not_tell_until: until(args.do_not_tell_until, "--do-not-tell-until")?,
        do_not_remove_until: until(args.do_not_remove_until, "--do-not-remove-until")?,
    };
    review.check().map_err(|error| anyhow::anyhow!("--{} {error}", error.field().replace('_', "-")))?;
    let client = connect(&args.address, output)?;
    let (number, outcome, key) = (args.number, review.outcome, IdempotencyKey::random());
    let done = client.review(number, review, key, deadline(args.address.timeout_ms)).await?;
    let opinion = if done.value { ", with a negative opinion on its item" } else { "" };
    output.say(format!("report {number} is {outcome}{opinion} (sequence {})", done.sequence))?;
    output.object(&json!({
        "report": number, "outcome": outcome.name(), "opinion_put": done.value, "sequence": done.sequence.0
    }))?;
    Ok(Exit::Done)
}

async fn show_accuracy(address: &BankAddressArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let client = connect(address, output)?;
    let counted = accuracy::count(&all_reports(&client, false, address).await?);
    let mut rows = Vec::new();
    for ((member, bank), of) in &counted {
        let permille = of.accuracy_permille();
        output.object(&json!({
            "member": member, "bank": bank, "founded": of.founded, "forwarded": of.forwarded,
            "unfounded": of.unfounded, "duplicate": of.duplicate, "waiting": of.waiting,
            "accuracy_permille": permille,
        }))?;
        let share =
            permille.map_or_else(|| "-".to_owned(), |share| format!("{}.{} %", share / 10, share % 10));
        let counts = [of.founded, of.forwarded, of.unfounded, of.duplicate, of.waiting];
        let names = [member.clone(), bank.clone()].into_iter();
        rows.push(names.chain(counts.iter().map(ToString::to_string)).chain([share]).collect());
    }
    if rows.is_empty() {
        output.say("there are no reports")?;
    } else {
        let head =
            ["member", "bank", "founded", "forwarded", "unfounded", "duplicate", "waiting", "accuracy"];
        output.table(&head, &rows)?;
    }
    Ok(Exit::Done)
}

fn bank(report: &ReportListing) -> String {
    report.bank.as_ref().map_or_else(|| format!("bank {}", report.bank_id), ToString::to_string)
}

fn outcome(report: &ReportListing) -> &'static str {
    report.review.as_ref().map_or("waiting", |(review, _)| review.outcome.name())
}

fn hex(bytes: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// Returns a report as `--json` prints it, a contract with scripts.
fn object(report: &ReportListing) -> Value {
    let ReportListing { number, member, bank, bank_id, contents, submitted_at, review } = report;
    let review = review.as_ref().map(|(review, at)| {
        json!({
            "outcome": review.outcome.name(),
            "reason": review.reason.as_str(),
            "opinion_reason": review.opinion_reason.map(|reason| reason.name()),
            "do_not_tell_until_unix_ms": review.do_not_tell_until.map(|at| at.0),
            "do_not_remove_until_unix_ms": review.do_not_remove_until.map(|at| at.0),
            "reviewed_at_unix_ms": at.0,
        })
    });
    json!({
        "report": number,
        "member": member,
        "bank": bank.as_ref().map(ToString::to_string),
        "bank_id": bank_id.0,
        "submitted_at_unix_ms": submitted_at.0,
        "item_id": contents.item.map(|item| item.0),
        "decision_id": contents.decision.map(hex),
        "decided_at_unix_ms": contents.decided_at.map(|at| at.0),
        "classification": contents.classification.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "hash_type": contents.matched.map(|(of, _)| of.to_string()),
        "distance": contents.matched.map(|(_, distance)| distance.0),
        "verdict": contents.verdict.map(|verdict| verdict.name().to_ascii_lowercase()),
        "person_looked": contents.person_looked,
        "urgent": contents.urgent,
        "legal_basis": contents.legal_basis.as_str(),
        "third_country_reference": contents.third_country_reference.as_str(),
        "note": contents.note.as_str(),
        "adds_to": contents.adds_to,
        "review": review,
    })
}
