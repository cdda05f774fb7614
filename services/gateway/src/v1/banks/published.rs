//! `/v1/banks/{bank}/list`: the published list of a bank, which other deployments follow and verify.

use axum::Json;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vigie_clients::{Code, ListEntry, ListPage, ListSays};
use vigie_consortium::ListChain;
use vigie_hashes::hex;

use crate::problem::Problem;
use crate::v1::items::objects::ClassObject;
use crate::v1::request::{Call, In, page_size};
use crate::v1::values::{HashObject, bank_of};

/// The options of a page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListOptions {
    /// The number after which the page begins: the last one of the page before.
    after: Option<u64>,
    /// The chain as of that entry, 64 hexadecimal digits. If the list has another one there, the answer is
    /// 410.
    chain: Option<String>,
    /// Entries of the page, 1 to 1000; 100 where it is not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
}

/// A page of a published list, as of one moment.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListObject {
    /// Ordered by number, without gaps.
    entries: Vec<EntryObject>,
    /// BLAKE3 over all entries of the list up to the last of the page, in hexadecimal digits.
    chain: String,
    /// Whether the list goes on.
    has_more: bool,
    /// The newest entry of the list.
    head: u64,
    /// Items in the list as of `head`.
    items: u64,
    /// The digest of these items: four sums of 16 hexadecimal digits, one after another.
    set: String,
    /// Whether the list has every item of the bank that belongs in it; `false` for a while after an update
    /// from a version without lists.
    is_whole: bool,
    /// Milliseconds since 1970: every change up to then is in the list.
    as_of_unix_ms: u64,
}

/// An entry of a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct EntryObject {
    /// Its number.
    number: u64,
    /// Its content.
    #[serde(flatten)]
    says: SaysObject,
}

/// The content of an entry.
#[derive(Serialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum SaysObject {
    /// The item is in the list from this entry on, or has changed.
    Put {
        /// The key of the item, 32 hexadecimal digits.
        key: String,
        /// Its hashes.
        hashes: Vec<HashObject>,
        /// Its labels.
        labels: Vec<String>,
        /// Its classes.
        classification: Vec<ClassObject>,
    },
    /// The item is no longer in the list.
    Gone {
        /// The key of the item, 32 hexadecimal digits.
        key: String,
    },
    /// A later entry about the same item replaces this one.
    Superseded {
        /// The digest of this entry's former content, 64 hexadecimal digits.
        digest: String,
    },
}

impl From<ListPage> for ListObject {
    fn from(page: ListPage) -> Self {
        Self {
            entries: page.entries.into_iter().map(EntryObject::from).collect(),
            chain: hex::encode(&page.chain.0),
            has_more: page.has_more,
            head: page.head,
            items: page.set.hashes,
            set: page.set.sums.iter().map(|sum| format!("{sum:016x}")).collect(),
            is_whole: page.is_whole,
            as_of_unix_ms: page.as_of.0,
        }
    }
}

impl From<ListEntry> for EntryObject {
    fn from(entry: ListEntry) -> Self {
        let says = match entry.says {
            ListSays::Put(key, content) => SaysObject::Put {
                key: hex::encode(&key.0),
                hashes: content.hashes.iter().map(HashObject::from).collect(),
                labels: content.labels,
                classification: content.details.classification.iter().map(ClassObject::from).collect(),
            },
            ListSays::Gone(key) => SaysObject::Gone { key: hex::encode(&key.0) },
            ListSays::Superseded(digest) => SaysObject::Superseded { digest: hex::encode(&digest.0) },
        };
        Self { number: entry.number, says }
    }
}

/// Reads the published list of a bank
///
/// For another deployment that follows the bank. The list has its own numbers without gaps, a chain over its
/// entries and a digest of its items, and reveals nothing of other banks. Items that the bank knows from
/// programmes alone are not in it.
#[utoipa::path(
    get, path = "/banks/{bank}/list", tag = "banks",
    params(("bank" = String, Path, description = "Its name, or `owner/name`, percent-encoded"), ListOptions),
    responses(
        (status = 200, description = "A page of the list", body = ListObject),
        (status = 410, description = "The list has another chain there: begin anew", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read_list(
    In(bank): In<String>,
    call: Call<ListOptions>,
) -> Result<Json<ListObject>, Problem> {
    let bank = bank_of(&bank)?;
    let ListOptions { after, chain, limit } = &call.options;
    let chain = chain.as_deref().map(read_chain).transpose()?;
    let (after, size) = (after.unwrap_or_default(), page_size(*limit)?);
    let page = call.caller.banks().published_list(&bank, after, chain, size, call.deadline()).await;
    let page = page.map_err(|error| {
        let does_not_go_on = error.code() == Code::OutOfRange;
        let problem = Problem::from(error);
        if does_not_go_on { Problem { status: StatusCode::GONE, ..problem } } else { problem }
    });
    Ok(Json(page?.into()))
}

fn read_chain(text: &str) -> Result<ListChain, Problem> {
    hex::decode_array(text).map(ListChain).ok_or_else(|| Problem::field("chain", "has 64 hexadecimal digits"))
}
