//! `vigie match`: are these images known?
//!
//! Every file gets one line of JSON, whatever becomes of it: what was found, as far as was searched, and the error of
//! the call if it failed. After a failure that is not the file's, such as an unknown bank, no further file is asked.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use vigie_clients::{CallError, Code, MatchClient, partial_match};
use vigie_model::{
    Content, Coverage, DecodeFailure, Decoded, HashType, Limit, MatchCall, Matched, MaxDistances,
    MinCoverage, Quality, Rendition, SearchOptions, Sequence, Source, UnixMillis, Way,
};

use crate::cli::MatchArgs;
use crate::commands::content::folders::find_files;
use crate::commands::content::image_file;
use crate::commands::deadline::deadline;
use crate::commands::lines::{FailedFileLine, FramesObject, MatchLine, SkippedObject, decode_failure};
use crate::output::{
    ErrorLine, Exit, NOT_FOUND_HINT, Output, Printed, code_name, counted, exit_of, exit_of_call, sentence,
    style,
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
    if let Some(warning) = summary.age_warning(args.warn_age, SystemTime::now()) {
        output.note(warning);
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
    Failed { error: ErrorLine, code: Option<Code>, exit: Option<Exit>, of_all: bool },
}

impl Outcome {
    fn of_file(error: ErrorLine) -> Self {
        Self::Failed { error, code: None, exit: None, of_all: false }
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
    Outcome::Failed { error: line(message), code: Some(code), exit: Some(exit_of_call(call)), of_all }
}

/// The counts of all files, of which each is in one.
#[derive(Default)]
struct Summary {
    known: u64,
    /// Searched by every shard, and nothing was found.
    unknown: u64,
    /// Nothing was found, but not everything was searched: a shard, the picture, or some of its frames.
    open: u64,
    /// Files whose picture could not be decoded, and whose digests found nothing.
    undecoded: u64,
    failed: u64,
    /// What some shards did not answer.
    gaps: BTreeSet<String>,
    /// How the first call that failed says to exit.
    lost: Option<Exit>,
    /// The oldest time at which the bank was last heard to have nothing newer.
    heard: Option<UnixMillis>,
}

impl Summary {
    fn add(&mut self, outcome: &Outcome) {
        let (matched, coverage, code) = match outcome {
            Outcome::Found { matched, coverage } => (Some(matched), coverage, None),
            Outcome::Partial { matched, coverage, code, .. } => (matched.as_ref(), coverage, Some(*code)),
            Outcome::Failed { exit, .. } => {
                self.failed += 1;
                self.lost = self.lost.or(*exit);
                return;
            }
        };
        self.lost = self.lost.or(code.map(exit_of));
        self.gaps.extend(gap(coverage));
        self.heard = self.heard.into_iter().chain(coverage.as_of.heard).min();
        // A file that its digests have found needs no picture.
        let is_undecoded =
            |matched: &Matched| undecoded(matched).is_some() && matched.found.matches.is_empty();
        self.undecoded += u64::from(matched.is_some_and(is_undecoded));
        match matched {
            Some(matched) if !matched.found.matches.is_empty() => self.known += 1,
            Some(matched) if coverage.is_full() && is_whole(matched) => self.unknown += 1,
            _ => self.open += 1,
        }
    }

    fn line(&self) -> String {
        let Self { known, unknown, open, failed, undecoded, gaps, .. } = self;
        let files = counted(known + unknown + open + failed, "file");
        let mut text = format!("{files}: {known} known, {unknown} not, {failed} failed");
        if *open > 0 {
            text.push_str(&format!(", {open} open"));
        }
        if *undecoded > 0 {
            text.push_str(&format!("; {} could not be decoded", counted(*undecoded, "picture")));
        }
        for gap in gaps {
            text.push_str("; ");
            text.push_str(gap);
        }
        text
    }

    /// What is to be said of the age of the answers: the oldest may lack what was added since.
    fn age_warning(&self, warn_age: u64, now: SystemTime) -> Option<String> {
        let heard = SystemTime::UNIX_EPOCH + Duration::from_millis(self.heard?.0);
        // A clock that is behind makes no answer old.
        let age = now.duration_since(heard).unwrap_or_default().as_secs();
        (warn_age > 0 && age > warn_age).then(|| {
            format!(
                "warning: the answers are {age} s old: what was added to the bank since then is not in them"
            )
        })
    }

    fn exit(&self, tell_matches: bool) -> Exit {
        match self.lost {
            Some(exit) => exit,
            None if !self.gaps.is_empty() => Exit::Unavailable,
            None if self.failed > 0 || self.undecoded > 0 => Exit::SomeInputsFailed,
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
    let caveat = not_searched(matched);
    let approximate = approximate(matched);
    let missed = if approximate.is_empty() {
        String::new()
    } else {
        format!(" (approximately: a match by {} may have been missed)", approximate.join(" or "))
    };
    if matched.found.matches.is_empty() {
        let is_full = gap.is_empty() && approximate.is_empty() && is_whole(matched);
        let said = if is_full { "not known" } else { "nothing found" };
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
            "{file}: {}, item {} of {}{reference}{labels}: {} at distance {} ({}{}){missed}{caveat}{gap}",
            style::styled(style::BAD, "KNOWN"),
            found.item,
            found.bank_name,
            found.hash_type,
            found.distance,
            found.variant,
            seen_as(found.rendition)
        ))?;
    }
    if matched.found.limit_reached {
        output.say(format!("{file}: there are more matches; see --limit"))?;
    }
    Ok(())
}

/// Why the picture was not searched.
const fn undecoded(matched: &Matched) -> Option<&DecodeFailure> {
    match &matched.source {
        Source::Undecoded(failure) => Some(failure),
        Source::Hashed | Source::Decoded(_) => None,
    }
}

/// Whether every frame of the file was searched, so that "not known" may be said of it.
const fn is_whole(matched: &Matched) -> bool {
    match &matched.source {
        Source::Hashed => true,
        Source::Decoded(decoded) => decoded.is_whole(),
        Source::Undecoded(_) => false,
    }
}

/// Which part of the picture was not searched, for a person to read.
fn not_searched(matched: &Matched) -> String {
    let decoded = match &matched.source {
        Source::Hashed => return String::new(),
        Source::Undecoded(failure) => {
            return format!(" (searched by its digests only, not by its picture: {failure})");
        }
        Source::Decoded(decoded) => decoded,
    };
    let Decoded { frames_seen, frames_left_out, frames_below_floor, ways_left_out, .. } = *decoded;
    let floor = matched.quality_floor;
    if frames_seen == 0 {
        return " (the frontend is of a version that searches the first frame only)".to_owned();
    }
    let ways = if ways_left_out > 0 {
        format!(" ({ways_left_out} hashes of {frames_seen} frames NOT SEARCHED)")
    } else {
        String::new()
    };
    let frames = match (matched.pdq_quality, frames_left_out, frames_below_floor) {
        (Some(quality), 0, 1..) if frames_seen == 1 => {
            format!(" (quality {quality} is below {floor}: only exact copies can be recognised)")
        }
        (_, 0, 0) => String::new(),
        (_, 0, poor) => {
            format!(" ({poor} of {frames_seen} frames have a quality below {floor}: not searched)")
        }
        (_, left_out, 0) => format!(" ({frames_seen} frames searched, at least {left_out} NOT SEARCHED)"),
        (_, left_out, poor) => format!(
            " ({frames_seen} frames decoded, {poor} of them with a quality below {floor}; at least {left_out} more NOT SEARCHED)"
        ),
    };
    frames + &ways
}

/// The frame and the way of a match, where these are not the first and plain.
fn seen_as(rendition: Rendition) -> String {
    let frame = if rendition.frame > 0 { format!(", frame {}", rendition.frame) } else { String::new() };
    let way = if rendition.way == Way::Plain { String::new() } else { format!(", {}", rendition.way) };
    format!("{frame}{way}")
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
        frames: matched.and_then(|matched| FramesObject::of(&matched.source)),
        decode_failure: matched.and_then(undecoded).map(decode_failure),
        skipped: searches.filter_map(|one| Some(SkippedObject::new(one.hash_type, one.skipped?))).collect(),
        approximate: matched.map(approximate).unwrap_or_default(),
        coverage: coverage.into(),
        sequence: coverage.sequence_min.0,
        results_omitted: matched.is_none(),
        error: error.cloned(),
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::QueryMatches;

    use super::*;

    /// Whether "not known" may be said, and the caveat, of an image of so many frames.
    fn said(frames_left_out: u32, ways_left_out: u32) -> (bool, String) {
        let (width, height, frames_seen, frames_below_floor) = (8, 8, 5, 0);
        let decoded =
            Decoded { width, height, frames_seen, frames_left_out, frames_below_floor, ways_left_out };
        let matched = Matched {
            found: QueryMatches::default(),
            searches: Vec::new(),
            pdq_quality: Some(Quality::FLOOR_DEFAULT),
            quality_floor: Quality::FLOOR_DEFAULT,
            source: Source::Decoded(decoded),
        };
        (is_whole(&matched), not_searched(&matched))
    }

    #[test]
    fn what_was_left_out_is_said_and_is_not_known_to_be_absent() {
        assert_eq!(said(0, 0), (true, String::new()));
        let ways = " (7 hashes of 5 frames NOT SEARCHED)";
        assert_eq!(said(0, 7), (false, ways.to_owned()));
        let frames = " (5 frames searched, at least 2 NOT SEARCHED)";
        assert_eq!(said(2, 7), (false, format!("{frames}{ways}")));
    }

    #[test]
    fn old_answers_are_warned_of_by_the_oldest() {
        let mut summary = Summary::default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        assert_eq!(summary.age_warning(60, now), None, "nothing is known of the age");
        for heard in [990, 930, 960] {
            summary.heard = summary.heard.into_iter().chain([UnixMillis(heard * 1_000)]).min();
        }
        let warning = summary.age_warning(60, now).unwrap();
        assert!(warning.starts_with("warning: the answers are 70 s old"), "{warning}");
        assert_eq!(summary.age_warning(70, now), None);
        assert_eq!(summary.age_warning(0, now), None, "0 is never");
        assert_eq!(summary.age_warning(60, SystemTime::UNIX_EPOCH), None, "a clock that is behind");
    }
}
