//! The answers to a form: one for each content, in the order of the form.

use maud::{Markup, html};
use vigie_model::{Coverage, Decided, HashType, Matched, Source, UnixMillis, Verdict};

use crate::console::pages::check::asking::{Found, Outcome};
use crate::console::pages::check::classified::classified;
use crate::console::pages::check::gaps::{gaps, searched};
use crate::console::pages::check::matched::{cut, item};
use crate::console::pages::check::words::{seconds, type_name, type_names};
use crate::console::parts::{self, Tone};
use crate::console::state::Console;
use crate::console::visit::Visit;

/// The most bytes of all matches on a page. Further matches are counted and not shown.
const MATCHES_BYTES_MAX: usize = 80 << 10;

/// The content to which an answer belongs.
#[derive(Debug)]
pub(super) enum Name {
    /// A file of the form.
    File {
        /// The file name that the browser sends.
        name: String,
        /// The index of the file in the form, from 0.
        number: usize,
    },
    /// The file at the URL.
    Url,
    /// A hash.
    Hash {
        /// The first line of the hash, from 1.
        line: usize,
        /// The possible types of the hash.
        types: Vec<HashType>,
    },
}

/// The summary of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// At least one item matches.
    Known,
    /// Nothing matches, and everything was searched.
    NotKnown,
    /// Nothing matches, but not everything was searched.
    Unclear,
    /// Nothing was searched.
    Failed,
}

impl Standing {
    const ALL: [Self; 4] = [Self::Known, Self::Unclear, Self::Failed, Self::NotKnown];

    fn of(outcome: &Outcome, gaps: &[String]) -> Self {
        match outcome {
            Err(_) => Self::Failed,
            Ok(found) if !found.matched.found.matches.is_empty() => Self::Known,
            Ok(_) if gaps.is_empty() => Self::NotKnown,
            Ok(_) => Self::Unclear,
        }
    }

    const fn tone(self) -> Tone {
        match self {
            Self::Known => Tone::Bad,
            Self::NotKnown => Tone::Good,
            Self::Unclear | Self::Failed => Tone::Warn,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Known => "check.known",
            Self::NotKnown => "check.not_known",
            Self::Unclear => "check.unclear",
            Self::Failed => "check.failed",
        }
    }

    const fn count(self) -> &'static str {
        match self {
            Self::Known => "check.count.known",
            Self::NotKnown => "check.count.not_known",
            Self::Unclear => "check.count.unclear",
            Self::Failed => "check.count.failed",
        }
    }
}

/// Renders all answers, under a heading that counts them.
pub(super) fn answers(visit: &Visit, console: &Console, names: &[Name], outcomes: &[Outcome]) -> Markup {
    let now = console.clock.now();
    let recall = |hash_type| console.cluster.recall(hash_type);
    let judged: Vec<(Vec<String>, Standing)> = outcomes
        .iter()
        .map(|outcome| {
            let gaps = outcome.as_ref().map(|found| gaps(visit, recall, &found.matched, &found.coverage));
            let gaps = gaps.unwrap_or_default();
            let standing = Standing::of(outcome, &gaps);
            (gaps, standing)
        })
        .collect();
    let mut left = MATCHES_BYTES_MAX;
    html! {
        h2 #check-heading tabindex="-1" { (heading(visit, judged.iter().map(|(_, standing)| *standing))) }
        @for ((name, outcome), (gaps, standing)) in names.iter().zip(outcomes).zip(&judged) {
            (answer(visit, now, name, outcome, gaps, *standing, &mut left))
        }
    }
}

fn heading(visit: &Visit, standings: impl Iterator<Item = Standing> + Clone) -> String {
    let count = |of: Standing| standings.clone().filter(|standing| *standing == of).count() as u64;
    let counts = Standing::ALL.into_iter().filter(|of| count(*of) > 0);
    let counts: Vec<String> = counts.map(|of| visit.count(of.count(), count(of))).collect();
    visit.fill("check.answers", &[("counts", &counts.join(", "))])
}

