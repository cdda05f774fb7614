//! The environment of a run, which also outlives it: right answers, cluster, and data in the bank.

mod consortium;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use http::Uri;
use rand::RngExt as _;
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use vigie_clients::{BankClient, Code, IdempotencyKey, Network};
use vigie_consortium::MemberName;
use vigie_harness::binary::find_vigie;
use vigie_harness::cluster::Cluster;
use vigie_model::{BankName, Sequence};

use crate::cli::{Protocol, TargetArguments};
use crate::cluster;
use crate::cluster::fault::{self, Victims};
use crate::cluster::processors::{self, ByRole};
use crate::data::fill::{self, Filled};
use crate::judge::ledger::Ledger;
use crate::judge::truth::Truth;
use crate::report::machine::Machine;
use crate::report::result::{HMA, Mark, Ran, RunResult, TargetFacts};
use crate::run::establish::establish;
use crate::run::interrupt::Interrupt;
use crate::run::join::{Followers, Plan};
use crate::run::lanes::kind::Chooser;
use crate::run::lanes::probe;
use crate::run::lanes::shared::Shared;
use crate::run::leftovers::Leftovers;
use crate::run::prepare::consortium::Consortium;
use crate::run::record::Record;
use crate::run::say::say;
use crate::run::scenario::Scenario;
use crate::run::scenario::run_bank::RunBank;
use crate::run::session::{self, Session};
use crate::run::target::hma::{self, contents::Contents};
use crate::run::target::live_bank::LiveBank;
use crate::run::target::vigie::Options;
use crate::run::target::{Targets, reached};

/// How long a cluster may take to include the data after the bank has it.
const READY_WITHIN: Duration = Duration::from_secs(600);

/// The interval of progress reports.
const SAY_EVERY: Duration = Duration::from_secs(2);

/// A prepared environment for runs.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) truth: Arc<Truth>,
    pub(crate) targets: Targets,
    cluster: Option<Arc<Mutex<Cluster>>>,
    bank: Option<LiveBank>,
    pub(crate) bank_url: Option<String>,
    sequence: Sequence,
    facts: TargetFacts,
    leftovers: Leftovers,
    consortium: Option<Consortium>,
    /// The folder of secrets, removed on drop.
    _secrets: Option<TempDir>,
}

/// Other participants of a run.
#[derive(Debug, Default)]
pub(crate) struct Others {
    /// Generators in other processes.
    pub(crate) followers: Option<Followers>,
    /// The signals that end a run early.
    pub(crate) interrupt: Interrupt,
}

