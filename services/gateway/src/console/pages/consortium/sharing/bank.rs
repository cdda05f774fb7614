//! The sharing page of a bank: its grants and its charter. For another member's bank, only the charter.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use maud::html;
use serde::Deserialize;
use vigie_clients::{Code, GivenGrant};
use vigie_consortium::rights::Method;
use vigie_consortium::{Charter, MemberId, MemberName};
use vigie_model::BankRef;
use vigie_proto::bank::PAGE_DEFAULT;

use super::{bank_name, bank_path, charter, grants, names, path};
use crate::console::page::{Done, Failed, Page};
use crate::console::parts;
use crate::console::parts::{Entered, Refused};
use crate::console::posted::{Asked, Posted};
use crate::console::visit::Visit;

/// The requested part of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Which {
    /// The member whose grant fills the form.
    member: String,
    /// The list begins after the member with this id.
    after: Option<u32>,
}

/// The refused form of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Grant,
    Charter,
}

pub(super) async fn show(
    visit: Visit,
    Path(bank): Path<String>,
    Asked(which): Asked<Which>,
) -> Result<Page, Failed> {
    page(&visit, &bank_name(&bank)?, &which, None).await
}

/// Redirects a person who opens the address of a form.
pub(super) async fn back(Path(bank): Path<String>) -> Result<Done, Failed> {
    Ok(Done::at(path(&bank_name(&bank)?)))
}

/// The page, with one of its forms as entered.
pub(super) async fn page(
    visit: &Visit,
    bank: &BankRef,
    which: &Which,
    again: Option<(Part, Entered<'_>)>,
) -> Result<Page, Failed> {
    let given = given(visit, bank, which).await?;
    let charter = read_charter(visit, bank).await?;
    let names = match &charter {
        Some(charter) if !charter.suppresses().is_empty() => names(visit, None).await?,
        _ => BTreeMap::new(),
    };
    let entered =
        |part| again.filter(|(at, _)| *at == part).map_or_else(Entered::default, |(_, entered)| entered);
    let is_own = given.is_some();
    let main = html! {
        @if visit.may(Method::GetBank) { p { a href=(bank_path(bank)) { (visit.t("sharing.back")) } } }
        @match &given {
            Some(given) => {
                (parts::section(visit.t("sharing.given.title"), grants::list(visit, bank, given)))
                (parts::pager(visit, next(bank, given).as_deref()))
                @if visit.may(Method::PutGrant) {
                    @let first = given.iter().find(|one| one.member.as_ref().is_some_and(|name| name.as_str() == which.member));
                    (grants::forms(visit, bank, first, entered(Part::Grant)))
                }
            }
            None => p { (visit.t("sharing.not_listed")) },
        }
        @if let Some(charter) = &charter {
            (parts::section(visit.t("sharing.charter.title"), charter::part(visit, bank, charter, &names, is_own, entered(Part::Charter))))
        }
    };
    Ok(Page::new(visit.fill("sharing.title", &[("bank", bank)]), main))
}

/// The grants of an own bank; `None` if the bank is another member's, or the person may not list its grants.
async fn given(visit: &Visit, bank: &BankRef, which: &Which) -> Result<Option<Vec<GivenGrant>>, Failed> {
    if !visit.may(Method::ListGrants) {
        return Ok(None);
    }
    let members = visit.caller.members();
    match members.list_grants_of(bank, which.after.map(MemberId), PAGE_DEFAULT, visit.deadline()).await {
        Ok(listed) => Ok(Some(listed.value)),
        // The person can see the bank; the page has its charter.
        Err(error) if error.code() == Code::PermissionDenied => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The charter; `None` if no role of the person may read it.
async fn read_charter(visit: &Visit, bank: &BankRef) -> Result<Option<Charter>, Failed> {
    if !visit.may(Method::GetCharter) {
        return Ok(None);
    }
    let found = visit.caller.members().get_charter(bank, visit.deadline()).await;
    match found {
        Ok(found) => Ok(Some(found.value)),
        Err(error) if error.code() == Code::PermissionDenied => Err(Failed::not_there()),
        Err(error) => Err(error.into()),
    }
}

fn next(bank: &BankRef, given: &[GivenGrant]) -> Option<String> {
    let last = given.last().filter(|_| given.len() >= usize::from(PAGE_DEFAULT))?;
    Some(format!("{}?after={}", path(bank), last.grant.member))
}

pub(super) async fn put_grant(
    visit: Visit,
    Path(bank): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let bank = bank_name(&bank)?;
    let refused = match grants::read(&visit, &posted) {
        Err(refused) => refused,
        Ok((name, capabilities, expiry)) => {
            let members = visit.caller.members();
            match members.put_grant(&bank, &name, capabilities, expiry, posted.once(), visit.deadline()).await
            {
                Ok(put) => {
                    visit.wrote(put.sequence);
                    return Ok(Done::saying(&path(&bank), "sharing_done.put", &[]).into_response());
                }
                // The page below answers for a bank that does not exist.
                Err(error) => Refused::of_field("member", error)?,
            }
        }
    };
    let page = page(&visit, &bank, &Which::default(), Some((Part::Grant, Entered::again(&posted, &refused))))
        .await?;
    Ok(page.with_status(refused.status()).into_response())
}

pub(super) async fn revoke_grant(
    visit: Visit,
    Path(bank): Path<String>,
    posted: Posted,
) -> Result<Done, Failed> {
    let bank = bank_name(&bank)?;
    let name: MemberName = posted.field("member").parse().map_err(|_| Failed::not_there())?;
    let revoked = visit.caller.members().revoke_grant(&bank, &name, posted.once(), visit.deadline()).await?;
    visit.wrote(revoked.sequence);
    Ok(Done::saying(&path(&bank), "sharing_done.revoked", &[]))
}

pub(super) async fn set_charter(
    visit: Visit,
    Path(bank): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let bank = bank_name(&bank)?;
    let refused = match charter::checked(&visit, &posted).await? {
        Err(refused) => refused,
        Ok(charter) => {
            match visit.caller.members().set_charter(&bank, charter, posted.once(), visit.deadline()).await {
                Ok(set) => {
                    visit.wrote(set.sequence);
                    return Ok(Done::saying(&path(&bank), "sharing_done.charter", &[]).into_response());
                }
                Err(error) => Refused::of(error)?,
            }
        }
    };
    let page =
        page(&visit, &bank, &Which::default(), Some((Part::Charter, Entered::again(&posted, &refused))))
            .await?;
    Ok(page.with_status(refused.status()).into_response())
}
