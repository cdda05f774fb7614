//! Nothing acknowledged is missed, nothing removed still matches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use vigie_clients::{CallError, Code, IdempotencyKey};
use vigie_harness::in_process::{Cluster, as_of, soon};
use vigie_model::{BankName, Hash, SearchOptions, Sequence};
use vigie_tests::material::{generator, item, pdq, random_pdq};

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_asks_for_its_own_write_sees_it_and_its_own_removal_too() {
    let mut rng = generator(1);
    let cluster = Cluster::start().await.unwrap();
    let bank = cluster.create_bank("known").await.unwrap();
    for _ in 0..100 {
        let hash = random_pdq(&mut rng);
        let (ids, added) = cluster.add(&bank, vec![item([Hash::pdq(hash)]).unwrap()]).await.unwrap();
        let matched = cluster.ask_one(pdq(hash), as_of(added)).await.unwrap();
        assert_eq!(matched.found.matches.len(), 1, "added at {added}");

        let removed = cluster.bank.remove_items(&ids, IdempotencyKey::random(), soon()).await.unwrap();
        let matched = cluster.ask_one(pdq(hash), as_of(removed.sequence)).await.unwrap();
        assert!(matched.found.matches.is_empty(), "removed at {}", removed.sequence);
    }
    cluster.stop().await.unwrap();
}

/// Readers that ask for no sequence are told one, and what they are told is true.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_never_claims_to_be_newer_than_it_is() {
    let mut rng = generator(2);
    let cluster = Arc::new(Cluster::start().await.unwrap());
    let bank = cluster.create_bank("known").await.unwrap();
    for _ in 0..15 {
        let hash = random_pdq(&mut rng);
        let (ids, added) = cluster.add(&bank, vec![item([Hash::pdq(hash)]).unwrap()]).await.unwrap();
        cluster.ask(vec![pdq(hash)], as_of(added)).await.unwrap();
        let reads = Arc::new(AtomicU64::new(0));
        let (removal_sent, removal_acknowledged) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let reader = {
            let cluster = Arc::clone(&cluster);
            let reads = Arc::clone(&reads);
            let (sent, acknowledged) = (Arc::clone(&removal_sent), Arc::clone(&removal_acknowledged));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                loop {
                    let last = acknowledged.load(Ordering::SeqCst);
                    let answer = cluster.ask(vec![pdq(hash)], SearchOptions::default()).await.unwrap();
                    let matched = !answer.results[0].as_ref().unwrap().found.matches.is_empty();
                    answers.push((answer.sequence, matched, sent.load(Ordering::SeqCst)));
                    reads.fetch_add(1, Ordering::SeqCst);
                    if last {
                        return answers;
                    }
                }
            })
        };
        // It was added and seen: from here on every answer holds it until its removal is sent.
        while reads.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        removal_sent.store(true, Ordering::SeqCst);
        let removed = cluster.bank.remove_items(&ids, IdempotencyKey::random(), soon()).await.unwrap();
        removal_acknowledged.store(true, Ordering::SeqCst);
        let answers = reader.await.unwrap();
        assert!(answers.iter().any(|(_, matched, _)| *matched), "nobody read before the removal");
        for (sequence, matched, removal_was_sent) in answers {
            assert!(
                !(matched && sequence >= removed.sequence),
                "matched as of {sequence}, gone at {}",
                removed.sequence
            );
            assert!(matched || removal_was_sent, "missed as of {sequence} before its removal was sent");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_that_is_not_reached_in_time_is_unavailable() {
    let cluster = Cluster::start().await.unwrap();
    let call = vigie_model::MatchCall {
        contents: vec![pdq([1; 32])],
        options: as_of(Sequence(1_000_000)),
        quality_floor: None,
        surface: Box::default(),
        classifiers: Vec::new(),
    };
    let deadline = vigie_clients::Deadline::now() + std::time::Duration::from_secs(3);
    let error: CallError = cluster.matching.match_content(call, deadline).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(error.message().contains("1000000 was asked for"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_bank_is_not_searched_and_a_deleted_one_is_gone() {
    let mut rng = generator(3);
    let cluster = Cluster::start().await.unwrap();
    let hash = random_pdq(&mut rng);
    let mut ids = Vec::new();
    for name in ["kept", "switched", "dropped"] {
        let bank = cluster.create_bank(name).await.unwrap();
        ids.extend(cluster.add(&bank, vec![item([Hash::pdq(hash)]).unwrap()]).await.unwrap().0);
    }
    let found = |sequence| {
        let cluster = &cluster;
        async move {
            let matched = cluster.ask_one(pdq(hash), as_of(sequence)).await.unwrap();
            matched.found.matches.into_iter().map(|one| one.item).collect::<Vec<_>>()
        }
    };
    let name = |name: &str| name.parse::<BankName>().unwrap();
    let switched = name("switched");
    let key = IdempotencyKey::random;

    let off = cluster.bank.set_bank_enabled(&switched, false, key(), soon()).await.unwrap();
    assert_eq!(found(off.sequence).await, [ids[0], ids[2]]);
    let on = cluster.bank.set_bank_enabled(&switched, true, key(), soon()).await.unwrap();
    assert_eq!(found(on.sequence).await, ids);
    let gone = cluster.bank.delete_bank(&name("dropped"), key(), soon()).await.unwrap();
    assert_eq!(gone.value, 1);
    assert_eq!(found(gone.sequence).await, ids[..2]);

    let renamed = cluster.bank.rename_bank(&switched, &name("renamed"), key(), soon()).await.unwrap();
    let options = SearchOptions { banks: vec!["renamed".parse().unwrap()], ..as_of(renamed.sequence) };
    let matched = cluster.ask_one(pdq(hash), options).await.unwrap();
    assert_eq!(matched.found.matches[0].bank_name.to_string(), "renamed");
}
