//! `vigie match`: are these images known?
//!
//! Every file gets one line of JSON, whatever becomes of it: what was found, as far as was searched, and the error of
//! the call if it failed. After a failure that is not the file's, such as an unknown bank, no further file is asked.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::path::Path;

use anyhow::Context as _;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use vigie_clients::{CallError, Code, MatchClient, partial_match};
use vigie_model::{
    Content, Coverage, HashType, Limit, MatchCall, Matched, MaxDistances, MinCoverage, Quality,
    SearchOptions, Sequence,
};

use crate::cli::MatchArgs;
use crate::commands::content::folders::find_files;
use crate::commands::content::image_file;
use crate::commands::deadline::deadline;
use crate::commands::lines::{FailedFileLine, MatchLine, SkippedObject};
use crate::output::{
    ErrorLine, Exit, NOT_FOUND_HINT, Output, Printed, code_name, counted, exit_of, sentence,
};

/// Images that are on their way at once: enough to keep a small cluster busy, few enough not to be refused.
const AT_ONCE: usize = 8;

pub(crate) async fn run(args: MatchArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let options = SearchOptions {
        banks: args.banks,
        max_distances: match args.max_distance {
            Some(bits) => MaxDistances::default().with(HashType::PDQ, bits).context("--max-distance")?,
            None => MaxDistances::default(),
        },
        limit: Limit::new(args.limit).context("--limit")?,
        min_sequence: Sequence(args.min_sequence),
        min_coverage: MinCoverage::new(args.min_coverage).context("--min-coverage")?,
    };
    let frontend = &args.frontend.frontend;
    let client = MatchClient::new_on(&[frontend], &args.frontend.tls.network(&[frontend])?)?;
    let files = find_files(&args.paths, output)?;
    let progress = output.progress(u64::try_from(files.len())?, "matching");
    let timeout_ms = args.frontend.timeout_ms;
    let (client, options) = (&client, &options);
    let mut asked = stream::iter(&files)
        .map(|path| async move { (path, ask(client, path, options.clone(), timeout_ms).await) })
        .buffered(AT_ONCE);

    let mut summary = Summary::default();
    let mut told = 0;
    while let Some((path, outcome)) = asked.next().await {
        let file = path.display().to_string();
        summary.add(&outcome);
        progress.suspend(|| print(output, &file, &outcome))?;
        progress.inc(1);
        told += 1;
        if matches!(outcome, Outcome::Failed { of_all: true, .. }) {
            break;
        }
    }
    drop(asked);
    progress.finish_and_clear();
    let not_asked = &files[told..];
    for path in not_asked {
        let error = ErrorLine { code: "not_asked".to_owned(), message: "the call before failed".to_owned() };
        output.object(&FailedFileLine { file: &path.display().to_string(), error })?;
    }
    if !not_asked.is_empty() {
        let count = counted(u64::try_from(not_asked.len())?, "file");
        output.note(format!("stopped there, since others would fail likewise: {count} not asked"));
    }
    output.say(summary.line())?;
    Ok(summary.exit(args.exit_code))
}

/// What came of one file.
enum Outcome {
    /// Searched, by as many shards as were asked for.
    Found { matched: Matched, coverage: Coverage },
    /// Searched by fewer, so that the call failed. The results are left out where they were too many for an error.
    Partial { matched: Option<Matched>, coverage: Coverage, code: Code, error: ErrorLine },
    /// Not searched. A failure `of_all` does not depend on the file.
    Failed { error: ErrorLine, code: Option<Code>, of_all: bool },
}

impl Outcome {
    fn of_file(error: ErrorLine) -> Self {
        Self::Failed { error, code: None, of_all: false }
    }
}

async fn ask(client: &MatchClient, path: &Path, options: SearchOptions, timeout_ms: u64) -> Outcome {
    let content = match image_file::read(path).await {
        Ok(content) => content,
        Err(error) => return Outcome::of_file(error),
    };
    let contents = vec![Content::Image(Bytes::from(content))];
    let call = MatchCall { contents, options, quality_floor: None };
    let answer = match client.match_content(call, deadline(timeout_ms)).await {
        Ok(answer) => answer,
        Err(error) => return failed(&error),
    };
    match answer.results.into_iter().next() {
        Some(Ok(matched)) => Outcome::Found { matched, coverage: answer.coverage },
        Some(Err(failure)) => {
            Outcome::of_file(ErrorLine { code: code_name(failure.code), message: failure.message })
        }
        None => Outcome::of_file(ErrorLine {
            code: "internal".to_owned(),
            message: "the answer is empty".to_owned(),
        }),
    }
}

fn failed(call: &CallError) -> Outcome {
    let code = call.code();
    let line = |message: String| ErrorLine { code: code_name(code), message };
    if let Some(partial) = partial_match(call) {
        let matched = partial.results.into_iter().next().and_then(Result::ok);
        return Outcome::Partial { matched, coverage: partial.coverage, code, error: line(call.to_string()) };
    }
    if code == Code::InvalidArgument {
        // The file is named already; where it stood in the request is of no use to a person.
        let of_the_image = call.message().strip_prefix("queries[0].image: ").unwrap_or(call.message());
        return Outcome::of_file(line(of_the_image.to_owned()));
    }
    let message = sentence(&call.clone().into());
    let unreachable = call.source().is_some();
    let of_all = unreachable || matches!(code, Code::NotFound | Code::FailedPrecondition);
    Outcome::Failed { error: line(message), code: Some(code), of_all }
}

/// The counts of all files, of which each is in one.
#[derive(Default)]
struct Summary {
    known: u64,
    /// Searched by every shard, and nothing was found.
    unknown: u64,
    /// Nothing was found, but not every shard was searched.
    open: u64,
    failed: u64,
    /// What some shards did not answer.
    gaps: BTreeSet<String>,
    /// How the first call that failed says to exit.
    lost: Option<Exit>,
}

