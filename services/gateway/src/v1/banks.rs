//! `/v1/banks`: banks, by the caller's names for them.

pub(super) mod published;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vigie_clients::{BankListing, Written};
use vigie_model::{BankId, BankName, MatchRatio};

use crate::problem::Problem;
use crate::v1::request::{Call, In, Once, PageOptions, Sent};
use crate::v1::values::{bank_of, value};

/// A bank.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BankObject {
    /// The caller's name for it: of another member's bank `owner/name`, or the alias.
    bank: String,
    /// Its id.
    bank_id: u32,
    /// The name of the member that it belongs to; `null` where the bank names none.
    owner: Option<String>,
    /// Whether it is searched.
    enabled: bool,
    /// Milliseconds since 1970.
    created_at_unix_ms: u64,
    /// Living items.
    items: u64,
    /// Their hashes.
    hashes: u64,
    /// The share of lookups over the HMA-compatible API in which it takes part.
    match_ratio: f64,
    /// The answer is as of this change; after a write, it is the change of the write.
    sequence: u64,
}

impl BankObject {
    fn new(bank: &BankListing, sequence: vigie_model::Sequence) -> Self {
        Self {
            bank: bank.name.to_string(),
            bank_id: bank.id.0,
            owner: bank.owner.as_ref().map(ToString::to_string),
            enabled: bank.enabled,
            created_at_unix_ms: bank.created_at.0,
            items: bank.item_count,
            hashes: bank.hash_count,
            match_ratio: bank.match_ratio.get(),
            sequence: sequence.0,
        }
    }
}

/// A page of banks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BankPage {
    /// Ordered by id.
    banks: Vec<BankObject>,
    /// The id after which the next page begins; `null` on the last page.
    next_after: Option<u32>,
    /// The answer is as of this change.
    sequence: u64,
}

/// A bank that is to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBank {
    /// 1 to 255 of A-Z a-z 0-9 . _ - that begin with a letter, a digit or _.
    name: String,
    /// The share of lookups over the HMA-compatible API in which it takes part, 0 to 1; 1 where it is not
    /// given.
    #[schema(minimum = 0, maximum = 1)]
    match_ratio: Option<f64>,
}

/// The changes to a bank; a field that is not given stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BankPatch {
    /// Its new name.
    name: Option<String>,
    /// Whether it is searched.
    enabled: Option<bool>,
    /// The share of lookups over the HMA-compatible API in which it takes part, 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    match_ratio: Option<f64>,
}

/// A bank that was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedBank {
    /// Its name.
    bank: String,
    /// Items that were deleted with it.
    items: u64,
    /// The change that deleted it.
    sequence: u64,
}

fn ratio(number: f64) -> Result<MatchRatio, Problem> {
    number.try_into().map_err(|why| Problem::field("match_ratio", why))
}

/// Lists the banks that the caller sees
#[utoipa::path(
    get, path = "/banks", tag = "banks", params(PageOptions),
    responses((status = 200, description = "A page of banks", body = BankPage))
)]
pub(super) async fn list_banks(call: Call<PageOptions>) -> Result<Json<BankPage>, Problem> {
    let (size, after) = (call.options.size()?, call.options.after(BankId)?);
    let Written { value: banks, sequence } =
        call.caller.banks().list_banks(after, size, call.deadline()).await?;
    let is_full = banks.len() >= usize::from(size);
    Ok(Json(BankPage {
        next_after: banks.last().filter(|_| is_full).map(|bank| bank.id.0),
        banks: banks.iter().map(|bank| BankObject::new(bank, sequence)).collect(),
        sequence: sequence.0,
    }))
}

/// Creates an empty, enabled bank
#[utoipa::path(
    post, path = "/banks", tag = "banks", params(Once), request_body = NewBank,
    responses((status = 201, description = "The bank", body = BankObject))
)]
pub(super) async fn create_bank(call: Call, sent: Sent<NewBank>) -> Result<Response, Problem> {
    let NewBank { name, match_ratio } = sent.asked;
    let name: BankName = value("name", &name)?;
    let ratio = match_ratio.map(ratio).transpose()?.unwrap_or_default();
    let banks = call.caller.banks();
    let made = banks.create_bank_with_ratio(&name, ratio, call.key(), call.deadline()).await?;
    call.wrote(made.sequence);
    // The letters of a bank's name need no escape in a path.
    let location = [(header::LOCATION, format!("/v1/banks/{name}"))];
    Ok((StatusCode::CREATED, location, Json(BankObject::new(&made.value, made.sequence))).into_response())
}

/// Shows a bank
#[utoipa::path(
    get, path = "/banks/{bank}", tag = "banks",
    params(("bank" = String, Path, description = "Its name, or `owner/name`, percent-encoded")),
    responses((status = 200, description = "The bank", body = BankObject))
)]
pub(super) async fn show_bank(call: Call, In(bank): In<String>) -> Result<Json<BankObject>, Problem> {
    let found = call.caller.banks().get_bank(&bank_of(&bank)?, call.deadline()).await?;
    Ok(Json(BankObject::new(&found.value, found.sequence)))
}

/// Enables or disables a bank, or changes its ratio or its name
///
/// Each change is a write of its own, in that order. If one fails, those before it are done, and the request
/// can be sent again.
#[utoipa::path(
    patch, path = "/banks/{bank}", tag = "banks",
    params(("bank" = String, Path, description = "Its name, or `owner/name`, percent-encoded"), Once),
    request_body = BankPatch,
    responses((status = 200, description = "The bank", body = BankObject))
)]
pub(super) async fn change_bank(
    call: Call,
    In(bank): In<String>,
    sent: Sent<BankPatch>,
) -> Result<Json<BankObject>, Problem> {
    let BankPatch { name, enabled, match_ratio } = sent.asked;
    let bank = bank_of(&bank)?;
    let name: Option<BankName> = name.map(|name| value("name", &name)).transpose()?;
    let ratio = match_ratio.map(ratio).transpose()?;
    let (banks, deadline) = (call.caller.banks(), call.deadline());
    let mut changed = None;
    let mut keep = |made: Written<BankListing>| {
        call.wrote(made.sequence);
        changed = Some(made);
    };
    if let Some(enabled) = enabled {
        keep(banks.set_bank_enabled(&bank, enabled, call.key_of("enabled")?, deadline).await?);
    }
    if let Some(ratio) = ratio {
        keep(banks.set_bank_match_ratio(&bank, ratio, call.key_of("ratio")?, deadline).await?);
    }
    if let Some(name) = name {
        keep(banks.rename_bank(&bank, &name, call.key_of("name")?, deadline).await?);
    }
    let changed = match changed {
        Some(changed) => changed,
        None => banks.get_bank(&bank, deadline).await?,
    };
    Ok(Json(BankObject::new(&changed.value, changed.sequence)))
}

/// Deletes a bank with its items
#[utoipa::path(
    delete, path = "/banks/{bank}", tag = "banks",
    params(("bank" = String, Path, description = "Its name, or `owner/name`, percent-encoded"), Once),
    responses((status = 200, description = "The bank was deleted", body = DeletedBank))
)]
pub(super) async fn delete_bank(call: Call, In(bank): In<String>) -> Result<Json<DeletedBank>, Problem> {
    let bank = bank_of(&bank)?;
    let gone = call.caller.banks().delete_bank(&bank, call.key(), call.deadline()).await?;
    call.wrote(gone.sequence);
    Ok(Json(DeletedBank { bank: bank.to_string(), items: gone.value, sequence: gone.sequence.0 }))
}
