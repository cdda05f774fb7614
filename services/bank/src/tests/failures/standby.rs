//! Tests of two banks on one database: one serves, and the other is a standby and takes over.

use std::time::Duration;

use vigie_proto::pb::bank::v1::WatchRequest;

use crate::tests::*;

/// Starts two banks on one database, of which the first serves.
async fn two() -> Option<(Bed, Served, Served)> {
    let bed = Bed::postgres()?;
    let first = Served::start(bed.config()).await;
    first.create_bank("a").await.unwrap();
    let second = Served::start(bed.config()).await;
    Some((bed, first, second))
}

/// Ends the connections to the database for which a condition holds.
pub(in crate::tests) async fn terminate(bed: &Bed, what: &str) {
    let Bed::Postgres(database) = bed else { return };
    database.sql(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND {what}"
    ));
}

async fn watch(served: &Served) -> Result<tonic::Streaming<pb::WatchResponse>, Status> {
    let request = WatchRequest { shard_count: 1, ..Default::default() };
    Ok(served.feed.clone().watch(request).await?.into_inner())
}

/// Waits until the bank serves, and writes.
pub(in crate::tests) async fn served_by(served: &Served, bank: &str) -> u64 {
    for _ in 0..600 {
        match served.create_bank(bank).await {
            Ok(created) => return created.sequence,
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the bank does not serve");
}

#[tokio::test]
async fn a_standby_refuses_every_call_at_once_and_says_why() {
    let Some((_bed, first, second)) = two().await else { return };
    let mut bank = second.bank.clone();
    let named = |name: &str| name.to_owned();
    let refusals = [
        second.create_bank("b").await.unwrap_err(),
        second.delete_bank("a").await.unwrap_err(),
        second.add("a", items(0..1)).await.unwrap_err(),
        second.remove(vec![1]).await.unwrap_err(),
        second.item(1).await.unwrap_err(),
        second.list_items("a").await.unwrap_err(),
        bank.get_log_head(pb::GetLogHeadRequest {}).await.unwrap_err(),
        bank.get_bank(pb::GetBankRequest { name: named("a") }).await.unwrap_err(),
        bank.list_banks(pb::ListBanksRequest::default()).await.unwrap_err(),
        watch(&second).await.map(drop).unwrap_err(),
        second.feed.clone().load(pb::LoadRequest { shard: 0, shard_count: 1 }).await.map(drop).unwrap_err(),
    ];
    for refusal in refusals {
        assert_eq!(refusal.code(), Code::Unavailable);
        assert!(refusal.message().starts_with("standby: "), "{refusal}");
    }
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_standby_serves_when_the_other_stops_and_has_everything() {
    let Some((bed, first, second)) = two().await else { return };
    let added = first.add("a", items(0..100)).await.unwrap();
    first.stop().await;
    assert_eq!(served_by(&second, "b").await, added.sequence + 1);
    assert_eq!(second.list_items("a").await.unwrap().len(), 100);
    second.stop().await;
    crate::verify(&bed.config()).await.unwrap();
}

#[tokio::test]
async fn a_standby_serves_when_the_other_is_cut_off_and_nothing_acknowledged_is_lost() {
    let Some((bed, first, second)) = two().await else { return };
    let count = tokio::sync::watch::Sender::new(0);
    let writes = async {
        let mut acknowledged = Vec::new();
        for number in 0.. {
            match first.add("a", items(number..number + 1)).await {
                Ok(added) => acknowledged.push((added.item_ids[0], number)),
                Err(_) => break,
            }
            count.send_replace(acknowledged.len());
        }
        acknowledged
    };
    let abort = async {
        count.subscribe().wait_for(|count| *count >= 20).await.unwrap();
        // The bank is not asked to stop: it is aborted in the middle of its work.
        first.task.abort();
    };
    let (acknowledged, ()) = tokio::join!(writes, abort);
    drop(first);
    served_by(&second, "b").await;
    let kept = second.list_items("a").await.unwrap();
    for (id, number) in acknowledged {
        let found = kept.iter().find(|item| item.id == id).unwrap();
        assert_eq!(found.content, Some(item(number)));
    }
    second.stop().await;
    crate::verify(&bed.config()).await.unwrap();
}

#[tokio::test]
async fn a_bank_that_loses_its_connections_gets_the_lead_back_or_ends() {
    let Some((bed, first, second)) = two().await else { return };
    for round in 0..5 {
        let before = first.bank.clone().get_log_head(pb::GetLogHeadRequest {}).await.is_ok();
        let mut streams = Vec::new();
        for served in [&first, &second] {
            streams.extend(watch(served).await.ok());
        }
        assert_eq!(streams.len(), 1, "one of them serves in round {round}, and no other");
        // Above all the session with the lock.
        terminate(&bed, "pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')").await;
        // The leading bank takes a write, and the other refuses it.
        let name = format!("round-{round}");
        let sequence = loop {
            match (first.create_bank(&name).await, second.create_bank(&name).await) {
                (Ok(created), Err(_)) | (Err(_), Ok(created)) => break created.sequence,
                (Ok(_), Ok(_)) => panic!("one bank was created twice"),
                (Err(_), Err(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        assert_eq!(sequence, 2 + round);
        // Within the next checks the other bank notices that it does not lead. One check alone may see the
        // moment before the takeover, so the state must last longer than the interval between two checks.
        let (mut serving, mut since) = (Vec::new(), 0);
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let before = std::mem::take(&mut serving);
            for served in [&first, &second] {
                serving.push(served.bank.clone().get_log_head(pb::GetLogHeadRequest {}).await.is_ok());
            }
            let settled = serving == before && (serving == [true, false] || serving == [false, true]);
            since = if settled { since + 1 } else { 0 };
            if since == 12 {
                break;
            }
        }
        assert_eq!(serving.iter().filter(|serves| **serves).count(), 1);
        if serving[0] != before {
            // The streams of the bank that ended do not continue.
            for stream in &mut streams {
                while let Ok(Some(_)) = stream.message().await {}
            }
        }
    }
    for served in [first, second] {
        served.shutdown.cancel();
        let ended = served.task.await.unwrap();
        assert!(matches!(ended, Ok(()) | Err(RunError::Superseded)), "{ended:?}");
    }
    crate::verify(&bed.config()).await.unwrap();
}

#[tokio::test]
async fn a_bank_whose_server_is_away_stands_by_and_serves_when_it_is_back() {
    let Some(server) = Server::start("") else { return };
    let server: &'static Server = Box::leak(Box::new(server));
    let bed = Bed::Postgres(server.database());
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let mut stream = watch(&served).await.unwrap();
    tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    // Its stream ends, and does not report a head that may be outdated.
    let ended = async { while let Ok(Some(_)) = stream.message().await {} };
    tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap();
    refused(served.create_bank("b").await, Code::Unavailable, "standby: ");
    tokio::task::spawn_blocking(|| server.start_again()).await.unwrap();
    assert_eq!(served_by(&served, "b").await, 2);
    served.stop().await;
    server.stop();
}
