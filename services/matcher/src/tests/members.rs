//! Tests of a deployment with members: searches that do not name their set of banks are refused.

mod bank_sets;
mod standings;

use std::sync::Arc;

use vigie_clients::{Code, Priority};
use vigie_index::Cancellation;
use vigie_model::{ANSWER_BYTES_MAX, BankId, FeedRange, SearchOptions, Sequence, ShardAnswer};

use super::fake_bank::FakeBank;
use super::service::{Service, WITHIN};
use super::snapshot::{Log, loaded, plan};
use super::{Step, added, created, empty_shard, identity, name, options, query, range};
use crate::config::Config;
use crate::error::SearchError;
use crate::searching::search::search;

/// Returns the options of a search of these banks.
pub(super) fn of_banks(banks: &[u32]) -> SearchOptions {
    let set = banks.iter().copied().map(BankId).collect();
    SearchOptions { bank_set: Some(Arc::new(set)), ..SearchOptions::default() }
}

#[test]
fn members_stay_for_a_log_whatever_a_later_range_says() {
    let shard = empty_shard();
    let ask = |options: &SearchOptions| {
        let answer = search(&shard, &[query(&[2])], options, ANSWER_BYTES_MAX, &Cancellation::never());
        answer.map(|answer| answer.results[0].matches.len())
    };
    let named = options(vec![name("known")], 0, 1);
    shard.apply(range(0, vec![created(1), added(2)])).unwrap();
    for options in [&SearchOptions::default(), &named, &of_banks(&[1])] {
        assert_eq!(ask(options), Ok(1));
    }
    assert_eq!(ask(&of_banks(&[])), Ok(0));
    for members_on in [true, false] {
        // In a heartbeat, and in a range from an older bank.
        shard.apply(FeedRange { members_on, ..range(2, vec![]) }).unwrap();
        for options in [&SearchOptions::default(), &named] {
            assert_eq!(ask(options), Err(SearchError::NoBankSet));
        }
        assert_eq!(ask(&of_banks(&[1])), Ok(1));
        assert_eq!(ask(&of_banks(&[2])), Ok(0));
    }
}

#[test]
fn a_snapshot_keeps_that_there_are_members() {
    for members_on in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let plans = plan(folder.path());
        let mut log = Log { members_on, ..Log::default() };
        log.take_some(1);
        let shard = loaded(&plans, &log);
        assert_eq!(shard.moment().members_on, members_on);
        plans.save(&shard).unwrap();
        drop(shard);
        let restored = plans.restore(identity()).unwrap().unwrap();
        assert_eq!(restored.moment().members_on, members_on);
        // Without members, the files equal those of a version that knows no members.
        let text = std::fs::read(folder.path().join("manifest")).unwrap();
        let is_written = text.windows(10).any(|window| window == b"members_on");
        assert_eq!(is_written, members_on);
    }
}

#[tokio::test]
async fn a_matcher_refuses_a_search_without_a_set_once_the_bank_has_members_and_after_a_restart() {
    let steps = [Step::Create, Step::Create, Step::Add(0, vec![2]), Step::Add(1, vec![2])];
    let bank = FakeBank::start(steps).await;
    let folder = tempfile::tempdir().unwrap();
    let config = || Config { index_folder: Some(folder.path().to_owned()), ..Config::default() };
    let service = Service::start(&bank, config()).await;
    service.until_ready().await;
    let ask = async |service: &Service, options: SearchOptions| {
        let deadline = tokio::time::Instant::now() + WITHIN;
        service.client.search(&[query(&[2])], &options, Priority::Interactive, deadline).await
    };
    let banks_of = |answer: ShardAnswer| -> Vec<u32> {
        answer.results[0].matches.iter().map(|found| found.bank.0).collect()
    };
    assert_eq!(banks_of(ask(&service, SearchOptions::default()).await.unwrap()), [1, 2]);
    assert_eq!(banks_of(ask(&service, of_banks(&[2, 77])).await.unwrap()), [2]);

    bank.held().members_on = true;
    bank.take([Step::Add(0, vec![4])]);
    service.until("it holds the change", |one| one.sequence == Sequence(5)).await;
    let check = async |service: &Service| {
        let refused = ask(service, SearchOptions::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("has members") && refused.message().contains("`directory`"));
        let nothing = ask(service, of_banks(&[])).await.unwrap();
        assert_eq!((nothing.hashes_searched, nothing.results[0].matches.len()), (0, 0));
        assert_eq!(nothing.sequence, Sequence(5));
        assert_eq!(banks_of(ask(service, of_banks(&[1])).await.unwrap()), [1]);
    };
    check(&service).await;
    service.stop().await;

    let service = Service::start(&bank, config()).await;
    service.until_ready().await;
    check(&service).await;
    service.stop().await;
}
