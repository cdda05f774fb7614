//! Several generator processes that act as one.
//!
//! The leader is one of the processes. It listens, waits for the others, sends each the plan and its share of
//! the lanes, and starts the run. The others send their records during the run, and the leader adds them to
//! its own: histograms are merged, never percentiles. Since every lane computes the whole schedule and keeps
//! its share, the arrivals of all processes together equal those of a single one.
//!
//! The processes speak JSON, one message a line, over TCP. The start of the run is sent as a time from now,
//! so clocks need not agree; it is off by the message's transit time, which is recorded as lag like any
//! other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vigie_clients::BankClient;
use vigie_model::Sequence;
use vigie_net::TlsArgs;

use crate::judge::ledger::Ledger;
use crate::run::establish::establish;
use crate::run::lanes::kind::Chooser;
use crate::run::lanes::shared::Shared;
use crate::run::record::Record;
use crate::run::record::recorder::Recorder;
use crate::run::say::say;
use crate::run::scenario::Scenario;
use crate::run::session::Session;
use crate::run::target::live_bank::LiveBank;
use crate::run::target::{TargetPlan, Targets, reached};

/// How long a follower tries to connect to its leader, which may start later.
const REACH_WITHIN: Duration = Duration::from_secs(120);

/// How long a new connection may take to send its first message.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// The longest message: the record of a second has some tens of kilobytes, that of a stall of minutes a
/// megabyte.
const MESSAGE_BYTES_MAX: u64 = 64 << 20;

/// A message from the leader.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FromLeader {
    Plan(Box<Plan>),
    /// The run begins in this many microseconds.
    Begin(u64),
    /// The follower must stop sending requests.
    Stop,
}

/// A message from a follower.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FromFollower {
    Hello { version: String },
    Ready,
    Recorded(Box<Record>),
    Ended,
    Failed(String),
}

/// The plan that a follower needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    scenario: Scenario,
    target: TargetPlan,
    bank_url: Option<String>,
    live: Option<String>,
    live_seed: u64,
    sequence: u64,
    first_lane: u64,
    lanes: u64,
}

impl Plan {
    pub(crate) fn new(target: TargetPlan, bank_url: Option<String>, shared: &Shared) -> Self {
        Self {
            scenario: shared.scenario.clone(),
            target,
            bank_url,
            live: shared.bank.as_ref().map(|bank| bank.live.to_string()),
            live_seed: shared.live_seed,
            sequence: shared.ledger.newest().0,
            first_lane: 0,
            lanes: 0,
        }
    }
}

/// A process at the other end of a connection.
#[derive(Debug)]
struct Peer {
    name: String,
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
}

impl Peer {
    fn new(stream: TcpStream, name: String) -> anyhow::Result<Self> {
        stream.set_nodelay(true)?;
        let (from, to) = stream.into_split();
        Ok(Self { name, from: BufReader::new(from), to })
    }

    async fn hear<M: DeserializeOwned>(&mut self) -> anyhow::Result<M> {
        hear(&self.name, &mut self.from).await
    }

    async fn send(&mut self, message: &impl Serialize) -> anyhow::Result<()> {
        send(&mut self.to, message).await
    }
}

async fn hear<M: DeserializeOwned>(name: &str, from: &mut BufReader<OwnedReadHalf>) -> anyhow::Result<M> {
    let mut line = Vec::new();
    let read = from.take(MESSAGE_BYTES_MAX).read_until(b'\n', &mut line).await?;
    ensure!(read > 0, "{name} closed the connection");
    ensure!(
        line.ends_with(b"\n"),
        "a message from {name} is cut off, or longer than {MESSAGE_BYTES_MAX} bytes"
    );
    serde_json::from_slice(&line).with_context(|| format!("cannot parse a message from {name}"))
}

/// Adds the records of a follower until it has ended.
async fn gather(name: &str, from: &mut BufReader<OwnedReadHalf>, recorder: &Recorder) -> anyhow::Result<()> {
    loop {
        match hear(name, from).await? {
            FromFollower::Recorded(record) => recorder.add(&record),
            FromFollower::Ended => return Ok(()),
            FromFollower::Failed(reason) => bail!("{name}: {reason}"),
            FromFollower::Hello { .. } | FromFollower::Ready => {
                bail!("{name} sent a message that is not expected during a run")
            }
        }
    }
}

async fn send(to: &mut OwnedWriteHalf, message: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(to.write_all(&line).await?)
}

/// The connected followers of a leader.
#[derive(Debug)]
pub(crate) struct Followers(Vec<Peer>);

