//! Tests of the counters of published statistics: committed with the events that they count, kept across
//! restarts, and readable in full only by their member.

use vigie_proto::pb::consortium::v1 as members;
use vigie_proto::pb::consortium::v1::policy_service_client::PolicyServiceClient;
use vigie_proto::pb::consortium::v1::statistics_service_client::StatisticsServiceClient;
use vigie_statistics::Histogram;

use crate::tests::members::By;
use crate::tests::*;
use crate::verify;

on_both_stores! {
    what_a_bank_does_is_counted_with_it_and_goes_on_after_a_restart,
    matches_of_frontends_are_counted_once,
    latencies_of_matchers_are_counted_once_and_outlive_a_restart,
    a_version_that_is_tried_is_counted_while_it_is,
    a_period_that_is_none_is_refused,
}

fn asked(from: &str, to: &str) -> members::GetStatisticsRequest {
    members::GetStatisticsRequest {
        from_month: from.into(),
        to_month: to.into(),
        format: members::StatisticsFormat::Csv.into(),
        public: false,
    }
}

async fn read(served: &Served, from: &str, to: &str) -> Result<String, Status> {
    let mut client = StatisticsServiceClient::new(served.channel.clone());
    Ok(client.get_statistics(asked(from, to)).await?.into_inner().text)
}

/// Returns the reader's own number of a measure from the statistics' text.
fn number_of(text: &str, measure: &str) -> Option<u64> {
    let of_it = |line: &&str| line.starts_with(&format!("own,{measure},all,"));
    text.lines().find(of_it)?.rsplit(',').next()?.parse().ok()
}

/// Returns the host's own number of a measure in the month of the test's clock; `None` if there is no row of
/// it.
pub(crate) async fn own(served: &Served, measure: &str) -> Option<u64> {
    number_of(&read(served, "2023-11", "2023-11").await.unwrap(), measure)
}

/// Returns the number of a member, read by its administrator; compare [`own`].
pub(crate) async fn own_of(administrator: &By, measure: &str) -> Option<u64> {
    let mut client = StatisticsServiceClient::new(administrator.0.clone());
    let request = administrator.carried(asked("2023-11", "2023-11"));
    number_of(&client.get_statistics(request).await.unwrap().into_inner().text, measure)
}

async fn count(served: &Served, key: &str, exact: u64) -> Result<(), Status> {
    let counted = |bank_id, decisions, exact| members::CountedMatches {
        member_id: 1,
        bank_id,
        class: "iwf/category=A".into(),
        verdict: members::Verdict::Block.into(),
        exact,
        near: 1,
        decisions,
    };
    let counts = vec![counted(1, 0, exact), counted(0, 2, 0)];
    let request = members::RecordMatchesRequest { counts, idempotency_key: key.into(), ..Default::default() };
    let mut client = StatisticsServiceClient::new(served.channel.clone());
    client.record_matches(request).await.map(drop)
}

async fn what_a_bank_does_is_counted_with_it_and_goes_on_after_a_restart(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("known").await.unwrap();
    let added = served.add("known", items(0..3)).await.unwrap().item_ids;
    served.remove(vec![added[0]]).await.unwrap();
    let hashes: usize = items(0..3).iter().map(|item| item.hashes.len()).sum();
    let figures = async |served: &Served| {
        (
            own(served, "items_added").await,
            own(served, "hashes_added").await,
            own(served, "items_removed").await,
        )
    };
    assert_eq!(figures(&served).await, (Some(3), Some(hashes as u64), Some(1)));
    served.stop().await;
    // Items that are sent twice with one key are added once and counted once.
    let served = Served::start(bed.config()).await;
    for _ in 0..2 {
        served.add_with_key("known", items(5..7), "key").await.unwrap();
    }
    assert_eq!(own(&served, "items_added").await, Some(5));
    refused(served.add("nothing", items(0..1)).await, Code::NotFound, "");
    assert_eq!(own(&served, "items_added").await, Some(5));
    // There is nothing for another month, and the next month starts at zero.
    assert!(!read(&served, "2023-10", "2023-10").await.unwrap().contains("own,items_added,all,,,shown,5"));
    served.clock.0.store(NOW + 40 * 86_400_000, Ordering::SeqCst);
    served.add("known", items(9..10)).await.unwrap();
    assert_eq!(own(&served, "items_added").await, Some(5));
    let both = read(&served, "2023-11", "2023-12").await.unwrap();
    assert!(
        both.lines().any(|line| line.starts_with("own,items_added,all,") && line.ends_with(",6")),
        "{both}"
    );
    served.stop().await;
}

