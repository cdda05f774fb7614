//! Sends opinions: the opinions that the owner of an exchange has given by hand on its items are sent to the
//! programme, from the stored position to the bank's newest change.
//!
//! Always true:
//!
//! - Only opinions of the owner's own people, on items with records of this exchange, are sent. Opinions that
//!   came from a programme are never sent.
//! - The programme receives every opinion at least once. The position moves past a page only after the
//!   programme has accepted it, and sending an opinion again changes nothing. Of several opinions on one
//!   hash, the one that counts is sent, in its state at the time of sending.
//! - Nothing is skipped silently, and no refusal blocks other items. The ids of items whose opinion the
//!   programme refuses are stored; if there are too many, the rest is only in the log. They are sent again
//!   when one of their opinions changes, and when a person requests a round.
//! - A missing object of the programme needs no opinion. A missing endpoint ends the round with an alarm.
//! - After a minute the round ends, whatever is left, so that following continues.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use vigie_model::{ItemId, OpinionKind, Sequence};

use super::alarm::{Alarm, Failure};
use super::asking::{Untaken, ask};
use super::round::{Done, count};
use crate::asking::fetch::Fetch;
use crate::asking::pacing::Patience;
use crate::asking::request::{Request, Response};
use crate::bank::{Bank, ExchangeId, Lease, OwnWord, Part, RecordsOfItem, SaidOfItem};
use crate::cursor::{Cursor, OutPlace, SaidPlace};
use crate::secret::Secret;
use crate::sources::Trouble;
use crate::targets::Denial;
use crate::targets::feedback::{Hearer, Saying};

/// The most items of one page. After a crash, up to this many are sent again.
pub(crate) const PAGE_ITEMS_MAX: u16 = 100;
/// The time after which a round of opinions ends, so that following continues.
const BUDGET: Duration = Duration::from_secs(60);

/// The parameters of a round of opinions.
pub(crate) struct FeedbackRound<'a, B, F> {
    pub(crate) bank: &'a B,
    pub(crate) fetch: &'a F,
    pub(crate) lease: &'a Lease,
    pub(crate) exchange: ExchangeId,
    /// The key of a principal of the owner; empty in a deployment without members.
    pub(crate) key: &'a Secret,
    pub(crate) hearer: &'a dyn Hearer,
    pub(crate) patience: Patience,
    pub(crate) page_items_max: u16,
    /// Whether a person has requested the round.
    pub(crate) is_asked: bool,
}

/// The state of a round.
struct State {
    /// The stored cursor.
    cursor: Cursor,
    said: SaidPlace,
}

/// The programme's answer.
enum Reply<T> {
    Taken(T),
    /// The opinion, or the hash that it is about, is refused.
    Refused,
    /// The object of the opinion no longer exists, by this status.
    Gone(u16),
}

