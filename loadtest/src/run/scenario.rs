//! The description of a load test, as a TOML file.
//!
//! Every table and key has a default except the arrivals; an unknown key is refused. [`Scenario::mistakes`]
//! reports all wrong values at once.

pub(crate) mod span;
pub(crate) mod builtin;
pub(crate) mod consortium;
pub(crate) mod run_bank;
pub(crate) mod setting;
mod values;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use serde::{Deserialize, Serialize};

use crate::cli::ShapeName;
use crate::judge::evidence::Rule;
use crate::judge::threshold::Threshold;
use crate::run::lanes::kind::Mix;
use crate::run::lanes::schedule::{Spacing, Stage};
use crate::run::scenario::consortium::ConsortiumPlan;
use crate::run::scenario::run_bank::RunBank;
use crate::run::scenario::span::Span;

/// A load test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The name.
    pub(crate) name: String,
    /// The purpose, in a sentence or two.
    #[serde(default)]
    pub(crate) about: String,
    /// The seed. The same seed gives the same arrivals, questions and data.
    #[serde(default = "one")]
    pub(crate) seed: u64,
    /// The content of the bank.
    #[serde(default)]
    pub(crate) data: DataPlan,
    /// The questions that requests ask.
    #[serde(default)]
    pub(crate) questions: Questions,
    /// The times at which requests are due.
    pub(crate) arrivals: Arrivals,
    /// The weight of each kind of request.
    #[serde(default)]
    pub(crate) mix: Mix,
    /// The settings of sending.
    #[serde(default)]
    pub(crate) drive: Drive,
    /// Probes that measure how soon a write becomes visible.
    #[serde(default)]
    pub(crate) probes: Option<Probes>,
    /// The members whose credentials requests use, in the run's own cluster. Without it the cluster has no
    /// members, and every caller may do everything.
    #[serde(default)]
    pub(crate) consortium: Option<ConsortiumPlan>,
    /// The cluster that is started where no target is given.
    #[serde(default)]
    pub(crate) cluster: ClusterPlan,
    /// The actions on that cluster, with their times.
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
    /// The conditions of the run, such as `p99 < 20ms`, `missed == 0`, `rate >= 5000`.
    #[serde(default)]
    pub(crate) thresholds: Vec<Threshold>,
}

const fn one() -> u64 {
    1
}

/// The content of the bank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DataPlan {
    /// The shape of the hashes.
    pub(crate) shape: ShapeName,
    /// Number of hashes; each is an item of its own.
    pub(crate) hashes: u32,
    /// Number of drawn pictures that are also banked.
    pub(crate) pictures: u32,
    /// Number of videos of drawn frames that are also banked; each is an item with one hash.
    pub(crate) videos: u32,
    /// The most frames of a video, 8 to 2048; each has at least half as many.
    pub(crate) video_frames: u32,
    /// The bank's name; by default it is made of shape, number and seed, so that equal data are reused.
    pub(crate) bank: Option<String>,
}

impl Default for DataPlan {
    fn default() -> Self {
        Self { shape: ShapeName::Pdq, hashes: 100_000, pictures: 0, videos: 0, video_frames: 60, bank: None }
    }
}

/// The questions that requests ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Questions {
    /// Number of distinct questions. Their right answers are computed before the run by a linear scan.
    pub(crate) pool: u32,
    /// The share of requests that ask for known content, 0 to 1.
    pub(crate) matching: f64,
    /// Numbers of bits in which a planted question differs from a known hash; each is equally likely. Hashes
    /// of pictures differ in an even number of bits: with the shape `pdq`, a question at an odd distance does
    /// not have 128 set bits, and frontends with members refuse it.
    pub(crate) distances: Vec<u16>,
    /// The share of the matching questions that ask for items which this run has added or removed, 0 to 1.
    pub(crate) live: f64,
    /// The largest distance of a match in bits, 0 to 64.
    pub(crate) max_distance: u16,
    /// The most matches in one answer, 1 to 1000.
    pub(crate) limit: u16,
    /// Number of distinct images; half of them are altered copies of banked pictures.
    pub(crate) images: u32,
    /// Side lengths of the images in pixels, used in rotation.
    pub(crate) image_sides: Vec<u32>,
    /// Number of distinct videos: half of them are clips of banked ones, altered by `distances`, or longer
    /// videos that contain one; the others are unknown. The right answers are computed frame by frame.
    pub(crate) videos: u32,
    /// The rules by which videos match, with their usual numbers: `clip_of_known`, `contains_known`,
    /// `threatexchange`.
    pub(crate) video_rules: Vec<Rule>,
}