impl Followers {
    /// Waits until `count` followers have connected.
    pub(crate) async fn gather(listener: &TcpListener, count: u32) -> anyhow::Result<Self> {
        let mut peers = Vec::new();
        while peers.len() < count as usize {
            let (stream, address) = listener.accept().await?;
            let mut peer = Peer::new(stream, format!("the generator at {address}"))?;
            let hello = tokio::time::timeout(HELLO_WITHIN, peer.hear()).await;
            match hello {
                Ok(Ok(FromFollower::Hello { version })) if version == env!("CARGO_PKG_VERSION") => {
                    peers.push(peer);
                    say(&format!("{} of {count} generators have joined", peers.len()));
                }
                Ok(Ok(FromFollower::Hello { version })) => bail!(
                    "{} has version {version}; all generators must have the leader's version, {}",
                    peer.name,
                    env!("CARGO_PKG_VERSION")
                ),
                // Another program has connected to the port; the wait for the followers goes on.
                Ok(_) | Err(_) => say(&format!("{} sent no valid greeting; it is ignored", peer.name)),
            }
        }
        Ok(Self(peers))
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Sends each follower its plan and waits until all are ready.
    pub(crate) async fn prepare(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let lanes = u64::from(plan.scenario.drive.lanes);
        let of = lanes * (1 + self.0.len() as u64);
        for (peer, number) in self.0.iter_mut().zip(1..) {
            let part = Plan { first_lane: lanes * number, lanes: of, ..plan.clone() };
            peer.send(&FromLeader::Plan(Box::new(part))).await?;
        }
        for peer in &mut self.0 {
            match peer.hear().await? {
                FromFollower::Ready => {}
                FromFollower::Failed(reason) => bail!("{}: {reason}", peer.name),
                FromFollower::Hello { .. } | FromFollower::Recorded(_) | FromFollower::Ended => {
                    bail!("{} did not answer whether it is ready", peer.name)
                }
            }
        }
        Ok(())
    }

    /// Starts the run and collects records into `recorder` until all followers have ended. Returns what
    /// arrived after the recorder was last read.
    pub(crate) async fn follow(
        self,
        begins_in: Duration,
        recorder: Recorder,
        stop: CancellationToken,
    ) -> anyhow::Result<Record> {
        let begin = FromLeader::Begin(u64::try_from(begins_in.as_micros())?);
        let each = self.0.into_iter().map(|mut peer| {
            let (begin, recorder, stop) = (&begin, &recorder, stop.clone());
            async move {
                peer.send(begin).await?;
                let Peer { name, mut from, mut to } = peer;
                let stopping = async {
                    stop.cancelled().await;
                    // If the follower has gone, reading from it fails below.
                    let _ = send(&mut to, &FromLeader::Stop).await;
                    std::future::pending::<()>().await;
                };
                let asked = stop.clone();
                tokio::select! {
                    // A follower that was asked to stop may end before it has sent everything.
                    outcome = gather(&name, &mut from, recorder) =>
                        outcome.or_else(|error| if asked.is_cancelled() { Ok(()) } else { Err(error) }),
                    () = stopping => Ok(()),
                }
            }
        });
        futures::future::try_join_all(each).await?;
        Ok(recorder.collect())
    }
}

/// Takes part in the run of the leader at this address. The leader sends the services under load; each
/// generator has its own TLS arguments for reaching them.
pub(crate) async fn follow(leader: &str, tls: &TlsArgs) -> anyhow::Result<()> {
    let deadline = Instant::now() + REACH_WITHIN;
    let stream = loop {
        match TcpStream::connect(leader).await {
            Ok(stream) => break stream,
            Err(error) if Instant::now() >= deadline => {
                return Err(error).with_context(|| format!("cannot reach the leader at {leader}"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    };
    let mut peer = Peer::new(stream, "the leader".to_owned())?;
    peer.send(&FromFollower::Hello { version: env!("CARGO_PKG_VERSION").to_owned() }).await?;
    let FromLeader::Plan(plan) = peer.hear().await? else { bail!("the leader did not send a plan") };
    let session = match take_part(&plan, tls).await {
        Ok(session) => session,
        Err(error) => {
            peer.send(&FromFollower::Failed(format!("{error:#}"))).await?;
            return Err(error);
        }
    };
    peer.send(&FromFollower::Ready).await?;
    let FromLeader::Begin(micros) = peer.hear().await? else {
        bail!("the leader did not send the start of the run")
    };
    let start = Instant::now() + Duration::from_micros(micros);
    say(&format!("{}: lanes {} on, of {}", plan.scenario.name, plan.first_lane, plan.lanes));

    let stop = session.stop.clone();
    let Peer { mut from, mut to, .. } = peer;
    let listening = tokio::spawn(async move {
        let mut line = String::new();
        // Whether the leader sends a stop or closes the connection, there is no reason to go on.
        let _ = from.read_line(&mut line).await;
        stop.cancel();
    });
    // Records that are not sent yet are merged here, so a slow leader does not make memory grow.
    let unsent = Recorder::default();
    let (more, mut is_more) = watch::channel(());
    let sending = tokio::spawn({
        let unsent = unsent.clone();
        async move {
            while is_more.changed().await.is_ok() {
                send(&mut to, &FromFollower::Recorded(Box::new(unsent.collect()))).await?;
            }
            anyhow::Ok(to)
        }
    });
    let outcome = session
        .run(start, |part, line| {
            unsent.add(part);
            more.send_replace(());
            if let Some(line) = line {
                say(&line);
            }
        })
        .await;
    drop(more);
    let mut to = sending.await??;
    listening.abort();
    match outcome {
        Ok(_) => send(&mut to, &FromFollower::Ended).await,
        Err(error) => {
            send(&mut to, &FromFollower::Failed(format!("{error:#}"))).await?;
            Err(error)
        }
    }
}

async fn take_part(plan: &Plan, tls: &TlsArgs) -> anyhow::Result<Session> {
    let scenario = plan.scenario.clone();
    let truth = establish(&scenario).await?;
    let network = tls.network(&reached(plan.target.endpoints(), plan.bank_url.as_deref()))?;
    let bank = match (&plan.bank_url, &plan.live) {
        (Some(url), Some(live)) => {
            Some(LiveBank { client: BankClient::new_on(url, &network)?, live: live.parse()? })
        }
        _ => None,
    };
    let targets = Targets::from_plan(&plan.target, &network, &scenario)?;
    let shared = Shared {
        truth,
        ledger: Ledger::default(),
        chooser: Chooser::new(&scenario.mix),
        bank,
        live_seed: plan.live_seed,
        scenario,
    };
    shared.ledger.begin(Sequence(plan.sequence), Instant::now());
    Session::ready(&Arc::new(shared), &targets, plan.first_lane, plan.lanes).await
}