impl Prepared {
    /// Fills the bank and waits until the target includes the data. Banks that are created are recorded in
    /// `leftovers`.
    pub(crate) async fn new(
        scenario: &Scenario,
        target: &TargetArguments,
        leftovers: &Leftovers,
    ) -> anyhow::Result<Self> {
        let truth = establish(scenario).await?;
        say(&format!(
            "a question matches {:.3} of {} items on average",
            truth.matches_mean(),
            truth.rows.count()
        ));
        if scenario.mix.video > 0 {
            let (asked, matching, matches) = truth.videos().counts();
            let banked = truth.rows.videos.count;
            say(&format!(
                "{matching} of {asked} videos that are asked about match, {matches} times in all, one of {banked}"
            ));
        }
        if target.protocol == Protocol::Hma {
            return Self::of_hma(scenario, target, truth).await;
        }
        if scenario.consortium.is_some() && !target.target.is_empty() {
            bail!("a scenario with members runs only in its own cluster: leave --target out");
        }
        let secrets = scenario.consortium.as_ref().map(|_| tempfile::tempdir()).transpose()?;
        let (cluster, endpoints, bank_url) = if target.target.is_empty() {
            let vigie: PathBuf = target.vigie.clone().map_or_else(find_vigie, Ok)?;
            let plan = &scenario.cluster;
            say(&format!(
                "starting a cluster: {} shards of {} replicas, {} frontends",
                plan.shards, plan.replicas, plan.frontends
            ));
            let further = secrets.as_ref().map(|folder| consortium::settings(folder.path())).transpose()?;
            let cluster = cluster::start(scenario, &vigie, &further.unwrap_or_default()).await?;
            let (frontends, bank) = (cluster.frontend_urls().to_vec(), cluster.bank_url().to_owned());
            (Some(Arc::new(Mutex::new(cluster))), frontends, Some(bank))
        } else {
            (None, target.target.clone(), target.bank_url.clone())
        };
        let mut network = target.tls.network(&reached(&endpoints, bank_url.as_deref()))?;
        let facts = TargetFacts {
            protocol: "vigie".to_owned(),
            endpoints: endpoints.clone(),
            own_cluster: cluster.is_some(),
        };
        let name: BankName = scenario.bank().parse()?;
        let mut banks = vec![name.to_string()];
        let mut sequence = Sequence(0);
        // Only banks of runs in a given target are left over: the run's own cluster is removed with
        // everything in it, and a bank that the scenario names does not belong to the run.
        let made = |url: &str, bank: &BankName| {
            if cluster.is_none() && RunBank::named(bank.as_str()).is_some() {
                leftovers.made(url, bank.to_string());
            }
        };
        if let Some(url) = &bank_url {
            let filled = fill_bank(url, &network, &name, &truth, || made(url, &name)).await?;
            sequence = filled.sequence;
        }
        let mut consortium = None;
        if let (Some(plan), Some(url)) = (&scenario.consortium, &bank_url) {
            say(&format!("making {} members, of which {} have a policy", plan.members, plan.policies));
            let founded = Consortium::found(url, &network, plan, &name).await?;
            network = founded.host.clone();
            founded.share(&name).await?;
            consortium = Some(founded);
        }
        let mut bank = None;
        if scenario.writes() {
            let url = bank_url.as_ref().context("the scenario writes, so it needs --bank-url")?;
            let live: BankName = RunBank::Live(rand::rng().random()).to_string().parse()?;
            made(url, &live);
            let client = BankClient::new_on(url, &network)?;
            let deadline = Instant::now() + Duration::from_secs(10);
            let made = client.create_bank(&live, IdempotencyKey::random(), deadline.into()).await;
            sequence = made.context("cannot create the bank that this run writes to")?.sequence;
            if let Some(consortium) = &consortium {
                consortium.share(&live).await?;
            }
            banks.push(live.to_string());
            bank = Some(LiveBank { client, live });
        }
        if consortium.is_some() {
            // The names by which the members address the host's shared banks.
            banks = banks.iter().map(|bank| format!("{}/{bank}", MemberName::of_host())).collect();
        }
        let members = consortium.as_ref().map(|consortium| consortium.searching.clone());
        let targets = Targets::vigie(&endpoints, &network, Options::new(scenario, banks))?;
        let targets = targets.by(members.unwrap_or_default());
        let prepared = Self {
            truth,
            targets,
            cluster,
            bank,
            bank_url,
            sequence,
            facts,
            leftovers: leftovers.clone(),
            consortium,
            _secrets: secrets,
        };
        match session::wait_ready(&prepared.targets, sequence, READY_WITHIN).await {
            Ok(()) => Ok(prepared),
            Err(error) => {
                prepared.finish(false).await?;
                Err(error)
            }
        }
    }

