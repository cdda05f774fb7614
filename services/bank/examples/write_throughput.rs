//! Measures durable writes through gRPC: `write_throughput [sqlite|postgres|both] [seconds] [directory]`.
//!
//! Runs a bank on a new store of each kind, and loads it in four ways for some seconds each. Prints the
//! acknowledged (hence committed and flushed) writes, and the time of one flush. The SQLite file is in the
//! directory (a temporary one by default). PostgreSQL is a server of its own in the temporary folder
//! (`TMPDIR`), with its own settings, including `fsync`. Clients, bank and server share the machine and its
//! cores.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tonic::transport::Channel;
use vigie_bank::Config;
use vigie_proto::pb::bank::v1::bank_service_client::BankServiceClient;
use vigie_proto::pb::bank::v1::{AddItemsRequest, CreateBankRequest, ItemContent};
use vigie_proto::pb::model::v1::{Hash, HashType};
use vigie_serving::Shutdown;
use vigie_test_postgres::Server;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A load: a number of writers, each of which sends a number of items and waits for the answer before it
/// sends more.
struct Load {
    writers: u64,
    items: u64,
    group_changes_max: usize,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let stores = arguments.next().unwrap_or_else(|| "both".to_owned());
    let seconds = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let temporary = tempfile::tempdir()?;
    let directory = arguments.next().map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    eprintln!("a flush of 8 KiB takes {:.2} ms", flush(&directory)?.as_secs_f64() * 1e3);
    if stores != "postgres" {
        let path = |index: usize| directory.join(format!("write-throughput-{index}.db"));
        for (index, load) in loads().iter().enumerate() {
            measure("sqlite", load, format!("sqlite:{}", path(index).display()), seconds).await?;
            std::fs::remove_file(path(index))?;
        }
    }
    if stores != "sqlite"
        && let Some(server) = Server::start("")
    {
        for load in loads() {
            measure("postgres", &load, server.database().url(), seconds).await?;
        }
    }
    Ok(())
}

fn loads() -> [Load; 4] {
    let group_changes_max = Config::default().group_changes_max;
    [
        Load { writers: 8, items: 100, group_changes_max },
        Load { writers: 64, items: 1, group_changes_max },
        Load { writers: 64, items: 1, group_changes_max: 1 },
        Load { writers: 1, items: 1, group_changes_max },
    ]
}

/// Measures the time of one small flush: the median of many.
fn flush(directory: &Path) -> Result<Duration, Failure> {
    let mut file = tempfile::tempfile_in(directory)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        file.write_all(&[7; 8 << 10])?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

async fn measure(name: &str, load: &Load, store: String, seconds: u64) -> Result<(), Failure> {
    let time = Duration::from_secs(seconds);
    let config =
        Config { store: store.into(), group_changes_max: load.group_changes_max, ..Config::default() };
    let (listener, shutdown) = (TcpListener::bind("127.0.0.1:0").await?, Shutdown::new());
    let address = format!("http://{}", listener.local_addr()?);
    let bank = tokio::spawn(vigie_bank::run(config, listener, shutdown.clone()));
    let channel = Channel::from_shared(address)?.connect().await?;
    let mut client = BankServiceClient::new(channel);
    client.create_bank(CreateBankRequest { name: "load".into(), ..Default::default() }).await?;

    let began = Instant::now();
    let writers: Vec<_> = (0..load.writers)
        .map(|writer| tokio::spawn(write(client.clone(), writer << 32, load.items, began + time)))
        .collect();
    let mut latencies = Vec::new();
    for writer in writers {
        latencies.extend(writer.await??);
    }
    let seconds = began.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |share: usize| latencies[(latencies.len() - 1) * share / 100].as_secs_f64() * 1e3;
    let (writes, items) = (latencies.len(), latencies.len() as u64 * load.items);
    eprintln!(
        "{name}: {} writers of {} items, groups of at most {}: {:.0} items/s, {:.0} writes/s, p50 {:.1} ms, p99 {:.1} ms",
        load.writers,
        load.items,
        load.group_changes_max,
        items as f64 / seconds,
        writes as f64 / seconds,
        at(50),
        at(99),
    );
    shutdown.cancel();
    drop(client);
    bank.await??;
    Ok(())
}

/// Runs one writer; returns the time of each of its writes.
async fn write(
    mut client: BankServiceClient<Channel>,
    mut number: u64,
    items: u64,
    until: Instant,
) -> Result<Vec<Duration>, Failure> {
    let mut latencies = Vec::new();
    while Instant::now() < until {
        let items = (number..number + items).map(item).collect::<Vec<_>>();
        number += items.len() as u64;
        let began = Instant::now();
        client.add_items(AddItemsRequest { bank: "load".into(), items, ..Default::default() }).await?;
        latencies.push(began.elapsed());
    }
    Ok(latencies)
}

/// Returns an item with two hashes that differ for each number.
fn item(number: u64) -> ItemContent {
    // An odd multiplier spreads the numbers as hashes are spread.
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let hash = |hash_type: HashType, value| Hash { hash_type: hash_type.into(), value };
    ItemContent {
        hashes: vec![hash(HashType::Pdq, spread.repeat(4)), hash(HashType::Md5, spread.repeat(2))],
        labels: vec!["known".into()],
        external_reference: format!("case-{number}"),
        ..Default::default()
    }
}
