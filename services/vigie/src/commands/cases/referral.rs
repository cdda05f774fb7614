//! `vigie referral`: referrals and removal orders of authorised bodies, and the measures that members took.

use std::io::Read as _;

use anyhow::Context as _;
use serde_json::{Value, json};
use vigie_clients::{IdempotencyKey, MemberMeasure, ReferralClient, ReferralListing, ReferralsListed};
use vigie_consortium::cases::{
    Measure, MeasureOutcome, ReferralTarget, ReferralUrl, ReferralWords, RemovalOrder,
};
use vigie_model::UnixMillis;

use crate::cli::{BankAddressArgs, ReferralAddArgs, ReferralCommand};
use crate::commands::bank_address::{network, patience};
use crate::commands::date::{date, now};
use crate::commands::deadline::deadline;
use crate::hash_file::any_hash;
use crate::output::{Exit, Output};

pub(crate) async fn run(command: ReferralCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        ReferralCommand::Add(args) => add(*args, output).await,
        ReferralCommand::List { open, overdue, address } => {
            let listed = match (open, overdue) {
                (_, true) => ReferralsListed::Overdue,
                (true, false) => ReferralsListed::Open,
                (false, false) => ReferralsListed::All,
            };
            list(listed, &address, output).await
        }
        ReferralCommand::Outcome { number, outcome, ground, details, taken, address } => {
            let taken_at = taken.map(|taken| taken.moment(now()));
            let measure = Measure { outcome, ground, details, taken_at };
            measure.check().map_err(|error| anyhow::anyhow!("--{} {error}", error.field()))?;
            let (client, key) = (connect(&address, output)?, IdempotencyKey::random());
            let set = client.set_outcome(number, measure, key, deadline(address.timeout_ms)).await?;
            output.say(format!("referral {number}: {outcome} (sequence {})", set.sequence))?;
            output.object(&json!({
                "referral": number, "outcome": outcome.name(), "sequence": set.sequence.0
            }))?;
            Ok(Exit::Done)
        }
    }
}

fn connect(address: &BankAddressArgs, output: &Output) -> anyhow::Result<ReferralClient> {
    let client = ReferralClient::among(&address.bank_urls, &network(address, output)?)?;
    Ok(client.with_patience(patience(address)))
}

async fn add(args: ReferralAddArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let target = target(args.url.as_deref(), args.hash.as_deref())?;
    let at = now();
    let order = args.order.zip(args.issuing_state).map(|(reference, issuing_state)| {
        let received_at = args.received.map_or(at, |received| received.moment(at));
        RemovalOrder { reference, received_at, issuing_state }
    });
    let due = order.as_ref().map(RemovalOrder::deadline);
    let words = ReferralWords {
        body: args.body,
        target,
        order,
        legal_basis: args.legal_basis,
        priority: args.priority,
    };
    let (client, key) = (connect(&args.address, output)?, IdempotencyKey::random());
    let added = client.add(words, &args.members, key, deadline(args.address.timeout_ms)).await?;
    let (number, kind) = (added.value, if due.is_some() { "removal order" } else { "referral" });
    let until = due.map(|due| format!(", due {} UTC", date(due))).unwrap_or_default();
    output.say(format!("{kind} {number} is added{until} (sequence {})", added.sequence))?;
    output.object(&json!({
        "referral": number, "deadline_unix_ms": due.map(|due| due.0), "sequence": added.sequence.0
    }))?;
    Ok(Exit::Done)
}

/// Returns the URL, which is read from standard input if it is `-`, or the hash. No error message contains
/// either.
fn target(url: Option<&str>, hash: Option<&str>) -> anyhow::Result<ReferralTarget> {
    if let Some(hash) = hash {
        let hashes = any_hash(hash).map_err(|reason| anyhow::anyhow!("--hash: {reason}"))?;
        let [hash] = <[_; 1]>::try_from(hashes).map_err(|_| {
            anyhow::anyhow!("--hash: the text may be a hash of several types; write TYPE:HASH")
        })?;
        return Ok(ReferralTarget::Hash(hash));
    }
    let mut text = String::new();
    let url = match url {
        Some("-") => {
            let longest = u64::try_from(ReferralUrl::LEN_MAX)? + 2;
            std::io::stdin().lock().take(longest).read_to_string(&mut text).context("cannot read the URL")?;
            text.trim_end_matches(['\r', '\n'])
        }
        Some(url) => url,
        None => "",
    };
    Ok(ReferralTarget::Url(ReferralUrl::new(url).context("--url")?))
}

