//! Exchanges: the programmes that banks follow. Shows the state and error of each; adds, fetches, pauses and
//! removes exchanges.
//!
//! The exchange process fetches on its own schedule. Credentials are files of that process and appear on no
//! page.

mod adding;
mod one;
mod state;

use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use vigie_clients::ExchangeListing;
use vigie_consortium::ExchangeId;
use vigie_consortium::rights::Method;

use crate::console::page::{Answer, Failed, Page};
use crate::console::pages::known::exchanges::adding::Chosen;
use crate::console::pages::known::exchanges::state::State;
use crate::console::parts::{self, Column, Entered, Tone};
use crate::console::posted::{Asked, Posted};
use crate::console::route::Route;
use crate::console::visit::Visit;

/// The most exchanges of one page.
const PAGE: u16 = 100;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::form(
            "/console/exchanges",
            &[Method::ListExchanges],
            &[Method::AddExchange],
            get(show).post(add),
        ),
        Route::form(
            one::PATH,
            &[Method::GetExchange],
            &[Method::FetchExchangeNow, Method::SetExchangeEnabled, Method::RemoveExchange],
            get(one::show).post(one::change),
        ),
    ]
}

/// The shown part of the list, and the programme of a new exchange.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Listed {
    /// The id after which the page begins.
    after: Option<u64>,
    /// The programme.
    api: Option<String>,
}

async fn show(visit: Visit, Asked(asked): Asked<Listed>) -> Result<Page, Failed> {
    let chosen = asked.api.as_deref().and_then(Chosen::named);
    page(&visit, asked.after, chosen.as_ref(), Entered::default()).await
}

async fn add(visit: Visit, posted: Posted) -> Result<Answer, Failed> {
    let chosen = Chosen::named(posted.field("api")).ok_or_else(Failed::not_there)?;
    match adding::add(&visit, &chosen, &posted).await {
        Ok(done) => Ok(Answer::Done(done)),
        Err(why) => {
            let why = parts::Refused::of(why)?;
            let page = page(&visit, None, Some(&chosen), Entered::again(&posted, &why)).await?;
            Ok(Answer::Page(page.with_status(why.status())))
        }
    }
}

async fn page(
    visit: &Visit,
    after: Option<u64>,
    chosen: Option<&Chosen>,
    entered: Entered<'_>,
) -> Result<Page, Failed> {
    let after = after.map(ExchangeId);
    let (listed, has_more) = visit.caller.exchanges().list_exchanges(after, PAGE, visit.deadline()).await?;
    let next = listed.last().filter(|_| has_more);
    let next = next.map(|last| format!("/console/exchanges?after={}", last.exchange.id));
    let main = html! {
        (in_trouble(visit, &listed))
        @if listed.is_empty() { (parts::empty(visit.t("exchanges.none"))) } @else { (table(visit, &listed)) }
        (parts::pager(visit, next.as_deref()))
        @if visit.may(Method::AddExchange) { (adding::section(visit, chosen, entered)) }
    };
    Ok(Page::new(visit.t("exchanges.title"), main))
}

/// The exchanges that need a person's attention, each with its error, at the top of the page.
fn in_trouble(visit: &Visit, listed: &[ExchangeListing]) -> Markup {
    let troubled: Vec<&ExchangeListing> =
        listed.iter().filter(|listing| State::of(&listing.exchange) == State::Attention).collect();
    html! {
        @if !troubled.is_empty() {
            (parts::notice(Tone::Bad, html! {
                p { (visit.count("exchanges.troubled", troubled.len().try_into().unwrap_or(u64::MAX))) }
                ul {
                    @for listing in troubled {
                        li {
                            a href=(one::path(listing)) { (listing.exchange.name) }
                            ": " (listing.exchange.status.alarm)
                        }
                    }
                }
            }))
        }
    }
}

fn table(visit: &Visit, listed: &[ExchangeListing]) -> Markup {
    let columns = [
        Column::words(visit.t("exchanges.name")),
        Column::words(visit.t("exchanges.programme")),
        Column::words(visit.t("exchanges.bank")),
        Column::words(visit.t("exchanges.state_heading")),
        Column::words(visit.t("exchanges.last")),
        Column::words(visit.t("exchanges.next")),
        Column::number(visit.t("exchanges.items")),
    ];
    let row = |listing: &ExchangeListing| {
        let (exchange, state) = (&listing.exchange, State::of(&listing.exchange));
        vec![
            html! { a href=(one::path(listing)) { (exchange.name) } },
            html! { (adding::programme(visit, exchange.api.as_str())) },
            html! { (listing.bank) },
            state.badge(visit),
            state::moment(visit, exchange.status.completed_at, "exchanges.never"),
            state::next(visit, exchange),
            html! { (visit.language.number(exchange.status.fetched_items)) },
        ]
    };
    parts::table(visit.t("exchanges.caption"), &columns, listed.iter().map(row))
}
