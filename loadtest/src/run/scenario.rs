//! What a load test does, as a file says it.
//!
//! Every table and key has a default but the arrivals; an unknown key is refused. [`Scenario::mistakes`] tells all that
//! is wrong with the values at once.

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

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it is called.
    pub(crate) name: String,
    /// What it is for, in a sentence or two.
    #[serde(default)]
    pub(crate) about: String,
    /// Arrivals, questions and data are the same for the same seed.
    #[serde(default = "one")]
    pub(crate) seed: u64,
    /// What the bank holds.
    #[serde(default)]
    pub(crate) data: DataPlan,
    /// What is asked.
    #[serde(default)]
    pub(crate) questions: Questions,
    /// When it is asked.
    pub(crate) arrivals: Arrivals,
    /// How often each kind of request comes.
    #[serde(default)]
    pub(crate) mix: Mix,
    /// How requests are made.
    #[serde(default)]
    pub(crate) drive: Drive,
    /// Probes of how soon a write is seen.
    #[serde(default)]
    pub(crate) probes: Option<Probes>,
    /// The members as which the run asks, in a cluster of its own; everybody may do everything where there are none.
    #[serde(default)]
    pub(crate) consortium: Option<ConsortiumPlan>,
    /// The cluster that is started where no target is given.
    #[serde(default)]
    pub(crate) cluster: ClusterPlan,
    /// What is done to that cluster, and when.
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
    /// What has to hold, such as `p99 < 20ms`, `missed == 0`, `rate >= 5000`.
    #[serde(default)]
    pub(crate) thresholds: Vec<Threshold>,
}

const fn one() -> u64 {
    1
}

/// What the bank holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DataPlan {
    /// What the hashes look like.
    pub(crate) shape: ShapeName,
    /// How many there are, each an item of its own.
    pub(crate) hashes: u32,
    /// Drawn pictures that are banked beside them.
    pub(crate) pictures: u32,
    /// Videos of drawn frames that are banked beside them, each an item with one hash.
    pub(crate) videos: u32,
    /// The most frames of a video, 8 to 2048: each has half of that to all of it.
    pub(crate) video_frames: u32,
    /// The bank's name; by default one that tells shape, number and seed, so that an equal one is used again.
    pub(crate) bank: Option<String>,
}

