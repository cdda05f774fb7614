//! Simulates a directory whose bank changes, behind a network that delays, loses and cuts off messages by a
//! seed, in paused time.
//!
//! Always true: a usable directory has every change that was acknowledged longer ago than the directory's
//! greatest age.

use std::sync::{Mutex, PoisonError};

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use vigie_consortium::{Member, PrincipalId, Row};
use vigie_model::change::LogId;
use vigie_model::{BankId, Sequence};

use super::*;

/// The duration of one simulation.
const LASTS: Duration = Duration::from_secs(60);
/// The interval between two checks of the directory.
const LOOK_EVERY: Duration = Duration::from_millis(37);

/// The bank's states, each with the time at which it was acknowledged.
#[derive(Debug)]
struct Log {
    states: Vec<(Instant, Directory)>,
}

impl Log {
    fn newest(&self) -> &Directory {
        &self.states.last().unwrap().1
    }
}

/// The bank behind a simulated network.
struct Far {
    log: Arc<Mutex<Log>>,
    rng: Mutex<SmallRng>,
    /// The time until which no message is delivered.
    cut_off_until: Mutex<Instant>,
}

impl Far {
    /// Draws the delay of a message; `None` for a lost one.
    fn way(&self) -> Option<Duration> {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        if *self.cut_off_until.lock().unwrap_or_else(PoisonError::into_inner) > Instant::now() {
            return None;
        }
        match rng.random_range(0..20) {
            0 => None,
            // Delayed, and delivered long after.
            1 | 2 => Some(Duration::from_millis(rng.random_range(0..9_000))),
            _ => Some(Duration::from_millis(rng.random_range(0..30))),
        }
    }
}

impl Bank for &Far {
    async fn read(&self, request: DirectoryRequest, deadline: Instant) -> Result<Vec<DirectoryPart>, String> {
        let lost = || "lost".to_owned();
        let answer = async {
            tokio::time::sleep(self.way().ok_or_else(lost)?).await;
            let until = Instant::now() + request.wait;
            let (directory, before) = loop {
                {
                    let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
                    let newest = log.newest();
                    let is_new = request.have.is_none_or(|have| have.sequence != newest.sequence());
                    if is_new || Instant::now() >= until {
                        let has = |have: DirectoryAt| {
                            log.states.iter().find(|(_, one)| one.digest() == have.digest)
                        };
                        let before = request.have.and_then(has).map(|(_, before)| before.clone());
                        break (newest.clone(), before);
                    }
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            };
            // The state at this moment, however long the answer is delayed.
            tokio::time::sleep(self.way().ok_or_else(lost)?).await;
            let (sequence, digest) = (directory.sequence(), directory.digest());
            let completes = Some(DirectoryAt { log: LogId([1; 16]), sequence, digest });
            let (begins, rows) = match before {
                Some(before) => (false, directory.difference_from(&before)),
                None => (true, directory.all()),
            };
            Ok(vec![DirectoryPart { begins, rows, completes }])
        };
        tokio::time::timeout_at(deadline, answer).await.unwrap_or_else(|_| Err("too late".to_owned()))
    }
}

/// Returns the next state: the host's name includes the sequence.
fn next(directory: &Directory) -> Directory {
    let sequence = Sequence(directory.sequence().0 + 1);
    let mut next = directory.clone();
    let name = format!("m-{sequence}").parse().unwrap();
    next.set_row(Row::Member(Arc::new(Member { name, ..Member::local() })));
    next.advance(sequence);
    next
}

/// Simulates one seed. Returns how often the directory was used, and how often it was refused.
async fn simulate(seed: u64) -> (u32, u32) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut first = Directory::new();
    first.set_row(Row::Used { principal: PrincipalId(1), bank: BankId(0) });
    let log = Arc::new(Mutex::new(Log { states: vec![(Instant::now(), first)] }));
    let far = Far {
        log: Arc::clone(&log),
        rng: Mutex::new(SmallRng::seed_from_u64(seed + 1)),
        cut_off_until: Mutex::new(Instant::now()),
    };
    let config = DirectoryConfig::default();
    let followed = FollowedDirectory::new(&config, WallClock::system());
    let age_max = Duration::from_millis(config.age_ms_max);
    let end = Instant::now() + LASTS;
    let (mut used, mut refused) = (0, 0);
    let world = async {
        while Instant::now() < end {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = Instant::now();
            if rng.random_range(0..40) == 0 {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                let changed = next(log.newest());
                log.states.push((now, changed));
            }
            if rng.random_range(0..300) == 0 {
                let until = now + Duration::from_millis(rng.random_range(100..15_000));
                *far.cut_off_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
            }
            let Ok(view) = followed.view() else {
                refused += 1;
                continue;
            };
            used += 1;
            let log = log.lock().unwrap_or_else(PoisonError::into_inner);
            let old = log.states.iter().rev().find(|(acknowledged, _)| *acknowledged + age_max < now);
            let due = old.map_or(Sequence::ZERO, |(_, directory)| directory.sequence());
            let has = view.directory().sequence();
            assert!(
                has >= due,
                "seed {seed}: used as of {has}, though {due} was acknowledged {age_max:?} ago"
            );
        }
    };
    tokio::select! {
        () = world => {}
        () = followed.rounds(&far) => unreachable!("it goes on for ever"),
    }
    (used, refused)
}

#[tokio::test(start_paused = true)]
async fn no_call_is_decided_by_a_directory_that_is_older_than_it_may_be() {
    let seeds = std::env::var("VIGIE_SEEDS").map_or(60, |seeds| seeds.parse().unwrap());
    let (mut used, mut refused) = (0, 0);
    for seed in 0..seeds {
        let (seed_used, seed_refused) = simulate(seed).await;
        used += seed_used;
        refused += seed_refused;
    }
    // Most calls use the directory. Some partitions outlast its greatest age, and calls are refused then.
    assert!(used > refused && refused > 0, "used {used} times, refused {refused} times");
}
