//! `vigie policy`: sets, prints, compares and tries policies of the caller's member.

mod file;
mod matches;

use std::cmp::Ordering;

use vigie_clients::{Deadline, IdempotencyKey, PolicyClient, PolicySource, TriedContent, TriedQuery};

use crate::cli::{BankAddressArgs, PolicyCommand, PolicySetArgs, PolicyTryArgs};
use crate::commands::bank_address::{network, patience};
use crate::commands::date::date;
use crate::commands::deadline::deadline;
use crate::commands::lines::{DecisionObject, decision_words};
use crate::output::{Exit, Output, counted};

use file::{PolicyFile, PolicyForm};

pub(crate) async fn run(command: PolicyCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        PolicyCommand::Set(args) => set(args, output).await,
        PolicyCommand::Get { version, address } => get(version.unwrap_or(0), &address, output).await,
        PolicyCommand::Compare(address) => compare(&address, output).await,
        PolicyCommand::Try(args) => try_on(args, output).await,
    }
}

fn connect(address: &BankAddressArgs, output: &Output) -> anyhow::Result<(PolicyClient, Deadline)> {
    let client = PolicyClient::among(&address.bank_urls, &network(address, output)?)?;
    Ok((client.with_patience(patience(address)), deadline(address.timeout_ms)))
}

async fn set(args: PolicySetArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let file = args.file.as_deref().map(PolicyFile::read).transpose()?;
    let source = source(file.as_ref(), args.from_version);
    let (client, deadline) = connect(&args.address, output)?;
    let set = client.set_policy(source, args.expect, args.trial, IdempotencyKey::random(), deadline).await;
    let set = set.map_err(|error| match &file {
        Some(file) => file.error(error),
        None => error.into(),
    })?;
    let (version, sequence) = (set.value, set.sequence);
    output.object(&serde_json::json!({ "version": version, "trial": args.trial, "sequence": sequence.0 }))?;
    let what = if args.trial { "is tried, and decides nothing" } else { "decides from now on" };
    output.say(format!("version {version} of the policy {what} (sequence {sequence})"))?;
    Ok(Exit::Done)
}

async fn get(version: u32, address: &BankAddressArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(address, output)?;
    let read = client.get_policy(version, deadline).await?;
    let (policy, sequence) = (read.value, read.sequence);
    let form = PolicyForm::from(&*policy.version.policy);
    output.object(&serde_json::json!({
        "version": policy.version.version,
        "policy": form,
        "current_version": policy.current,
        "trial_version": policy.trial,
        "newest_version": policy.newest,
        "trial_since_unix_ms": policy.trial_since.map(|since| since.0),
        "sequence": sequence.0,
    }))?;
    // Standard output contains nothing but the file.
    output.say(form.text()?.trim_end())?;
    let named = |what: &str, version: Option<u32>| version.map(|version| format!(", {what} {version}"));
    let others = [
        named("current", policy.current),
        named("tried", policy.trial),
        named("newest", Some(policy.newest)),
    ];
    let others: String = others.into_iter().flatten().collect();
    output.note(format!("version {}{others}", policy.version.version));
    Ok(Exit::Done)
}

async fn compare(address: &BankAddressArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(address, output)?;
    let policy = client.get_policy(0, deadline).await?.value;
    let Some(trial) = policy.trial else {
        anyhow::bail!("no version is tried: set one with `vigie policy set FILE --trial`");
    };
    let mut counts = policy.trial_counts;
    counts.sort_by_key(|count| (count.verdict, count.trial));
    let mut rows = Vec::new();
    for count in &counts {
        output.object(&serde_json::json!({
            "trial_version": trial,
            "verdict": count.verdict.name(),
            "trial_verdict": count.trial.name(),
            "decisions": count.decisions,
        }))?;
        let word = match count.trial.cmp(&count.verdict) {
            Ordering::Less => "milder",
            Ordering::Equal => "the same",
            Ordering::Greater => "more severe",
        };
        let names = [count.verdict.name(), count.trial.name(), word].map(str::to_owned);
        rows.push(names.into_iter().chain([count.decisions.to_string()]).collect());
    }
    let Some(since) = policy.trial_since else {
        output.say(format!("version {trial} is tried, and no decision has been counted yet"))?;
        return Ok(Exit::Done);
    };
    let of = |differ: bool| -> u64 {
        counts.iter().filter(|one| (one.verdict != one.trial) == differ).map(|one| one.decisions).sum()
    };
    let (differ, all) = (of(true), of(true) + of(false));
    output.say(format!(
        "version {trial} is tried since {} UTC: {differ} of {} would have another verdict",
        date(since),
        counted(all, "decision")
    ))?;
    output.table(&["answered", "by the trial", "", "decisions"], &rows)?;
    Ok(Exit::Done)
}

async fn try_on(args: PolicyTryArgs, output: &mut Output) -> anyhow::Result<Exit> {
    if args.file.as_ref().is_some_and(|file| file.as_os_str() == "-") && args.matches.as_os_str() == "-" {
        anyhow::bail!("standard input (-) can be named once");
    }
    let file = args.file.as_deref().map(PolicyFile::read).transpose()?;
    let lines = matches::read(&args.matches)?;
    let (client, _) = connect(&args.address, output)?;
    for line in lines {
        let query = TriedQuery {
            quality: args.quality.or(line.quality),
            kind: args.kind.clone().unwrap_or_else(|| line.kind.to_owned()),
            surface: args.surface.to_string(),
            size: 0,
        };
        let scores = matches::with(line.scores, &args.scores);
        let content = TriedContent { matches: line.matches, scores, query };
        let source = source(file.as_ref(), args.version);
        let tried = client.try_policy(source, content, deadline(args.address.timeout_ms)).await;
        let tried = tried.map_err(|error| match &file {
            Some(file) => file.error(error),
            None => error.into(),
        })?;
        output.object(&serde_json::json!({
            "name": line.name,
            "decision": DecisionObject::from(&tried.decision),
            "trace": tried.trace,
        }))?;
        output.say(format!("{}: {}", line.name, decision_words(&tried.decision)))?;
        for step in &tried.trace {
            output.say(format!("  {step}"))?;
        }
        if line.is_cut {
            output.note(format!(
                "{}: the answer lacks matches, so a frontend gives REVIEW at least",
                line.name
            ));
        }
    }
    Ok(Exit::Done)
}

/// Returns the rules to use: those of a file, of a stored version, or of the current version if neither is
/// named.
fn source(file: Option<&PolicyFile>, version: Option<u32>) -> PolicySource<'_> {
    match file {
        Some(file) => PolicySource::Given(&file.policy),
        None => PolicySource::Stored(version.unwrap_or(0)),
    }
}
