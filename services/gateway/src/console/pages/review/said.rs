//! The members' opinions on an item, in a readable form.

use std::cmp::Reverse;

use maud::{Markup, html};
use vigie_clients::ListedOpinion;
use vigie_consortium::OpinionReason;
use vigie_model::{Facts, OpinionKind};

use crate::console::parts::{self, Column, Tone};
use crate::console::visit::Visit;

/// The most opinions that a page shows: the newest ones.
const SHOWN_MAX: usize = 50;

/// Renders the number of members for each opinion, as a sentence.
pub(super) fn counted(visit: &Visit, facts: Option<&Facts>) -> Markup {
    let Some(facts) = facts else { return parts::empty(visit.t("opinions.none")) };
    let counts = [
        ("opinions.count.positive", facts.positives),
        ("opinions.count.negative", facts.negatives),
        ("opinions.count.seen", facts.seen),
    ];
    let counts = counts.into_iter().filter(|(_, count)| *count > 0);
    let counts: Vec<String> = counts.map(|(key, count)| visit.count(key, count.into())).collect();
    html! {
        p {
            @if counts.is_empty() { (visit.t("opinions.none")) } @else { (counts.join(" · ")) }
        }
        p.row {
            @if facts.dispute_open { (parts::badge(Tone::Warn, visit.t("opinions.dispute_open"))) }
            @if facts.probation { (parts::badge(Tone::Warn, visit.t("opinions.probation"))) }
            @if facts.is_aside { (parts::badge(Tone::Warn, visit.t("opinions.aside"))) }
        }
    }
}

/// Renders the opinions on an item that the person may see, newest first: member, opinion, reason and time.
pub(super) fn list(visit: &Visit, opinions: &[ListedOpinion]) -> Markup {
    if opinions.is_empty() {
        return html! {};
    }
    let mut newest: Vec<&ListedOpinion> = opinions.iter().collect();
    newest.sort_by_key(|opinion| Reverse(opinion.sequence));
    let omitted = newest.len().saturating_sub(SHOWN_MAX);
    let columns = [
        Column::words(visit.t("opinions.who")),
        Column::words(visit.t("opinions.what")),
        Column::words(visit.t("opinions.why")),
        Column::words(visit.t("opinions.when")),
    ];
    let rows = newest.into_iter().take(SHOWN_MAX).map(|opinion| row(visit, opinion));
    html! {
        (parts::table(visit.t("opinions.title"), &columns, rows))
        @if omitted > 0 {
            p.hint { (visit.count("opinions.omitted", u64::try_from(omitted).unwrap_or(u64::MAX))) }
        }
    }
}

fn row(visit: &Visit, opinion: &ListedOpinion) -> Vec<Markup> {
    let ListedOpinion { hash, kind, words, member, at, of_programme, .. } = opinion;
    let who = if member.is_empty() { visit.t("opinions.unnamed") } else { member };
    let (tone, what) = match kind {
        Some(OpinionKind::Positive) => (Tone::Good, visit.t("opinions.said.positive")),
        Some(OpinionKind::Negative) => (Tone::Bad, visit.t("opinions.said.negative")),
        Some(OpinionKind::Seen) => (Tone::Plain, visit.t("opinions.said.seen")),
        None => (Tone::Plain, visit.t("opinions.said.withdrawn")),
    };
    let why = html! {
        @if let Some(reason) = words.reason { p { (reason_text(visit, reason)) } }
        @if let Some(class) = &words.proposed {
            p { (visit.t("opinions.proposes")) " " code { (class) } }
        }
        @if !words.foreign.as_str().is_empty() { p { q { (words.foreign) } } }
    };
    vec![
        html! {
            div {
                (who)
                @if *of_programme { p.hint { (visit.t("opinions.of_programme")) } }
            }
        },
        html! {
            div {
                (parts::badge(tone, what))
                @if words.disputes { " " (parts::badge(Tone::Warn, visit.t("opinions.disputes"))) }
                @if hash.is_some() { p.hint { (visit.t("opinions.of_hash")) } }
            }
        },
        html! { div { (why) } },
        parts::time(visit, *at),
    ]
}

/// Returns the opinion of the person's own member, if there is one, without those of programmes. An opinion
/// on the whole item takes precedence over one on a single hash.
pub(super) fn own<'a>(visit: &Visit, opinions: &'a [ListedOpinion]) -> Option<&'a ListedOpinion> {
    let name = visit.who.as_ref().map(|who| who.member.name.to_string())?;
    let own = opinions.iter().filter(|one| one.kind.is_some() && !one.of_programme && one.member == name);
    own.min_by_key(|one| one.hash.is_some())
}

/// Returns the text of a reason.
pub(super) fn reason_text(visit: &Visit, reason: OpinionReason) -> &'static str {
    let name = reason.name();
    visit.t(&format!("opinions.reason.{name}"))
}