impl Default for Questions {
    fn default() -> Self {
        Self {
            pool: 5_000,
            matching: 0.1,
            distances: vec![0, 4, 8, 16, 24, 30],
            live: 0.0,
            max_distance: 31,
            limit: 100,
            images: 64,
            image_sides: vec![256, 512, 1024],
            videos: 100,
            video_rules: vec![Rule::ClipOfKnown, Rule::ContainsKnown],
        }
    }
}

/// The times of requests: at one rate, in stages, from a trace, or each when another has ended. Set exactly
/// one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Arrivals {
    /// The distribution of arrivals within a stage.
    pub(crate) spacing: Spacing,
    /// A constant rate, in requests per second.
    pub(crate) rate: Option<f64>,
    /// Stages in sequence; the duration of the run is the sum of theirs.
    pub(crate) stages: Vec<StagePlan>,
    /// A file with one arrival per line: seconds from the start, then optionally a kind of request.
    pub(crate) trace: Option<PathBuf>,
    /// Number of requests under way at all times: each begins when another has ended. This closed loop
    /// measures the highest rate of that many callers. Its latencies do not include the requests that a stall
    /// prevents.
    pub(crate) closed: Option<u32>,
}

/// A stage of the arrivals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StagePlan {
    /// The duration.
    pub(crate) over: Span,
    /// The rate in requests per second, constant or at the start.
    pub(crate) rate: f64,
    /// The rate in requests per second at the end; by default that of the start.
    #[serde(default)]
    pub(crate) to: Option<f64>,
}

/// The settings of sending.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Drive {
    /// The time at the start of the run that the figures leave out.
    pub(crate) warm_up: Span,
    /// The length of the measurement, also for a trace and a closed loop. It is ignored where the arrivals
    /// have stages.
    pub(crate) duration: Span,
    /// The deadline of a request, from its intended start, retries included.
    pub(crate) deadline: Span,
    /// Number of retries after a failure that may be temporary.
    pub(crate) retries: u32,
    /// Number of connections to the frontends, in all.
    pub(crate) connections: u32,
    /// Number of threads that send; the connections are shared out between them.
    pub(crate) lanes: u16,
    /// The most requests under way, in all. A request above it is not sent, and counted as unsent.
    pub(crate) in_flight_max: u32,
    /// The lowest share of shards (0 to 1) with which an answer is accepted.
    pub(crate) min_coverage: f64,
    /// Whether to request answers that include every write of this run that was acknowledged when the
    /// question was sent.
    pub(crate) read_your_writes: bool,
    /// An answer is stale if it lacks a write that was acknowledged longer ago than this.
    pub(crate) stale_after: Span,
}

impl Default for Drive {
    fn default() -> Self {
        Self {
            warm_up: Span::from_secs(2),
            duration: Span::from_secs(10),
            deadline: Span::from_secs(1),
            retries: 0,
            connections: 8,
            lanes: 1,
            in_flight_max: 10_000,
            min_coverage: 1.0,
            read_your_writes: false,
            stale_after: Span::from_secs(5),
        }
    }
}

/// Probes that measure how soon a write becomes visible: an item is added and searched until it is found,
/// then removed and searched until it is no longer found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Probes {
    /// The interval between the starts of probes.
    pub(crate) every: Span,
    /// The time limit for a write to become visible; after it the probe has failed.
    pub(crate) within: Span,
}

impl Default for Probes {
    fn default() -> Self {
        Self { every: Span::from_millis(500), within: Span::from_secs(10) }
    }
}

/// The cluster that is started where no target is given: processes of the real binary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClusterPlan {
    /// Number of shards.
    pub(crate) shards: u16,
    /// Number of shards that each matcher serves.
    pub(crate) shards_served: u16,
    /// Number of matchers per shard, or per group of shards that a matcher serves.
    pub(crate) replicas: u16,
    /// Number of frontends.
    pub(crate) frontends: u16,
    /// Further settings, such as `matcher.searches_at_once_max=1`.
    pub(crate) set: Vec<String>,
}

impl Default for ClusterPlan {
    fn default() -> Self {
        Self { shards: 2, shards_served: 1, replicas: 1, frontends: 1, set: Vec::new() }
    }
}

/// An action on the cluster at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fault {
    /// Time after the start of the run, warm-up included.
    pub(crate) at: Span,
    /// The action.
    #[serde(flatten)]
    pub(crate) action: Action,
}

