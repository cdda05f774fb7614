//! A state that is the sum of its changes, and a source that plays a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::course::{Proof, Reason};
use crate::place::{LogId, Place, Position, Stretch};
use crate::standing::Standing;
use crate::user::{Companion, Contradiction, Event, Loaded, NotLoaded, Source, SourceError, State, Stream};

pub(super) const LOG: u128 = 7;

/// A change that contradicts every state, one at which applying panics, and one that takes 200 ms.
pub(super) const WRONG: u64 = 13;
pub(super) const PANIC: u64 = 66;
pub(super) const SLOW: u64 = 1_000;

pub(super) const fn stretch(log: u128, after: u64, through: u64, head: u64) -> Stretch {
    let (after, through, head) = (Position(after), Position(through), Position(head));
    Stretch { log: LogId(log), after, through, head, chain: None }
}

pub(super) const fn sign(at: u64) -> Stretch {
    stretch(LOG, at, at, at)
}

pub(super) fn place(position: u64) -> Option<Place> {
    (position > 0).then_some(Place { log: LogId(LOG), position: Position(position), chain: None })
}

/// Changes after a position, and the sum of all changes up to their end, if the source sends it.
#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) log: u128,
    pub(super) after: u64,
    pub(super) changes: Vec<u64>,
    pub(super) sum: Option<u64>,
}

pub(super) fn range(after: u64, changes: &[u64], sum: impl Into<Option<u64>>) -> Range {
    Range { log: LOG, after, changes: changes.to_vec(), sum: sum.into() }
}

#[derive(Debug, Clone)]
pub(super) enum Part {
    Begin { at: u64, settled: u64 },
    Numbers(Vec<u64>),
    End,
}

/// Returns the parts of a whole state as of a position.
pub(super) fn parts(at: u64, numbers: &[u64]) -> Vec<Part> {
    vec![Part::Begin { at, settled: at }, Part::Numbers(numbers.to_vec()), Part::End]
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    pub(super) place: Option<Place>,
    settled: Position,
    pub(super) sum: u64,
}

/// A state that is the sum of its changes.
#[derive(Debug, Default)]
pub(super) struct FakeState {
    standing: Standing,
    held: Mutex<Sum>,
    clears: Mutex<u64>,
    pub(super) fault: Mutex<Option<String>>,
    pub(super) damage: watch::Sender<Option<String>>,
}

impl FakeState {
    pub(super) fn held(&self) -> Sum {
        *self.held.lock().unwrap()
    }

    pub(super) fn clears(&self) -> u64 {
        *self.clears.lock().unwrap()
    }

    /// Fills the state with a sum as of a position.
    pub(super) fn begin(&self, at: u64, sum: u64) {
        *self.held.lock().unwrap() = Sum { place: place(at), settled: Position::ZERO, sum };
    }
}

impl State for FakeState {
    type Range = Range;
    type Part = Part;
    type Loading = Sum;

    fn standing(&self) -> &Standing {
        &self.standing
    }

    fn stretch(range: &Range) -> Stretch {
        let through = range.after + range.changes.len() as u64;
        stretch(range.log, range.after, through, through)
    }

    fn place(&self) -> Option<Place> {
        self.held().place
    }

    fn settled(&self) -> Position {
        self.held().settled
    }

    fn apply(&self, range: Range) -> Result<Proof, Contradiction> {
        let wrong = |reason, text: &str| Err(Contradiction { reason, text: text.to_owned() });
        let mut next = self.held();
        for change in &range.changes {
            match *change {
                WRONG => return wrong(Reason::Change, "no such number"),
                PANIC => panic!("a fault in the state"),
                SLOW => std::thread::sleep(Duration::from_millis(200)),
                _ => {}
            }
            next.sum += change;
        }
        let Stretch { log, through, chain, .. } = Self::stretch(&range);
        next.place = Some(Place { log, position: through, chain });
        let proof = match range.sum {
            None => Proof::None,
            Some(sum) if sum == next.sum => Proof::Equal,
            Some(_) => return wrong(Reason::Digest, "another sum"),
        };
        *self.held.lock().unwrap() = next;
        Ok(proof)
    }

