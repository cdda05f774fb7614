//! Tests of lists of decisions: all decisions, and those that wait for a person.

use vigie_consortium::DocumentKind;
use vigie_proto::pb::consortium::v1 as cases;
use vigie_proto::pb::consortium::v1::Verdict::{Block, Review};
use vigie_proto::pb::consortium::v1::decision_service_client::DecisionServiceClient;

use super::decisions::{alone, found, new, until};
use crate::store::documents::DocumentRange;
use crate::tests::*;
use crate::verify;

on_both_stores! {
    decisions_are_listed_by_time_in_pages,
    what_waits_for_a_person_is_listed_until_one_decides,
}

const DAY: u64 = 24 * 60 * 60 * 1_000;

async fn decisions_are_listed_by_time_in_pages(bed: Bed) {
    let (served, everyone) = alone(&bed).await;
    served.create_bank("known").await.unwrap();
    everyone.records("known", 30).await;
    // Not reported in the order of their times, and some with equal times.
    let times = [40, 10, 30, 30, 20, 50];
    let decisions = times.iter().zip(0..).map(|(ago, id)| new(1, [id; 16], NOW - ago, vec![found(5, 1, 4)]));
    everyone.record(decisions.collect()).await.unwrap();
    let all: Vec<u64> = everyone.decisions(0, 0).await.iter().map(|one| NOW - one.1).collect();
    assert_eq!(all, [50, 40, 30, 30, 20, 10]);
    let some: Vec<u64> = everyone.decisions(NOW - 40, NOW - 20).await.iter().map(|one| NOW - one.1).collect();
    assert_eq!(some, [40, 30, 30]);
    let mut client = DecisionServiceClient::new(served.channel.clone());
    let bad = cases::ListDecisionsRequest { page_size: 101, ..Default::default() };
    refused(client.list_decisions(bad).await, Code::InvalidArgument, "page_size");
    let bad = cases::ListDecisionsRequest { after_key: vec![0; 241], ..Default::default() };
    refused(client.list_decisions(bad).await, Code::InvalidArgument, "after_key");
    served.stop().await;
}

async fn what_waits_for_a_person_is_listed_until_one_decides(bed: Bed) {
    let (served, everyone) = alone(&bed).await;
    served.create_bank("known").await.unwrap();
    everyone.records("known", 30).await;
    let asked = |id: u8, ago: u64, verdict: cases::Verdict| {
        let mut asked = new(1, [id; 16], NOW - ago, vec![found(5, 1, 4)]);
        let record = asked.record.as_mut().unwrap();
        record.decision.as_mut().unwrap().verdict = verdict.into();
        asked
    };
    let decisions = vec![
        asked(1, 40, Review),
        asked(2, 50, Block),
        asked(3, 30, Review),
        asked(4, 60, Review),
        asked(5, 20, Review),
    ];
    everyone.record(decisions).await.unwrap();
    let ids =
        async || everyone.decisions_of((0, 0), true).await.iter().map(|(id, _)| id[0]).collect::<Vec<_>>();
    assert_eq!(ids().await, [4, 1, 3, 5]);
    // A decision with an outcome no longer waits, and a later outcome does not change that.
    for looked in [Some(true), None] {
        let outcome = cases::DecisionOutcome { person_looked: looked, ..Default::default() };
        everyone.became([1; 16], outcome).await.unwrap();
        assert_eq!(ids().await, [4, 3, 5]);
    }
    assert_eq!(everyone.decisions_of((0, 0), false).await.len(), 5);
    // An expired record is removed from the list too.
    served.clock.0.store(NOW + 31 * DAY, Ordering::Relaxed);
    let store = open_beside(&bed.config()).await;
    let range = DocumentRange::all(DocumentKind::DecisionKey, 10);
    until(async || store.document_range(&range).await.unwrap().is_empty()).await;
    store.close().await;
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}
