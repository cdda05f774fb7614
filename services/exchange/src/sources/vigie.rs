//! Another Vigie deployment: the published list of one of its banks, entry by entry.
//!
//! Each page proves itself: its entries continue the numbers of the previous page without a gap, and their
//! digests lead to its chain. At the end of a round, the list's set must equal the set of everything that is
//! stored; otherwise something was lost on the way, and the list is read again from the beginning. The same
//! happens if the other deployment answers that its list does not continue from here, for example after a
//! restore from a backup.

use std::collections::HashSet;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use vigie_consortium::{ListChain, ListKey};
use vigie_formats::vigie::{self, Says};
use vigie_model::{SetDigest, UnixMillis};

use super::source::{Next, Page, Proof, Refusal, Source, Step, Trouble, place, value};
use crate::asking::request::{Request, Response};
use crate::credentials::Credentials;
use crate::secret::Secret;

/// The number of entries of a page.
const PAGE_SIZE: &str = "1000";
/// The interval, in milliseconds, between two comparisons of the stored records with the list's set. Each
/// comparison reads all stored records.
const PROOF_EVERY_MS: u64 = 3_600_000;
/// The number of times that a round is started again because the list does not continue.
const RESTARTS_MAX: u32 = 2;

/// Follows a bank of another deployment.
#[derive(Debug)]
pub(crate) struct Vigie {
    base: Url,
    bank: String,
    key: Option<Secret>,
    place: ListPosition,
    /// Whether the list is read from its beginning, so that entries which it does not show are gone.
    is_full: bool,
    /// In a full round: the items that the list has added and not removed since.
    put: HashSet<ListKey>,
    is_done: bool,
    restarts: u32,
    /// The number of items in the list.
    total: Option<u64>,
    /// The digest of the items in the list, once its end is reached.
    set: Option<SetDigest>,
    as_of: Option<UnixMillis>,
    now: UnixMillis,
}

/// The position in the list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListPosition {
    /// The number of the last entry.
    number: u64,
    /// The chain at that entry, in hexadecimal digits; empty at the beginning.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    chain: String,
    /// The entry at which the stored records were last proved to equal the list.
    #[serde(default)]
    proven: u64,
    /// The time of that proof, in milliseconds.
    #[serde(default)]
    proven_ms: u64,
    /// Whether the stored records differ from the list, so that it has to be read from the beginning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    anew: bool,
}

impl Vigie {
    pub(crate) fn open(
        base: Url,
        bank: String,
        credentials: &Credentials,
        at: Option<&Value>,
        now: UnixMillis,
    ) -> Result<Self, Trouble> {
        let mut place: ListPosition = place(at)?;
        let is_full = place.anew;
        if is_full {
            place = ListPosition::default();
        }
        let key = credentials.get("key");
        let key = (!key.is_empty()).then(|| Secret::new(format!("Bearer {key}")));
        let put = HashSet::new();
        let (is_done, restarts, total, set, as_of) = (false, 0, None, None, None);
        Ok(Self { base, bank, key, place, is_full, put, is_done, restarts, total, set, as_of, now })
    }

    fn chain(&self) -> Result<ListChain, Trouble> {
        if self.place.chain.is_empty() {
            return Ok(ListChain::default());
        }
        let chain = HEXLOWER.decode(self.place.chain.as_bytes()).ok();
        let chain = chain.and_then(|bytes| bytes.try_into().ok());
        chain.map(ListChain).ok_or(Trouble::Place)
    }
}

impl Source for Vigie {
    fn next(&mut self) -> Result<Next, Trouble> {
        if self.is_done {
            return Ok(Next::Done);
        }
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Trouble::Link)?
            .pop_if_empty()
            .extend(["v1", "banks", &self.bank, "list"]);
        url.query_pairs_mut()
            .append_pair("after", &self.place.number.to_string())
            .append_pair("chain", &HEXLOWER.encode(&self.chain()?.0))
            .append_pair("limit", PAGE_SIZE);
        let request = Request::get(url);
        Ok(Next::Ask(match &self.key {
            Some(key) => request.with("Authorization", key.clone()),
            None => request,
        }))
    }

    fn take(&mut self, answer: &Response, now: UnixMillis) -> Result<Step, Trouble> {
        let page = vigie::parse(&answer.body)?;
        let (mut number, mut chain) = (self.place.number, self.chain()?);
        for entry in &page.entries {
            if number.checked_add(1) != Some(entry.number) {
                return Err(Trouble::Proof("its entries are not numbered without gaps"));
            }
            number = entry.number;
            chain = chain.after(number, &entry.digest());
        }
        if chain != page.chain {
            return Err(Trouble::Proof("its chain is not that of its entries"));
        }
        if page.has_more != (number < page.head) {
            return Err(Trouble::Proof("its end is not where its newest entry is"));
        }
        if page.has_more && page.entries.is_empty() {
            return Err(Trouble::Circle);
        }
        if self.is_full && !page.is_whole {
            return Err(Trouble::Proof("the other deployment has not listed all of its items yet"));
        }
        let (mut entries, mut gone) = (page.entries, Vec::new());
        if self.is_full {
            // Whether an entry that was once in the list still is there is decided at the end of the round,
            // by the entries that it showed.
            entries.retain(|entry| match &entry.says {
                Says::Put { key, .. } => {
                    self.put.insert(*key);
                    true
                }
                Says::Gone(key) => {
                    if self.put.remove(key) {
                        gone.push(*key);
                    }
                    false
                }
                Says::Superseded(_) => false,
            });
        }
        // Keys of 32 digits always fit.
        let records = vigie::records(&entries).map_err(|_| Trouble::Link)?;
        let gone = gone.into_iter().map(vigie::key).collect::<Result<_, _>>().map_err(|_| Trouble::Link)?;
        (self.place.number, self.place.chain) = (number, HEXLOWER.encode(&chain.0));
        self.is_done = !page.has_more;
        self.total = Some(page.set.hashes);
        self.set = self.is_done.then_some(page.set);
        self.as_of = self.is_done.then_some(page.as_of);
        self.now = now;
        Ok(Step::Store(Page { records, tally: Default::default(), gone, at: value(&self.place) }))
    }

    fn refused(&mut self, answer: &Response) -> Refusal {
        match answer.status {
            401 => Refusal::Credentials,
            // Other refusals need a change at the other deployment: the key is valid but lacks the right, or
            // the bank is not shared. Status 410 means that the list does not continue from here.
            410 if self.place.number > 0 && self.restarts < RESTARTS_MAX => {
                self.restarts += 1;
                (self.place, self.is_full) = (ListPosition::default(), true);
                self.put.clear();
                Refusal::Again
            }
            _ => Refusal::Stop,
        }
    }

    fn is_full(&self) -> bool {
        self.is_full
    }

    fn checkpoint(&self) -> Option<UnixMillis> {
        self.as_of
    }

    fn total(&self) -> Option<u64> {
        self.total
    }

    fn proof_is_due(&self) -> bool {
        let ListPosition { number, proven, proven_ms, .. } = self.place;
        let is_late = self.now.0.saturating_sub(proven_ms) >= PROOF_EVERY_MS;
        self.set.is_some() && number != proven && (self.is_full || proven == 0 || is_late)
    }

    fn prove(&mut self, stored: &SetDigest) -> Proof {
        let is_proven = self.set.as_ref() == Some(stored);
        if is_proven {
            (self.place.proven, self.place.proven_ms) = (self.place.number, self.now.0);
        } else {
            self.place.anew = true;
        }
        Proof { at: value(&self.place), is_proven }
    }
}
