//! The page of an exchange: its state, its error with advice, and its actions.

use axum::extract::Path;
use maud::{Markup, html};
use serde_json::{Map, Value};
use vigie_clients::ExchangeListing;
use vigie_consortium::ExchangeName;
use vigie_consortium::rights::Method;

use crate::console::page::{Done, Failed, Page};
use crate::console::pages::known::exchanges::adding;
use crate::console::pages::known::exchanges::state::{self, State};
use crate::console::parts::{self, Tone};
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::problem::Problem;

/// The path of the page.
pub(super) const PATH: &str = "/console/exchanges/{name}";

/// The path of an exchange's page. No character of an exchange name needs escaping.
pub(super) fn path(listing: &ExchangeListing) -> String {
    format!("/console/exchanges/{}", listing.exchange.name)
}

/// Parses an exchange name. An invalid name is answered as not found.
fn named(name: &str) -> Result<ExchangeName, Failed> {
    name.parse().map_err(|_| Failed::not_there())
}

/// Shows an exchange.
pub(super) async fn show(visit: Visit, Path(name): Path<String>) -> Result<Page, Failed> {
    let name = named(&name)?;
    let listing = visit.caller.exchanges().get_exchange(&name, visit.deadline()).await;
    let listing = listing.map_err(|error| match parts::refusal(error) {
        Ok(why) => why.into(),
        Err(failed) => failed,
    })?;
    let main = html! {
        (fault(&visit, &listing))
        (how(&visit, &listing))
        (asked_of(&visit, &listing))
        (about(&visit, &listing))
        (removal(&visit, &listing))
        p { a href="/console/exchanges" { (visit.t("exchanges.back")) } }
    };
    Ok(Page::new(listing.exchange.name.to_string(), main))
}

/// The error, the time since which it is known, and advice.
fn fault(visit: &Visit, listing: &ExchangeListing) -> Markup {
    let status = &listing.exchange.status;
    let alarm = status.alarm.as_str();
    html! {
        @if !alarm.is_empty() {
            (parts::notice(Tone::Bad, html! {
                h2 { (visit.t("exchanges.error")) }
                p { strong { (alarm) } }
                @if let Some(at) = status.completed_at {
                    p { (visit.t("exchanges.error_at")) " " (parts::time(visit, at)) " (" (parts::date(at)) " UTC)." }
                }
                p { (visit.t(state::advice(alarm))) }
                p { (visit.t("exchanges.then_fetch")) }
            }))
        }
    }
}

/// The state. The page refreshes it while a round runs or waits.
fn how(visit: &Visit, listing: &ExchangeListing) -> Markup {
    let exchange = &listing.exchange;
    let (status, state) = (&exchange.status, State::of(exchange));
    let is_busy = status.running_since.is_some() || exchange.requested_rounds > status.answered_rounds;
    let every = is_busy.then_some("every 3s");
    let facts = [
        (visit.t("exchanges.state_heading"), state.badge(visit)),
        (visit.t("exchanges.running"), state::moment(visit, status.running_since, "exchanges.not_running")),
        (visit.t("exchanges.last"), state::moment(visit, status.completed_at, "exchanges.never")),
        (visit.t("exchanges.next"), state::next(visit, exchange)),
        (visit.t("exchanges.place"), state::moment(visit, status.checkpoint, "exchanges.no_place")),
        (visit.t("exchanges.items"), html! { (visit.language.number(status.fetched_items)) }),
    ];
    html! {
        section #exchange-state role="status" hx-get=[every.map(|_| path(listing))] hx-trigger=[every]
            hx-select=[every.map(|_| "#exchange-state")] hx-swap=[every.map(|_| "outerHTML")] {
            h2 { (visit.t("exchanges.how")) }
            (parts::facts(facts))
            @if exchange.requested_rounds > status.answered_rounds && status.running_since.is_none() {
                p { (visit.t("exchanges.asked_for")) }
            }
        }
    }
}