/// An action on the cluster. A process is named by its role and number: `bank`, `coordinator`, `frontend-0`,
/// and `matcher-1-0` for the first replica of shard 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// Pauses a process, which keeps its connections (SIGSTOP).
    Stop(String),
    /// Resumes a process (SIGCONT).
    Continue(String),
    /// Kills a process (SIGKILL).
    Kill(String),
    /// Terminates a process (SIGTERM), waits for its end, and starts it again.
    Restart(String),
    /// Starts a process that was killed.
    Start(String),
    /// Delays all traffic to and from a matcher; a delay of zero ends that.
    Slow {
        /// The matcher.
        process: String,
        /// The delay in each direction.
        #[serde(default)]
        by: Span,
    },
    /// Runs a shell command; this also works where the cluster is not the harness's own.
    Command(String),
    /// Adds items in batches, as fast as the bank accepts them.
    Import {
        /// Number of items.
        items: u64,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop(process) => write!(f, "stop {process}"),
            Self::Continue(process) => write!(f, "continue {process}"),
            Self::Kill(process) => write!(f, "kill {process}"),
            Self::Restart(process) => write!(f, "restart {process}"),
            Self::Start(process) => write!(f, "start {process}"),
            Self::Slow { process, by } if by.0.is_zero() => write!(f, "{process} no longer slow"),
            Self::Slow { process, by } => write!(f, "slow {process} by {by} each way"),
            Self::Command(command) => write!(f, "run `{command}`"),
            Self::Import { items } => write!(f, "import {items} items"),
        }
    }
}

impl Scenario {
    /// Reads a scenario and checks it.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let scenario: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            anyhow::anyhow!("line {}: {}", before.matches('\n').count() + 1, error.message())
        })?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Returns whether the run writes to the bank while it is searched.
    #[must_use]
    pub(crate) fn writes(&self) -> bool {
        let imports = self.faults.iter().any(|fault| matches!(fault.action, Action::Import { .. }));
        self.mix.writes() || self.probes.is_some() || imports
    }

    /// Fails with a list of all mistakes.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let mistakes = self.mistakes();
        if !mistakes.is_empty() {
            bail!("{}", mistakes.join("; "));
        }
        Ok(())
    }

    /// Returns the stages from the start of the warm-up to the end; used where there is no trace.
    #[must_use]
    pub(crate) fn stages(&self) -> Vec<Stage> {
        let Arrivals { rate, stages, .. } = &self.arrivals;
        let mut planned: Vec<Stage> = stages
            .iter()
            .map(|stage| Stage { over: stage.over.0, from: stage.rate, to: stage.to.unwrap_or(stage.rate) })
            .collect();
        if let Some(rate) = *rate {
            planned.push(Stage::flat(self.drive.duration.0, rate));
        }
        if let Some(first) = planned.first() {
            planned.insert(0, Stage::flat(self.drive.warm_up.0, first.from));
        }
        planned
    }

    /// Returns how long requests are sent, warm-up included.
    #[must_use]
    pub(crate) fn length(&self) -> Duration {
        if self.arrivals.trace.is_some() || self.arrivals.closed.is_some() {
            return self.drive.warm_up.0 + self.drive.duration.0;
        }
        self.stages().iter().map(|stage| stage.over).sum()
    }

    /// Returns the name of the bank that has the data.
    #[must_use]
    pub(crate) fn bank(&self) -> String {
        let DataPlan { shape, hashes, pictures, videos, video_frames, bank } = self.data.clone();
        let videos = (videos > 0).then_some((videos, video_frames));
        bank.unwrap_or_else(|| RunBank::Data { shape, hashes, pictures, videos, seed: self.seed }.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "name = 'x'\n[arrivals]\nrate = 5\n";

    #[test]
    fn a_name_and_a_rate_are_a_scenario() {
        let scenario = Scenario::parse(LEAST).unwrap();
        assert_eq!(scenario.stages().len(), 2);
        assert_eq!(scenario.length(), Duration::from_secs(12));
        assert_eq!(scenario.bank(), "load-pdq-100000-0-seed-1");
    }

    #[test]
    fn a_scenario_comes_back_from_its_own_text() {
        let text = format!(
            "{LEAST}\n[[faults]]\nat = '3s'\nkill = 'matcher-0-1'\n[[faults]]\nat = '4s'\nslow = {{ process = 'matcher-0-0', by = '5ms' }}\n"
        );
        let scenario = Scenario::parse(&text).unwrap();
        assert_eq!(scenario.faults[0].action, Action::Kill("matcher-0-1".to_owned()));
        let again = toml::to_string(&scenario).unwrap();
        assert_eq!(Scenario::parse(&again).unwrap(), scenario);
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        let error = Scenario::parse("name = 'x'\n[arrivals]\nrat = 5\n").unwrap_err().to_string();
        assert!(error.starts_with("line 3: ") && error.contains("rat"), "{error}");
        assert!(Scenario::parse(&format!("{LEAST}[[faults]]\nat = '1s'\nexplode = 'bank'\n")).is_err());
    }
}