async fn matches_of_frontends_are_counted_once(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("known").await.unwrap();
    for _ in 0..2 {
        count(&served, "first", 4).await.unwrap();
    }
    count(&served, "second", 3).await.unwrap();
    let numbers = (own(&served, "matches_exact").await, own(&served, "decisions").await);
    assert_eq!(numbers, (Some(7), Some(4)));
    let text = read(&served, "2023-11", "2023-11").await.unwrap();
    assert!(text.lines().any(|line| line.starts_with("own,decisions,verdict,block,")), "{text}");
    // Each month is counted separately, and a past month can still be counted after the next has begun.
    for (key, day, exact) in [("a", 40, 10), ("b", 70, 20), ("c", 40, 5), ("d", 100, 40), ("e", 0, 9)] {
        served.clock.0.store(NOW + day * 86_400_000, Ordering::SeqCst);
        count(&served, key, exact).await.unwrap();
    }
    let all = async |served: &Served| {
        let mut numbers = Vec::new();
        for month in ["2023-11", "2023-12", "2024-01", "2024-02"] {
            let text = read(served, month, month).await.unwrap();
            let of_it = |line: &&str| line.starts_with("own,matches_exact,all,");
            numbers.push(text.lines().find(of_it).unwrap().rsplit(',').next().unwrap().to_owned());
            assert!(text.lines().any(|line| line.starts_with("own,decisions,verdict,block,")), "{text}");
        }
        numbers
    };
    // Matches of a month long ago are not counted.
    assert_eq!(all(&served).await, ["7", "15", "20", "40"]);
    // The log does not grow with searches.
    assert_eq!(served.head().await.sequence, 1);
    served.stop().await;
}

/// Returns the median and the 99th percentile of a latency in a month, as text.
async fn latency(served: &Served, name: &str, month: &str) -> (String, String) {
    let text = read(served, month, month).await.unwrap();
    let of = |percentile: &str| {
        let begin = format!("latency,{name},all,{percentile},{month},");
        text.lines().find_map(|line| line.strip_prefix(&begin)).unwrap().to_owned()
    };
    (of("p50_ms"), of("p99_ms"))
}

async fn report(served: &Served, key: &str, latencies: &[(i32, Vec<u8>)]) -> Result<(), Status> {
    let counted = |(kind, histogram): &(i32, Vec<u8>)| members::CountedLatencies {
        kind: *kind,
        histogram: histogram.clone(),
    };
    let latencies = latencies.iter().map(counted).collect();
    let request = members::RecordLatenciesRequest { latencies, idempotency_key: key.into() };
    let mut client = StatisticsServiceClient::new(served.channel.clone());
    client.record_latencies(request).await.map(drop)
}

