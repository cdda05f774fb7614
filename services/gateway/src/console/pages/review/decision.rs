//! `GET /console/review/decisions/{id}`: the basis of a decision, the members' opinions on the item, and the
//! form that decides.

use axum::extract::Path;
use futures::future::join;
use maud::{Markup, html};
use serde::Deserialize;
use vigie_clients::{Code, DescribedItem, ExplainedDecision, ListedOpinion};
use vigie_consortium::cases::{DecisionOutcome, RecordedMatch};
use vigie_consortium::rights::Method;
use vigie_hashes::hex;
use vigie_model::{BankRef, Decided, ItemId, UnixMillis, Verdict};

use super::calls::{decision_of, unseen};
use super::deciding::{self, Entered};
use super::facts;
use super::said;
use super::settings::{self, Settings};
use crate::console::page::{Failed, Page};
use crate::console::parts::{self, Column, Tone};
use crate::console::posted::Asked;
use crate::console::visit::Visit;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Options {
    /// The previous decision, which the person has just reviewed.
    last: String,
}

/// A decision with the data of the nearest item.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) explained: ExplainedDecision,
    /// The nearest item that the person may see, in its present state.
    item: Option<DescribedItem>,
    pub(super) said: Vec<ListedOpinion>,
}

impl Case {
    /// Returns the item on which the person's member may give an opinion.
    pub(super) fn speakable(&self, visit: &Visit) -> Option<ItemId> {
        self.item.as_ref().map(|item| item.id).filter(|_| visit.may(Method::PutOpinions))
    }
}

/// Reads a decision. A decision of another member is "not found".
pub(super) async fn read(visit: &Visit, id: &str) -> Result<Case, Failed> {
    let id = decision_of(id).ok_or_else(Failed::not_there)?;
    let explained = visit.caller.decisions().explain(id, &[], visit.deadline()).await.map_err(unseen)?;
    let nearest = nearest(&explained.listing.record.matches);
    let (item, said) = match nearest {
        Some((item, bank)) => item_of(visit, item, bank).await?,
        None => (None, Vec::new()),
    };
    Ok(Case { explained, item, said })
}

/// Returns the nearest match whose item and bank the person may see.
fn nearest(matches: &[RecordedMatch]) -> Option<(ItemId, &BankRef)> {
    matches.iter().find_map(|found| Some((found.item?, found.bank_name.as_ref()?)))
}

