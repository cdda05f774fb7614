//! `vigie match`: looks up images, videos and hashes.
//!
//! Every input gets one line of JSON: the matches, the coverage, and the error if the call failed. After a
//! failure that does not depend on the input, such as an unknown bank, no further input is looked up.

use std::error::Error as _;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context as _;
use futures::{StreamExt as _, stream};
use vigie_clients::{CallError, Code, MatchClient, partial_match};
use vigie_media::begins_as_picture;
use vigie_media::video::begins_as_video;
use vigie_model::{
    Classification, Content, Coverage, Decoded, DecodedVideo, HashType, ItemId, Limit, Match, MatchCall,
    Matched, MaxDistances, MinCoverage, Quality, Rendition, ScoreFailure, ScoreFailureKind, SearchOptions,
    Sequence, Source, VideoRule, VideoRules, Way,
};

use crate::cli::{BankAddressArgs, FrontendArgs, HashTypeName, MatchArgs};
use crate::commands::content::inputs::{Asked, Asking, Input, is_out_of_question, sources, stdin};
use crate::commands::content::match_summary::{Outcome, Summary, gap, is_whole, undecoded};
use crate::commands::content::media_file::{self, MediaFile};
use crate::commands::deadline::deadline;
use crate::commands::lines::{
    FramesObject, MatchLine, SkippedObject, Subject, UnmatchedLine, VideoObject, classifications,
    decision_words, decode_failure, likeness,
};
use crate::commands::vectors::declared_types;
use crate::hash_file::QueryHashes;
use crate::output::{
    ErrorLine, Exit, Output, Printed, code_name, counted, exit_of_call, hint, sentence, style,
};

/// Maximum number of images in flight: enough to keep a small cluster busy, few enough not to be refused.
const AT_ONCE: usize = 8;

pub(crate) async fn run(args: MatchArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let options = SearchOptions {
        banks: args.banks,
        max_distances: match args.max_distance {
            Some(bits) => MaxDistances::default()
                .with(HashType::PDQ, bits)
                .and_then(|distances| distances.with(HashType::VPDQ, bits))
                .context("--max-distance")?,
            None => MaxDistances::default(),
        },
        video_rules: VideoRules::new(args.video_rules.iter().copied().map(VideoRule::usual))
            .context("--video-rule")?,
        limit: Limit::new(args.limit).context("--limit")?,
        min_sequence: Sequence(args.min_sequence),
        min_coverage: MinCoverage::new(args.min_coverage).context("--min-coverage")?,
        exact: args.exact,
        ..SearchOptions::default()
    };
    if names_types(&args.inputs) && !args.bank_urls.is_empty() {
        let FrontendArgs { timeout_ms, tls, .. } = args.frontend.clone();
        let bank_urls = args.bank_urls.clone();
        let address = BankAddressArgs { bank_urls, timeout_ms, connect_timeout_ms: 2_000, tls };
        declared_types::hear(&address, output).await?;
    }
    let frontend = &args.frontend.frontend;
    let network = args.frontend.tls.network(&[frontend])?.noticing(output.notice());
    let client = MatchClient::new_on(&[frontend], &network)?;
    let sources = sources(&args.inputs, output)?;
    // Inputs that are not looked up get a line too. The inputs of standard input are not known here.
    let subjects: Vec<Option<Subject>> = sources
        .iter()
        .map(|source| match source {
            Input::Known(asking) => Some(asking.subject.clone()),
            Input::Stdin => None,
        })
        .collect();
    let progress = output.progress(u64::try_from(sources.len())?, "matching");
    let timeout_ms = args.frontend.timeout_ms;
    let (client, options, surface, classifiers) = (&client, &options, &args.surface, &args.classifiers);
    let mut asked = stream::iter(sources.into_iter().enumerate())
        .flat_map(|(index, source)| match source {
            Input::Known(asking) => stream::iter([(index, asking)]).left_stream(),
            Input::Stdin => stdin().map(move |asking| (index, asking)).right_stream(),
        })
        .map(|(index, Asking { subject, asked })| async move {
            let call = NewCall {
                options: options.clone(),
                surface: surface.clone(),
                classifiers: classifiers.clone(),
            };
            (index, subject, ask(client, asked, call, timeout_ms).await)
        })
        .buffered(AT_ONCE);

    let mut summary = Summary::default();
    let mut not_asked: &[Option<Subject>] = &[];
    while let Some((index, subject, outcome)) = asked.next().await {
        summary.add(&subject, &outcome);
        progress.suspend(|| print(output, &subject, &outcome))?;
        progress.inc(1);
        if matches!(outcome, Outcome::Failed { of_all: true, .. }) {
            // It is not known whether standard input has more inputs.
            let is_done = subjects[index].is_some();
            not_asked = &subjects[if is_done { index + 1 } else { index }..];
            break;
        }
    }
    drop(asked);
    progress.finish_and_clear();
    for subject in not_asked.iter().flatten() {
        let error = ErrorLine { code: "not_asked".to_owned(), message: "the call before failed".to_owned() };
        output.object(&UnmatchedLine { subject, error })?;
    }
    if !not_asked.is_empty() {
        let known = not_asked.iter().flatten();
        let all_files = known.clone().all(|subject| matches!(subject, Subject::File { .. }));
        let count = counted(u64::try_from(known.count())?, if all_files { "file" } else { "input" });
        let stdin = if not_asked.contains(&None) { ", nor the rest of standard input" } else { "" };
        output.note(format!(
            "stopped, because further calls would fail in the same way: {count} not asked{stdin}"
        ));
    }
    if let Some(warning) = summary.age_warning(args.warn_age, SystemTime::now()) {
        output.note(warning);
    }
    output.say(summary.line())?;
    Ok(summary.exit(args.exit_code))
}