    fn load(&self, loading: Option<Sum>, part: Part) -> Result<Loaded<Sum>, NotLoaded> {
        let mut sum = loading.unwrap_or_default();
        match part {
            Part::Begin { at, settled } => {
                sum = Sum { place: place(at), settled: Position(settled), sum: 0 };
            }
            Part::Numbers(numbers) if numbers.contains(&PANIC) => panic!("a fault in the state"),
            Part::Numbers(numbers) if numbers.contains(&WRONG) => {
                return Err(NotLoaded("no such number".to_owned()));
            }
            Part::Numbers(numbers) => sum.sum += numbers.iter().sum::<u64>(),
            Part::End => {
                *self.held.lock().unwrap() = sum;
                return Ok(Loaded::Whole);
            }
        }
        let through = sum.place.map_or(Position::ZERO, |place| place.position);
        Ok(Loaded::Part { loading: sum, through })
    }

    async fn damaged(&self) -> String {
        let mut damage = self.damage.subscribe();
        damage.wait_for(Option::is_some).await.unwrap().clone().unwrap()
    }

    fn clear(&self) {
        self.damage.send_replace(None);
        *self.held.lock().unwrap() = Sum::default();
        *self.clears.lock().unwrap() += 1;
    }

    fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap().clone()
    }
}

/// The items of a stream before it ends; an end is a loss.
pub(super) type Script<T> = Result<Vec<T>, SourceError>;

/// A source that plays scripts. After the last one it does not answer.
#[derive(Debug, Clone, Default)]
pub(super) struct FakeSource {
    pub(super) feeds: Arc<Mutex<VecDeque<Script<Range>>>>,
    pub(super) states: Arc<Mutex<VecDeque<Script<Part>>>>,
    /// The positions at which the feeds were opened.
    pub(super) asked: Arc<Mutex<Vec<u64>>>,
}

#[derive(Debug)]
pub(super) struct Played<T>(VecDeque<T>);

async fn play<T>(scripts: &Mutex<VecDeque<Script<T>>>, deadline: Instant) -> Result<Played<T>, SourceError> {
    let script = scripts.lock().unwrap().pop_front();
    match script {
        Some(script) => script.map(|script| Played(script.into())),
        None => {
            tokio::time::sleep_until(deadline).await;
            Err(SourceError::Lost("not open in time".to_owned()))
        }
    }
}

impl Source for FakeSource {
    type Range = Range;
    type Part = Part;
    type Ranges = Played<Range>;
    type Parts = Played<Part>;

    async fn watch(&self, from: Option<Place>, deadline: Instant) -> Result<Played<Range>, SourceError> {
        self.asked.lock().unwrap().push(from.map_or(0, |place| place.position.0));
        play(&self.feeds, deadline).await
    }

    async fn load(&self, deadline: Instant) -> Result<Played<Part>, SourceError> {
        play(&self.states, deadline).await
    }
}

impl<T: Send> Stream for Played<T> {
    type Item = T;

    async fn next_within(&mut self, _: Duration) -> Result<T, SourceError> {
        self.0.pop_front().ok_or_else(|| SourceError::Lost("ended".to_owned()))
    }
}

/// Records events, and fills the state with its own sum if it has one.
#[derive(Debug, Default)]
pub(super) struct Listener {
    pub(super) state: Arc<FakeState>,
    pub(super) kept: Option<(u64, u64)>,
    pub(super) heard: Arc<Mutex<Vec<Event>>>,
    /// Whether the state was ready at each of these events. A watcher sees only the latest value, and may
    /// miss some.
    pub(super) ready: Arc<Mutex<Vec<bool>>>,
}

impl Companion for Listener {
    async fn before_loading(&mut self) {
        if let Some((at, sum)) = self.kept.take() {
            self.state.begin(at, sum);
        }
    }

    async fn hear(&mut self, event: Event) {
        self.ready.lock().unwrap().push(self.state.standing().now().ready);
        self.heard.lock().unwrap().push(event);
    }
}
