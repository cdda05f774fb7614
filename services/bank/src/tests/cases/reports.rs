//! Tests of reports: their senders, readers and reviewers, and the opinion from an unfounded report.

use vigie_proto::pb::consortium::v1 as cases;
use vigie_proto::pb::consortium::v1::report_service_client::ReportServiceClient;

use crate::tests::beside::statistics::own;
use crate::tests::members::{By, Consortium};
use crate::tests::*;
use crate::verify;

on_both_stores! {
    a_member_learns_the_outcome_of_its_report,
    an_unfounded_report_is_an_opinion_until_it_is_decided_otherwise,
    reports_are_listed_in_pages_with_urgent_ones_first,
    an_old_report_goes_by_itself,
    without_members_everybody_reports_and_reviews,
}

const DAY: u64 = 24 * 60 * 60 * 1_000;

async fn a_member_learns_the_outcome_of_its_report(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { operator, administrator, contributor, auditor, .. } = &consortium;
    let host = operator.principal("", cases::Role::Administrator).await;
    let reviewer = host.principal("", cases::Role::Reviewer).await;
    let matcher = administrator.principal("", cases::Role::Matcher).await;
    let own_reviewer = administrator.principal("", cases::Role::Reviewer).await;
    operator.member("other").await;
    let stranger = operator.principal("other", cases::Role::Administrator).await;
    administrator.create_bank("known").await.unwrap();
    let item = contributor.add("known", items(0..1)).await.unwrap()[0];

    let contents = cases::ReportContents { item_id: item, decision_id: vec![7; 16], ..contents("a note") };
    let number = matcher.report("known", contents.clone()).await.unwrap();
    refused(contributor.report("known", contents.clone()).await, Code::PermissionDenied, "roles");
    refused(stranger.report("acme/known", contents.clone()).await, Code::NotFound, "no bank");
    let bad = cases::ReportContents { decision_id: vec![7; 3], ..contents.clone() };
    refused(matcher.report("known", bad).await, Code::InvalidArgument, "contents.decision_id");

    // The host reads all reports, the member its own, and another member none.
    let [report] = &reviewer.reports(false).await[..] else { panic!() };
    assert_eq!((report.number, report.member.as_str(), report.bank.as_str()), (number, "acme", ""));
    assert_eq!(report.contents.as_ref(), Some(&contents));
    assert_eq!(own_reviewer.reports(false).await[0].bank, "known");
    assert_eq!(auditor.reports(true).await.len(), 1);
    assert!(stranger.reports(false).await.is_empty());
    assert!(stranger.report_of(number).await.is_none());

    // Only reviewers of the host decide.
    let forwarded = review(cases::ReportOutcome::Forwarded, "to the police");
    refused(own_reviewer.review(number, forwarded.clone()).await, Code::PermissionDenied, "roles");
    refused(host.review(number, forwarded.clone()).await, Code::PermissionDenied, "roles");
    refused(reviewer.review(99_999, forwarded.clone()).await, Code::NotFound, "no report 99999");
    let too_long = cases::ReportReview { do_not_tell_until_unix_ms: NOW + 551 * DAY, ..forwarded.clone() };
    refused(
        reviewer.review(number, too_long).await,
        Code::InvalidArgument,
        "review.do_not_tell_until_unix_ms: a demand",
    );
    let why = review(cases::ReportOutcome::MoreInformation, "");
    refused(reviewer.review(number, why).await, Code::InvalidArgument, "review.reason");

    // The reviewer asks for more information and the member sends it: the first report keeps waiting.
    let more = review(cases::ReportOutcome::MoreInformation, "which upload?");
    reviewer.review(number, more.clone()).await.unwrap();
    assert_eq!(own_reviewer.report_of(number).await.unwrap().review, Some(more));
    let answer = cases::ReportContents { adds_to: number, ..contents.clone() };
    let second = matcher.report("known", answer).await.unwrap();
    let foreign = cases::ReportContents { adds_to: number, ..cases::ReportContents::default() };
    stranger.create_bank("own").await.unwrap();
    refused(stranger.report("own", foreign).await, Code::NotFound, "no report");
    assert_eq!(reviewer.reports(true).await.len(), 2);

    // With demands on the member, within 18 months.
    let decided = cases::ReportReview {
        do_not_tell_until_unix_ms: NOW + 500 * DAY,
        do_not_remove_until_unix_ms: NOW + DAY,
        ..forwarded
    };
    assert!(!reviewer.review(number, decided.clone()).await.unwrap().opinion_put);
    reviewer.review(second, review(cases::ReportOutcome::Duplicate, "")).await.unwrap();
    let read = own_reviewer.report_of(number).await.unwrap();
    assert_eq!((read.review, read.reviewed_at_unix_ms), (Some(decided), NOW));
    assert!(reviewer.reports(true).await.is_empty());
    assert_eq!(own_reviewer.reports(false).await.len(), 2);

    // Each change is in the audit.
    let entries = auditor.entries().await;
    let count = |action: &str| {
        entries.iter().filter(|entry| entry.action.ends_with(action) && entry.code == 0).count()
    };
    assert_eq!((count("SubmitReport"), count("ReviewReport")), (2, 3));
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn an_unfounded_report_is_an_opinion_until_it_is_decided_otherwise(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { operator, administrator, contributor, .. } = &consortium;
    let host = operator.principal("", cases::Role::Administrator).await;
    let reviewer = host.principal("", cases::Role::Reviewer).await;
    let matcher = administrator.principal("", cases::Role::Matcher).await;
    administrator.create_bank("known").await.unwrap();
    administrator.create_bank("other").await.unwrap();
    let items = contributor.add("known", items(0..2)).await.unwrap();
    let of = |item| cases::ReportContents { item_id: item, ..contents("") };
    let unfounded = cases::ReportReview {
        opinion_reason: pb_model::OpinionReason::DifferentContent.into(),
        ..review(cases::ReportOutcome::Unfounded, "another picture")
    };

    // The host may put no opinions on the bank: the decision is stored without one.
    let number = matcher.report("known", of(items[0])).await.unwrap();
    assert!(!reviewer.review(number, unfounded.clone()).await.unwrap().opinion_put);
    assert_eq!(negatives(&administrator.item(items[0]).await.unwrap()), 0);

    administrator.share("known", "local", &[cases::Capability::Opine]).await;
    assert!(reviewer.review(number, unfounded.clone()).await.unwrap().opinion_put);
    assert_eq!(negatives(&administrator.item(items[0]).await.unwrap()), 1);
    // An item of another bank than the named one, or a removed item, gets no opinion.
    let elsewhere = matcher.report("other", of(items[1])).await.unwrap();
    assert!(!reviewer.review(elsewhere, unfounded.clone()).await.unwrap().opinion_put);
    let nowhere = matcher.report("known", of(9_999)).await.unwrap();
    assert!(!reviewer.review(nowhere, unfounded.clone()).await.unwrap().opinion_put);

    // A later decision withdraws its own opinion.
    reviewer.review(number, review(cases::ReportOutcome::Founded, "")).await.unwrap();
    assert_eq!(negatives(&administrator.item(items[0]).await.unwrap()), 0);
    assert_eq!(negatives(&administrator.item(items[1]).await.unwrap()), 0);
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn reports_are_listed_in_pages_with_urgent_ones_first(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let everyone = By(served.channel.clone(), String::new());
    served.create_bank("a").await.unwrap();
    let mut numbers = Vec::new();
    for urgent in [false, true, false, true, false] {
        let contents = cases::ReportContents { urgent, ..contents("") };
        numbers.push(everyone.report("a", contents).await.unwrap());
    }
    everyone.review(numbers[1], review(cases::ReportOutcome::Founded, "")).await.unwrap();
    let expected = [3, 0, 2, 4, 1].map(|at: usize| numbers[at]);
    let mut client = ReportServiceClient::new(served.channel.clone());
    let (mut listed, mut after_key) = (Vec::new(), Vec::new());
    loop {
        let request = cases::ListReportsRequest { after_key, page_size: 2, ..Default::default() };
        let page = client.list_reports(request).await.unwrap().into_inner();
        listed.extend(page.reports.iter().map(|report| report.number));
        after_key = page.next_key;
        if after_key.is_empty() {
            break;
        }
    }
    assert_eq!(listed, expected);
    let request = cases::ListReportsRequest { page_size: 101, ..Default::default() };
    refused(client.list_reports(request).await, Code::InvalidArgument, "page_size");
    served.stop().await;
}

async fn an_old_report_goes_by_itself(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let everyone = By(served.channel.clone(), String::new());
    served.create_bank("a").await.unwrap();
    let old = everyone.report("a", contents("")).await.unwrap();
    everyone.review(old, review(cases::ReportOutcome::Founded, "")).await.unwrap();
    everyone.report("a", contents("")).await.unwrap();
    served.clock.0.store(NOW + 364 * DAY, Ordering::Relaxed);
    let young = everyone.report("a", contents("")).await.unwrap();
    served.clock.0.store(NOW + 366 * DAY, Ordering::Relaxed);
    let begun = std::time::Instant::now();
    loop {
        let left: Vec<u64> = everyone.reports(false).await.iter().map(|report| report.number).collect();
        if left == [young] {
            break;
        }
        assert!(begun.elapsed().as_secs() < 30, "{left:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn without_members_everybody_reports_and_reviews(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let everyone = By(served.channel.clone(), String::new());
    served.create_bank("a").await.unwrap();
    let item = served.add("a", items(0..1)).await.unwrap().item_ids[0];
    let keyed = cases::SubmitReportRequest {
        bank: "a".into(),
        contents: Some(cases::ReportContents { item_id: item, ..contents("") }),
        idempotency_key: "k".into(),
    };
    let mut client = ReportServiceClient::new(served.channel.clone());
    let first = client.submit_report(keyed.clone()).await.unwrap().into_inner();
    assert_eq!(client.submit_report(keyed).await.unwrap().into_inner(), first);
    assert_eq!(everyone.reports(false).await.len(), 1);
    let unfounded = review(cases::ReportOutcome::Unfounded, "no");
    assert!(everyone.review(first.number, unfounded.clone()).await.unwrap().opinion_put);
    assert_eq!(negatives(&everyone.item(item).await.unwrap()), 1);
    // Counted once, even if it is decided twice in the same way; another decision counts as well.
    everyone.review(first.number, unfounded).await.unwrap();
    let figures = async || (own(&served, "reports_submitted").await, own(&served, "reports_unfounded").await);
    assert_eq!(figures().await, (Some(1), Some(1)));
    everyone.review(first.number, review(cases::ReportOutcome::Founded, "")).await.unwrap();
    assert_eq!((figures().await, own(&served, "reports_founded").await), ((Some(1), Some(1)), Some(1)));
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

fn contents(note: &str) -> cases::ReportContents {
    cases::ReportContents {
        hash_type: pb_model::HashType::Pdq.into(),
        distance: 4,
        verdict: "block".into(),
        legal_basis: "own initiative".into(),
        note: note.into(),
        ..Default::default()
    }
}

fn review(outcome: cases::ReportOutcome, reason: &str) -> cases::ReportReview {
    cases::ReportReview { outcome: outcome.into(), reason: reason.into(), ..Default::default() }
}

fn negatives(item: &pb::Item) -> u32 {
    item.facts.as_ref().map_or(0, |facts| facts.negatives)
}

impl By {
    async fn report(&self, bank: &str, contents: cases::ReportContents) -> Result<u64, Status> {
        let contents = Some(contents);
        let request = cases::SubmitReportRequest { bank: bank.into(), contents, ..Default::default() };
        let mut client = ReportServiceClient::new(self.0.clone());
        Ok(client.submit_report(self.carried(request)).await?.into_inner().number)
    }

    async fn reports(&self, waiting: bool) -> Vec<cases::Report> {
        let request = cases::ListReportsRequest { waiting, ..Default::default() };
        let mut client = ReportServiceClient::new(self.0.clone());
        client.list_reports(self.carried(request)).await.unwrap().into_inner().reports
    }

    async fn report_of(&self, number: u64) -> Option<cases::Report> {
        let request = cases::ListReportsRequest { number, ..Default::default() };
        let mut client = ReportServiceClient::new(self.0.clone());
        client.list_reports(self.carried(request)).await.unwrap().into_inner().reports.pop()
    }

    async fn review(
        &self,
        number: u64,
        review: cases::ReportReview,
    ) -> Result<cases::ReviewReportResponse, Status> {
        let request = cases::ReviewReportRequest { number, review: Some(review), ..Default::default() };
        let mut client = ReportServiceClient::new(self.0.clone());
        Ok(client.review_report(self.carried(request)).await?.into_inner())
    }
}