/// Returns whether an input may name a hash type that is not in the built-in table: lines of standard input
/// may, and hashes with a type name before them.
fn names_types(inputs: &[PathBuf]) -> bool {
    let name = |input: &PathBuf| input.to_str()?.split_once(':')?.0.parse::<HashTypeName>().ok();
    let is_unknown = |input: &PathBuf| name(input).is_some_and(|name| name.resolve().is_err());
    inputs.iter().any(|input| input.as_os_str() == "-" || is_unknown(input))
}

/// The settings that all calls share.
struct NewCall {
    options: SearchOptions,
    surface: Box<str>,
    classifiers: Vec<Box<str>>,
}

async fn ask(client: &MatchClient, asked: Asked, call: NewCall, timeout_ms: u64) -> Outcome {
    let NewCall { options, surface, classifiers } = call;
    let mut is_no_image = false;
    let content = match asked {
        Asked::Hashes(QueryHashes { hashes, quality }) => Content::Hashed { hashes, pdq_quality: quality },
        Asked::Image(content) => Content::Image(content),
        Asked::Wrong(error) => return Outcome::of_file(error),
        Asked::Video(content) => Content::Video(content),
        Asked::File(file) => match media_file::read(&file.path, begins_as_video).await {
            Ok(MediaFile::Video(content)) => Content::Video(content.into()),
            Ok(MediaFile::Other(content)) if file.in_folder && is_out_of_question(&content) => {
                let message = "it is no image, and empty or too large to be asked about".to_owned();
                return Outcome::LeftOut(ErrorLine { code: "no_image".to_owned(), message });
            }
            Ok(MediaFile::Other(content)) => {
                is_no_image = file.in_folder && !begins_as_picture(&content);
                Content::Image(content.into())
            }
            Err(error) => return Outcome::of_file(error),
        },
    };
    let is_video = matches!(content, Content::Video(_));
    let contents = vec![content];
    // Videos are looked up by another method, and classifiers do not read videos.
    let unread: Vec<Box<str>> = if is_video { classifiers.clone() } else { Vec::new() };
    let classifiers = if is_video { Vec::new() } else { classifiers };
    let call = MatchCall { contents, options, quality_floor: None, surface, classifiers };
    let asked = if is_video {
        client.match_video(call, deadline(timeout_ms)).await
    } else {
        client.match_content(call, deadline(timeout_ms)).await
    };
    let answer = match asked {
        Ok(answer) => answer,
        Err(error) => return failed(&error),
    };
    match answer.results.into_iter().next() {
        Some(Ok(mut matched)) => {
            matched.classifications.extend(unread.into_iter().map(no_video));
            Outcome::Found { matched, coverage: answer.coverage, is_no_image }
        }
        Some(Err(failure)) => {
            Outcome::of_file(ErrorLine { code: code_name(failure.code), message: failure.message })
        }
        None => Outcome::of_file(ErrorLine {
            code: "internal".to_owned(),
            message: "the answer is empty".to_owned(),
        }),
    }
}

