//! An item that matched: its identity, nearness and orientation, the members' opinions on it, and the numbers
//! behind them.

use maud::{Markup, html};
use vigie_model::{Distance, Facts, Match, Matched, OpinionKind, Source};

use crate::console::pages::check::words::{bits, nearness, seconds, share, turned, type_name, way};
use crate::console::parts::{self, Tone};
use crate::console::visit::Visit;

/// The most labels and classes of an item that are shown.
const WORDS_SHOWN: usize = 12;
/// The longest label or reference that is shown, in characters.
const CHARACTERS_SHOWN: usize = 100;

/// Renders an item that matched.
pub(super) fn item(visit: &Visit, matched: &Matched, found: &Match) -> Markup {
    let limit = limit(matched, found);
    let facts = found.facts.as_deref();
    html! {
        li.match {
            p.match-name {
                @if found.item.0 == 0 {
                    strong { (visit.t("check.item_hidden")) }
                } @else {
                    a href={ "/console/items/" (found.item.0) } {
                        (visit.fill("check.item", &[("id", &found.item.0)]))
                    }
                }
                " " (parts::badge(Tone::Plain, &visit.fill("check.bank", &[("bank", &found.bank_name)])))
                @for (tone, word) in states(visit, facts) { " " (parts::badge(tone, word)) }
            }
            p { (nearness(visit, found, limit)) }
            @for sentence in turns(visit, matched, found) { p { (sentence) } }
            (parts::facts(about(visit, found)))
            details {
                summary { (visit.t("check.why")) }
                (parts::facts(numbers(visit, matched, found, limit)))
            }
        }
    }
}

/// Returns the largest distance that counts as a match for the type of this match.
fn limit(matched: &Matched, found: &Match) -> Distance {
    let search = matched.searches.iter().find(|search| search.hash_type == found.hash_type);
    search.map_or_else(|| found.hash_type.distance_default(), |search| search.max_distance)
}

/// Returns the states of an item that a person must see first.
fn states(visit: &Visit, facts: Option<&Facts>) -> Vec<(Tone, &'static str)> {
    let Some(facts) = facts else { return Vec::new() };
    let mut states = Vec::new();
    if facts.dispute_open || facts.is_disputed() {
        states.push((Tone::Warn, visit.t("check.state.disputed")));
    }
    if facts.probation {
        states.push((Tone::Warn, visit.t("check.state.probation")));
    }
    if facts.is_aside {
        states.push((Tone::Warn, visit.t("check.state.aside")));
    }
    states
}

/// Returns the rotation, the changes and the crop of the content against the known item, each as a sentence.
fn turns(visit: &Visit, matched: &Matched, found: &Match) -> Vec<String> {
    let mut turns: Vec<String> = Vec::new();
    turns.extend(turned(visit, found.variant).map(str::to_owned));
    turns.extend(way(visit, found.rendition.way).map(str::to_owned));
    let has_frames = matches!(&matched.source, Source::Decoded(decoded) if decoded.frames_seen > 1);
    if has_frames || found.rendition.frame > 0 {
        turns.push(visit.fill("check.frame", &[("frame", &(u64::from(found.rendition.frame) + 1))]));
    }
    if let Some(evidence) = found.video.as_deref() {
        turns.push(share(visit, "check.video.query", &evidence.query));
        turns.push(share(visit, "check.video.item", &evidence.item));
    }
    if let Some(ms) = found.item_time_ms {
        turns.push(visit.fill("check.video.still", &[("time", &seconds(visit, ms))]));
    }
    turns
}

/// Returns the item's facts other than its hashes.
fn about<'v>(visit: &'v Visit, found: &Match) -> Vec<(&'v str, Markup)> {
    let mut about = Vec::new();
    let words = |words: &[Box<str>]| {
        html! {
            @for word in words.iter().take(WORDS_SHOWN) { (parts::badge(Tone::Plain, &cut(word))) " " }
            @if words.len() > WORDS_SHOWN {
                (visit.count("check.more_words", (words.len() - WORDS_SHOWN) as u64))
            }
        }
    };
    if !found.labels.is_empty() {
        about.push((visit.t("check.labels"), words(&found.labels)));
    }
    let facts = found.facts.as_deref();
    if let Some(facts) = facts.filter(|facts| !facts.classes.is_empty()) {
        about.push((visit.t("check.classes"), words(&facts.classes)));
    }
    if let Some(reference) = &found.external_reference {
        about.push((visit.t("check.reference"), html! { (cut(reference)) }));
    }
    let said = facts.map(|facts| said(visit, facts)).unwrap_or_default();
    about.push((
        visit.t("check.opinions"),
        html! {
            @if said.is_empty() { (visit.t("check.said.nothing")) }
            @for (at, sentence) in said.iter().enumerate() { @if at > 0 { br; } (sentence) }
        },
    ));
    if let Some(at) = found.added_at {
        about.push((visit.t("check.added"), parts::time(visit, at)));
    }
    about
}

