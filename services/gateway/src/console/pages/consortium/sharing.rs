//! Shared banks: the grants and the charter of a bank, and the banks that others share with the person's
//! member.
//!
//! Reading order: `bank` (the page of a bank), `grants` and `charter` (its two forms), `received` (banks of
//! others).

mod bank;
mod grants;
mod charter;
mod received;

use std::collections::BTreeMap;

use axum::routing::get;
use vigie_clients::Written;
use vigie_consortium::rights::Method;
use vigie_model::{BankId, BankRef};
use vigie_proto::bank::PAGE_MAX;

use crate::console::page::Failed;
use crate::console::route::Route;
use crate::console::visit::Visit;

pub(crate) fn routes() -> Vec<Route> {
    const READ: &[Method] = &[Method::ListGrants, Method::GetCharter];
    vec![
        Route::form(
            "/console/banks/{bank}/sharing",
            READ,
            &[Method::PutGrant],
            get(bank::show).post(bank::put_grant),
        ),
        Route::form(
            "/console/banks/{bank}/sharing/end",
            READ,
            &[Method::RevokeGrant],
            get(bank::back).post(bank::revoke_grant),
        ),
        Route::form(
            "/console/banks/{bank}/charter",
            READ,
            &[Method::SetCharter],
            get(bank::back).post(bank::set_charter),
        ),
        Route::form(
            received::PATH,
            &[Method::ListGrants],
            &[Method::SetAlias],
            get(received::show).post(received::set_alias),
        ),
    ]
}

/// The path of a bank's sharing page.
pub(crate) fn path(bank: &BankRef) -> String {
    format!("{}/sharing", bank_path(bank))
}

/// The path of a bank's pages. In a name, only the slash after the owner needs escaping.
fn bank_path(bank: &BankRef) -> String {
    format!("/console/banks/{}", bank.to_string().replace('/', "%2F"))
}

/// Parses the name of a bank in a path. An invalid name is answered as not found.
fn bank_name(text: &str) -> Result<BankRef, Failed> {
    text.parse().map_err(|_| Failed::not_there())
}

/// The person's names for banks by id: one page, after the given bank. Pages show banks that are not in it by
/// id.
async fn names(visit: &Visit, after: Option<BankId>) -> Result<BTreeMap<BankId, BankRef>, Failed> {
    if !visit.may(Method::ListBanks) {
        return Ok(BTreeMap::new());
    }
    let Written { value, .. } = visit.caller.banks().list_banks(after, PAGE_MAX, visit.deadline()).await?;
    Ok(value.into_iter().map(|bank| (bank.id, bank.name)).collect())
}
