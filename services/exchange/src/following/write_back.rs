//! Write-back submits a bank's own items to the programme, from the stored position to the bank's newest
//! change.
//!
//! Always true:
//!
//! - The programme receives every change at least once. The position moves past a page of changes only after
//!   the programme has accepted it, and sending a change again changes nothing.
//! - An item is withdrawn if it may have been submitted. The sequence up to which items may have been
//!   submitted is stored before they are.
//! - The withdrawals of a page come before its submissions. A hash that another own item of the bank still
//!   has is not withdrawn.
//! - Nothing is skipped silently. The ids of items that the programme refuses are stored, and every round
//!   submits them again; if there are too many, the position stays. The ids of removals that cannot be sent
//!   are stored until a person has requested a round. If there are too many, the rest is only in the log, but
//!   if the bank has purged their hashes, the position stays.
//! - After a minute the round ends, whatever is left, so that following continues.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use vigie_access::WallClock;
use vigie_model::{Hash, ItemId, Sequence};

use super::alarm::{Alarm, Failure};
use super::asking::{Untaken, ask};
use super::changes::{Sorted, is_purged, sort, taken};
use super::round::{Done, count};
use crate::asking::fetch::Fetch;
use crate::asking::pacing::Patience;
use crate::asking::request::{Request, Response};
use crate::bank::{Bank, ExchangeId, ItemChange, ItemState, Lease, Part, Reader};
use crate::cursor::{Cursor, OutPlace, Pass};
use crate::sources::Trouble;
use crate::targets::{Denial, Submission, Target};

/// The most items of one page. After a crash, up to this many are submitted again.
pub(crate) const PAGE_ITEMS_MAX: u16 = 100;
/// The time after which a round of write-back ends, so that following continues.
const BUDGET: Duration = Duration::from_secs(60);
/// The items of one page when a whole bank is searched.
const SCAN_ITEMS_MAX: u16 = 1_000;

/// The parameters of a round of write-back.
pub(crate) struct WriteBack<'a, B, F> {
    pub(crate) bank: &'a B,
    pub(crate) fetch: &'a F,
    pub(crate) lease: &'a Lease,
    pub(crate) exchange: ExchangeId,
    pub(crate) reader: &'a Reader,
    pub(crate) target: &'a dyn Target,
    pub(crate) patience: Patience,
    pub(crate) page_items_max: u16,
    /// Whether a person has requested the round.
    pub(crate) is_asked: bool,
    pub(crate) clock: &'a WallClock,
}

/// The state of a round.
struct State {
    /// The stored cursor.
    cursor: Cursor,
    out: OutPlace,
}

/// The programme's answer.
enum Sent<T> {
    Taken(T),
    /// The programme refuses one of the hashes, with this status.
    Refused(u16),
    /// The object to be deleted does not exist, or the endpoint does not.
    Gone(u16),
}

