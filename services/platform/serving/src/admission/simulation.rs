//! Simulates a server with workers, queues and clients, event by event and without a clock, to test
//! admission.

#![expect(clippy::cast_possible_truncation, reason = "counts of a simulation are small")]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use vigie_rpc::Priority;

use crate::admission::gate::{Asked, Gate, Held, Want};
use crate::admission::limit::{Aim, Class, Limit};
use crate::admission::shares::Client;
use crate::authorization::identity::ClientIdentity;

/// Random numbers, the same in every run: SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (f64::from(u32::try_from(z >> 32).unwrap()) + 0.5) / 4_294_967_296.0
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.uniform().ln()
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// The time that a call takes on a worker, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cost {
    Fixed(f64),
    Exponential(f64),
    /// The mean, and sigma of the logarithm: from 1.5 on the tail is heavy.
    LogNormal(f64, f64),
    /// The cost of short calls, the cost of long calls, the share of long calls, and whether they have their
    /// own class.
    Mixed(f64, f64, f64, bool),
}

impl Cost {
    fn draw(self, random: &mut Random) -> (Class, f64) {
        match self {
            Self::Fixed(seconds) => (Class(0), seconds),
            Self::Exponential(mean) => (Class(0), random.exponential(mean)),
            Self::LogNormal(mean, sigma) => {
                (Class(0), mean * (sigma * random.normal() - sigma * sigma / 2.0).exp())
            }
            Self::Mixed(short, long, share, known) => {
                let is_long = random.uniform() < share;
                let seconds = if is_long { long } else { short } * (0.5 + random.uniform());
                (Class(u32::from(is_long && known)), seconds)
            }
        }
    }

    pub(crate) fn mean(self) -> f64 {
        match self {
            Self::Fixed(mean) | Self::Exponential(mean) | Self::LogNormal(mean, _) => mean,
            Self::Mixed(short, long, share, _) => short * (1.0 - share) + long * share,
        }
    }
}

/// Calls that arrive at random times, whether the server answers or not (an open loop).
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) client: &'static str,
    pub(crate) priority: Priority,
    /// The load of this source, as a part of the server's capacity.
    pub(crate) load: f64,
    /// The number of streams whose work waits for its slots. 0 for calls that do not wait.
    pub(crate) streams: usize,
}

impl Source {
    pub(crate) fn interactive(client: &'static str, load: f64) -> Self {
        Self { client, priority: Priority::Interactive, load, streams: 0 }
    }

    fn client(&self) -> Client {
        Client::Named(ClientIdentity(self.client.into()))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) workers: usize,
    pub(crate) cost: Cost,
    /// The factor by which costs are larger, and the seconds from which and until which they are.
    pub(crate) slower: Option<(f64, f64, f64)>,
    pub(crate) calls_max: usize,
    /// The limit, if it is not learned.
    pub(crate) fixed: Option<usize>,
    pub(crate) seconds: f64,
    /// The seconds before which nothing is counted.
    pub(crate) warm_up: f64,
}

impl Server {
    pub(crate) fn new(workers: usize, cost: Cost, seconds: f64) -> Self {
        Self { workers, cost, slower: None, calls_max: 512, fixed: None, seconds, warm_up: seconds / 3.0 }
    }
}

/// The outcomes of the calls of one source.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) offered: u64,
    pub(crate) refused: u64,
    pub(crate) latencies: Vec<f64>,
}

impl Outcome {
    pub(crate) fn accepted_share(&self) -> f64 {
        1.0 - (self.refused as f64) / (self.offered as f64)
    }

    pub(crate) fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[((sorted.len() - 1) as f64 * q) as usize]
    }
}

#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) outcomes: Vec<Outcome>,
    /// The work done in the counted time, as a part of what the workers could do.
    pub(crate) goodput: f64,
    /// The lowest limit in the counted time.
    pub(crate) limit_least: usize,
    pub(crate) limit: usize,
}

