//! Measures a server under overload, over loopback: goodput, the latency of refusals, and the latency of
//! accepted calls.
//!
//! `cargo run --release -p vigie-serving --example overload -- [microseconds of work] [pool|inline]`
//!
//! The server's handler computes for the given time: on as many threads as there are cores (`pool`, as
//! matchers and the hashing pool of frontends do), or on the threads that answer calls (`inline`, which shows
//! why not to: calls then queue before they are seen, and none is refused). The load is an open loop: calls
//! begin at the times of a Poisson process whether the server answers or not. Latency counts from the
//! intended beginning, so a generator that falls behind counts against the server, not for it. Generator and
//! server share the machine.

#![expect(clippy::print_stdout, reason = "a report for people")]

#[path = "../tests/blobs/mod.rs"]
mod blobs;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};
use vigie_serving::{Load, Routes, ServingConfig, Shutdown, serve};

use blobs::{Answers, Blob, BlobClient, BlobServer, Blobs};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The connections of the generator.
const CONNECTIONS: usize = 8;
/// The number of times that the loads are compared.
const ROUNDS: usize = 3;
/// The deadline of each call.
const PATIENCE: Duration = Duration::from_secs(5);

struct Spin {
    work: Duration,
    inline: bool,
    threads: Arc<Semaphore>,
}

fn spin(work: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < work {
        std::hint::spin_loop();
    }
}

#[tonic::async_trait]
impl Blobs for Spin {
    async fn put_all(&self, _: Request<Streaming<Blob>>) -> Result<Response<Answers>, Status> {
        Err(Status::unimplemented("only Put is"))
    }

    async fn put(&self, _: Request<Blob>) -> Result<Response<Blob>, Status> {
        let work = self.work;
        if self.inline {
            spin(work);
        } else {
            let thread = Arc::clone(&self.threads).acquire_owned().await;
            let worked = tokio::task::spawn_blocking(move || {
                spin(work);
                drop(thread);
            });
            worked.await.map_err(|_| Status::internal("the work failed"))?;
        }
        Ok(Response::new(Blob::default()))
    }
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let work = Duration::from_micros(arguments.next().map_or(Ok(500), |text| text.parse())?);
    let inline = arguments.next().is_some_and(|mode| mode == "inline");
    let cores = std::thread::available_parallelism()?.get();

    let server = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let generator = tokio::runtime::Builder::new_multi_thread().worker_threads(cores).enable_all().build()?;
    let (listener, routes) = server.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let spin = Spin { work, inline, threads: Arc::new(Semaphore::new(cores)) };
        let service = BlobServer::new(spin);
        Ok::<_, Failure>((listener, Routes::new(blobs::reflection())?.with(service)))
    })?;
    let (endpoint, load) = (format!("http://{}", listener.local_addr()?), routes.load());
    server.spawn(async move {
        let config = ServingConfig { streams_per_connection_max: 10_000, ..Default::default() };
        serve(listener, routes, 1 << 20, &config, Shutdown::new()).await
    });
    generator.block_on(measure(endpoint, load, work, cores))
}

