//! The interface that the user of a log implements: its types, the planning of writes, and the proof for
//! followers.
//!
//! Planning is pure. [`Application::look_up`] first reads what a group of writes needs to know, and
//! [`Planner::plan`] decides on data in memory. A plan that is not committed is thrown away together with the
//! state that it changed, which is then loaded again.

use std::fmt::Debug;

use crate::draft::Draft;
use crate::error::WriteRefused;
use crate::position::{Sequence, Slice, UnixMillis};
use crate::store::{Head, StoreFault};

/// The user of a log.
pub trait Application: Debug + Send + Sync + Sized + 'static {
    /// A request to write.
    type Write: Write;
    /// The answer to a write.
    type Answer: Answer;
    /// The error of a refused write, from the application or from the log.
    type Error: From<WriteRefused> + Clone + Debug + Send + 'static;
    /// A change in the form that followers get.
    type Change: Debug + Send + Sync + 'static;
    /// The state, as of the head, that the writer keeps in memory to plan writes.
    type State: Debug + Send + Sync + 'static;
    /// The data read from the store for one group of writes.
    type Known: Send;
    /// The rows, beside the log's own, that are committed together with a group's changes.
    type Rows: Debug + Send + Sync + 'static;
    /// The proof for followers that they have missed nothing. `()` for none.
    type Summary: Summary;
    /// The error of the store.
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

    /// Shows the state as of the newest commit to those who read it without writing. Called after each load
    /// and each commit, before the writes of that commit are answered.
    fn show(&self, _state: &Self::State) {}

    /// Reads the data that the planning of a group needs beyond the state.
    fn look_up(
        &self,
        state: &Self::State,
        writes: &[&Self::Write],
    ) -> impl Future<Output = Result<Self::Known, Self::StoreError>> + Send;

    /// Begins to plan a group on `state`. Once the planner has finished, `state` is as of the end of the
    /// group.
    fn planner<'a>(
        &'a self,
        state: &'a mut Self::State,
        known: Self::Known,
        draft: Draft<Self::Change>,
    ) -> Self::Planner<'a>;

    /// Decodes a stored change; `None` if the bytes were not written for that position and partition.
    fn read(sequence: Sequence, partition: Option<u16>, bytes: &[u8]) -> Option<Self::Change>;

    /// Returns whether these rows are committed even if the group has no change.
    fn stand_alone(_rows: &Self::Rows) -> bool {
        false
    }

    /// Returns whether [`Self::sweep`] has more to do after a commit of these rows.
    fn needs_sweep(_rows: &Self::Rows) -> bool {
        false
    }

    /// Removes at most `rows_max` rows that are no longer needed. Returns whether there may be more.
    fn sweep(&self, _rows_max: u32) -> impl Future<Output = Result<bool, Self::StoreError>> + Send {
        std::future::ready(Ok(false))
    }

    /// Removes the bytes of changes that must be gone by now, of at most `rows_max` changes.
    fn purge(
        &self,
        _now: UnixMillis,
        _rows_max: u32,
    ) -> impl Future<Output = Result<PurgeStep, Self::StoreError>> + Send {
        std::future::ready(Ok(PurgeStep::default()))
    }
}

/// The result of one step of purging.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PurgeStep {
    /// The last change whose bytes were removed, if any.
    pub through: Option<Sequence>,
    /// Whether there may be more to do.
    pub more: bool,
}

/// A write in the queue.
pub trait Write: Debug + Send + Sync + 'static {
    /// Returns the number of changes that it makes.
    fn change_count(&self) -> usize;
    /// Returns about how many bytes it holds while it waits.
    fn weight(&self) -> usize;
    /// Returns whether it is committed in its own group: the data looked up for it must be as of the moment
    /// before it.
    fn goes_alone(&self) -> bool;
    /// Returns a digest of the request, which is equal for equal requests.
    fn digest(&self) -> [u8; 32];
}

/// The answer to a write, which is stored under the write's key.
pub trait Answer: Clone + Debug + Send + Sized + 'static {
    /// Returns the stored form.
    fn encode(&self) -> Vec<u8>;
    /// Decodes the stored form; `None` if it is something else.
    fn decode(stored: &[u8]) -> Option<Self>;
}

/// The data that is loaded before the first write.
#[derive(Debug)]
pub struct Loaded<A: Application> {
    /// The head.
    pub head: Head,
    /// The state with which the writer plans.
    pub state: A::State,
    /// The summary, from which followers get their proofs.
    pub summary: A::Summary,
}

/// Plans the writes of one group in order. Each write sees the effects of those before it, and a refused
/// write has no effect.
pub trait Planner {
    /// The type [`Application::Write`].
    type Write;
    /// The type [`Application::Answer`].
    type Answer;
    /// The type [`Application::Error`].
    type Error;
    /// The type [`Application::Change`].
    type Change;
    /// The type [`Application::Rows`].
    type Rows;
    /// The type [`Summary::Delta`].
    type Delta;

    /// Plans the next write: appends its changes to the draft, or refuses it as a whole.
    fn plan(&mut self, write: &Self::Write) -> Result<Self::Answer, Self::Error>;

    /// Ends the group.
    fn finish(self) -> Planned<Self::Change, Self::Rows, Self::Delta>;
}

/// A planned group of writes.
#[derive(Debug)]
pub struct Planned<C, R, D> {
    /// The numbered changes. An empty draft is committed only if the rows stand alone
    /// ([`Application::stand_alone`]).
    pub draft: Draft<C>,
    /// The rows to commit with them.
    pub rows: R,
    /// The change of the summary.
    pub delta: D,
}

/// A value computed from all changes, which each follower can compute for its slice: the proof that it has
/// missed nothing.
pub trait Summary: Debug + Send + 'static {
    /// The effect of a group of changes on the summary.
    type Delta: Debug + Send;
    /// The value for one slice.
    type Proof: Debug + Send;

    /// Applies a group of changes.
    fn apply(&mut self, delta: &Self::Delta);

    /// Returns the proof of a slice.
    fn of(&self, slice: Slice) -> Self::Proof;
}

/// A summary without a proof.
impl Summary for () {
    type Delta = ();
    type Proof = ();

    fn apply(&mut self, (): &()) {}

    fn of(&self, _: Slice) {}
}
