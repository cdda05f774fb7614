//! Tests of referrals and removal orders: each is tracked to its outcome at every member that it is addressed
//! to.

use vigie_proto::pb::consortium::v1 as cases;
use vigie_proto::pb::consortium::v1::new_referral::Target;
use vigie_proto::pb::consortium::v1::referral_service_client::ReferralServiceClient;

use crate::tests::beside::statistics::own;
use crate::tests::members::{By, Consortium};
use crate::tests::*;
use crate::verify;

on_both_stores! {
    a_referral_is_tracked_to_its_outcome_at_each_member,
    a_removal_order_is_overdue_an_hour_after_receipt,
    a_referral_is_of_a_url_or_a_hash,
}

const HOUR: u64 = 60 * 60 * 1_000;
const SECRET: &str = "https://example.test/secret";

async fn a_referral_is_tracked_to_its_outcome_at_each_member(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { operator, administrator, auditor, .. } = &consortium;
    let host = operator.principal("", cases::Role::Administrator).await;
    operator.member("other").await;
    let other = operator.principal("other", cases::Role::Administrator).await;
    let matcher = administrator.principal("", cases::Role::Matcher).await;

    let to_all = host.refer(referral(&[])).await.unwrap();
    let to_other = host.refer(referral(&["other", "other"])).await.unwrap();
    refused(host.refer(referral(&["nobody"])).await, Code::NotFound, "nobody");
    refused(administrator.refer(referral(&[])).await, Code::PermissionDenied, "roles");
    refused(matcher.list_referrals(false, false).await, Code::PermissionDenied, "roles");

    // A member reads the referrals that are addressed to it, and only its own outcomes.
    let numbers = |listed: &[cases::Referral]| listed.iter().map(|one| one.number).collect::<Vec<_>>();
    assert_eq!(numbers(&administrator.referrals(false).await), [to_all]);
    assert_eq!(numbers(&other.referrals(false).await), [to_all, to_other]);
    let declined = measure(cases::MeasureOutcome::Declined, "within our terms");
    refused(administrator.measure(to_other, declined.clone()).await, Code::NotFound, "no referral");
    let bare = measure(cases::MeasureOutcome::Declined, "");
    refused(administrator.measure(to_all, bare).await, Code::InvalidArgument, "measure.details");
    administrator.measure(to_all, declined).await.unwrap();
    let [listed] = &administrator.referrals(false).await[..] else { panic!() };
    assert_eq!(listed.counts, Some(cases::MeasureCounts { declined: 1, ..Default::default() }));
    assert_eq!(listed.members.len(), 1);
    assert!(administrator.referrals(true).await.is_empty());

    // The host reads all, and the referral is done with the last outcome. A later outcome replaces an earlier
    // one.
    let of_host = async |open| {
        let listed = host.referrals(open).await;
        listed.into_iter().find(|one| one.number == to_all)
    };
    let counts = of_host(true).await.unwrap().counts;
    assert_eq!(counts, Some(cases::MeasureCounts { pending: 1, declined: 1, ..Default::default() }));
    other.measure(to_all, measure(cases::MeasureOutcome::NotFound, "")).await.unwrap();
    assert!(of_host(true).await.is_none());
    administrator.measure(to_all, measure(cases::MeasureOutcome::Removed, "")).await.unwrap();
    let done = of_host(false).await.unwrap();
    assert_eq!(done.counts, Some(cases::MeasureCounts { removed: 1, not_found: 1, ..Default::default() }));
    let named: Vec<_> = done.members.iter().map(|one| one.member.as_str()).collect();
    assert_eq!(named, ["acme", "other"]);
    assert_eq!(done.members[0].measure.as_ref().unwrap().taken_at_unix_ms, NOW);
    assert_eq!(auditor.referrals(false).await.len(), 2);
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_removal_order_is_overdue_an_hour_after_receipt(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let everyone = By(served.channel.clone(), String::new());
    let order = |received_at_unix_ms| cases::NewReferral {
        removal_order: Some(cases::RemovalOrder {
            reference: "FR-2026-7".into(),
            received_at_unix_ms,
            issuing_state: "FR".into(),
        }),
        ..referral(&[])
    };
    refused(
        everyone.refer(order(NOW + 1)).await,
        Code::InvalidArgument,
        "received_at_unix_ms: is in the future",
    );
    let number = everyone.refer(order(NOW - HOUR + 1)).await.unwrap();
    everyone.refer(referral(&[])).await.unwrap();
    assert!(everyone.list_referrals(false, true).await.unwrap().is_empty());
    served.clock.0.store(NOW + 1, Ordering::Relaxed);
    let [overdue] = &everyone.list_referrals(false, true).await.unwrap()[..] else { panic!() };
    assert_eq!((overdue.number, overdue.deadline_unix_ms, overdue.overdue), (number, NOW + 1, true));

    // An order is binding, but there are grounds on which it cannot be carried out.
    let declined = measure(cases::MeasureOutcome::Declined, "no");
    refused(everyone.measure(number, declined).await, Code::FailedPrecondition, "cannot be declined");
    let not_possible = measure(cases::MeasureOutcome::NotPossible, "no page at the URL");
    refused(everyone.measure(number, not_possible.clone()).await, Code::InvalidArgument, "measure.ground");
    let ground = cases::Ground::TooLittleInformation.into();
    everyone.measure(number, cases::Measure { ground, ..not_possible }).await.unwrap();
    assert!(everyone.list_referrals(false, true).await.unwrap().is_empty());
    let late = cases::Measure { taken_at_unix_ms: NOW + 9, ..measure(cases::MeasureOutcome::Removed, "") };
    refused(everyone.measure(number, late).await, Code::InvalidArgument, "taken_at_unix_ms");
    // Received orders and outcomes are counted; a repeated outcome counts nothing.
    for _ in 0..2 {
        everyone.measure(number, measure(cases::MeasureOutcome::Disabled, "")).await.unwrap();
    }
    let figures = [
        "orders_received",
        "referrals_received",
        "orders_not_executed",
        "orders_executed",
        "actions_disabled",
    ];
    for name in figures {
        assert_eq!(own(&served, name).await, Some(1), "{name}");
    }
    assert_eq!(own(&served, "referrals_acted_on").await.unwrap_or(0), 0);
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_referral_is_of_a_url_or_a_hash(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let everyone = By(served.channel.clone(), String::new());
    let hash = item(3).hashes.remove(0);
    let of = |target| cases::NewReferral { target, ..referral(&[]) };
    everyone.refer(of(Some(Target::Hash(hash.clone())))).await.unwrap();
    let [listed] = &everyone.referrals(false).await[..] else { panic!() };
    assert_eq!(listed.referral.as_ref().unwrap().target, Some(Target::Hash(hash)));
    refused(everyone.refer(of(None)).await, Code::InvalidArgument, "referral.target");
    for bad in [format!("{SECRET}\n"), SECRET.repeat(100)] {
        let error = everyone.refer(of(Some(Target::Url(bad)))).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
    served.stop().await;
}

fn referral(members: &[&str]) -> cases::NewReferral {
    cases::NewReferral {
        body: "Europol IRU".into(),
        target: Some(Target::Url(SECRET.into())),
        legal_basis: "Regulation (EU) 2016/794".into(),
        priority: cases::Priority::High.into(),
        members: members.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    }
}

fn measure(outcome: cases::MeasureOutcome, details: &str) -> cases::Measure {
    cases::Measure { outcome: outcome.into(), details: details.into(), ..Default::default() }
}

impl By {
    async fn refer(&self, referral: cases::NewReferral) -> Result<u64, Status> {
        let request = cases::AddReferralRequest { referral: Some(referral), ..Default::default() };
        let mut client = ReferralServiceClient::new(self.0.clone());
        Ok(client.add_referral(self.carried(request)).await?.into_inner().number)
    }

    async fn list_referrals(&self, open: bool, overdue: bool) -> Result<Vec<cases::Referral>, Status> {
        let request = cases::ListReferralsRequest { open, overdue, ..Default::default() };
        let mut client = ReferralServiceClient::new(self.0.clone());
        Ok(client.list_referrals(self.carried(request)).await?.into_inner().referrals)
    }

    async fn referrals(&self, open: bool) -> Vec<cases::Referral> {
        self.list_referrals(open, false).await.unwrap()
    }

    async fn measure(&self, number: u64, measure: cases::Measure) -> Result<(), Status> {
        let measure = Some(measure);
        let request = cases::SetReferralOutcomeRequest { number, measure, ..Default::default() };
        let mut client = ReferralServiceClient::new(self.0.clone());
        client.set_referral_outcome(self.carried(request)).await.map(drop)
    }
}