impl Default for DataPlan {
    fn default() -> Self {
        Self { shape: ShapeName::Pdq, hashes: 100_000, pictures: 0, videos: 0, video_frames: 60, bank: None }
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Questions {
    /// Distinct questions, whose right answers are worked out before the run by a linear scan.
    pub(crate) pool: u32,
    /// The share of requests that ask for something known, 0 to 1.
    pub(crate) matching: f64,
    /// In how many bits a planted question differs from what is known; each is as likely as the next. Hashes of pictures differ in an
    /// even number: of the shape `pdq`, a question at an odd distance has more or fewer than 128 set bits, and frontends with members refuse it.
    pub(crate) distances: Vec<u16>,
    /// Of the matching questions, the share that asks for what this very run has added or removed.
    pub(crate) live: f64,
    /// The largest distance of a match, 0 to 64.
    pub(crate) max_distance: u16,
    /// The most matches of one answer, 1 to 1000.
    pub(crate) limit: u16,
    /// Distinct images; half of them altered copies of banked pictures.
    pub(crate) images: u32,
    /// Sides of the images in pixels, taken in turn.
    pub(crate) image_sides: Vec<u32>,
    /// Distinct videos: half of them clips of banked ones, altered in `distances`, or longer ones that contain one; the others unknown. Whether
    /// one matches is worked out frame by frame.
    pub(crate) videos: u32,
    /// By which a video matches, with their usual numbers: `clip_of_known`, `contains_known`, `threatexchange`.
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

/// When requests are made: at one rate, in stages, as a trace says, or each when another has ended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Arrivals {
    /// How arrivals lie within a stage.
    pub(crate) spacing: Spacing,
    /// Requests a second throughout.
    pub(crate) rate: Option<f64>,
    /// One after the other; then the duration is the sum of theirs.
    pub(crate) stages: Vec<StagePlan>,
    /// A file with one arrival a line: seconds from the beginning, then perhaps a kind of request.
    pub(crate) trace: Option<PathBuf>,
    /// Requests under way at all times: each begins when another has ended. This closed loop measures the highest rate of so many callers.
    /// Its latencies leave out the requests that a stall keeps from being made.
    pub(crate) closed: Option<u32>,
}

/// One stage of the arrivals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StagePlan {
    /// How long it lasts.
    pub(crate) over: Span,
    /// Requests a second, throughout or at the beginning.
    pub(crate) rate: f64,
    /// Requests a second at the end; by default those of the beginning.
    #[serde(default)]
    pub(crate) to: Option<f64>,
}

/// How requests are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Drive {
    /// What is left out of the figures at the beginning.
    pub(crate) warm_up: Span,
    /// How long is measured, of a trace and a closed loop too; not said where the arrivals are stages.
    pub(crate) duration: Span,
    /// How long a request may take, from its intended start, retries and all.
    pub(crate) deadline: Span,
    /// How often a request is made again after a failure that may pass.
    pub(crate) retries: u32,
    /// Connections to the frontends, in all.
    pub(crate) connections: u32,
    /// Threads that send; each has its share of the connections.
    pub(crate) lanes: u16,
    /// Requests under way at once, in all. One more is not sent, and counted as such.
    pub(crate) in_flight_max: u32,
    /// The least share of shards to take an answer from.
    pub(crate) min_coverage: f64,
    /// Ask for answers that hold every write of this run that was acknowledged when the question was sent.
    pub(crate) read_your_writes: bool,
    /// An answer that lacks a write acknowledged longer ago than this is stale.
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

/// Probes of how soon a write is seen: an item is added and asked for until it is found, then removed and asked for until
/// it is not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Probes {
    /// How often one begins.
    pub(crate) every: Span,
    /// How long a write may take to be seen; then the probe has failed.
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
    /// Shards.
    pub(crate) shards: u16,
    /// Matchers of each shard.
    pub(crate) replicas: u16,
    /// Frontends.
    pub(crate) frontends: u16,
    /// Further settings, such as `matcher.searches_at_once_max=1`.
    pub(crate) set: Vec<String>,
}

impl Default for ClusterPlan {
    fn default() -> Self {
        Self { shards: 2, replicas: 1, frontends: 1, set: Vec::new() }
    }
}

/// What is done to the cluster at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fault {
    /// After the beginning of the run, warm-up included.
    pub(crate) at: Span,
    /// What is done.
    #[serde(flatten)]
    pub(crate) action: Action,
}

/// What can be done. A process is named by its role and number: `bank`, `coordinator`, `frontend-0`, and `matcher-1-0`
/// for the first replica of shard 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// Halts a process, which keeps its connections (SIGSTOP).
    Stop(String),
    /// Lets it go on (SIGCONT).
    Continue(String),
    /// Ends it at once (SIGKILL).
    Kill(String),
    /// Asks it to end (SIGTERM), waits, and starts it again.
    Restart(String),
    /// Starts a process that was killed.
    Start(String),
    /// Delays everything that goes to a matcher and comes from it; without a delay, no longer.
    Slow {
        /// The matcher.
        process: String,
        /// In each direction.
        #[serde(default)]
        by: Span,
    },
    /// Runs a command of the shell, also where the cluster is not the harness's own.
    Command(String),
    /// Adds items in batches, as fast as the bank takes them.
    Import {
        /// How many.
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

    /// Whether the bank is written to while it is asked.
    #[must_use]
    pub(crate) fn writes(&self) -> bool {
        let imports = self.faults.iter().any(|fault| matches!(fault.action, Action::Import { .. }));
        self.mix.writes() || self.probes.is_some() || imports
    }

    /// Fails with all that is wrong.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let mistakes = self.mistakes();
        if !mistakes.is_empty() {
            bail!("{}", mistakes.join("; "));
        }
        Ok(())
    }

    /// The rates from the beginning of the warm-up to the end, where no trace says otherwise.
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

    /// How long requests are sent for, warm-up included.
    #[must_use]
    pub(crate) fn length(&self) -> Duration {
        if self.arrivals.trace.is_some() || self.arrivals.closed.is_some() {
            return self.drive.warm_up.0 + self.drive.duration.0;
        }
        self.stages().iter().map(|stage| stage.over).sum()
    }

    /// The bank that holds the data.
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