impl<B: Bank, F: Fetch> WriteBack<'_, B, F> {
    /// Runs the round to its end. Returns an alarm if something is left over.
    pub(crate) async fn run(&self, done: &mut Done) -> Result<Option<Alarm>, Failure> {
        let exchange = self.bank.exchange(self.exchange).await?;
        let cursor = Cursor::parse(&exchange.cursor).map_err(Alarm::from)?;
        let bank = self.bank.own_bank(self.exchange, self.reader).await?.0;
        let out = cursor.out.clone().unwrap_or(OutPlace { bank, ..OutPlace::default() });
        if out.bank != bank {
            return Err(Alarm::OtherBank.into());
        }
        let mut state = State { cursor, out };
        // The report has named all of them, and a person has requested a round after reading it.
        let named = numbers(&exchange.report.alarm);
        if self.is_asked
            && !state.out.unsent.is_empty()
            && state.out.unsent.iter().all(|item| named.contains(item))
        {
            state.out.unsent.clear();
            state.out.unsent_more = 0;
            self.store(&mut state).await?;
        }
        self.submit_refused(&mut state, done).await?;
        let mut after = state.out.after;
        let begun = Instant::now();
        loop {
            let page = self.bank.changes(self.reader, Sequence(after), self.page_items_max).await?;
            let (base, head) = (state.out.through, page.head.0);
            state.out.pass.get_or_insert(Pass { base, head });
            let (changes, is_cut) = self.within_bounds(page.changes, &state)?;
            let last = changes.last().map(|change| change.sequence.0);
            if let Some(last) = last {
                self.page(changes, last, &mut state, done).await?;
            }
            if !is_cut && !page.has_more {
                break;
            }
            after = if is_cut { last.unwrap_or(after) } else { page.next_after.0 };
            if begun.elapsed() >= BUDGET {
                // The programme's withdrawals must not wait: the next round continues.
                done.goes_on = true;
                break;
            }
        }
        if !done.goes_on {
            state.out.pass = None;
            self.store(&mut state).await?;
        }
        let OutPlace { refused, unsent, unsent_more: more, .. } = state.out;
        let is_whole = refused.is_empty() && unsent.is_empty();
        Ok((!is_whole).then_some(Alarm::LeftOver { refused, unsent, more }))
    }

    /// Returns the first changes, as many as possible without more purged items than can be stored by id.
    /// Also returns whether changes are left.
    fn within_bounds(
        &self,
        mut changes: Vec<ItemChange>,
        state: &State,
    ) -> Result<(Vec<ItemChange>, bool), Alarm> {
        let room = OutPlace::IDS_MAX - state.out.unsent.len().min(OutPlace::IDS_MAX);
        let purged = changes.iter().enumerate().filter(|(_, change)| is_purged(change, &state.out));
        let Some(end) = purged.map(|(at, _)| at).nth(room) else { return Ok((changes, false)) };
        changes.truncate(end);
        if changes.is_empty() {
            Err(Alarm::ManyUnsent(state.out.unsent.clone()))
        } else {
            Ok((changes, true))
        }
    }

    /// Sends a page of changes, which ends with the sequence `last`.
    async fn page(
        &self,
        changes: Vec<ItemChange>,
        last: u64,
        state: &mut State,
        done: &mut Done,
    ) -> Result<(), Failure> {
        let takes = |hash: &Hash, of_picture| self.target.takes(hash, of_picture);
        let Sorted { withdrawals, forgotten, submissions } = sort(changes, &state.out, takes);
        state.out.unsent.extend(forgotten.iter().map(|item| item.0));
        let withdrawals = self.without_living(withdrawals, state.out.through).await?;
        self.withdraw(withdrawals, state, done).await?;
        if !submissions.is_empty() && state.out.through < last {
            state.out.through = last;
            self.store_through(state).await?;
        }
        self.submit(submissions, state, done).await?;
        state.out.after = last;
        self.store(state).await
    }

    /// Returns those hashes that no own item of the bank has. Items that were never submitted do not count:
    /// if they still exist they will be submitted, and if they are removed before that, nothing would
    /// withdraw the hash.
    async fn without_living(
        &self,
        mut hashes: Vec<(ItemId, Hash)>,
        through: u64,
    ) -> Result<Vec<(ItemId, Hash)>, Failure> {
        let mut after = Sequence::ZERO;
        while !hashes.is_empty() {
            let page = self.bank.changes(self.reader, after, SCAN_ITEMS_MAX).await?;
            let living: HashSet<&Hash> = page
                .changes
                .iter()
                .filter(|change| change.item.0 <= through)
                .filter_map(
                    |change| if let ItemState::Own(hashes) = &change.state { Some(hashes) } else { None },
                )
                .flatten()
                .collect();
            hashes.retain(|(_, hash)| !living.contains(hash));
            if !page.has_more {
                break;
            }
            after = page.next_after;
        }
        Ok(hashes)
    }

    async fn withdraw(
        &self,
        hashes: Vec<(ItemId, Hash)>,
        state: &mut State,
        done: &mut Done,
    ) -> Result<(), Failure> {
        let mut taken_back = BTreeSet::new();
        let mut refused = BTreeMap::new();
        let mut waiting = batches(hashes, self.target.batch_max());
        while let Some(batch) = waiting.pop() {
            let hashes: Vec<Hash> = batch.iter().map(|(_, hash)| hash.clone()).collect();
            let request = self.target.withdraw(&hashes).map_err(Alarm::Trouble)?;
            let sent = self.send(&request, done, |answer| self.target.withdrawn(&hashes, answer)).await?;
            match sent {
                Sent::Taken(None) => taken_back.extend(batch.iter().map(|(item, _)| *item)),
                Sent::Taken(Some(deletions)) => {
                    for deletion in deletions {
                        let items = batch.iter().map(|(item, _)| *item);
                        match self.send(&deletion, done, |answer| self.target.deleted(answer)).await? {
                            Sent::Taken(()) => taken_back.extend(items),
                            Sent::Gone(_) => {}
                            // A deletion whose answer was lost may be refused when it is repeated.
                            Sent::Refused(status) => {
                                let sent = self
                                    .send(&request, done, |answer| self.target.withdrawn(&hashes, answer));
                                match sent.await? {
                                    Sent::Taken(Some(left)) if left.contains(&deletion) => {
                                        refused.extend(items.map(|item| (item, status)));
                                    }
                                    Sent::Taken(_) | Sent::Refused(_) => taken_back.extend(items),
                                    Sent::Gone(status) => return Err(Alarm::Refused(status).into()),
                                }
                            }
                        }
                    }
                }
                Sent::Refused(status) if batch.len() == 1 => {
                    refused.extend(batch.iter().map(|(item, _)| (*item, status)));
                }
                Sent::Refused(_) => waiting.extend(halves(batch)),
                // The call is for hashes, or a search, not for an object that may be gone. So the endpoint is
                // missing.
                Sent::Gone(status) => return Err(Alarm::Refused(status).into()),
            }
        }
        done.taken_back += count(taken_back.len());
        for (item, status) in refused {
            // The ids of removed items cannot block the position until the programme accepts them, so the
            // rest continues.
            if state.out.unsent.len() < OutPlace::IDS_MAX {
                state.out.unsent.push(item.0);
            } else {
                state.out.unsent_more += 1;
                tracing::error!(item = item.0, status, "the withdrawal of an item could not be sent");
            }
        }
        Ok(())
    }

    /// Submits items, and stores the ids of those that the programme refuses.
    async fn submit(
        &self,
        items: Vec<(ItemId, Vec<Submission>)>,
        state: &mut State,
        done: &mut Done,
    ) -> Result<(), Failure> {
        let mut left: BTreeSet<ItemId> = items.iter().map(|(item, _)| *item).collect();
        let refused = self.send_items(items, done).await?;
        for (item, status) in refused {
            left.remove(&item);
            if state.out.refused.contains(&item.0) {
                continue;
            }
            if state.out.refused.len() >= OutPlace::IDS_MAX {
                return Err(Alarm::ManyRefused { item, status }.into());
            }
            done.refused += 1;
            state.out.refused.push(item.0);
        }
        state.out.refused.retain(|item| !left.contains(&ItemId(*item)));
        done.submitted += count(left.len());
        Ok(())
    }

    /// Submits the items again that the programme refused in earlier rounds, if they still exist.
    async fn submit_refused(&self, state: &mut State, done: &mut Done) -> Result<(), Failure> {
        let changed_at = self.clock.now();
        for item in state.out.refused.clone() {
            let hashes = self.bank.own_item(self.reader, ItemId(item)).await?.unwrap_or_default();
            let taken = taken(hashes, |hash, of_picture| self.target.takes(hash, of_picture));
            let taken: Vec<Submission> = taken.map(|hash| Submission { hash, changed_at }).collect();
            if taken.is_empty() {
                state.out.refused.retain(|one| *one != item);
            } else {
                self.submit(vec![(ItemId(item), taken)], state, done).await?;
            }
        }
        self.store(state).await
    }

    /// Sends submissions in batches. Returns the items that the programme refuses, with the statuses of its
    /// answers.
    async fn send_items(
        &self,
        items: Vec<(ItemId, Vec<Submission>)>,
        done: &mut Done,
    ) -> Result<BTreeMap<ItemId, u16>, Failure> {
        let of_item = |(item, submissions): (ItemId, Vec<Submission>)| {
            submissions.into_iter().map(move |submission| (item, submission))
        };
        let mut waiting = batches(items.into_iter().flat_map(of_item).collect(), self.target.batch_max());
        let mut refused = BTreeMap::new();
        while let Some(batch) = waiting.pop() {
            let submissions: Vec<Submission> = batch.iter().map(|(_, one)| one.clone()).collect();
            let request = self.target.submit(&submissions).map_err(Alarm::Trouble)?;
            match self.send(&request, done, |answer| self.target.submitted(answer)).await? {
                Sent::Taken(()) => {}
                Sent::Refused(status) if batch.len() == 1 => {
                    refused.extend(batch.iter().map(|(item, _)| (*item, status)));
                }
                Sent::Refused(_) => waiting.extend(halves(batch)),
                Sent::Gone(status) => return Err(Alarm::Refused(status).into()),
            }
        }
        Ok(refused)
    }

    async fn send<T>(
        &self,
        request: &Request,
        done: &mut Done,
        take: impl Fn(&Response) -> Result<T, Trouble>,
    ) -> Result<Sent<T>, Failure> {
        let take = |answer: &Response| {
            if (200..300).contains(&answer.status) {
                return take(answer).map(Sent::Taken).map_err(Untaken::Trouble);
            }
            match self.target.denied(answer) {
                Denial::Later => Err(Untaken::Later),
                Denial::Credentials => Err(Untaken::Alarm(Alarm::Credentials(answer.status))),
                Denial::Content => Ok(Sent::Refused(answer.status)),
                Denial::Gone => Ok(Sent::Gone(answer.status)),
                Denial::Stop => Err(Untaken::Alarm(Alarm::Refused(answer.status))),
            }
        };
        ask(self.fetch, self.patience, request, &mut done.retries, take).await
    }

    /// Stores the sequence up to which items may be submitted, and nothing else that the page changes.
    async fn store_through(&self, state: &mut State) -> Result<(), Failure> {
        let stored = state.cursor.out.clone();
        let stored = stored.unwrap_or(OutPlace { bank: state.out.bank, ..OutPlace::default() });
        self.store_out(state, OutPlace { through: state.out.through, pass: state.out.pass, ..stored }).await
    }

    async fn store(&self, state: &mut State) -> Result<(), Failure> {
        let out = state.out.clone();
        self.store_out(state, out).await
    }

    async fn store_out(&self, state: &mut State, out: OutPlace) -> Result<(), Failure> {
        let is_new = out != OutPlace { bank: out.bank, ..OutPlace::default() };
        if state.cursor.out.as_ref() == Some(&out) || state.cursor.out.is_none() && !is_new {
            return Ok(());
        }
        let cursor = Cursor { out: Some(out), ..state.cursor.clone() };
        let bytes = |cursor: &Cursor| cursor.to_bytes().ok_or(Alarm::Place);
        let part = Part {
            expected: bytes(&state.cursor)?,
            cursor: bytes(&cursor)?,
            withdrawn: Vec::new(),
            puts: Vec::new(),
            checkpoint: None,
        };
        self.bank.apply(self.exchange, self.lease, part).await?;
        state.cursor = cursor;
        Ok(())
    }
}

/// Splits a list into batches, the last one first.
fn batches<T>(list: Vec<T>, count_max: usize) -> Vec<Vec<T>> {
    let mut batches = Vec::new();
    let mut list = list.into_iter().peekable();
    while list.peek().is_some() {
        batches.push(list.by_ref().take(count_max).collect());
    }
    batches.reverse();
    batches
}

/// Returns the halves of a batch of at least two, the second one first.
fn halves<T>(mut batch: Vec<T>) -> [Vec<T>; 2] {
    let second = batch.split_off(batch.len() / 2);
    [second, batch]
}

/// Returns the numbers in a text.
fn numbers(text: &str) -> HashSet<u64> {
    text.split(|one: char| !one.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_within_another_is_not_named() {
        let named = numbers("items 123, 7 and 5 more could not be sent; refuses items 40");
        assert_eq!(named, HashSet::from([123, 7, 5, 40]));
    }
}
