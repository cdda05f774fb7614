//! Records of decisions in a whole cluster: the decisions that a charter asks to record are recorded after
//! the answer, and explained to their member.

use std::time::Duration;

use tokio::time::Instant;
use vigie_clients::{
    CallError, Code, DecisionClient, ExplainedDecision, IdempotencyKey, PolicySource, TrialCount,
};
use vigie_consortium::cases::{Action, DecisionListing, DecisionOutcome, QueryDigest};
use vigie_consortium::{Capability, CharterDraft, Verdict};
use vigie_harness::in_process::{as_of, soon};
use vigie_model::{Decided, Hash, Sequence};
use vigie_tests::material::{generator, pdq_of_a_picture};

use super::policies::{bank, decision, near, policy};
use super::{Client, Consortium, until_known};

/// The time limit for a record to arrive, on a busy machine.
const WITHIN: Duration = Duration::from_secs(30);

impl Client {
    fn decisions(&self, consortium: &Consortium) -> DecisionClient {
        DecisionClient::among(&[consortium.cluster.bank_url()], &self.network).unwrap()
    }

    /// Returns the decision, once it is recorded.
    async fn explained(&self, consortium: &Consortium, id: [u8; 16], hash: &Hash) -> ExplainedDecision {
        let begun = Instant::now();
        loop {
            let digests = [QueryDigest::of(hash)];
            match self.decisions(consortium).explain(id, &digests, soon()).await {
                Ok(explained) => return explained,
                Err(error) => {
                    assert!(error.code() == Code::NotFound && begun.elapsed() < WITHIN, "{error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn listed(&self, consortium: &Consortium) -> Result<Vec<DecisionListing>, CallError> {
        Ok(self.decisions(consortium).list(Vec::new(), None, None, soon()).await?.0)
    }

    async fn decides(&self, hash: Hash, sequence: Sequence) -> Decided {
        decision(&self.called("avatar", hash, as_of(sequence)).await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_recorded_by_the_charter_of_its_bank_and_explained() {
    let consortium = Consortium::start(&["acme", "umbra"]).await;
    let (acme, acme_worker) = consortium.team("acme").await;
    let (umbra, worker) = consortium.team("umbra").await;
    let mut rng = generator(7);
    let [recorded, silent] = [pdq_of_a_picture(&mut rng), pdq_of_a_picture(&mut rng)];
    let mut last = Sequence::default();
    for (name, hash, match_record_days) in [("recorded", recorded, 30), ("silent", silent, 0)] {
        acme.create_bank(&bank(name)).await;
        acme.set_charter(name, CharterDraft { match_record_days, ..CharterDraft::default() }).await;
        acme_worker.add(&bank(name), Hash::pdq(hash)).await;
        last = acme.share(name, "umbra", &[Capability::Match]).await;
    }
    until_known(&worker, last).await;
    let condition = "matches.exists(m, m.distance <= 10)";
    let set = policy(Vec::new(), &[("near", condition, Verdict::Block)]);
    umbra.decides_by(&consortium, &worker, &set).await;

    let asked = Hash::pdq(near(&recorded, 6));
    let decided = worker.decides(asked.clone(), last).await;
    let id = decided.id.expect("the charter asks for a record");
    assert_eq!((decided.verdict, &*decided.rule), (Verdict::Block, "near"));
    // A match without such a charter, and a query without a match, have no record.
    assert_eq!(worker.decides(Hash::pdq(silent), last).await.id, None);
    assert_eq!(worker.decides(Hash::pdq(pdq_of_a_picture(&mut rng)), last).await.id, None);

    let explained = umbra.explained(&consortium, id, &asked).await;
    let record = &explained.listing.record;
    assert_eq!(record.decided, Some(Decided { id: None, ..decided }));
    assert_eq!((&*record.kind, &*record.surface), ("hashes", "avatar"));
    assert_eq!((explained.same_query, explained.rule_condition.as_str()), (Some(true), condition));
    let [found] = &record.matches[..] else { panic!("{:?}", record.matches) };
    assert_eq!((found.bank_name.clone(), found.distance.0), (Some(bank("acme/recorded")), 6));
    // The member has no right to details, so the record does not contain them either.
    assert_eq!((found.item, found.facts.is_none()), (None, true));
    let other = umbra.explained(&consortium, id, &Hash::pdq(recorded)).await;
    assert_eq!(other.same_query, Some(false));

    // The bank's owner and the workers that search cannot see it.
    let refused = acme.decisions(&consortium).explain(id, &[], soon()).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let refused = worker.decisions(&consortium).explain(id, &[], soon()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);

    // A member without a policy gets no verdict, but the match is recorded.
    acme_worker.ask(Hash::pdq(recorded), as_of(last)).await.unwrap();
    let begun = Instant::now();
    let own = loop {
        if let [own] = &acme.listed(&consortium).await.unwrap()[..] {
            break own.clone();
        }
        assert!(begun.elapsed() < WITHIN);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((own.record.decided, own.record.matches[0].item.is_some()), (None, true));

    // The outcome is returned with the record.
    let outcome = DecisionOutcome { action: Some(Action::Removed), ..DecisionOutcome::default() };
    let key = IdempotencyKey::random();
    umbra.decisions(&consortium).set_outcome(id, outcome, None, key, soon()).await.unwrap();
    let [listed] = &umbra.listed(&consortium).await.unwrap()[..] else { panic!() };
    // A block takes effect at the time of the decision.
    let expected = DecisionOutcome { acted_at: Some(listed.record.decided_at), ..outcome };
    assert_eq!(listed.outcome.map(|(outcome, _)| outcome), Some(expected));
    consortium.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_tried_is_compared_with_the_one_that_decides() {
    let consortium = Consortium::start(&["acme"]).await;
    let (acme, worker) = consortium.team("acme").await;
    acme.create_bank(&bank("known")).await;
    let mut rng = generator(9);
    let [known, other] = [(); 2].map(|()| Hash::pdq(pdq_of_a_picture(&mut rng)));
    let (_, added) = worker.add(&bank("known"), known.clone()).await;
    let blocking = policy(Vec::new(), &[("any", "matches.size() > 0", Verdict::Block)]);
    acme.decides_by(&consortium, &worker, &blocking).await;
    let logging = policy(Vec::new(), &[("any", "matches.size() > 0", Verdict::Log)]);
    let (source, key) = (PolicySource::Given(&logging), IdempotencyKey::random());
    let policies = acme.policies(&consortium);
    let set = policies.set_policy(source, None, true, key, soon()).await.unwrap();
    until_known(&worker, set.sequence).await;
    for hash in [&known, &known, &other] {
        worker.decides(hash.clone(), added).await;
    }
    let differing = TrialCount { verdict: Verdict::Block, trial: Verdict::Log, decisions: 2 };
    let begun = Instant::now();
    loop {
        let read = policies.get_policy(0, soon()).await.unwrap().value;
        // The lookups that waited for the trial may be counted too, with equal verdicts.
        let (equal, others): (Vec<_>, Vec<_>) =
            read.trial_counts.into_iter().partition(|count| count.verdict == count.trial);
        let is_equal = matches!(&equal[..], [count] if count.verdict == Verdict::Allow);
        if is_equal && others == [differing] {
            assert!(read.trial_since.is_some());
            break;
        }
        assert!(begun.elapsed() < WITHIN, "{equal:?} {others:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    consortium.cluster.stop().await.unwrap();
}