/// Returns the result of a classifier for a video: no score, and the reason.
fn no_video(model: Box<str>) -> Classification {
    let unavailable = ScoreFailure::new(ScoreFailureKind::Content, "classifiers read no videos");
    let (scores, unavailable) = (Vec::new(), Some(unavailable));
    Classification { model, version: 0, is_shadow: false, scores, unavailable }
}

fn failed(call: &CallError) -> Outcome {
    let code = call.code();
    let line = |message: String| ErrorLine { code: code_name(code), message };
    if let Some(partial) = partial_match(call) {
        let matched = partial.results.into_iter().next().and_then(Result::ok);
        return Outcome::Partial { matched, coverage: partial.coverage, code, error: line(call.to_string()) };
    }
    if code == Code::InvalidArgument {
        // The output names the file already, so the field's path in the request is removed.
        let of_the_image = ["queries[0].image: ", "queries[0].video: ", "content: "]
            .iter()
            .find_map(|field| call.message().strip_prefix(field))
            .unwrap_or(call.message());
        return Outcome::of_file(line(of_the_image.to_owned()));
    }
    let message = sentence(&call.clone().into());
    let unreachable = call.source().is_some();
    let of_all = unreachable
        || matches!(
            code,
            Code::NotFound
                | Code::FailedPrecondition
                | Code::Unimplemented
                | Code::PermissionDenied
                | Code::Unauthenticated
        );
    Outcome::Failed { error: line(message), hint: hint(call), exit: Some(exit_of_call(call)), of_all }
}

fn print(output: &mut Output, subject: &Subject, outcome: &Outcome) -> Printed {
    let file = subject;
    let (matched, coverage, error) = match outcome {
        Outcome::Found { matched, coverage, is_no_image } => {
            if *is_no_image && matched.found.matches.is_empty() && coverage.is_full() {
                return output.object(&line(subject, Some(matched), coverage, None));
            }
            (Some(matched), coverage, None)
        }
        Outcome::LeftOut(error) => {
            return output.object(&UnmatchedLine { subject, error: error.clone() });
        }
        Outcome::Partial { matched, coverage, error, .. } => (matched.as_ref(), coverage, Some(error)),
        Outcome::Failed { error, hint, .. } => {
            output.note(format!("{}: {}", subject.in_errors(), error.message));
            if let Some(hint) = hint {
                output.note(hint);
            }
            return output.object(&UnmatchedLine { subject, error: error.clone() });
        }
    };
    output.object(&line(subject, matched, coverage, error))?;
    let gap = gap(coverage).map(|gap| format!("; {gap}")).unwrap_or_default();
    let Some(matched) = matched else {
        return output.say(format!("{file}: the matches are too large to be sent with the error{gap}"));
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
        let known = style::styled(style::BAD, "KNOWN");
        output.say(format!("{file}: {known}, {}{missed}{caveat}{gap}", described(found)))?;
    }
    if let Some(decided) = &matched.decision {
        output.say(format!("{file}: {}", decision_words(decided)))?;
    }
    for line in matched.classifications.iter().flat_map(classifications::words) {
        output.say(format!("{file}: {line}"))?;
    }
    if matched.near_budget_spent {
        let text = "a match repeats an earlier answer: your member's budget of near queries of that item is spent for today";
        output.say(format!("{file}: {text}"))?;
    }
    if matched.found.is_cut() {
        output.say(format!(
            "{file}: {} more were left out, because the answer would have been too large; ask about fewer files at once, or in fewer banks",
            matched.found.left_out
        ))?;
    } else if matched.found.limit_reached {
        output.say(format!("{file}: there are more matches; see --limit"))?;
    }
    Ok(())
}

/// Describes an item that matched, and how near it is, for a person.
fn described(found: &Match) -> String {
    let reference = found.external_reference.as_deref().map_or(String::new(), |text| format!(", {text}"));
    // A bank that another member shares without details gives item id 0.
    let item = if found.item == ItemId(0) { "an item".to_owned() } else { format!("item {}", found.item) };
    let labels =
        if found.labels.is_empty() { String::new() } else { format!(", labels {}", found.labels.join(" ")) };
    format!(
        "{item} of {}{reference}{labels}: {} ({}{})",
        found.bank_name,
        likeness(found),
        found.variant,
        seen_as(found.rendition)
    )
}