fn answer(
    visit: &Visit,
    now: UnixMillis,
    name: &Name,
    outcome: &Outcome,
    gaps: &[String],
    standing: Standing,
    left: &mut usize,
) -> Markup {
    let (title, number) = match name {
        Name::File { name, number } if name.is_empty() => {
            (visit.fill("check.file", &[("number", &(number + 1))]), Some(*number))
        }
        Name::File { name, number } => (cut(name), Some(*number)),
        Name::Url => (visit.t("check.of_url").to_owned(), None),
        Name::Hash { line, types } => {
            let types = type_names(types.iter().copied());
            (visit.fill("check.line", &[("line", line), ("types", &types)]), None)
        }
    };
    html! {
        article.card.answer {
            @if let Some(number) = number { div.preview data-preview=(number) hidden {} }
            div.said {
                h3 { (title) }
                p.standing { (parts::badge(standing.tone(), visit.t(standing.word()))) " " (sentence(visit, outcome, standing)) }
                @if !gaps.is_empty() {
                    div.notice.warn {
                        p { strong { (visit.t(if standing == Standing::Known { "check.gaps_known" } else { "check.gaps" })) } }
                        ul { @for gap in gaps { li { (gap) } } }
                    }
                }
                @if let Ok(found) = outcome { (whole(visit, now, found, matches!(name, Name::Hash { .. }), left)) }
            }
        }
    }
}

/// Renders the answer as a sentence.
fn sentence(visit: &Visit, outcome: &Outcome, standing: Standing) -> Markup {
    match (outcome, standing) {
        (Err(problem), _) => html! { (visit.t("check.failed_because")) " " (problem.message) },
        (Ok(found), Standing::Known) => {
            let matches = &found.matched.found.matches;
            let mut banks: Vec<String> = matches.iter().map(|found| found.bank_name.to_string()).collect();
            banks.sort_unstable();
            banks.dedup();
            let items = visit.count("check.items", matches.len() as u64);
            html! { (visit.fill("check.in_banks", &[("items", &items), ("banks", &banks.join(", "))])) }
        }
        (Ok(_), Standing::NotKnown) => html! { (visit.t("check.not_known_sentence")) },
        (Ok(_), Standing::Unclear | Standing::Failed) => html! { (visit.t("check.unclear_sentence")) },
    }
}

fn whole(visit: &Visit, now: UnixMillis, found: &Found, is_hash: bool, left: &mut usize) -> Markup {
    let Found { matched, coverage } = found;
    let mut shown = Vec::new();
    for one in &matched.found.matches {
        let one = item(visit, matched, one);
        if one.0.len() > *left {
            break;
        }
        *left -= one.0.len();
        shown.push(one);
    }
    let hidden = matched.found.matches.len() - shown.len();
    html! {
        (decision(visit, matched.decision.as_ref()))
        (classified(visit, &matched.classifications))
        @if !shown.is_empty() { ol.matches { @for one in &shown { (one) } } }
        @if hidden > 0 { p { (visit.count("check.matches_hidden", hidden as u64)) } }
        @if matched.found.limit_reached || matched.found.left_out > 0 { p { (visit.t("check.more_match")) } }
        p.coverage { (covered(visit, now, coverage)) }
        details {
            summary { (visit.t("check.searched")) }
            (parts::facts(searches(visit, matched, coverage)))
            @if is_hash { p.hint { (visit.t("check.hash_as_it_is")) } }
        }
    }
}

