//! `vigie explain`: shows which matches and rules led to a decision.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use vigie_clients::{DecisionClient, ExplainedDecision};
use vigie_consortium::cases::{QueryDigest, RecordedDecision};
use vigie_model::{Hash, OpinionKind};

use crate::cli::{BankAddressArgs, ExplainArgs};
use crate::commands::bank_address::{network, patience};
use crate::commands::cases::decision_record::{bank, hex, object};
use crate::commands::cases::fragment;
use crate::commands::content::image_file;
use crate::commands::content::image_hasher::ImageHasher;
use crate::commands::date::date;
use crate::commands::deadline::deadline;
use crate::commands::lines::decision_words;
use crate::hash_file::any_hash;
use crate::output::{Exit, Output, counted, counted_as};

pub(super) fn connect(address: &BankAddressArgs, output: &Output) -> anyhow::Result<DecisionClient> {
    let client = DecisionClient::among(&address.bank_urls, &network(address, output)?)?;
    Ok(client.with_patience(patience(address)))
}

pub(crate) async fn run(args: ExplainArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let hashes = match &args.image {
        Some(path) => hashes_of(path).await?,
        None => {
            let read = |text: &String| any_hash(text).map_err(anyhow::Error::msg).context("--hash");
            args.hashes.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?.concat()
        }
    };
    let (count, max) = (hashes.len(), RecordedDecision::DIGESTS_MAX);
    anyhow::ensure!(count <= max, "--hash: {count} hashes are named; at most {max} can be checked at once");
    let digests: Vec<QueryDigest> = hashes.iter().map(QueryDigest::of).collect();
    let client = connect(&args.address, output)?;
    let explained = client.explain(args.id, &digests, deadline(args.address.timeout_ms)).await?;
    match args.format {
        Some(format) => {
            let mut raw = output.raw();
            writeln!(raw, "{}", fragment::of_decision(&explained.listing, format)?)?;
            raw.flush()?;
        }
        None => show(&explained, !digests.is_empty(), output)?,
    }
    Ok(Exit::Done)
}

/// Returns the hashes of an image that may be in a query: those of the upright image, and the digests of the
/// file.
async fn hashes_of(path: &Path) -> anyhow::Result<Vec<Hash>> {
    let failed = |line: crate::output::ErrorLine| anyhow::anyhow!("{}: {}", path.display(), line.message);
    let content = image_file::read(path).await.map_err(failed)?;
    let hasher = ImageHasher::start(1).await?;
    Ok(hasher.fingerprint(content).await.map_err(failed)?.banked_hashes())
}

fn show(explained: &ExplainedDecision, asked: bool, output: &mut Output) -> anyhow::Result<()> {
    let ExplainedDecision { listing, same_query, rule_condition } = explained;
    let record = &listing.record;
    let mut line = object(listing);
    line["same_query"] = json!(same_query);
    line["rule_condition"] = json!((!rule_condition.is_empty()).then_some(rule_condition));
    output.object(&line)?;
    let surface = if record.surface.is_empty() { "" } else { " on " };
    output.say(format!(
        "decision {} about {}{surface}{}, {} UTC",
        hex(record.id),
        match &*record.kind {
            "hashes" => "hashes",
            "video" => "a video",
            "undecoded" => "an image or a video that could not be decoded",
            _ => "an image",
        },
        record.surface,
        date(record.decided_at)
    ))?;
    match &record.decided {
        Some(decided) => output.say(format!("  verdict       {}", decision_words(decided)))?,
        None => output.say("  verdict       none: your member had no policy")?,
    }
    if !rule_condition.is_empty() {
        output.say(format!("  condition     {rule_condition}"))?;
    }
    for found in &record.matches {
        let item = found.item.map_or_else(|| "an item".to_owned(), |item| format!("item {item}"));
        let mut text =
            format!("{item} of {}, {} at distance {}", bank(found), found.hash_type, found.distance);
        if let Some(facts) = &found.facts {
            let opinions =
                [(facts.positives, "positive"), (facts.negatives, "negative"), (facts.seen, "seen")];
            for (count, kind) in opinions.iter().filter(|(count, _)| *count > 0) {
                text.push_str(&format!("; {} {kind}", counted((*count).into(), "member")));
            }
            if let Some(mine) = facts.mine {
                text.push_str(&format!("; own opinion {}", OpinionKind::name(mine)));
            }
            if facts.dispute_open {
                text.push_str("; disputed");
            }
            if !facts.classes.is_empty() {
                text.push_str(&format!("; {}", facts.classes.join(", ")));
            }
        }
        if !found.counts {
            text.push_str("; did not count by the policy");
        }
        output.say(format!("  matched       {text}"))?;
    }
    if record.counting_elsewhere() > 0 {
        let others = counted_as(record.counting_elsewhere().into(), "match", "matches");
        output.say(format!("  rests on      {others} more, of which there is no record"))?;
    }
    if record.matches_omitted > 0 {
        let omitted = counted_as(record.matches_omitted.into(), "match", "matches");
        output.say(format!("  further       {omitted}, not recorded"))?;
    }
    if let Some((outcome, at)) = &listing.outcome {
        let looked =
            outcome.person_looked.map(|looked| if looked { "a person looked" } else { "nobody looked" });
        let words = [
            Some(outcome.action.map_or("no action", |action| action.name())),
            looked,
            outcome.review.map(|review| review.name()),
            outcome.complaint.map(|complaint| match complaint {
                vigie_consortium::cases::Complaint::Received => "complaint received",
                vigie_consortium::cases::Complaint::Rejected => "complaint rejected",
                vigie_consortium::cases::Complaint::Upheld => "complaint upheld",
            }),
        ];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        output.say(format!("  outcome       {} (set {} UTC)", words.join(", "), date(*at)))?;
    }
    match same_query.filter(|_| asked) {
        Some(true) => output.say("  same content  yes: a hash of it was searched for")?,
        Some(false) => output.say("  same content  no: none of these hashes was searched for")?,
        None if asked => {
            output.say("  same content  not known: the deployment's secret is another one since")?
        }
        None => {}
    }
    output.say(format!("  recorded      until {} UTC", date(listing.kept_until)))?;
    Ok(())
}