async fn latencies_of_matchers_are_counted_once_and_outlive_a_restart(bed: Bed) {
    let histogram = |latencies: &[(u64, u64)]| {
        let mut histogram = Histogram::default();
        latencies.iter().for_each(|(latency, count)| histogram.record_many(*latency, *count));
        histogram.encode()
    };
    let (add, removal) =
        (i32::from(members::LatencyKind::AddToMatchable), i32::from(members::LatencyKind::RemovalToGone));
    let served = Served::start(bed.config()).await;
    for _ in 0..3 {
        report(&served, "first", &[(add, histogram(&[(5, 6)])), (removal, histogram(&[(7, 9)]))])
            .await
            .unwrap();
    }
    // Figures over fewer than ten are suppressed.
    let suppressed = ("suppressed,".to_owned(), "suppressed,".to_owned());
    for name in ["add_to_matchable", "removal_to_gone"] {
        assert_eq!(latency(&served, name, "2023-11").await, suppressed);
    }
    served.stop().await;
    let served = Served::start(bed.config()).await;
    report(&served, "second", &[(add, histogram(&[(3, 5), (15, 1)]))]).await.unwrap();
    let shown = |p50: u64, p99: u64| (format!("shown,{p50}"), format!("shown,{p99}"));
    assert_eq!(latency(&served, "add_to_matchable", "2023-11").await, shown(5, 15));
    assert_eq!(latency(&served, "removal_to_gone", "2023-11").await, suppressed);
    served.clock.0.store(NOW + 40 * 86_400_000, Ordering::SeqCst);
    report(&served, "third", &[(removal, histogram(&[(2, 10)]))]).await.unwrap();
    assert_eq!(latency(&served, "removal_to_gone", "2023-12").await, shown(2, 2));
    assert_eq!(latency(&served, "add_to_matchable", "2023-12").await, suppressed);
    assert_eq!(latency(&served, "add_to_matchable", "2023-11").await, shown(5, 15));
    assert_eq!(served.head().await.sequence, 0);

    let good = || histogram(&[(1, 1)]);
    for (latencies, field) in [
        (vec![], "latencies"),
        (vec![(add, good()), (add, good())], "latencies[1].kind"),
        (vec![(add, good()), (removal, good()), (removal, good())], "latencies"),
        (vec![(0, good())], "latencies[0].kind"),
        (vec![(9, good())], "latencies[0].kind"),
        (vec![(add, vec![])], "latencies[0].histogram"),
        (vec![(add, vec![1, 0, 0])], "latencies[0].histogram"),
        (vec![(add, vec![1; 6_000])], "latencies[0].histogram"),
    ] {
        refused(report(&served, "", &latencies).await, Code::InvalidArgument, field);
    }
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_version_that_is_tried_is_counted_while_it_is(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let mut policies = PolicyServiceClient::new(served.channel.clone());
    let mut set = async |trial| {
        let source = Some(members::set_policy_request::Source::Policy(members::Policy::default()));
        let request = members::SetPolicyRequest { source, trial, ..Default::default() };
        policies.set_policy(request).await.unwrap().into_inner().version
    };
    assert_eq!((set(false).await, set(true).await), (1, 2));
    let (block, allow) = (members::Verdict::Block, members::Verdict::Allow);
    let report = async |key: &str, version, trial: members::Verdict, decisions| {
        let trial = members::CountedTrial {
            member_id: 1,
            version,
            verdict: block.into(),
            trial_verdict: trial.into(),
            decisions,
        };
        let request = members::RecordMatchesRequest {
            trials: vec![trial],
            idempotency_key: key.into(),
            ..Default::default()
        };
        let mut client = StatisticsServiceClient::new(served.channel.clone());
        client.record_matches(request).await.map(drop)
    };
    // Decisions that are sent twice under one key count once; those of a version that is not on trial are not
    // counted.
    for (key, version, trial, decisions) in
        [("a", 2, allow, 5), ("a", 2, allow, 5), ("b", 2, allow, 1), ("c", 2, block, 7), ("d", 1, allow, 9)]
    {
        report(key, version, trial, decisions).await.unwrap();
    }
    let counts = async || {
        let mut client = PolicyServiceClient::new(served.channel.clone());
        let read = client.get_policy(members::GetPolicyRequest::default()).await.unwrap().into_inner();
        let counts: Vec<(i32, i32, u64)> =
            read.trial_counts.iter().map(|one| (one.verdict, one.trial_verdict, one.decisions)).collect();
        (counts, read.trial_since_unix_ms)
    };
    let (block_number, allow_number) = (block.into(), allow.into());
    let expected = vec![(block_number, allow_number, 6), (block_number, block_number, 7)];
    assert_eq!(counts().await, (expected, NOW));
    let none = report("e", 2, members::Verdict::Unspecified, 1).await;
    refused(none, Code::InvalidArgument, "trials[0].trial_verdict");
    // The counts start at zero for another trial version, and for a version that decides.
    assert_eq!(set(true).await, 3);
    assert_eq!(counts().await, (Vec::new(), 0));
    report("f", 3, allow, 2).await.unwrap();
    assert_eq!(counts().await.0, [(block_number, allow_number, 2)]);
    set(false).await;
    assert_eq!(counts().await, (Vec::new(), 0));
    served.stop().await;
}

async fn a_period_that_is_none_is_refused(bed: Bed) {
    let served = Served::start(bed.config()).await;
    for (from, to, field) in [
        ("2023-13", "2023-12", "from_month"),
        ("2023-11", "", "to_month"),
        ("2023-11", "2023-10", "to_month"),
        ("1990-01", "2023-10", "to_month"),
    ] {
        refused(read(&served, from, to).await, Code::InvalidArgument, field);
    }
    served.stop().await;
}
