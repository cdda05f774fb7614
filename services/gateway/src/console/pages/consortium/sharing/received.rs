//! Banks that other members share with the person's member, and its aliases for them.

use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use serde::Deserialize;
use vigie_consortium::Grant;
use vigie_consortium::rights::Method;
use vigie_model::{BankId, BankName, BankRef};
use vigie_proto::bank::PAGE_DEFAULT;

use super::grants::{capabilities, until};
use super::{bank_path, names};
use crate::console::page::{Done, Failed, Page};
use crate::console::parts::{self, Column, Field};
use crate::console::parts::{Entered, Refused};
use crate::console::posted::{Asked, Posted};
use crate::console::visit::Visit;

/// The path of the page.
pub(super) const PATH: &str = "/console/sharing";

/// The start of a page of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Begin {
    /// The page begins after this id.
    after: Option<u32>,
}

/// A grant, and the person's name for its bank, if known.
struct Received {
    grant: Grant,
    name: Option<BankRef>,
}

pub(super) async fn show(visit: Visit, Asked(asked): Asked<Begin>) -> Result<Page, Failed> {
    page(&visit, asked.after, Entered::default()).await
}

async fn page(visit: &Visit, after: Option<u32>, entered: Entered<'_>) -> Result<Page, Failed> {
    let after = after.map(BankId);
    let members = visit.caller.members();
    let grants = members.list_received_grants(after, PAGE_DEFAULT, visit.deadline()).await?.value;
    let before_first = grants.first().and_then(|grant| grant.bank.0.checked_sub(1)).filter(|id| *id > 0);
    let names =
        if grants.is_empty() { Default::default() } else { names(visit, before_first.map(BankId)).await? };
    let next = grants.last().filter(|_| grants.len() >= usize::from(PAGE_DEFAULT));
    let next = next.map(|grant| format!("{PATH}?after={}", grant.bank));
    let received: Vec<Received> =
        grants.into_iter().map(|grant| Received { name: names.get(&grant.bank).cloned(), grant }).collect();
    let main = html! {
        p { (visit.t("sharing.received.what")) }
        (parts::section(visit.t("sharing.received.list"), table(visit, &received)))
        (parts::pager(visit, next.as_deref()))
        @if visit.may(Method::SetAlias) && received.iter().any(|one| one.name.is_some()) {
            (parts::section(visit.t("sharing.alias.title"), form(visit, &received, entered)))
        }
    };
    Ok(Page::new(visit.t("sharing.received.title"), main))
}

fn table(visit: &Visit, received: &[Received]) -> Markup {
    if received.is_empty() {
        return parts::empty(visit.t("sharing.received.none"));
    }
    let columns = ["sharing.bank", "sharing.alias.column", "sharing.capabilities", "sharing.expires"];
    let columns = columns.map(|key| Column::words(visit.t(key)));
    let rows = received.iter().map(|Received { grant, name }| {
        vec![
            html! {
                @match name {
                    Some(name) => a href=(bank_path(name)) { (name) },
                    None => { "#" (grant.bank) }
                }
            },
            html! {
                @if let Some(alias) = &grant.alias { div.row { (alias) (removal(visit, name.as_ref())) } }
            },
            capabilities(visit, grant.capabilities),
            until(visit, grant.expiry),
        ]
    });
    parts::table(visit.t("sharing.received.list"), &columns, rows)
}

/// The button that removes the alias of a bank.
fn removal(visit: &Visit, bank: Option<&BankRef>) -> Markup {
    let Some(name) = bank.filter(|_| visit.may(Method::SetAlias)) else { return html! {} };
    let values = [("bank", &*name.to_string()), ("alias", "")];
    parts::action(visit, PATH, &values, visit.t("sharing.alias.remove"), None)
}

fn form(visit: &Visit, received: &[Received], entered: Entered<'_>) -> Markup {
    let names: Vec<String> =
        received.iter().filter_map(|one| one.name.as_ref()).map(ToString::to_string).collect();
    let options: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &**name)).collect();
    html! {
        (entered.notice(visit.t("members.refused")))
        (parts::form(visit, PATH, html! {
            (parts::choice(&Field {
                name: "bank",
                label: visit.t("sharing.bank"),
                value: entered.value("bank", ""),
                ..Field::default()
            }, &options))
            (parts::field(&Field {
                name: "alias",
                label: visit.t("sharing.alias.column"),
                hint: visit.t("sharing.alias.hint"),
                value: entered.value("alias", ""),
                fault: entered.fault("alias"),
                ..Field::default()
            }))
            (parts::button(visit.t("sharing.alias.submit"), None))
        }))
    }
}

pub(super) async fn set_alias(visit: Visit, posted: Posted) -> Result<Response, Failed> {
    let bank: BankRef = posted.field("bank").parse().map_err(|_| Failed::not_there())?;
    let alias = posted.field("alias");
    let alias: Result<Option<BankName>, _> = (!alias.is_empty()).then(|| alias.parse()).transpose();
    let refused = match alias {
        Err(why) => Refused::field("alias", vigie_model::BankNameError::to_string(&why)),
        Ok(alias) => {
            match visit
                .caller
                .members()
                .set_alias(&bank, alias.as_ref(), posted.once(), visit.deadline())
                .await
            {
                Ok(set) => {
                    visit.wrote(set.sequence);
                    let done = if alias.is_some() { "sharing_done.alias" } else { "sharing_done.no_alias" };
                    return Ok(Done::saying(PATH, done, &[]).into_response());
                }
                Err(error) => Refused::of(error)?,
            }
        }
    };
    let page = page(&visit, None, Entered::again(&posted, &refused)).await?;
    Ok(page.with_status(refused.status()).into_response())
}
