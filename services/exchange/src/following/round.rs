//! A round: from the stored cursor to the programme's present state.
//!
//! Always true:
//!
//! - The bank's cursor moves only together with the records before it, and past a page only with the page's
//!   last part.
//! - Wherever a round ends early, the next one continues from the stored cursor, and ends with the same
//!   result as an uninterrupted round.
//! - No answer is skipped: an answer that cannot be used ends the round.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use serde_json::Value;
use vigie_access::WallClock;
use vigie_formats::programme::foreign::entry_of;
use vigie_formats::programme::{Key, Tally};
use vigie_model::{SetDigest, UnixMillis};

use super::alarm::{Alarm, Failure};
use super::asking::{Untaken, ask};
use super::guard::Guard;
use super::parts::{Batch, batches, sort};
use crate::asking::fetch::Fetch;
use crate::asking::pacing::{Patience, is_passing};
use crate::asking::request::{Request, Response};
use crate::bank::{Bank, Exchange, Lease, Part};
use crate::credentials::Credentials;
use crate::cursor::Cursor;
use crate::sources::{Next, Page, Refusal, Source, Step};

/// The most pages of one round. It stops a programme whose pages never end.
const PAGES_MAX: u64 = 1_000_000;

/// The parameters of a round.
#[derive(Debug)]
pub(crate) struct Round<'a, B, F> {
    pub(crate) bank: &'a B,
    pub(crate) fetch: &'a F,
    pub(crate) lease: &'a Lease,
    pub(crate) exchange: &'a Exchange,
    pub(crate) patience: Patience,
    /// The most records of one part, up to [`PART_RECORDS_MAX`](crate::bank::PART_RECORDS_MAX).
    pub(crate) part_records_max: usize,
    /// The share of the records that the round may remove, in percent.
    pub(crate) removal_percent_max: u8,
    /// The programme's name for the member who owns the exchange, if the settings have one.
    pub(crate) known_as: Option<&'a str>,
    pub(crate) clock: &'a WallClock,
}

/// The counts of a round, up to its end or its failure.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Done {
    pub(crate) pages: u64,
    pub(crate) puts: u64,
    pub(crate) withdrawn: u64,
    pub(crate) without_hash: u64,
    pub(crate) retries: u64,
    pub(crate) tally: Tally,
    pub(crate) checkpoint: Option<UnixMillis>,
    /// Items that were submitted to the programme.
    pub(crate) submitted: u64,
    /// Items that were withdrawn from the programme.
    pub(crate) taken_back: u64,
    /// Items that the programme refused.
    pub(crate) refused: u64,
    /// Items whose opinion was sent to the programme.
    pub(crate) opinions_sent: u64,
    /// Items whose opinion the programme refused.
    pub(crate) opinions_refused: u64,
    /// Whether write-back or opinions have more to do, and leave it to the next round.
    pub(crate) goes_on: bool,
}

/// The state of a round.
struct State {
    cursor: Cursor,
    /// The number of items in the bank that came from the exchange.
    items: u64,
    /// The programme's time up to which everything is stored with the next part.
    checkpoint: Option<UnixMillis>,
    guard: Guard,
    /// In a full round: the records that were shown, by a number computed from each key. `after` is the
    /// position after the last page.
    shown: HashSet<u64>,
    numbers: RandomState,
    after: Option<Value>,
}

