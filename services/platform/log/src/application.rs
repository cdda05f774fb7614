//! What the user of a log gives it: types, the planning of writes, and what followers are shown as proof.
//!
//! The planning is pure. [`Application::look_up`] reads beforehand what a group of writes needs to know, and
//! [`Planner::plan`] decides on data in memory. A plan that is not committed is thrown away together with the state that it
//! changed, which is then loaded again.

use std::fmt::Debug;

use crate::draft::Draft;
use crate::error::WriteRefused;
use crate::position::{Sequence, Slice, UnixMillis};
use crate::store::{Head, StoreFault};

/// The user of a log.
pub trait Application: Debug + Send + Sync + Sized + 'static {
    /// What callers ask for.
    type Write: Write;
    /// The answer to a write.
    type Answer: Answer;
    /// Why a write is refused, by the application or by the log.
    type Error: From<WriteRefused> + Clone + Debug + Send + 'static;
    /// A change as followers get it.
    type Change: Debug + Send + Sync + 'static;
    /// What the writer keeps in memory to plan with, as of the head.
    type State: Debug + Send + Sync + 'static;
    /// What was read from the store for one group of writes.
    type Known: Send;
    /// The rows, beside the log's own, that are committed together with a group's changes.
    type Rows: Debug + Send + Sync + 'static;
    /// What followers are shown as proof that they have missed nothing. `()` for none.
    type Summary: Summary;
    /// Why the store did not do what it was asked.
    type StoreError: StoreFault;
    /// Plans one group of writes.
    type Planner<'a>: Planner<
            Write = Self::Write,
            Answer = Self::Answer,
            Error = Self::Error,
            Change = Self::Change,
            Rows = Self::Rows,
            Delta = <Self::Summary as Summary>::Delta,
        >;

    /// Reads everything that the writer keeps in memory, as of one moment.
    fn load(&self) -> impl Future<Output = Result<Loaded<Self>, Self::StoreError>> + Send;

    /// Shows the state as of the newest commit to those who read it without writing. Called after each load and each commit, before the
    /// writes of that commit are answered.
    fn show(&self, _state: &Self::State) {}

    /// Reads what the planning of a group needs to know beyond the state.
    fn look_up(
        &self,
        state: &Self::State,
        writes: &[&Self::Write],
    ) -> impl Future<Output = Result<Self::Known, Self::StoreError>> + Send;

    /// Begins to plan a group on `state`, which is as of the group's end once the planner has finished.
    fn planner<'a>(
        &'a self,
        state: &'a mut Self::State,
        known: Self::Known,
        draft: Draft<Self::Change>,
    ) -> Self::Planner<'a>;

    /// Reads a stored change; `None` where the bytes are not what was written at that position and partition.
    fn read(sequence: Sequence, partition: Option<u16>, bytes: &[u8]) -> Option<Self::Change>;

    /// Whether these rows are to be committed where the group has no change.
    fn stand_alone(_rows: &Self::Rows) -> bool {
        false
    }

    /// Whether [`Self::sweep`] has more to do after a commit of these rows.
    fn needs_sweep(_rows: &Self::Rows) -> bool {
        false
    }

    /// Removes at most `rows_max` rows that nobody needs any longer. Returns whether there may be more.
    fn sweep(&self, _rows_max: u32) -> impl Future<Output = Result<bool, Self::StoreError>> + Send {
        std::future::ready(Ok(false))
    }

    /// Removes the bytes of changes that are to be gone by now, at most `rows_max` of them.
    fn purge(
        &self,
        _now: UnixMillis,
        _rows_max: u32,
    ) -> impl Future<Output = Result<PurgeStep, Self::StoreError>> + Send {
        std::future::ready(Ok(PurgeStep::default()))
    }
}

/// What a step of purging did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PurgeStep {
    /// The last change whose bytes are gone, if there is one.
    pub through: Option<Sequence>,
    /// Whether there may be more to do.
    pub more: bool,
}

/// A write that waits for its turn.
pub trait Write: Debug + Send + Sync + 'static {
    /// The number of changes that it makes.
    fn change_count(&self) -> usize;
    /// About how many bytes it holds while it waits.
    fn weight(&self) -> usize;
    /// Whether it is committed in a group of its own: what is looked up for it must be as of the moment before it.
    fn goes_alone(&self) -> bool;
    /// A digest of the request: equal for equal requests.
    fn digest(&self) -> [u8; 32];
}

/// The answer to a write, which is stored under the write's key.
pub trait Answer: Clone + Debug + Send + Sized + 'static {
    /// Returns the stored form.
    fn encode(&self) -> Vec<u8>;
    /// Reads the stored form; `None` where it is something else.
    fn decode(stored: &[u8]) -> Option<Self>;
}

/// What is loaded before the first write.
#[derive(Debug)]
pub struct Loaded<A: Application> {
    /// The head.
    pub head: Head,
    /// What the writer plans with.
    pub state: A::State,
    /// What followers are shown.
    pub summary: A::Summary,
}

/// Plans the writes of one group in turn. Each sees what those before it did, and a refused one leaves no trace.
pub trait Planner {
    /// See [`Application::Write`].
    type Write;
    /// See [`Application::Answer`].
    type Answer;
    /// See [`Application::Error`].
    type Error;
    /// See [`Application::Change`].
    type Change;
    /// See [`Application::Rows`].
    type Rows;
    /// See [`Summary::Delta`].
    type Delta;

    /// Plans the next write: appends its changes to the draft, or refuses it as a whole.
    fn plan(&mut self, write: &Self::Write) -> Result<Self::Answer, Self::Error>;

    /// Ends the group.
    fn finish(self) -> Planned<Self::Change, Self::Rows, Self::Delta>;
}

/// A planned group of writes.
#[derive(Debug)]
pub struct Planned<C, R, D> {
    /// The numbered changes; an empty draft is committed only where the rows stand alone ([`Application::stand_alone`]).
    pub draft: Draft<C>,
    /// The rows to commit with them.
    pub rows: R,
    /// What they do to the summary.
    pub delta: D,
}

/// A value that follows from all changes and that each follower can compute for its slice: the proof that it has missed
/// nothing.
pub trait Summary: Debug + Send + 'static {
    /// What a group of changes does to it.
    type Delta: Debug + Send;
    /// What it is for one slice.
    type Proof: Debug + Send;

    /// Applies a group of changes.
    fn apply(&mut self, delta: &Self::Delta);

    /// Returns the proof of a slice.
    fn of(&self, slice: Slice) -> Self::Proof;
}

/// No proof.
impl Summary for () {
    type Delta = ();
    type Proof = ();

    fn apply(&mut self, (): &()) {}

    fn of(&self, _: Slice) {}
}