    /// Prepares a target that speaks HMA's protocol.
    pub(crate) async fn of_hma(
        scenario: &Scenario,
        target: &TargetArguments,
        truth: Arc<Truth>,
    ) -> anyhow::Result<Self> {
        let mix = &scenario.mix;
        let others = [mix.batch, mix.packed, mix.stream, mix.image, mix.video];
        if scenario.writes() || others.into_iter().any(|weight| weight > 0) {
            bail!("with --protocol hma there are lookups only; set the other weights of the mix to 0");
        }
        // This also checks the rule about credentials in plain text.
        let network = target.tls.network(&target.target)?;
        let contents = contents(target, &network, &truth).await?;
        let facts =
            TargetFacts { protocol: HMA.to_owned(), endpoints: target.target.clone(), own_cluster: false };
        let targets = Targets::hma(&target.target, &network, target.hma.call, contents)?;
        Ok(Self {
            truth,
            targets,
            cluster: None,
            bank: None,
            bank_url: None,
            sequence: Sequence(0),
            facts,
            leftovers: Leftovers::default(),
            consortium: None,
            _secrets: None,
        })
    }

    /// Returns the state that lanes share. It is new for each run, so that the writes of one run are unknown
    /// to the next.
    fn shared(&self, scenario: &Scenario) -> Arc<Shared> {
        let mut scenario = scenario.clone();
        if self.facts.protocol == HMA {
            // HMA has no limit: its answers have to contain every match.
            scenario.questions.limit = u16::MAX;
        }
        let shared = Shared {
            chooser: Chooser::new(&scenario.mix),
            scenario,
            truth: Arc::clone(&self.truth),
            ledger: Ledger::default(),
            bank: self.bank.clone(),
            live_seed: rand::rng().random(),
        };
        shared.ledger.begin(self.sequence, Instant::now());
        Arc::new(shared)
    }

    /// Runs the scenario once. `notify` gets the part that was recorded since its last call, and a progress
    /// line.
    pub(crate) async fn run(
        &self,
        scenario: &Scenario,
        others: Others,
        notify: impl FnMut(&Record, Option<String>),
    ) -> anyhow::Result<RunResult> {
        let mut machine = Machine::now();
        let shared = self.shared(scenario);
        let processes = 1 + others.followers.as_ref().map_or(0, Followers::count);
        let of = u64::from(scenario.drive.lanes) * u64::from(processes);
        let mut session = Session::ready(&shared, &self.targets, 0, of).await?;
        let stop = session.stop.clone();
        others.interrupt.run_begins(stop.clone());
        let mut following = None;
        if self.consortium.is_some() && others.followers.is_some() {
            bail!(
                "a scenario with members runs with one generator only, because the members' keys are not sent to \
                 others: leave --generators out"
            );
        }
        if let Some(mut followers) = others.followers {
            let recorder = session.recorder();
            let plan = Plan::new(self.targets.plan(), self.bank_url.clone(), &shared);
            followers.prepare(&plan).await?;
            following = Some(tokio::spawn(followers.follow(session::LEAD, recorder, stop.clone())));
        }
        let start = Session::soon();
        let ended = CancellationToken::new();
        if let (Some(plan), Some(bank)) = (&scenario.probes, &self.bank) {
            tokio::spawn(probe::probe(
                Arc::clone(&shared),
                plan.clone(),
                bank.clone(),
                self.targets.open_one()?,
                session.recorder(),
                start,
                ended.clone(),
            ));
        }
        let victims =
            Victims { cluster: self.cluster.clone(), bank: self.bank.clone(), live_seed: shared.live_seed };
        let faults = tokio::spawn(fault::inflict(scenario.faults.clone(), victims, start));
        let measured = (start + scenario.drive.warm_up.0, start + scenario.length());
        let clocks = self
            .cluster
            .clone()
            .map(|cluster| tokio::spawn(processors::used(cluster, measured.0, measured.1)));
        let opinions =
            self.consortium.clone().map(|consortium| tokio::spawn(consortium.opine(ended.clone())));
        let outcome = session.run(start, notify).await;
        ended.cancel();
        others.interrupt.run_ended();
        let mut record = Record::default();
        if let Some(following) = following {
            record = following.await??;
        }
        let stopped = stop.is_cancelled();
        let outcome = outcome?;
        let mut marks = if stopped {
            faults.abort();
            Vec::new()
        } else {
            faults.await?
        };
        if let Some(opinions) = opinions {
            let said = opinions.await?;
            let failed = (said.failed > 0).then(|| format!("{} were refused or failed", said.failed));
            marks.push(Mark { at_s: 0.0, what: format!("{} opinions put", said.put), failed });
        }
        if let Some(cluster) = &self.cluster {
            let at_s = start.elapsed().as_secs_f64();
            let mut cluster = cluster.lock().await;
            for what in cluster.ended() {
                say(&what);
                marks.push(Mark { at_s, what, failed: Some("it should not have".to_owned()) });
            }
        }
        let cluster_cpu_s = match clocks {
            Some(clocks) if !stopped => clocks.await?.unwrap_or_default(),
            Some(clocks) => {
                clocks.abort();
                ByRole::new()
            }
            None => ByRole::new(),
        };
        machine.finish();
        record.add(&outcome.record);
        Ok(RunResult::from(Ran {
            target: self.facts.clone(),
            began_unix_ms: outcome.began_unix_ms,
            measured_s: outcome.measured.as_secs_f64(),
            interrupted: stopped,
            processes,
            lanes: u32::try_from(of)?,
            cpu_s: outcome.cpu_s,
            machine,
            cluster_cpu_s,
            faults: marks,
            record,
            scenario: scenario.clone(),
        }))
    }