async fn measure(endpoint: String, load: Load, work: Duration, cores: usize) -> Result<(), Failure> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let channel = Channel::from_shared(endpoint.clone())?.connect().await?;
        clients.push(BlobClient::new(channel));
    }
    let ideal = f64::from(u32::try_from(cores)?) / work.as_secs_f64();
    println!(
        "work {work:?} on {cores} cores: at most {ideal:.0} calls a second, were there nothing else to do"
    );
    let second = Duration::from_secs(1);
    run("warm-up", &clients, &load, ideal * 0.3, second).await;
    let mut peak = 0.0_f64;
    for part in [0.5, 0.65, 0.8, 0.95, 1.1] {
        let report = run("search", &clients, &load, ideal * part, second * 2).await;
        peak = peak.max(report.goodput);
    }
    // The machine changes from one second to the next, so the compared loads are measured in turn.
    let (mut goodputs, mut refusals, mut latencies) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let healthy = run("0.8", &clients, &load, peak * 0.8, second * 3).await;
        let full = run("1", &clients, &load, peak, second * 2).await;
        // A first period under overload, in which the server learns its limit.
        run("2, at first", &clients, &load, peak * 2.0, second * 2).await;
        let overload = run("2", &clients, &load, peak * 2.0, second * 3).await;
        goodputs.push(overload.goodput / full.goodput.max(healthy.goodput));
        refusals.push(overload.refused_median);
        latencies.push(overload.accepted_p99.as_secs_f64() / healthy.accepted_p99.as_secs_f64());
    }
    for values in [&mut goodputs, &mut latencies] {
        values.sort_by(f64::total_cmp);
    }
    println!(
        "peak {peak:.0}/s. At twice that, medians of {ROUNDS} rounds: goodput {:.0} % of the best below it ({:.0} to {:.0} %), refusals' median {:?}, accepted p99 {:.2} times that at 0.8 ({:.2} to {:.2})",
        100.0 * goodputs[ROUNDS / 2],
        100.0 * goodputs[0],
        100.0 * goodputs[ROUNDS - 1],
        quantile(&mut refusals, 0.5),
        latencies[ROUNDS / 2],
        latencies[0],
        latencies[ROUNDS - 1],
    );
    Ok(())
}

struct Report {
    goodput: f64,
    accepted_p99: Duration,
    refused_median: Duration,
}

async fn run(name: &str, clients: &[BlobClient], load: &Load, rate: f64, time: Duration) -> Report {
    let begun = Instant::now();
    let (sender, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
    let mut intended = Duration::ZERO;
    let (mut offered, mut random) = (0_usize, 1_u64);
    let mut late = Duration::ZERO;
    while intended < time {
        let now = begun.elapsed();
        if now < intended {
            // Timers of the runtime have a resolution of a millisecond; calls that became due meanwhile are
            // sent at once.
            tokio::time::sleep((intended - now).max(Duration::from_micros(500))).await;
            continue;
        }
        late = late.max(now - intended);
        let mut client = clients[offered % clients.len()].clone();
        let (sender, intended_at) = (sender.clone(), begun + intended);
        tokio::spawn(async move {
            let mut request = Request::new(Blob { number: 0, content: vec![7; 64].into() });
            request.set_timeout(PATIENCE);
            let outcome = client.put(request).await;
            let code = outcome.err().map_or(Code::Ok, |status| status.code());
            let _ = sender.send((code, intended_at.elapsed(), begun.elapsed()));
        });
        offered += 1;
        intended += Duration::from_secs_f64(-uniform(&mut random).ln() / rate);
    }
    drop(sender);
    let (mut accepted, mut refused, mut failed, mut in_time) = (Vec::new(), Vec::new(), 0, 0_u32);
    while let Some((code, took, at)) = outcomes.recv().await {
        if code == Code::Ok {
            in_time += u32::from(at <= time);
            accepted.push(took);
        } else if code == Code::ResourceExhausted {
            refused.push(took);
        } else {
            failed += 1;
        }
    }
    let report = Report {
        goodput: f64::from(in_time) / time.as_secs_f64(),
        accepted_p99: quantile(&mut accepted, 0.99),
        refused_median: quantile(&mut refused, 0.5),
    };
    println!(
        "{name:>12}: offered {rate:6.0}/s ({offered:6}), goodput {:6.0}/s, accepted p50 {:?} p99 {:?}, refused {} p50 {:?} p99 {:?}, failed {failed}, limit {}, generator late by {late:?}",
        report.goodput,
        quantile(&mut accepted, 0.5),
        report.accepted_p99,
        refused.len(),
        report.refused_median,
        quantile(&mut refused, 0.99),
        load.limit(),
    );
    report
}

fn quantile(values: &mut [Duration], q: f64) -> Duration {
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small"
    )]
    let at = (last as f64 * q) as usize;
    values.get(at).copied().unwrap_or_default()
}

/// Returns a random number from 0 to 1: SplitMix64.
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (f64::from(u32::try_from(z >> 32).unwrap_or(0)) + 0.5) / 4_294_967_296.0
}
