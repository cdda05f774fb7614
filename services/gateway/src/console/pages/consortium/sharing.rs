//! Banks that are shared: with whom and for what, the terms of a bank, and banks that others share with the person's member.
//!
//! Reading order: `bank` (the page of a bank), `grants` and `charter` (its two forms), `received` (what others share).

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

/// The path of a bank's page of sharing.
pub(crate) fn path(bank: &BankRef) -> String {
    format!("{}/sharing", bank_path(bank))
}

/// The path of a bank's pages. A name has no letter that a path escapes, but the slash after its owner.
fn bank_path(bank: &BankRef) -> String {
    format!("/console/banks/{}", bank.to_string().replace('/', "%2F"))
}

/// The name of a bank in a path. What is no name names no bank.
fn bank_name(text: &str) -> Result<BankRef, Failed> {
    text.parse().map_err(|_| Failed::not_there())
}

/// The person's names for banks by id, of one page of them that begins after a bank. Those that are not in it are shown by their ids.
async fn names(visit: &Visit, after: Option<BankId>) -> Result<BTreeMap<BankId, BankRef>, Failed> {
    if !visit.may(Method::ListBanks) {
        return Ok(BTreeMap::new());
    }
    let Written { value, .. } = visit.caller.banks().list_banks(after, PAGE_MAX, visit.deadline()).await?;
    Ok(value.into_iter().map(|bank| (bank.id, bank.name)).collect())
}