    /// Removes what was created for the run. The cluster's folder is kept if `keep` is set.
    pub(crate) async fn finish(self, keep: bool) -> anyhow::Result<()> {
        if let (Some(bank), None) = (&self.bank, &self.cluster) {
            let deadline = Instant::now() + Duration::from_secs(30);
            let deleted =
                bank.client.delete_bank(&bank.live, IdempotencyKey::random(), deadline.into()).await;
            match deleted {
                Err(error) if error.code() != Code::NotFound => {
                    say(&format!("cannot delete the bank {}, which stays in the target: {error}", bank.live));
                }
                Ok(_) | Err(_) => self.leftovers.settled(bank.live.as_str()),
            }
        }
        if let Some(cluster) = &self.cluster
            && keep
        {
            say(&format!("data and logs of the cluster: {}", cluster.lock().await.keep_folder().display()));
        }
        Ok(())
    }
}

/// Returns the content ids of a target that speaks HMA's protocol, and fills it first if the arguments ask
/// for that.
async fn contents(target: &TargetArguments, network: &Network, truth: &Truth) -> anyhow::Result<Contents> {
    let ids = target.hma.ids.as_deref();
    match (&target.hma.fill, ids) {
        (Some(bank), ids) if !ids.is_some_and(Path::is_file) => {
            let url = target.target.first().context("no target to fill: name it with --target")?;
            let url: Uri = url.parse().with_context(|| format!("`{url}` is no base URL"))?;
            hma::fill::fill(&url, network, bank, &truth.rows, ids).await
        }
        (_, Some(ids)) => Contents::read(ids, &truth.rows),
        (_, None) => Ok(Contents::From(target.hma.first_content)),
    }
}

async fn fill_bank(
    url: &str,
    network: &Network,
    name: &BankName,
    truth: &Truth,
    writing: impl FnOnce(),
) -> anyhow::Result<Filled> {
    let rows = Arc::clone(&truth.rows);
    let mut reported = Instant::now();
    let per_s = |items: u64, took: Duration| items as f64 / took.as_secs_f64().max(1e-9);
    let filled = fill::fill(url, network, name, &rows, writing, |items, took| {
        if reported.elapsed() > SAY_EVERY {
            reported = Instant::now();
            say(&format!("{items} of {} items added, {:.0}/s", rows.items(), per_s(items, took)));
        }
    })
    .await?;
    if filled.items > 0 {
        let (rate, took) = (per_s(filled.items, filled.took), filled.took.as_secs_f64());
        say(&format!("added {} items in {took:.1} s, {rate:.0}/s", filled.items));
    }
    Ok(filled)
}
