//! A run of this process: starts the lanes, gives them a common start, and collects their records.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use vigie_model::Sequence;
use vigie_rpc::code;

use crate::report::progress;
use crate::run::descriptors;
use crate::run::lanes::drive::{Arrivals, Lane};
use crate::run::lanes::kind::Kind;
use crate::run::lanes::schedule::{LaneNumber, Schedule};
use crate::run::lanes::shared::Shared;
use crate::run::record::Record;
use crate::run::record::recorder::Recorder;
use crate::run::say::say;
use crate::run::scenario::Scenario;
use crate::run::target::Targets;
use crate::run::target::call::{Asked, Call};

/// The time limit for opening connections.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// The interval of messages while the run waits for a target.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time from the moment at which all lanes are ready to the start of the run.
pub(crate) const LEAD: Duration = Duration::from_millis(200);

/// Waits until every target gives complete answers as of `sequence`.
pub(crate) async fn wait_ready(
    targets: &Targets,
    sequence: Sequence,
    within: Duration,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + within;
    for number in 0..targets.endpoints.len() {
        let endpoint = targets.open(number, 1)?.pop().context("there is no target")?;
        endpoint.opened(CONNECT_WITHIN).await?;
        let mut say_at = Instant::now() + PATIENCE;
        loop {
            let asks = [Asked::Hash([0x55; 32])];
            let call = Call { asks: &asks, min_sequence: sequence, kind: Kind::Lookup };
            let soon = Instant::now() + Duration::from_secs(5);
            let asked = tokio::time::timeout_at(soon.into(), endpoint.ask(&call, soon)).await;
            let lacking = match asked {
                Ok(Ok(answer)) if answer.complete => break,
                Ok(Ok(_)) => "its answer does not cover all shards".to_owned(),
                Ok(Err(refusal)) => code::word(refusal.code).to_owned(),
                Err(_) => "no answer".to_owned(),
            };
            if let Some(reason) = endpoint.hopeless() {
                bail!(reason);
            }
            let now = Instant::now();
            if now >= deadline {
                bail!("{} is not ready: {lacking}", targets.endpoints[number]);
            }
            if now >= say_at {
                say(&format!("waiting for {}: {lacking}", targets.endpoints[number]));
                say_at = now + PATIENCE;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) record: Record,
    pub(crate) began_unix_ms: u64,
    pub(crate) cpu_s: f64,
    /// How long requests were sent after the warm-up.
    pub(crate) measured: Duration,
}

/// A run whose lanes are connected and wait for its start.
#[derive(Debug)]
pub(crate) struct Session {
    scenario: Scenario,
    recorders: Vec<Recorder>,
    in_flight: Vec<Arc<AtomicU32>>,
    threads: Vec<JoinHandle<anyhow::Result<f64>>>,
    begin: watch::Sender<Option<Instant>>,
    pub(crate) stop: CancellationToken,
}

impl Session {
    /// Starts the lanes of this process: numbers `first..first + scenario.drive.lanes` of `of` lanes in all
    /// processes.
    pub(crate) async fn ready(
        shared: &Arc<Shared>,
        targets: &Targets,
        first: u64,
        of: u64,
    ) -> anyhow::Result<Self> {
        let scenario = shared.scenario.clone();
        let lanes = scenario.drive.lanes;
        descriptors::check(scenario.drive.connections)?;
        let stop = CancellationToken::new();
        let (begin, begun) = watch::channel(None);
        let (report_ready, mut are_ready) = mpsc::channel(usize::from(lanes));
        let (mut recorders, mut in_flight, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        for lane in 0..lanes {
            let recorder = Recorder::default();
            let flying = Arc::new(AtomicU32::new(0));
            // This lane's share of the limits, which are for all lanes of all processes.
            let number = first + u64::from(lane);
            let before = |whole: u32, lane: u64| u64::from(whole) * lane / of;
            let share = |whole: u32| (before(whole, number + 1) - before(whole, number)).max(1);
            let arrivals = match scenario.arrivals.closed {
                Some(closed) => Arrivals::Closed { at_once: u32::try_from(share(closed))? },
                None => arrivals(&scenario)?,
            };
            let (shared, targets) = (Arc::clone(shared), targets.clone());
            let (recorder_of_lane, flying_of_lane) = (recorder.clone(), Arc::clone(&flying));
            let first_connection = usize::try_from(before(scenario.drive.connections, number))?;
            let connections = usize::try_from(share(scenario.drive.connections))?;
            let in_flight_max = u32::try_from(share(scenario.drive.in_flight_max))?;
            let (mut begun, report_ready, stop) = (begun.clone(), report_ready.clone(), stop.clone());
            let run = async move {
                let opening = targets.open(first_connection, connections)?;
                let all = opening.iter().map(|endpoint| endpoint.opened(CONNECT_WITHIN));
                futures::future::try_join_all(all).await?;
                let lane = Lane {
                    shared,
                    place: LaneNumber { lane: number, of },
                    arrivals,
                    endpoints: opening,
                    recorder: recorder_of_lane,
                    in_flight: flying_of_lane,
                    in_flight_max,
                };
                report_ready.send(()).await.context("the run was given up")?;
                drop(report_ready);
                let start = *begun.wait_for(Option::is_some).await.context("the run was given up")?;
                let start = start.context("the run has no start time")?;
                lane.drive(start, &stop).await
            };
            let thread = std::thread::Builder::new().name(format!("lane-{lane}")).spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(run)?;
                Ok(cpu_s())
            });
            threads.push(thread.context("cannot start a thread")?);
            recorders.push(recorder);
            in_flight.push(flying);
        }
        drop(report_ready);
        let mut ready = 0;
        while are_ready.recv().await.is_some() {
            ready += 1;
        }
        let session = Self { scenario, recorders, in_flight, threads, begin, stop };
        if ready < lanes {
            session.begin.send_replace(Some(Instant::now()));
            session.stop.cancel();
            session.join().await?;
            bail!("a lane ended before it was ready");
        }
        Ok(session)
    }

    /// Returns another recorder, whose record is collected with those of the lanes.
    pub(crate) fn recorder(&mut self) -> Recorder {
        let recorder = Recorder::default();
        self.recorders.push(recorder.clone());
        recorder
    }

    /// Returns a moment shortly after now.
    pub(crate) fn soon() -> Instant {
        Instant::now() + LEAD
    }

    /// Runs to the end. `notify` gets the part that was recorded since its last call, and a progress line.
    pub(crate) async fn run(
        self,
        start: Instant,
        mut notify: impl FnMut(&Record, Option<String>),
    ) -> anyhow::Result<Ended> {
        let began = SystemTime::now() + start.saturating_duration_since(Instant::now());
        let began_unix_ms = u64::try_from(began.duration_since(UNIX_EPOCH)?.as_millis())?;
        self.begin.send_replace(Some(start));
        let mut record = Record::default();
        let warm_up = self.scenario.drive.warm_up.0;
        let mut printed = None;
        for tick in 1.. {
            tokio::time::sleep_until((start + Duration::from_secs(tick)).into()).await;
            let ended = self.threads.iter().all(JoinHandle::is_finished);
            let part = self.collect();
            record.add(&part);
            let line = progress::settled(&record, tick).filter(|(second, _)| printed < Some(*second)).map(
                |(second, of)| {
                    printed = Some(second);
                    let in_flight = self.in_flight.iter().map(|one| one.load(Ordering::Relaxed)).sum();
                    progress::line(&self.scenario, second, of, in_flight)
                },
            );
            notify(&part, line);
            if ended {
                break;
            }
        }
        let measured = if self.stop.is_cancelled() {
            start.elapsed().min(self.scenario.length()).saturating_sub(warm_up)
        } else {
            self.scenario.length().saturating_sub(warm_up)
        };
        let recorders = self.recorders.clone();
        let cpu_s = self.join().await?;
        for recorder in recorders {
            let part = recorder.collect();
            notify(&part, None);
            record.add(&part);
        }
        Ok(Ended { record, began_unix_ms, cpu_s, measured })
    }

    fn collect(&self) -> Record {
        let mut sum = Record::default();
        self.recorders.iter().for_each(|recorder| sum.add(&recorder.collect()));
        sum
    }

    /// Waits for the lanes, and returns the processor time that they used, in seconds.
    async fn join(self) -> anyhow::Result<f64> {
        let mut cpu_s = 0.0;
        for thread in self.threads {
            let ended = tokio::task::spawn_blocking(move || thread.join()).await?;
            cpu_s += ended.map_err(|_| anyhow!("a lane panicked"))?.context("a lane failed")?;
        }
        Ok(cpu_s)
    }
}

fn arrivals(scenario: &Scenario) -> anyhow::Result<Arrivals> {
    if let Some(trace) = &scenario.arrivals.trace {
        let length = scenario.length();
        let read = crate::run::lanes::trace::read(trace)?;
        return Ok(Arrivals::Open(Box::new(
            read.into_iter().take_while(move |(arrival, _)| arrival.at < length),
        )));
    }
    let schedule = Schedule::new(&scenario.stages(), scenario.arrivals.spacing, scenario.seed);
    Ok(Arrivals::Open(Box::new(schedule.map(|arrival| (arrival, None)))))
}

/// Returns the processor time of this thread in seconds; a lane is one thread.
fn cpu_s() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