async fn list(
    listed: ReferralsListed,
    address: &BankAddressArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let client = connect(address, output)?;
    let (mut rows, mut after) = (Vec::new(), Vec::new());
    loop {
        let (page, next) = client.list(after, listed, deadline(address.timeout_ms)).await?;
        for referral in &page {
            output.object(&object(referral))?;
            let order = &referral.words.order;
            let due = match order.as_ref().map(|order| date(order.deadline())) {
                Some(due) if referral.overdue => format!("{due} overdue"),
                Some(due) => due,
                None => String::new(),
            };
            rows.push(vec![
                referral.number.to_string(),
                if order.is_some() { "order" } else { "referral" }.to_owned(),
                referral.words.body.to_string(),
                referral.words.priority.to_string(),
                target_text(&referral.words.target),
                due,
                outcomes(&referral.members),
            ]);
        }
        if next.is_empty() {
            break;
        }
        after = next;
    }
    if rows.is_empty() {
        output.say("there are no such referrals")?;
    } else {
        let head = ["number", "kind", "body", "priority", "target", "due (UTC)", "outcomes"];
        output.table(&head, &rows)?;
    }
    Ok(Exit::Done)
}

fn target_text(target: &ReferralTarget) -> String {
    match target {
        ReferralTarget::Url(url) => url.reveal().to_owned(),
        ReferralTarget::Hash(hash) => format!("{}:{}", hash.hash_type(), hash.to_text()),
    }
}

/// Counts members by outcome: `2 pending, 1 removed`.
fn outcomes(members: &[MemberMeasure]) -> String {
    let count = |outcome: Option<MeasureOutcome>| {
        let has = |one: &&MemberMeasure| one.measure.as_ref().map(|measure| measure.outcome) == outcome;
        members.iter().filter(has).count()
    };
    let named = MeasureOutcome::ALL.iter().map(|outcome| (count(Some(*outcome)), outcome.name()));
    let all = std::iter::once((count(None), "pending")).chain(named);
    let shown = all.filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}"));
    shown.collect::<Vec<_>>().join(", ")
}

/// Returns a referral as `--json` prints it, a contract with scripts.
fn object(referral: &ReferralListing) -> Value {
    let words = &referral.words;
    let (url, hash) = match &words.target {
        ReferralTarget::Url(url) => (Some(url.reveal()), None),
        ReferralTarget::Hash(hash) => {
            (None, Some(json!({ "hash_type": hash.hash_type().to_string(), "hash": hash.to_text() })))
        }
    };
    let order = words.order.as_ref().map(|order| {
        json!({
            "reference": order.reference.as_str(),
            "received_at_unix_ms": order.received_at.0,
            "issuing_state": order.issuing_state.to_string(),
            "deadline_unix_ms": order.deadline().0,
        })
    });
    let member = |one: &MemberMeasure| {
        let measure = one.measure.as_ref();
        json!({
            "member": one.member,
            "outcome": measure.map_or("pending", |measure| measure.outcome.name()),
            "ground": measure.and_then(|measure| measure.ground).map(|ground| ground.name()),
            "details": measure.map(|measure| measure.details.as_str()),
            "taken_at_unix_ms": measure.and_then(|measure| measure.taken_at).map(|UnixMillis(at)| at),
        })
    };
    json!({
        "referral": referral.number,
        "body": words.body.as_str(),
        "url": url,
        "hash": hash,
        "removal_order": order,
        "legal_basis": words.legal_basis.as_str(),
        "priority": words.priority.name(),
        "added_at_unix_ms": referral.added_at.0,
        "overdue": referral.overdue,
        "members": referral.members.iter().map(member).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use vigie_consortium::cases::CaseNote;

    use super::*;

    #[test]
    fn a_target_is_a_url_or_one_hash_and_no_error_repeats_it() {
        let md5 = "cd".repeat(16);
        assert!(matches!(target(None, Some(&format!("md5:{md5}"))), Ok(ReferralTarget::Hash(_))));
        assert!(matches!(target(Some("https://a"), None), Ok(ReferralTarget::Url(_))));
        let several = "ab".repeat(32);
        for (url, hash) in [(None, Some(several.as_str())), (Some("secret\n"), None), (None, Some("secret"))]
        {
            let error = format!("{:#}", target(url, hash).unwrap_err());
            assert!(!error.contains("secret") && !error.contains("abab"), "{error}");
        }
    }

    #[test]
    fn outcomes_are_counted() {
        let of = |outcome: Option<MeasureOutcome>| MemberMeasure {
            member: "m".into(),
            measure: outcome.map(|outcome| Measure {
                outcome,
                ground: None,
                details: CaseNote::default(),
                taken_at: None,
            }),
        };
        let members = [of(None), of(Some(MeasureOutcome::Removed)), of(None)];
        assert_eq!(outcomes(&members), "2 pending, 1 removed");
        assert_eq!(outcomes(&[]), "");
    }
}