fn asked_of(visit: &Visit, listing: &ExchangeListing) -> Markup {
    let at = path(listing);
    let is_enabled = listing.exchange.enabled;
    html! {
        div.row {
            @if is_enabled && visit.may(Method::FetchExchangeNow) {
                (parts::action(visit, &at, &[("do", "fetch")], visit.t("exchanges.fetch"), Some('f')))
            }
            @if visit.may(Method::SetExchangeEnabled) {
                @if is_enabled {
                    (parts::action(visit, &at, &[("do", "pause")], visit.t("exchanges.pause"), None))
                } @else {
                    (parts::action(visit, &at, &[("do", "resume")], visit.t("exchanges.resume"), None))
                }
            }
        }
    }
}

fn about(visit: &Visit, listing: &ExchangeListing) -> Markup {
    let exchange = &listing.exchange;
    let settings: Map<String, Value> = serde_json::from_str(exchange.config.as_str()).unwrap_or_default();
    let interval = match exchange.interval_seconds {
        0 => visit.t("exchanges.interval_own").to_owned(),
        seconds => visit.count("exchanges.seconds", seconds.into()),
    };
    let facts = [
        (visit.t("exchanges.programme"), html! { (adding::programme(visit, exchange.api.as_str())) }),
        (visit.t("exchanges.bank"), html! { (listing.bank) }),
        (visit.t("exchanges.interval"), html! { (interval) }),
        (visit.t("exchanges.added"), parts::time(visit, exchange.created_at)),
    ];
    parts::section(
        visit.t("exchanges.about"),
        html! {
            (parts::facts(facts))
            @if !settings.is_empty() {
                h3 { (visit.t("exchanges.settings")) }
                dl.facts {
                    @for (name, value) in &settings {
                        div { dt { code { (name) } } dd {
                            @if let Some(text) = value.as_str() { (text) } @else { (value) }
                        } }
                    }
                }
            }
        },
    )
}

fn removal(visit: &Visit, listing: &ExchangeListing) -> Markup {
    let form = html! {
        input type="hidden" name="do" value="remove";
        p { (visit.t("exchanges.removal")) }
        div.row {
            (parts::checkbox("sure", "yes", visit.t("exchanges.sure"), false))
            button.danger type="submit" { (visit.t("exchanges.remove")) }
        }
    };
    html! {
        @if visit.may(Method::RemoveExchange) {
            (parts::section(visit.t("exchanges.remove"), parts::form(visit, &path(listing), form)))
        }
    }
}

/// Carries out the action of a button.
pub(super) async fn change(visit: Visit, Path(name): Path<String>, posted: Posted) -> Result<Done, Failed> {
    let name = named(&name)?;
    let at = format!("/console/exchanges/{name}");
    let (exchanges, key, deadline) = (visit.caller.exchanges(), posted.once(), visit.deadline());
    let (outcome, to, said) = match posted.field("do") {
        "fetch" => {
            let asked = exchanges.fetch_exchange_now(&name, key, deadline).await;
            (asked.map(|asked| asked.sequence), at.as_str(), "exchanges.fetch")
        }
        "pause" => {
            let set = exchanges.set_exchange_enabled(&name, false, key, deadline).await;
            (set.map(|set| set.sequence), at.as_str(), "exchanges.pause")
        }
        "resume" => {
            let set = exchanges.set_exchange_enabled(&name, true, key, deadline).await;
            (set.map(|set| set.sequence), at.as_str(), "exchanges.resume")
        }
        "remove" if posted.field("sure") != "yes" => {
            return Err(Problem::bad(visit.t("exchanges.not_sure")).into());
        }
        "remove" => {
            let removed = exchanges.remove_exchange(&name, key, deadline).await;
            (removed.map(|removed| removed.sequence), "/console/exchanges", "exchanges.remove")
        }
        _ => return Err(Failed::not_there()),
    };
    match outcome {
        Ok(sequence) => {
            visit.wrote(sequence);
            Ok(Done::saying(to, said, &[]))
        }
        Err(error) => Err(parts::refusal(error)?.into()),
    }
}
