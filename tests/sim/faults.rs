//! The faults of a run.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use turmoil::Sim;

use crate::cluster::{BANK, FRONTENDS, Surroundings};

const HOUR_MS: i64 = 3_600_000;
/// The time after which released messages have arrived.
const ARRIVED_WITHIN: Duration = Duration::from_millis(30);

/// The present faults, and the times at which they end.
pub(crate) struct Faults {
    hosts: Vec<&'static str>,
    next: Duration,
    open: Vec<(Duration, Open)>,
    pub(crate) count: u32,
}

/// A fault that is present.
#[derive(Clone, Copy)]
enum Open {
    /// All messages between two hosts are dropped.
    Cut(&'static str, &'static str),
    /// Messages between two hosts are held back.
    Held(&'static str, &'static str),
    /// Messages between two hosts are slow.
    Slow(&'static str, &'static str),
    /// A host is down.
    Down(&'static str),
    /// A host is down; it will come up and go down again this many times.
    Flapping(&'static str, u32),
    /// A host is up for a moment, before it goes down again.
    Up(&'static str, u32),
    /// Messages are held back, arrive late, and then all are dropped for this long.
    HeldBeforeCut(&'static str, &'static str, Duration),
    /// Held messages arrive; after that all are dropped for this long.
    Arriving(&'static str, &'static str, Duration),
}

impl Faults {
    /// Returns the faults of these hosts; the first comes some time after `now`.
    pub(crate) fn new(hosts: Vec<&'static str>, now: Duration, rng: &mut SmallRng) -> Self {
        let next = now + Duration::from_millis(rng.random_range(500..3_000));
        Self { hosts, next, open: Vec::new(), count: 0 }
    }

    /// Ends the faults that are due, and begins a new one when its time has come.
    pub(crate) fn step(&mut self, sim: &mut Sim<'_>, surroundings: &Surroundings, rng: &mut SmallRng) {
        let now = sim.elapsed();
        let (due, open): (Vec<_>, Vec<_>) = self.open.drain(..).partition(|(until, _)| *until <= now);
        self.open = open;
        for (_, fault) in due {
            fault.mend(sim);
            if let Open::Flapping(host, times @ 1..) = fault {
                // The host was up for a moment, long enough to be discovered and called.
                self.open.push((
                    now + Duration::from_millis(rng.random_range(300..2_000)),
                    Open::Up(host, times - 1),
                ));
            }
            if let Open::HeldBeforeCut(one, other, lasts) = fault {
                self.open.push((now + ARRIVED_WITHIN, Open::Arriving(one, other, lasts)));
            }
            if let Open::Arriving(one, other, lasts) = fault {
                sim.partition(one, other);
                self.open.push((now + lasts, Open::Cut(one, other)));
            }
            if let Open::Up(host, times) = fault {
                sim.crash(host);
                let lasts = Duration::from_millis(rng.random_range(50..500));
                self.open.push((now + lasts, Open::Flapping(host, times)));
            }
        }
        if now < self.next {
            return;
        }
        self.next = now + Duration::from_millis(rng.random_range(200..4_000));
        self.count += 1;
        let lasts = Duration::from_millis(rng.random_range(50..8_000));
        let hosts = &self.hosts;
        let draw = |rng: &mut SmallRng| *hosts.choose(rng).unwrap_or(&BANK);
        let kinds = if hosts.contains(&FRONTENDS[0]) { 17 } else { 13 };
        match rng.random_range(0..kinds) {
            0..3 => {
                let (one, other) = (draw(rng), draw(rng));
                if one != other {
                    sim.partition(one, other);
                    self.open.push((now + lasts, Open::Cut(one, other)));
                }
            }
            3..5 => {
                let (one, other) = (draw(rng), draw(rng));
                if one != other {
                    sim.hold(one, other);
                    self.open.push((now + lasts, Open::Held(one, other)));
                }
            }
            kind @ 5..11 => {
                let host = draw(rng);
                if !self.is_down_or_flaps(host) {
                    sim.crash(host);
                    let down = if kind < 9 { Open::Down(host) } else { Open::Flapping(host, 4) };
                    self.open.push((now + lasts / 2, down));
                }
            }
            11 => {
                let (one, other) = (draw(rng), draw(rng));
                if one != other {
                    sim.set_link_latency(one, other, Duration::from_millis(rng.random_range(50..600)));
                    self.open.push((now + lasts, Open::Slow(one, other)));
                }
            }
            12 => {
                let leap = rng.random_range(-2 * HOUR_MS..2 * HOUR_MS);
                surroundings.skew_ms.store(leap, Ordering::Relaxed);
            }
            kind => {
                // Long enough for a directory to exceed its maximal age.
                let lasts = Duration::from_millis(rng.random_range(2_000..14_000));
                let held = Duration::from_millis(rng.random_range(1_000..3_500));
                for frontend in FRONTENDS.into_iter().filter(|_| rng.random_bool(0.7)) {
                    if kind < 15 {
                        sim.partition(frontend, BANK);
                        self.open.push((now + lasts, Open::Cut(frontend, BANK)));
                    } else {
                        // The directory that then arrives was the newest some seconds ago.
                        sim.hold(frontend, BANK);
                        self.open.push((now + held, Open::HeldBeforeCut(frontend, BANK, lasts)));
                    }
                }
            }
        }
    }

    fn is_down_or_flaps(&self, host: &str) -> bool {
        self.open.iter().any(|(_, open)| match open {
            Open::Down(down) | Open::Flapping(down, _) | Open::Up(down, _) => *down == host,
            Open::Cut(..)
            | Open::Held(..)
            | Open::Slow(..)
            | Open::HeldBeforeCut(..)
            | Open::Arriving(..) => false,
        })
    }

    /// Ends all faults.
    pub(crate) fn mend(&mut self, sim: &mut Sim<'_>) {
        self.open.drain(..).for_each(|(_, fault)| fault.mend(sim));
    }
}

impl Open {
    fn mend(self, sim: &mut Sim<'_>) {
        match self {
            Self::Cut(one, other) => sim.repair(one, other),
            Self::Held(one, other) | Self::HeldBeforeCut(one, other, _) => sim.release(one, other),
            Self::Slow(one, other) => sim.set_link_latency(one, other, Duration::from_millis(10)),
            Self::Down(host) | Self::Flapping(host, _) => sim.bounce(host),
            Self::Up(..) | Self::Arriving(..) => {}
        }
    }
}