impl<B: Bank, F: Fetch> FeedbackRound<'_, B, F> {
    /// Runs the round to its end. Returns an alarm if opinions are left over.
    pub(crate) async fn run(&self, done: &mut Done) -> Result<Option<Alarm>, Failure> {
        let exchange = self.bank.exchange(self.exchange).await?;
        let cursor = Cursor::parse(&exchange.cursor).map_err(Alarm::from)?;
        let stored = cursor.said.clone();
        let mut state = State { said: stored.unwrap_or_default(), cursor };
        let has_left = !state.said.refused.is_empty() || state.said.more > 0;
        if self.is_asked && has_left {
            // Items whose ids are stored are found again by a pass from the beginning. The ids of further
            // ones are unknown, so the pass then sends every opinion again.
            let known = if state.said.more > 0 { 0 } else { state.said.known };
            state.said = SaidPlace { after: 0, known, more: 0, ..state.said };
            self.store(&mut state).await?;
        }
        let begun = Instant::now();
        let mut goes_on = false;
        loop {
            let after = Sequence(state.said.after);
            let page = self.bank.said(self.exchange, self.key, after, self.page_items_max).await?;
            if state.cursor.said.is_none() {
                state.said.since = page.head.0;
                self.store(&mut state).await?;
            }
            self.page(page.items, &mut state, done).await?;
            state.said.after = page.next_after.0;
            if !page.has_more {
                state.said.known = state.said.after;
                self.store(&mut state).await?;
                break;
            }
            self.store(&mut state).await?;
            if begun.elapsed() >= BUDGET {
                goes_on = true;
                break;
            }
        }
        done.goes_on |= goes_on;
        let SaidPlace { refused, more, .. } = state.said;
        Ok((!refused.is_empty() || more > 0).then_some(Alarm::Unsaid { refused, more }))
    }

    /// Sends a page of opinions.
    async fn page(&self, items: Vec<SaidOfItem>, state: &mut State, done: &mut Done) -> Result<(), Failure> {
        let mut sayings = Vec::new();
        let mut sent: BTreeSet<ItemId> = BTreeSet::new();
        for said in items {
            let was_refused = state.said.refused.contains(&said.item.0);
            // The item changed for another reason, and its opinions have already been sent.
            if !was_refused && said.words.iter().all(|word| word.sequence.0 <= state.said.known) {
                continue;
            }
            let records = self.bank.records_of(self.exchange, self.key, said.item).await?;
            let of_item =
                records.map(|records| sayings_of(&said, &records, state.said.since)).unwrap_or_default();
            let heard: Vec<Saying> = of_item.into_iter().filter(|one| self.hearer.hears(one)).collect();
            if heard.is_empty() {
                state.said.refused.retain(|item| *item != said.item.0);
            } else {
                sent.insert(said.item);
                sayings.extend(heard);
            }
        }
        let refused = self.send_batches(sayings, done).await?;
        state.said.refused.retain(|item| !sent.contains(&ItemId(*item)));
        done.opinions_sent += count(sent.len() - refused.len());
        done.opinions_refused += count(refused.len());
        for item in refused {
            if state.said.refused.len() < OutPlace::IDS_MAX {
                state.said.refused.push(item.0);
            } else {
                state.said.more += 1;
                tracing::error!(item = item.0, "the programme refuses the opinion on an item");
            }
        }
        Ok(())
    }

    /// Sends opinions in batches. Returns the items of those that the programme refuses.
    async fn send_batches(&self, sayings: Vec<Saying>, done: &mut Done) -> Result<BTreeSet<ItemId>, Failure> {
        let mut refused = BTreeSet::new();
        let mut waiting: Vec<Vec<Saying>> =
            sayings.chunks(self.hearer.batch_max().max(1)).rev().map(<[Saying]>::to_vec).collect();
        while let Some(mut batch) = waiting.pop() {
            let request = self.hearer.say(&batch).map_err(Alarm::Trouble)?;
            let take = |answer: &Response| self.hearer.said(&batch, answer);
            match self.send(&request, done, take).await? {
                Reply::Taken(requests) => {
                    for request in requests {
                        match self.send(&request, done, |_| Ok(())).await? {
                            Reply::Taken(()) | Reply::Gone(_) => {}
                            Reply::Refused => refused.extend(batch.iter().map(|one| one.item)),
                        }
                    }
                }
                // The endpoint itself is missing, not an object of the programme. Everything waits until it
                // exists.
                Reply::Gone(status) if !self.hearer.says_to_one_object() => {
                    return Err(Alarm::Refused(status).into());
                }
                Reply::Refused | Reply::Gone(_) if batch.len() > 1 => {
                    let second = batch.split_off(batch.len() / 2);
                    waiting.extend([second, batch]);
                }
                Reply::Refused => refused.extend(batch.iter().map(|one| one.item)),
                // An object that the programme no longer has needs no opinion.
                Reply::Gone(_) => {}
            }
        }
        Ok(refused)
    }

    async fn send<T>(
        &self,
        request: &Request,
        done: &mut Done,
        take: impl Fn(&Response) -> Result<T, Trouble>,
    ) -> Result<Reply<T>, Failure> {
        let take = |answer: &Response| {
            if (200..300).contains(&answer.status) {
                return take(answer).map(Reply::Taken).map_err(Untaken::Trouble);
            }
            match self.hearer.denied(answer) {
                Denial::Later => Err(Untaken::Later),
                Denial::Credentials => Err(Untaken::Alarm(Alarm::Credentials(answer.status))),
                Denial::Content => Ok(Reply::Refused),
                Denial::Gone => Ok(Reply::Gone(answer.status)),
                Denial::Stop => Err(Untaken::Alarm(Alarm::Refused(answer.status))),
            }
        };
        ask(self.fetch, self.patience, request, &mut done.retries, take).await
    }

    async fn store(&self, state: &mut State) -> Result<(), Failure> {
        if state.cursor.said.as_ref() == Some(&state.said) {
            return Ok(());
        }
        let cursor = Cursor { said: Some(state.said.clone()), ..state.cursor.clone() };
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

/// Returns the opinions to send for an item: for each of its records and hashes, the one that counts. A
/// withdrawn opinion is included if it may have been sent before, which is the case after the change `since`.
fn sayings_of(said: &SaidOfItem, records: &RecordsOfItem, since: u64) -> Vec<Saying> {
    let mut sayings = Vec::new();
    for (at, hash) in records.hashes.iter().enumerate() {
        let is_about = |word: &&OwnWord| word.hash.is_none_or(|place| usize::try_from(place) == Ok(at));
        let mut about: Vec<&OwnWord> = said.words.iter().filter(is_about).collect();
        // An opinion of a person counts more than a match that was seen, whichever is newer, and a withdrawn
        // opinion counts least.
        about.sort_by_key(|word| (word.kind.is_some(), word.kind != Some(OpinionKind::Seen), word.sequence));
        let Some(counts) = about.last() else { continue };
        if counts.kind.is_none() && counts.sequence.0 <= since {
            continue;
        }
        sayings.extend(records.keys.iter().map(|key| Saying {
            item: said.item,
            key: key.clone(),
            hash: hash.clone(),
            kind: counts.kind,
            reason: counts.reason,
            word: counts.word.clone(),
        }));
    }
    sayings
}

#[cfg(test)]
mod tests {
    use vigie_model::Hash;

    use super::*;

    fn word(hash: Option<u32>, kind: Option<OpinionKind>, sequence: u64) -> OwnWord {
        OwnWord { hash, kind, reason: None, word: String::new(), sequence: Sequence(sequence) }
    }

    fn sent(words: Vec<OwnWord>, since: u64) -> Vec<(String, u8, Option<OpinionKind>)> {
        let said = SaidOfItem { item: ItemId(9), words };
        let hashes = vec![Hash::md5([1; 16]), Hash::md5([2; 16])];
        let records = RecordsOfItem { keys: vec!["a".to_owned(), "b".to_owned()], hashes };
        let sayings = sayings_of(&said, &records, since);
        sayings.into_iter().map(|one| (one.key, one.hash.as_bytes()[0], one.kind)).collect()
    }

    #[test]
    fn of_each_record_and_hash_the_word_that_counts_is_sent() {
        use OpinionKind::{Negative, Positive, Seen};
        let of = |first: Option<OpinionKind>, second: Option<OpinionKind>| -> Vec<_> {
            let both = |byte, kind| ["a", "b"].map(|key: &str| (key.to_owned(), byte, kind));
            both(1, first).into_iter().chain(both(2, second)).collect()
        };
        assert_eq!(sent(vec![word(None, Some(Positive), 5)], 0), of(Some(Positive), Some(Positive)));
        // The newer one of the item's and the hash's opinions counts, except for a match that was seen.
        let words = |item, hash| vec![word(None, Some(Positive), item), word(Some(1), Some(Negative), hash)];
        assert_eq!(sent(words(5, 6), 0), of(Some(Positive), Some(Negative)));
        assert_eq!(sent(words(7, 6), 0), of(Some(Positive), Some(Positive)));
        let seen = vec![word(None, Some(Negative), 5), word(Some(0), Some(Seen), 6)];
        assert_eq!(sent(seen, 0), of(Some(Negative), Some(Negative)));
        // After a withdrawal the other opinion counts. The withdrawal is only sent if the opinion may have
        // been sent.
        let back = vec![word(None, Some(Seen), 5), word(Some(0), None, 6)];
        assert_eq!(sent(back, 0), of(Some(Seen), Some(Seen)));
        assert_eq!(sent(vec![word(None, None, 6)], 5), of(None, None));
        assert_eq!(sent(vec![word(None, None, 6)], 6), []);
        let on_hash = sent(vec![word(Some(0), Some(Positive), 6)], 0);
        assert_eq!(on_hash.iter().map(|(_, hash, _)| *hash).collect::<Vec<_>>(), [1, 1]);
    }
}
