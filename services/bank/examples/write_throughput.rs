//! Measures durable writes through gRPC: `write_throughput [directory] [seconds]`.
//!
//! Runs a bank on a file in the directory (a temporary one by default), loads it in three ways for some seconds each,
//! and prints what was acknowledged, hence committed and flushed. Clients and bank share this process and its cores.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tonic::transport::Channel;
use vigie_bank::Config;
use vigie_proto::pb::bank::v1::bank_service_client::BankServiceClient;
use vigie_proto::pb::bank::v1::{AddItemsRequest, CreateBankRequest, ItemContent};
use vigie_proto::pb::model::v1::{Hash, HashType};
use vigie_serving::Shutdown;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A load: so many writers, each of which sends so many items and waits for the answer before it sends more.
struct Load {
    writers: u64,
    items: u64,
    group_changes_max: usize,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let temporary = tempfile::tempdir()?;
    let directory = arguments.next().map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let seconds = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let group_changes_max = Config::default().group_changes_max;
    let loads = [
        Load { writers: 8, items: 100, group_changes_max },
        Load { writers: 64, items: 1, group_changes_max },
        Load { writers: 64, items: 1, group_changes_max: 1 },
        Load { writers: 1, items: 1, group_changes_max },
    ];
    for (index, load) in loads.into_iter().enumerate() {
        let path = directory.join(format!("write-throughput-{index}.db"));
        measure(&load, path, Duration::from_secs(seconds)).await?;
    }
    Ok(())
}

async fn measure(load: &Load, path: PathBuf, time: Duration) -> Result<(), Failure> {
    let config = Config {
        store: format!("sqlite:{}", path.display()).into(),
        group_changes_max: load.group_changes_max,
        ..Config::default()
    };
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
        "{} writers of {} items, groups of at most {}: {:.0} items/s, {:.0} writes/s, p50 {:.1} ms, p99 {:.1} ms",
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
    std::fs::remove_file(path)?;
    Ok(())
}

/// One writer; answers how long each of its writes took.
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

/// An item with two hashes that no other number has.
fn item(number: u64) -> ItemContent {
    // An odd multiplier spreads the numbers as hashes would be.
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let hash = |hash_type: HashType, value| Hash { hash_type: hash_type.into(), value };
    ItemContent {
        hashes: vec![hash(HashType::Pdq, spread.repeat(4)), hash(HashType::Md5, spread.repeat(2))],
        labels: vec!["known".into()],
        external_reference: format!("case-{number}"),
    }
}