/// Reads the present state of the item and the opinions on it; empty if the person can no longer see the
/// item.
async fn item_of(
    visit: &Visit,
    item: ItemId,
    bank: &BankRef,
) -> Result<(Option<DescribedItem>, Vec<ListedOpinion>), Failed> {
    let (banks, opinions, until) = (visit.caller.banks(), visit.caller.opinions(), visit.deadline());
    let described = banks.describe_item(item, until);
    let (described, said) = join(described, opinions.list_opinions_on(bank, item, until)).await;
    let is_hidden = |code: Code| matches!(code, Code::NotFound | Code::PermissionDenied);
    let described = match described {
        Ok(described) => Some(described.value),
        Err(error) if is_hidden(error.code()) => None,
        Err(error) => return Err(error.into()),
    };
    match said {
        Ok(said) => Ok((described, said)),
        Err(error) if is_hidden(error.code()) => Ok((described, Vec::new())),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn show(
    visit: Visit,
    Path(id): Path<String>,
    settings: Settings,
    Asked(options): Asked<Options>,
) -> Result<Page, Failed> {
    let case = read(&visit, &id).await?;
    let own = said::own(&visit, &case.said).map(|own| &own.words);
    let entered = Entered::before(case.explained.listing.outcome.as_ref(), own);
    let last = decision_of(&options.last).map(|last| hex::encode(&last));
    Ok(page(&visit, &case, settings, &entered, "", last.as_deref()))
}

/// Renders the page. `last`: the decision that the person has just reviewed, to which the page links.
pub(super) fn page(
    visit: &Visit,
    case: &Case,
    settings: Settings,
    entered: &Entered,
    fault: &str,
    last: Option<&str>,
) -> Page {
    let Case { explained, item, said } = case;
    let listing = &explained.listing;
    let record = &listing.record;
    let skip =
        format!("/console/review/decisions/{}/next?at={}", hex::encode(&record.id), record.decided_at.0);
    let main = html! {
        p.lead { (summary(visit, case)) }
        @if let Some((outcome, set_at)) = &listing.outcome { (decided_already(visit, *outcome, *set_at)) }
        @if visit.may(Method::SetDecisionOutcome) {
            section {
                h2 { (visit.t("review.decide")) }
                (deciding::form(visit, listing, case.speakable(visit), entered, fault))
            }
        }
        p.row {
            a.button.second href=(skip) data-key="n" aria-keyshortcuts="n" {
                (visit.t("review.skip")) " " kbd aria-hidden="true" { "n" }
            }
            @if let Some(last) = last {
                a href={ "/console/review/decisions/" (last) } { (visit.t("review.last")) }
            }
            a href="/console/review?kind=decisions" { (visit.t("review.back")) }
        }
        (settings::compare(visit, settings))
        (parts::section(visit.t("review.matched"), matches(visit, case)))
        @if let Some(decided) = &record.decided {
            (parts::section(visit.t("review.policy"), policy(visit, case, decided)))
        }
        section {
            h2 { (visit.t("opinions.title")) }
            @match item {
                Some(item) => {
                    (said::counted(visit, item.facts.as_ref()))
                    (said::list(visit, said))
                    p { a href={ "/console/items/" (item.id.0) } { (visit.t("opinions.to_item")) } }
                }
                None => (parts::empty(visit.t("review.item_gone"))),
            }
        }
    };
    Page::new(visit.t("review.decision"), main)
}

/// Returns a sentence that names the content, the nearest match and its distance.
fn summary(visit: &Visit, case: &Case) -> String {
    let record = &case.explained.listing.record;
    let Some(found) = record.nearest().or(record.matches.first()) else {
        return visit.t("review.summary_none").to_owned();
    };
    let bank = found
        .bank_name
        .as_ref()
        .map_or_else(|| visit.t("review.unseen_bank").to_owned(), ToString::to_string);
    let near = parts::distance(visit, found.hash_type, found.distance);
    let (hash, content) = (found.hash_type, content(visit, &record.kind));
    let values: [(&str, &dyn std::fmt::Display); 4] =
        [("content", &content), ("bank", &bank), ("hash", &hash), ("near", &near)];
    visit.fill("review.summary", &values)
}

/// Returns the kind of the content; the bank's own word for an unknown kind.
fn content(visit: &Visit, kind: &str) -> String {
    let key = format!("review.content.{kind}");
    if visit.language.has(&key) { visit.t(&key).to_owned() } else { kind.to_owned() }
}

fn decided_already(visit: &Visit, outcome: DecisionOutcome, set_at: UnixMillis) -> Markup {
    let review = outcome.review.map(|review| {
        let name = review.name();
        visit.t(&format!("review.said.{name}"))
    });
    let action = outcome.action.map(|action| {
        let name = action.name();
        visit.t(&format!("review.action.{name}"))
    });
    let body = html! {
        (visit.t("review.decided_already")) " "
        @if let Some(review) = review { strong { (review) } " " }
        @if let Some(action) = action { (action) ". " }
        (parts::time(visit, set_at))
    };
    parts::notice(Tone::Plain, body)
}

fn matches(visit: &Visit, case: &Case) -> Markup {
    let record = &case.explained.listing.record;
    let columns = [
        Column::words(visit.t("review.column.bank")),
        Column::words(visit.t("review.column.item")),
        Column::words(visit.t("review.column.hash")),
        Column::words(visit.t("review.column.near")),
        Column::words(visit.t("review.column.counts")),
        Column::words(visit.t("review.column.then")),
    ];
    let row = |found: &RecordedMatch| {
        let variant = found.variant.to_string();
        vec![
            html! {
                @match &found.bank_name { Some(bank) => (bank), None => (visit.t("review.unseen_bank")) }
            },
            html! {
                @match found.item {
                    Some(item) => a href={ "/console/items/" (item.0) } { (item.0) },
                    None => (visit.t("review.unseen_item")),
                }
            },
            html! { (found.hash_type) },
            html! {
                div {
                    (parts::distance(visit, found.hash_type, found.distance))
                    p.hint { (visit.t(&format!("review.variant.{variant}"))) }
                }
            },
            html! { (visit.t(if found.counts { "review.counts.yes" } else { "review.counts.no" })) },
            html! {
                div {
                    @if let Some(facts) = &found.facts {
                        @for class in &facts.classes { code { (class) } " " }
                        (said::counted(visit, Some(facts)))
                    }
                }
            },
        ]
    };
    html! {
        (parts::table(visit.t("review.matched"), &columns, record.matches.iter().map(row)))
        @if record.matches_omitted > 0 {
            p.hint { (visit.count("review.more_matches", record.matches_omitted.into())) }
        }
        @if record.counting_elsewhere() > 0 {
            p.hint { (visit.count("review.elsewhere", record.counting_elsewhere().into())) }
        }
        @if let Some(item) = &case.item { (item_facts(visit, item)) }
    }
}

/// Renders the facts of the nearest item.
fn item_facts(visit: &Visit, item: &DescribedItem) -> Markup {
    html! {
        h3 { (visit.fill("review.nearest", &[("item", &item.id.0)])) }
        (parts::facts(facts::of_item(visit, item)))
    }
}

fn policy(visit: &Visit, case: &Case, decided: &Decided) -> Markup {
    let (record, condition) = (&case.explained.listing.record, &case.explained.rule_condition);
    let tone = match decided.verdict {
        Verdict::Allow | Verdict::Log => Tone::Plain,
        Verdict::Review => Tone::Warn,
        Verdict::Block | Verdict::Escalate => Tone::Bad,
    };
    let mut facts = vec![(visit.t("review.fact.verdict"), parts::badge(tone, decided.verdict.name()))];
    if !decided.rule.is_empty() {
        facts.push((
            visit.t("review.fact.rule"),
            html! {
                (decided.rule)
                @if decided.by_score { ". " (visit.t("check.by_score")) }
            },
        ));
    }
    if !condition.is_empty() {
        facts.push((visit.t("review.fact.condition"), html! { code { (condition) } }));
    }
    facts.push((visit.t("review.fact.version"), html! { (decided.policy_version) }));
    if let Some(failure) = &decided.failure {
        facts.push((visit.t("review.fact.failure"), html! { (failure) }));
    }
    if let Some(shadow) = decided.shadow_verdict {
        facts.push((visit.t("review.fact.shadow"), html! { (shadow.name()) }));
    }
    if decided.suppressed > 0 {
        facts.push((visit.t("review.fact.suppressed"), html! { (decided.suppressed) }));
    }
    if !record.surface.is_empty() {
        facts.push((visit.t("review.fact.surface"), html! { (record.surface) }));
    }
    facts.push((visit.t("review.fact.content"), html! { (content(visit, &record.kind)) }));
    facts.push((visit.t("review.fact.decided_at"), parts::time(visit, record.decided_at)));
    facts.push((visit.t("review.fact.kept_until"), parts::time(visit, case.explained.listing.kept_until)));
    parts::facts(facts)
}