/// Returns the members' opinions on the item, each as a sentence.
fn said(visit: &Visit, facts: &Facts) -> Vec<String> {
    let mut said = Vec::new();
    let counts = [
        ("check.said.positives", facts.positives),
        ("check.said.negatives", facts.negatives),
        ("check.said.seen", facts.seen),
        ("check.said.contributors", facts.contributors),
    ];
    said.extend(
        counts.iter().filter(|(_, count)| *count > 0).map(|(key, count)| visit.count(key, (*count).into())),
    );
    let mine = facts.mine.map(|mine| match mine {
        OpinionKind::Positive => "check.said.mine_positive",
        OpinionKind::Negative => "check.said.mine_negative",
        OpinionKind::Seen => "check.said.mine_seen",
    });
    said.extend(mine.map(|key| visit.t(key).to_owned()));
    if facts.dispute_open {
        said.push(visit.t("check.said.dispute").to_owned());
    }
    if facts.probation {
        said.push(visit.t("check.said.probation").to_owned());
    }
    said
}

/// Returns the numbers of the match.
fn numbers<'v>(
    visit: &'v Visit,
    matched: &Matched,
    found: &Match,
    limit: Distance,
) -> Vec<(&'v str, Markup)> {
    let text = |text: String| html! { (text) };
    let mut numbers = vec![(visit.t("check.number.type"), text(type_name(found.hash_type)))];
    if found.hash_type.vector_class().is_some() {
        let of = |distance| text(parts::measure(visit.language, found.hash_type, distance));
        numbers.push((visit.t("check.number.distance"), of(found.distance)));
        numbers.push((visit.t("check.number.limit"), of(limit)));
    }
    if let Some(bits) = bits(found.hash_type) {
        let distance =
            visit.fill("check.number.distance_of", &[("distance", &found.distance.0), ("bits", &bits)]);
        numbers.push((visit.t("check.number.distance"), text(distance)));
        numbers.push((visit.t("check.number.limit"), text(limit.0.to_string())));
    }
    if let Some(quality) = matched.pdq_quality {
        let (quality, floor) = (quality.get(), matched.quality_floor.get());
        let quality = visit.fill("check.number.quality_of", &[("quality", &quality), ("floor", &floor)]);
        numbers.push((visit.t("check.number.quality"), text(quality)));
    }
    numbers.push((visit.t("check.number.variant"), parts::digits(found.variant.name())));
    numbers.push((visit.t("check.number.way"), parts::digits(found.rendition.way.name())));
    if let Some(evidence) = found.video.as_deref() {
        let frames = |frames: u32, matched: u32| {
            text(visit.fill("check.number.frames_of", &[("matched", &matched), ("frames", &frames)]))
        };
        let (query, item) = (&evidence.query, &evidence.item);
        numbers.push((visit.t("check.number.query_frames"), frames(query.frames, query.frames_matched)));
        numbers.push((visit.t("check.number.item_frames"), frames(item.frames, item.frames_matched)));
        let rules: Vec<&str> = evidence.rules.iter().map(|rule| rule.name()).collect();
        numbers.push((visit.t("check.number.rules"), parts::digits(&rules.join(", "))));
    }
    let others = visit.language.number(found.other_matches.into());
    numbers.push((visit.t("check.number.other_matches"), text(others)));
    let exact = if found.exact { "check.number.exact" } else { "check.number.approximate" };
    numbers.push((visit.t("check.number.index"), text(visit.t(exact).to_owned())));
    numbers
}

/// Shortens a text to [`CHARACTERS_SHOWN`] characters.
pub(super) fn cut(text: &str) -> String {
    let mut characters = text.chars();
    let mut cut: String = characters.by_ref().take(CHARACTERS_SHOWN).collect();
    if characters.next().is_some() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("é"), "é");
        let long = "é".repeat(CHARACTERS_SHOWN + 1);
        assert_eq!(cut(&long), format!("{}…", "é".repeat(CHARACTERS_SHOWN)));
    }
}