/// Renders the decision of the policy, and its rule.
fn decision(visit: &Visit, decided: Option<&Decided>) -> Markup {
    let Some(decided) = decided else {
        return html! { p.decision { (visit.t("check.no_policy")) } };
    };
    let word = |verdict: Verdict| {
        visit.t(match verdict {
            Verdict::Allow => "check.verdict.allow",
            Verdict::Log => "check.verdict.log",
            Verdict::Review => "check.verdict.review",
            Verdict::Block => "check.verdict.block",
            Verdict::Escalate => "check.verdict.escalate",
        })
    };
    let tone = match decided.verdict {
        Verdict::Allow => Tone::Good,
        Verdict::Log => Tone::Plain,
        Verdict::Review => Tone::Warn,
        Verdict::Block | Verdict::Escalate => Tone::Bad,
    };
    html! {
        p.decision {
            (visit.t("check.policy_decides")) " " (parts::badge(tone, decided.verdict.name())) " " (word(decided.verdict)) " "
            @if decided.rule.is_empty() {
                (visit.fill("check.by_no_rule", &[("version", &decided.policy_version)]))
            } @else {
                (visit.fill("check.by_rule", &[("rule", &decided.rule), ("version", &decided.policy_version)]))
                @if decided.by_score { " " (visit.t("check.by_score")) }
            }
        }
        @if let Some(failure) = &decided.failure {
            div.notice.warn { p { (visit.t("check.policy_failed")) " " (failure) } }
        }
        @if let Some(shadow) = decided.shadow_verdict.filter(|shadow| *shadow != decided.verdict) {
            p { (visit.fill("check.shadow", &[("verdict", &shadow.name())])) }
        }
        @if decided.suppressed > 0 { p { (visit.count("check.suppressed", decided.suppressed.into())) } }
    }
}

/// Returns the coverage of the search and its freshness, as a sentence.
fn covered(visit: &Visit, now: UnixMillis, coverage: &Coverage) -> String {
    let (answered, total) = (coverage.shards_answered, coverage.shards_total);
    let age = coverage.as_of.heard.or(coverage.as_of.committed).map(|at| parts::age(visit, now, at.min(now)));
    let key = match (coverage.is_full(), total, age.is_some()) {
        (true, 1, true) => "check.covered.whole",
        (true, 1, false) => "check.covered.whole_undated",
        (true, _, true) => "check.covered.all",
        (true, _, false) => "check.covered.all_undated",
        (false, _, true) => "check.covered.some",
        (false, _, false) => "check.covered.some_undated",
    };
    let age = age.unwrap_or_default();
    visit.fill(key, &[("answered", &answered), ("total", &total), ("age", &age)])
}

/// Returns the numbers of the search.
fn searches<'v>(visit: &'v Visit, matched: &Matched, coverage: &Coverage) -> Vec<(&'v str, Markup)> {
    let text = |text: String| html! { (text) };
    let number = |number: u64| visit.language.number(number);
    let mut rows = Vec::new();
    let types = searched(matched).map(|search| {
        let (name, is_vector) = (type_name(search.hash_type), search.hash_type.vector_class().is_some());
        let limit = parts::measure(visit.language, search.hash_type, search.max_distance);
        let key = if is_vector { "check.type_within_number" } else { "check.type_within" };
        match search.max_distance.0 {
            0 => name,
            _ => visit.fill(key, &[("type", &name), ("limit", &limit)]),
        }
    });
    let types = types.collect::<Vec<_>>().join(", ");
    let none = || visit.t("check.no_type").to_owned();
    rows.push((visit.t("check.types"), text(if types.is_empty() { none() } else { types })));
    rows.push((visit.t("check.hashes_searched"), text(number(coverage.hashes_searched))));
    rows.push((visit.t("check.sequence"), text(number(coverage.sequence_min.0))));
    if let Some(quality) = matched.pdq_quality {
        let (quality, floor) = (quality.get(), matched.quality_floor.get());
        let quality = visit.fill("check.number.quality_of", &[("quality", &quality), ("floor", &floor)]);
        rows.push((visit.t("check.number.quality"), text(quality)));
    }
    match &matched.source {
        Source::Decoded(decoded) => {
            let size = format!("{} × {}", decoded.width, decoded.height);
            rows.push((visit.t("check.size"), text(size)));
            rows.push((visit.t("check.frames_seen"), text(number(decoded.frames_seen.into()))));
        }
        Source::Video(video) => {
            rows.push((visit.t("check.size"), text(format!("{} × {}", video.width, video.height))));
            rows.push((visit.t("check.frames_seen"), text(number(video.frames_seen.into()))));
            let duration = video.duration_ms.and_then(|ms| u32::try_from(ms).ok());
            if let Some(ms) = duration {
                rows.push((visit.t("check.duration"), text(format!("{} s", seconds(visit, ms)))));
            }
        }
        Source::Hashed | Source::Undecoded(_) => {}
    }
    rows
}