impl Summary {
    fn add(&mut self, outcome: &Outcome) {
        let (matched, coverage, code) = match outcome {
            Outcome::Found { matched, coverage } => (Some(matched), coverage, None),
            Outcome::Partial { matched, coverage, code, .. } => (matched.as_ref(), coverage, Some(*code)),
            Outcome::Failed { code, .. } => {
                self.failed += 1;
                self.lost = self.lost.or(code.map(exit_of));
                return;
            }
        };
        self.lost = self.lost.or(code.map(exit_of));
        self.gaps.extend(gap(coverage));
        match matched {
            Some(matched) if !matched.found.matches.is_empty() => self.known += 1,
            Some(_) if coverage.is_full() => self.unknown += 1,
            _ => self.open += 1,
        }
    }

    fn line(&self) -> String {
        let Self { known, unknown, open, failed, gaps, .. } = self;
        let files = counted(known + unknown + open + failed, "file");
        let mut text = format!("{files}: {known} known, {unknown} not, {failed} failed");
        if *open > 0 {
            text.push_str(&format!(", {open} open"));
        }
        for gap in gaps {
            text.push_str("; ");
            text.push_str(gap);
        }
        text
    }

    fn exit(&self, tell_matches: bool) -> Exit {
        match self.lost {
            Some(exit) => exit,
            None if !self.gaps.is_empty() => Exit::Unavailable,
            None if self.failed > 0 => Exit::SomeInputsFailed,
            None if tell_matches && self.known > 0 => Exit::Matched,
            None => Exit::Done,
        }
    }
}

/// Which shards are missing from an answer, if any are.
fn gap(coverage: &Coverage) -> Option<String> {
    if coverage.is_full() {
        return None;
    }
    let failures = coverage.failures.iter();
    let reasons: Vec<String> =
        failures.map(|failure| format!("shard {}: {}", failure.shard, failure.reason)).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) };
    let Coverage { shards_answered, shards_total, .. } = coverage;
    Some(format!("NOT COMPLETE: {shards_answered} of {shards_total} shards answered{reasons}"))
}

fn print(output: &mut Output, file: &str, outcome: &Outcome) -> Printed {
    let (matched, coverage, error) = match outcome {
        Outcome::Found { matched, coverage } => (Some(matched), coverage, None),
        Outcome::Partial { matched, coverage, error, .. } => (matched.as_ref(), coverage, Some(error)),
        Outcome::Failed { error, code, .. } => {
            output.note(format!("{file}: {}", error.message));
            if *code == Some(Code::NotFound) {
                output.note(NOT_FOUND_HINT);
            }
            return output.object(&FailedFileLine { file, error: error.clone() });
        }
    };
    output.object(&line(file, matched, coverage, error))?;
    let gap = gap(coverage).map(|gap| format!("; {gap}")).unwrap_or_default();
    let Some(matched) = matched else {
        return output.say(format!("{file}: what was found is too much for an error{gap}"));
    };
    let poor = matched.searches.iter().any(|one| one.skipped.is_some());
    let caveat = match (poor, matched.pdq_quality) {
        (true, Some(quality)) => format!(
            " (quality {quality} is below {}: only exact copies can be recognised)",
            matched.quality_floor
        ),
        _ => String::new(),
    };
    let approximate = approximate(matched);
    let missed = if approximate.is_empty() {
        String::new()
    } else {
        format!(" (approximately: a match by {} may have been missed)", approximate.join(" or "))
    };
    if matched.found.matches.is_empty() {
        let said = if gap.is_empty() && approximate.is_empty() { "not known" } else { "nothing found" };
        let Coverage { hashes_searched, sequence_min, .. } = coverage;
        output.say(format!(
            "{file}: {said}, {hashes_searched} hashes searched as of {sequence_min}{missed}{caveat}{gap}"
        ))?;
    }
    for found in &matched.found.matches {
        let reference = found.external_reference.as_deref().map_or(String::new(), |text| format!(", {text}"));
        let labels = if found.labels.is_empty() {
            String::new()
        } else {
            format!(", labels {}", found.labels.join(" "))
        };
        output.say(format!(
            "{file}: KNOWN, item {} of {}{reference}{labels}: {} at distance {} ({}){missed}{caveat}{gap}",
            found.item, found.bank_name, found.hash_type, found.distance, found.variant
        ))?;
    }
    if matched.found.limit_reached {
        output.say(format!("{file}: there are more matches; see --limit"))?;
    }
    Ok(())
}

/// The hash types whose index may have missed a match.
fn approximate(matched: &Matched) -> Vec<String> {
    let searched = matched.searches.iter().filter(|one| !one.exact && one.skipped.is_none());
    searched.map(|one| one.hash_type.to_string()).collect()
}

fn line<'a>(
    file: &'a str,
    matched: Option<&Matched>,
    coverage: &Coverage,
    error: Option<&ErrorLine>,
) -> MatchLine<'a> {
    let searches = matched.iter().flat_map(|matched| &matched.searches);
    MatchLine {
        file,
        matches: matched.iter().flat_map(|matched| &matched.found.matches).map(Into::into).collect(),
        limit_reached: matched.is_some_and(|matched| matched.found.limit_reached),
        quality: matched.and_then(|matched| matched.pdq_quality).map(Quality::get),
        skipped: searches.filter_map(|one| Some(SkippedObject::new(one.hash_type, one.skipped?))).collect(),
        approximate: matched.map(approximate).unwrap_or_default(),
        coverage: coverage.into(),
        sequence: coverage.sequence_min.0,
        results_omitted: matched.is_none(),
        error: error.cloned(),
    }
}