/// Describes which part of the picture was not searched, for a person.
fn not_searched(matched: &Matched) -> String {
    let decoded = match &matched.source {
        Source::Hashed => return String::new(),
        Source::Undecoded(failure) => {
            return format!(" (searched by its digests only, not by its picture: {failure})");
        }
        Source::Decoded(decoded) => decoded,
        Source::Video(video) => return video_not_searched(video, matched.found.common_frames),
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

/// Describes which part of a video was not searched, for a person.
fn video_not_searched(video: &DecodedVideo, common_frames: u32) -> String {
    let DecodedVideo { frames_seen, frames_below_floor, seen_until_ms, partial, .. } = *video;
    let mut text = partial.map_or_else(String::new, |reason| {
        let seconds = seen_until_ms / 1_000;
        format!(" (searched up to {seconds} s, the rest NOT SEARCHED: {})", reason.name())
    });
    if frames_below_floor == frames_seen {
        text.push_str(" (no frame has enough detail: only exact copies can be recognised)");
    } else if frames_below_floor > 0 {
        text.push_str(&format!(
            " ({frames_below_floor} of {frames_seen} frames have too little detail: not searched)"
        ));
    }
    if common_frames > 0 {
        text.push_str(&format!(
            " ({common_frames} frames are in so many known videos that not all of these were compared)"
        ));
    }
    text
}

/// Names the frame and the way of a match, unless they are the first frame and the plain way.
fn seen_as(rendition: Rendition) -> String {
    let frame = if rendition.frame > 0 { format!(", frame {}", rendition.frame) } else { String::new() };
    let way = if rendition.way == Way::Plain { String::new() } else { format!(", {}", rendition.way) };
    format!("{frame}{way}")
}

/// Returns the hash types whose index may have missed a match.
fn approximate(matched: &Matched) -> Vec<String> {
    let searched = matched.searches.iter().filter(|one| !one.exact && one.skipped.is_none());
    searched.map(|one| one.hash_type.to_string()).collect()
}

fn line<'a>(
    subject: &'a Subject,
    matched: Option<&Matched>,
    coverage: &Coverage,
    error: Option<&ErrorLine>,
) -> MatchLine<'a> {
    let searches = matched.iter().flat_map(|matched| &matched.searches);
    MatchLine {
        subject,
        matches: matched.iter().flat_map(|matched| &matched.found.matches).map(Into::into).collect(),
        limit_reached: matched.is_some_and(|matched| matched.found.limit_reached),
        matches_left_out: matched.map_or(0, |matched| matched.found.left_out),
        near_budget_spent: matched.is_some_and(|matched| matched.near_budget_spent),
        decision: matched.and_then(|matched| matched.decision.as_ref()).map(Into::into),
        classifications: matched
            .iter()
            .flat_map(|matched| &matched.classifications)
            .map(Into::into)
            .collect(),
        quality: matched.and_then(|matched| matched.pdq_quality).map(Quality::get),
        frames: matched.and_then(|matched| FramesObject::of(&matched.source)),
        video: matched.and_then(|matched| VideoObject::of(&matched.source)),
        common_frames: matched.map_or(0, |matched| matched.found.common_frames),
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
    use vigie_model::{BankId, Distance, QueryMatches, Variant};

    use super::*;

    /// Returns whether the image may be called "not known", and the caveat, for these numbers of frames and
    /// ways that were left out.
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
            near_budget_spent: false,
            decision: None,
            classifications: Vec::new(),
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
    fn a_still_of_a_video_is_described_with_the_time_of_its_frame() {
        let mut found = Match {
            item: ItemId(2),
            bank: BankId(1),
            bank_name: "films".parse().unwrap(),
            external_reference: Some("known.mp4".into()),
            labels: ["a".into(), "b".into()].into(),
            hash_type: HashType::PDQ,
            distance: Distance(4),
            variant: Variant::FlipX,
            exact: true,
            other_matches: 0,
            rendition: Rendition { frame: 0, way: Way::Unbordered },
            added_at: None,
            facts: None,
            item_time_ms: Some(3_725_900),
            video: None,
        };
        let item = "item 2 of films, known.mp4, labels a b: pdq at distance 4";
        assert_eq!(described(&found), format!("{item} from the frame at 1:02:05 (flip-x, unbordered)"));
        found.item_time_ms = None;
        assert_eq!(described(&found), format!("{item} (flip-x, unbordered)"));
        found.item_time_ms = Some(0);
        assert_eq!(described(&found), format!("{item} from the frame at 0:00 (flip-x, unbordered)"));
    }
}