impl<B: Bank, F: Fetch> Round<'_, B, F> {
    /// Runs the round to its end.
    pub(crate) async fn run(&self, source: &mut dyn Source, done: &mut Done) -> Result<(), Failure> {
        let cursor = Cursor::parse(&self.exchange.cursor).map_err(Alarm::from)?;
        let guard = Guard::new(cursor.items, self.removal_percent_max, !cursor.complete);
        let (shown, numbers) = (HashSet::new(), RandomState::new());
        let items = cursor.items;
        let mut state = State { cursor, items, checkpoint: None, guard, shown, numbers, after: None };
        loop {
            match source.next().map_err(Alarm::Trouble)? {
                Next::Ask(request) => {
                    if let Step::Store(page) = self.ask(&request, source, done).await? {
                        self.page(page, source, &mut state, done).await?;
                    }
                }
                Next::Store(page) => self.page(page, source, &mut state, done).await?,
                Next::Done => break,
            }
        }
        if source.is_full() {
            state.checkpoint = source.checkpoint();
            self.remove_unshown(&mut state, done).await?;
        }
        done.checkpoint = source.checkpoint();
        if !state.cursor.complete {
            let cursor = Cursor { complete: true, items: state.items, ..state.cursor.clone() };
            self.store(&mut state, Batch::default(), cursor).await?;
        }
        if source.proof_is_due() {
            self.prove(source, &mut state).await?;
        }
        Ok(())
    }

    /// Compares everything that is stored with the set that the programme reports.
    async fn prove(&self, source: &mut dyn Source, state: &mut State) -> Result<(), Failure> {
        let (mut stored, mut after) = (SetDigest::EMPTY, None);
        loop {
            let page = self.bank.foreign(self.exchange.id, after).await?;
            for foreign in &page.foreign {
                // A record without such a text is not in the programme's list, so the sets will differ.
                stored += entry_of(foreign).map_or(SetDigest::of_bytes(b"none"), |entry| entry.term());
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let proof = source.prove(&stored);
        let cursor = after_page(state, Some(&proof.at));
        self.store(state, Batch::default(), cursor).await?;
        if proof.is_proven { Ok(()) } else { Err(Alarm::Differs.into()) }
    }

    /// Sends the request until an answer is accepted, or until the attempts are used up.
    async fn ask(
        &self,
        request: &Request,
        source: &mut dyn Source,
        done: &mut Done,
    ) -> Result<Step, Failure> {
        let take = |answer: &Response| {
            if (200..300).contains(&answer.status) || answer.status == 304 {
                return source.take(answer, self.clock.now()).map_err(Untaken::Trouble);
            }
            match source.refused(answer) {
                Refusal::Again => Ok(Step::GoOn),
                Refusal::Later => Err(Untaken::Later),
                Refusal::Stop if is_passing(answer.status) => Err(Untaken::Later),
                Refusal::Credentials => Err(Untaken::Alarm(Alarm::Credentials(answer.status))),
                Refusal::Stop => Err(Untaken::Alarm(Alarm::Refused(answer.status))),
            }
        };
        ask(self.fetch, self.patience, request, &mut done.retries, take).await
    }

    /// Stores a page, in as many parts as necessary.
    async fn page(
        &self,
        page: Page,
        source: &dyn Source,
        state: &mut State,
        done: &mut Done,
    ) -> Result<(), Failure> {
        done.pages += 1;
        if done.pages > PAGES_MAX {
            return Err(Alarm::Pages(PAGES_MAX).into());
        }
        done.tally += page.tally;
        let sorted = sort(page.records, self.known_as.or(source.own_name()));
        if source.is_full() {
            let numbers = &state.numbers;
            for key in &page.gone {
                state.shown.remove(&numbers.hash_one(key));
            }
            state.shown.extend(sorted.puts.iter().map(|put| numbers.hash_one(&put.key)));
        }
        match source.total() {
            Some(total) => state.guard.left(total)?,
            None => state.guard.withdrawn(sorted.withdrawn_by_programme)?,
        }
        let (puts, withdrawn) = (count(sorted.puts.len()), sorted.withdrawn_by_programme);
        let batches = batches(sorted.withdrawn, sorted.puts, self.part_records_max);
        let place = if source.is_full() {
            state.after = Some(page.at);
            state.cursor.at.clone()
        } else {
            Some(page.at)
        };
        // A full round is complete only at its end.
        state.checkpoint = if source.is_full() { None } else { source.checkpoint() };
        let last = batches.len().saturating_sub(1);
        for (number, batch) in batches.into_iter().enumerate() {
            let cursor = if number == last { after_page(state, place.as_ref()) } else { next_part(state) };
            self.store(state, batch, cursor).await?;
        }
        if state.cursor.at != place {
            // The page has no records.
            let cursor = after_page(state, place.as_ref());
            self.store(state, Batch::default(), cursor).await?;
        }
        done.puts += puts;
        done.withdrawn += withdrawn;
        done.without_hash += sorted.without_hash;
        done.checkpoint = source.checkpoint();
        Ok(())
    }

    /// Ends a full round: removes the stored records that were not shown, and moves the cursor.
    async fn remove_unshown(&self, state: &mut State, done: &mut Done) -> Result<(), Failure> {
        let mut unshown: Vec<Key> = Vec::new();
        let mut known = 0;
        let mut after = None;
        loop {
            let page = self.bank.keys(self.exchange.id, after).await?;
            known += count(page.keys.len());
            unshown.extend(
                page.keys.into_iter().filter(|key| !state.shown.contains(&state.numbers.hash_one(key))),
            );
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        // The listed keys are those of records that were stored before this round or in it.
        state.guard.unseen(count(unshown.len()), known)?;
        done.withdrawn += count(unshown.len());
        for batch in batches(unshown, Vec::new(), self.part_records_max) {
            let cursor = next_part(state);
            self.store(state, batch, cursor).await?;
        }
        let (at, items) = (state.after.take(), state.items);
        let cursor = Cursor { at, part: 0, complete: true, items, ..state.cursor.clone() };
        self.store(state, Batch::default(), cursor).await
    }

    async fn store(&self, state: &mut State, batch: Batch, cursor: Cursor) -> Result<(), Failure> {
        let bytes = |cursor: &Cursor| cursor.to_bytes().ok_or(Alarm::Place);
        let part = Part {
            expected: bytes(&state.cursor)?,
            cursor: bytes(&cursor)?,
            withdrawn: batch.withdrawn,
            puts: batch.puts,
            checkpoint: state.checkpoint,
        };
        let applied = self.bank.apply(self.exchange.id, self.lease, part).await?;
        state.items = state.items.saturating_add(applied.added).saturating_sub(applied.removed);
        state.cursor = cursor;
        Ok(())
    }
}

/// Returns the cursor after the last part of a page that ends at this position.
fn after_page(state: &State, place: Option<&Value>) -> Cursor {
    if state.cursor.at.as_ref() == place {
        return next_part(state);
    }
    Cursor { at: place.cloned(), part: 0, items: state.items, ..state.cursor.clone() }
}

/// Returns the cursor after a part within a page.
fn next_part(state: &State) -> Cursor {
    Cursor { part: state.cursor.part.saturating_add(1), items: state.items, ..state.cursor.clone() }
}

pub(super) fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// Opens the source of a round from the stored cursor.
pub(crate) fn open(
    exchange: &Exchange,
    settings: &crate::sources::settings::Settings,
    credentials: &Credentials,
    now: UnixMillis,
) -> Result<Box<dyn Source>, Alarm> {
    let cursor = Cursor::parse(&exchange.cursor)?;
    crate::sources::open(settings, exchange.member.as_deref(), credentials, cursor.at.as_ref(), now)
        .map_err(Alarm::Trouble)
}
