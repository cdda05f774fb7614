//! Counts the outcomes of `vigie match`, and derives its last line and its exit code.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use vigie_clients::Code;
use vigie_model::{Coverage, DecodeFailure, Matched, Source, UnixMillis};

use crate::commands::lines::Subject;
use crate::output::{ErrorLine, Exit, counted, counted_as, exit_of};

/// The outcome of one input.
pub(crate) enum Outcome {
    /// Searched by as many shards as requested. A file that was found in a folder may be something other than
    /// an image.
    Found { matched: Matched, coverage: Coverage, is_no_image: bool },
    /// A file that was found in a folder and is not an image. It was not looked up, for this reason.
    LeftOut(ErrorLine),
    /// Searched by fewer shards than requested, so the call failed. The results are left out if they are too
    /// large for an error.
    Partial { matched: Option<Matched>, coverage: Coverage, code: Code, error: ErrorLine },
    /// Not searched. With `of_all`, the failure does not depend on the input.
    Failed { error: ErrorLine, hint: Option<String>, exit: Option<Exit>, of_all: bool },
}

impl Outcome {
    pub(crate) fn of_file(error: ErrorLine) -> Self {
        Self::Failed { error, hint: None, exit: None, of_all: false }
    }
}

/// The counts of all inputs. Each input counts for one outcome.
#[derive(Default)]
pub(crate) struct Summary {
    /// Number of all inputs that are not files.
    hashes: u64,
    known: u64,
    /// Every shard searched, and nothing was found.
    unknown: u64,
    /// Nothing was found, but not everything was searched: a shard, the picture, or some of its frames is
    /// missing.
    open: u64,
    /// Number of files whose picture could not be decoded, and whose digests did not match.
    undecoded: u64,
    /// Number of files in folders that are not images, and did not match.
    no_images: u64,
    failed: u64,
    /// Descriptions of the shards that did not answer.
    gaps: BTreeSet<String>,
    /// The exit code for the first call that failed.
    lost: Option<Exit>,
    /// The earliest time at which the bank was last known to have nothing newer, over all answers.
    heard: Option<UnixMillis>,
}

