//! `vigie item add BANK --hashes FILE`: adds the items of a file of hashes.

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::cli::ItemAddArgs;
use crate::commands::bank_address::connect;
use crate::commands::banks::adding::{Adding, Done, add};
use crate::commands::banks::hash_source::{BadLines, HashSource, show_left_out};
use crate::commands::banks::item_details::Said;
use crate::commands::stop::StopRequests;
use crate::commands::vectors::declared_types;
use crate::output::{Exit, Output, counted};

pub(crate) async fn run(args: ItemAddArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let path = args.hashes.context("--hashes is missing")?;
    let said = Said::of(args.origin, &args.details)?;
    match &args.reading.hash_type {
        // A dry run reads the file locally, but only the bank knows declared hash types.
        Some(name) if args.dry_run => drop(declared_types::resolve(name, &args.address, output).await?),
        None if args.dry_run => {}
        Some(_) | None => declared_types::hear(&args.address, output).await?,
    }
    let source = HashSource::new(&path, &args.reading, args.labels)?;
    let mut bad_lines = BadLines::begin(args.reading.rejects.as_deref())?;
    if args.dry_run {
        return survey(&source, &mut bad_lines, output).await;
    }
    if args.strict {
        check(&source, &mut bad_lines, output).await?;
    }
    let (client, deadline) = connect(&args.address, output)?;
    let mut requests = StopRequests::listen();
    // This call comes before the file is read, so that an unknown bank is reported at once.
    client.get_bank(&args.bank, deadline).await?;
    let adding = Adding {
        client: &client,
        bank: &args.bank,
        timeout_ms: args.address.timeout_ms,
        said: &said,
        source,
        after: args.after_line,
        choice: None,
        again: |line| format!("--after-line {line} goes on there, and adds those again"),
    };
    let done = add(adding, &mut bad_lines, &mut requests, output).await?;
    report(&done, bad_lines.count(), &path, &args.bank.to_string(), output)
}

fn report(done: &Done, bad_lines: u64, path: &Path, bank: &str, output: &mut Output) -> anyhow::Result<Exit> {
    let Done { added, known, last_line, sequence, is_stopped, left_out, .. } = done;
    let sequence = sequence.map_or(0, |sequence| sequence.0);
    let (items, bad) = (counted(*added, "item"), counted(bad_lines, "bad line"));
    let there = if *known > 0 { format!("; {known} there already") } else { String::new() };
    output.say(format!("added {items} to {bank} (sequence {sequence}){there}; {bad}"))?;
    if *is_stopped {
        output.object(&serde_json::json!({
            "added": added, "known": known, "bad_lines": bad_lines, "sequence": sequence,
            "stopped_after_line": last_line,
        }))?;
        output.note(format!(
            "stopped after line {last_line} of {}: the same command with --after-line {last_line} adds the rest",
            path.display()
        ));
        return Ok(Exit::Interrupted);
    }
    show_left_out(left_out, output);
    output.object(&serde_json::json!({
        "added": added, "known": known, "bad_lines": bad_lines, "sequence": sequence,
        "withdrawn": left_out.withdrawn, "unknown": left_out.unknown
    }))?;
    let is_empty = *added == 0 && *known == 0;
    if is_empty {
        output.note(format!("{} holds no item", path.display()));
    }
    Ok(if bad_lines > 0 || is_empty { Exit::SomeInputsFailed } else { Exit::Done })
}

/// Reads the whole file and prints the counts of its contents.
async fn survey(source: &HashSource, bad_lines: &mut BadLines, output: &mut Output) -> anyhow::Result<Exit> {
    let surveyed = source.survey(bad_lines, output).await?;
    surveyed.show(source.path(), bad_lines, output)?;
    Ok(if bad_lines.count() == 0 && surveyed.survey.items > 0 { Exit::Done } else { Exit::SomeInputsFailed })
}

/// Reads the whole file, and fails if any line is bad.
async fn check(source: &HashSource, bad_lines: &mut BadLines, output: &mut Output) -> anyhow::Result<()> {
    if source.is_standard_input() {
        bail!("--strict reads the file twice, so it cannot be standard input");
    }
    source.survey(bad_lines, output).await?;
    if bad_lines.count() > 0 {
        let bad = counted(bad_lines.count(), "bad line");
        bail!("{} has {bad}, so nothing was added", source.path().display());
    }
    Ok(())
}