struct Running {
    source: usize,
    begun: f64,
    class: Class,
    seconds: f64,
    held: Held,
}

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Runs the simulation: `workers` serve calls first come, first served, behind the gate.
pub(crate) fn run(server: &Server, sources: &[Source], seed: u64) -> Report {
    let mut random = Random(seed);
    let aim = Aim {
        limit_min: 8.min(server.calls_max),
        limit_max: server.calls_max,
        limit_initial: server.calls_max / 4,
        latency_target: Duration::from_millis(5),
    };
    let limit = server.fixed.map_or_else(|| Limit::adaptive(aim, Duration::ZERO), Limit::fixed);
    let mut gate: Gate<usize> = Gate::new(limit, server.calls_max, 1_000);
    let capacity = server.workers as f64 / server.cost.mean();
    let mut arrivals: BinaryHeap<Reverse<(Duration, usize)>> = BinaryHeap::new();
    let mut report = Report {
        outcomes: vec![Outcome::default(); sources.len()],
        goodput: 0.0,
        limit_least: usize::MAX,
        limit: 0,
    };
    for (number, source) in sources.iter().enumerate() {
        if source.streams == 0 {
            arrivals.push(Reverse((at(random.exponential(1.0 / (source.load * capacity))), number)));
        } else {
            for _ in 0..source.streams {
                arrivals.push(Reverse((Duration::ZERO, number)));
            }
        }
    }
    let mut slots: Vec<Option<Running>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut queue: VecDeque<usize> = VecDeque::new();
    let mut ends: BinaryHeap<Reverse<(Duration, usize)>> = BinaryHeap::new();
    let mut idle_workers = server.workers;
    loop {
        let arrival = arrivals.peek().map(|Reverse((when, _))| *when);
        let end = ends.peek().map(|Reverse((when, _))| *when);
        let comes = match (arrival, end) {
            (Some(arrival), Some(end)) => arrival <= end,
            (arrival, _) => arrival.is_some(),
        };
        let now;
        let mut begin = Vec::new();
        if comes {
            let Some(Reverse((when, number))) = arrivals.pop() else { break };
            now = when.as_secs_f64();
            let source = &sources[number];
            let outcome = &mut report.outcomes[number];
            let counted = now >= server.warm_up;
            outcome.offered += u64::from(counted);
            if counted {
                report.limit_least = report.limit_least.min(gate.limit());
            }
            if source.streams == 0 {
                let next = now + random.exponential(1.0 / (source.load * capacity));
                arrivals.push(Reverse((at(next), number)));
                match gate.admit(when, source.client(), source.priority) {
                    Ok(held) => begin.push((number, held)),
                    Err(_) => outcome.refused += u64::from(counted),
                }
            } else {
                match gate.ask(when, source.client(), Want::ONE, number).unwrap() {
                    Asked::Now(held) => begin.push((number, held)),
                    Asked::Later(_) => {}
                }
            }
        } else {
            let Some(Reverse((when, slot))) = ends.pop() else { break };
            now = when.as_secs_f64();
            let done = slots[slot].take().unwrap();
            free.push(slot);
            if let Some(next) = queue.pop_front() {
                let seconds = slots[next].as_ref().unwrap().seconds;
                ends.push(Reverse((at(now + seconds), next)));
            } else {
                idle_workers += 1;
            }
            let took = now - done.begun;
            gate.leave(when, done.held, Some((done.class, at(took))));
            while let Some((number, held)) = gate.next(when) {
                begin.push((number, held));
            }
            if done.begun >= server.warm_up {
                report.outcomes[done.source].latencies.push(took);
                report.goodput += done.seconds;
            }
            if sources[done.source].streams > 0 {
                arrivals.push(Reverse((when, done.source)));
            }
        }
        if now >= server.seconds {
            break;
        }
        for (source, held) in begin {
            let (class, mut seconds) = server.cost.draw(&mut random);
            if let Some((factor, from, to)) = server.slower
                && (from..to).contains(&now)
            {
                seconds *= factor;
            }
            let slot = free.pop().unwrap_or_else(|| {
                slots.push(None);
                slots.len() - 1
            });
            slots[slot] = Some(Running { source, begun: now, class, seconds, held });
            if idle_workers > 0 {
                idle_workers -= 1;
                ends.push(Reverse((at(now + seconds), slot)));
            } else {
                queue.push_back(slot);
            }
        }
    }
    report.limit = gate.limit();
    report.goodput /= (server.seconds - server.warm_up) * server.workers as f64;
    report
}