impl Summary {
    /// Adds the outcome of one input.
    pub(crate) fn add(&mut self, subject: &Subject, outcome: &Outcome) {
        self.hashes += u64::from(!matches!(subject, Subject::File { .. }));
        let (matched, coverage, code) = match outcome {
            Outcome::Found { matched, coverage, is_no_image } => {
                if *is_no_image && matched.found.matches.is_empty() && coverage.is_full() {
                    self.no_images += 1;
                    return;
                }
                (Some(matched), coverage, None)
            }
            Outcome::LeftOut(_) => {
                self.no_images += 1;
                return;
            }
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
        // If the digests of a file matched, its picture need not be decoded.
        let is_undecoded =
            |matched: &Matched| undecoded(matched).is_some() && matched.found.matches.is_empty();
        self.undecoded += u64::from(matched.is_some_and(is_undecoded));
        match matched {
            Some(matched) if !matched.found.matches.is_empty() => self.known += 1,
            Some(matched) if coverage.is_full() && is_whole(matched) => self.unknown += 1,
            _ => self.open += 1,
        }
    }

    /// Returns the counts as a line for a person.
    pub(crate) fn line(&self) -> String {
        let Self { hashes, known, unknown, open, failed, undecoded, no_images, gaps, .. } = self;
        let files = known + unknown + open + failed - hashes;
        let inputs = match (files, hashes) {
            (_, 0) => counted(files, "file"),
            (0, hashes) => counted_as(*hashes, "hash", "hashes"),
            (files, hashes) => {
                format!("{}, {}", counted(files, "file"), counted_as(*hashes, "hash", "hashes"))
            }
        };
        let mut text = format!("{inputs}: {known} known, {unknown} not, {failed} failed");
        if *open > 0 {
            text.push_str(&format!(", {open} open"));
        }
        if *undecoded > 0 {
            text.push_str(&format!("; {} could not be decoded", counted(*undecoded, "picture")));
        }
        if *no_images > 0 {
            let (files, verb) =
                (counted(*no_images, "more file"), if *no_images == 1 { "is" } else { "are" });
            text.push_str(&format!("; {files} in folders {verb} no image and not known"));
        }
        for gap in gaps {
            text.push_str("; ");
            text.push_str(gap);
        }
        text
    }

    /// Returns a warning about the age of the answers: the oldest may lack recently added items.
    pub(crate) fn age_warning(&self, warn_age: u64, now: SystemTime) -> Option<String> {
        let heard = SystemTime::UNIX_EPOCH + Duration::from_millis(self.heard?.0);
        // A clock that is behind gives an age of 0.
        let age = now.duration_since(heard).unwrap_or_default().as_secs();
        (warn_age > 0 && age > warn_age).then(|| {
            format!(
                "warning: the answers are {age} s old: what was added to the bank since then is not in them"
            )
        })
    }

    /// Returns the exit code. With `match_decides`, a match takes precedence over failures.
    pub(crate) fn exit(&self, match_decides: bool) -> Exit {
        match self.lost {
            _ if match_decides && self.known > 0 => Exit::Matched,
            Some(exit) => exit,
            None if !self.gaps.is_empty() => Exit::Unavailable,
            None if self.failed > 0 || self.undecoded > 0 => Exit::SomeInputsFailed,
            None => Exit::Done,
        }
    }
}

/// Describes which shards are missing from an answer; `None` if none are.
pub(crate) fn gap(coverage: &Coverage) -> Option<String> {
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

/// Returns the reason why the picture was not searched, if it was not.
pub(crate) const fn undecoded(matched: &Matched) -> Option<&DecodeFailure> {
    match &matched.source {
        Source::Undecoded(failure) => Some(failure),
        Source::Hashed | Source::Decoded(_) | Source::Video(_) => None,
    }
}

/// Returns whether every frame of the file was searched, so that it may be called "not known".
pub(crate) const fn is_whole(matched: &Matched) -> bool {
    match &matched.source {
        Source::Hashed => true,
        Source::Decoded(decoded) => decoded.is_whole(),
        Source::Video(video) => video.is_whole() && matched.found.common_frames == 0,
        Source::Undecoded(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::{DecodeFailureKind, Quality, QueryMatches};

    use super::*;

    /// The outcome of a file that could not be decoded and did not match, from a cluster whose shards all
    /// answered.
    fn undecodable(is_no_image: bool) -> Outcome {
        let failure = DecodeFailure { kind: DecodeFailureKind::UnknownFormat, message: String::new() };
        let matched = Matched {
            found: QueryMatches::default(),
            searches: Vec::new(),
            pdq_quality: None,
            quality_floor: Quality::FLOOR_DEFAULT,
            source: Source::Undecoded(failure),
            near_budget_spent: false,
            decision: None,
            classifications: Vec::new(),
        };
        let coverage = Coverage { shards_total: 1, shards_answered: 1, ..Coverage::default() };
        Outcome::Found { matched, coverage, is_no_image }
    }

    fn file() -> Subject {
        Subject::File { file: "a".to_owned() }
    }

    #[test]
    fn what_is_no_image_in_a_folder_is_counted_and_no_failure() {
        let mut summary = Summary::default();
        summary.add(&file(), &undecodable(true));
        let too_large = ErrorLine { code: "too_large_input".to_owned(), message: String::new() };
        summary.add(&file(), &Outcome::LeftOut(too_large));
        assert_eq!(summary.exit(false), Exit::Done);
        let line = summary.line();
        assert!(line.ends_with("; 2 more files in folders are no image and not known"), "{line}");
        summary.add(&file(), &undecodable(false));
        assert_eq!(summary.exit(false), Exit::SomeInputsFailed);
    }

    #[test]
    fn a_match_decides_the_exit_code_whatever_else_happened() {
        let mut summary =
            Summary { known: 1, failed: 2, lost: Some(Exit::Unavailable), ..Summary::default() };
        summary.gaps.insert("shard 1".to_owned());
        assert_eq!((summary.exit(true), summary.exit(false)), (Exit::Matched, Exit::Unavailable));
        summary.known = 0;
        assert_eq!(summary.exit(true), Exit::Unavailable);
    }

    #[test]
    fn files_and_hashes_are_counted_apart() {
        let mut summary = Summary::default();
        let wrong = || Outcome::of_file(ErrorLine { code: "bad_line".to_owned(), message: String::new() });
        summary.add(&file(), &wrong());
        assert!(summary.line().starts_with("1 file: "), "{}", summary.line());
        summary.add(&Subject::Line { line: 1, name: None }, &wrong());
        summary.add(&Subject::Hash { hash: "ab".to_owned() }, &wrong());
        assert!(
            summary.line().starts_with("1 file, 2 hashes: 0 known, 0 not, 3 failed"),
            "{}",
            summary.line()
        );
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

    #[test]
    fn a_vector_is_shown_by_its_beginning_and_written_in_full() {
        let digest = format!("sha512:{}", "a".repeat(128));
        assert_eq!(Subject::Hash { hash: digest.clone() }.to_string(), digest);
        let vector = Subject::Hash { hash: format!("clip:{}", "é".repeat(2_000)) };
        assert_eq!(vector.to_string(), format!("clip:{}...", "é".repeat(35)));
        assert_eq!(
            serde_json::to_string(&vector).unwrap().chars().count(),
            2_000 + r#"{"hash":"clip:"}"#.len()
        );
    }
}
