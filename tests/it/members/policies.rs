//! Verdicts of members' policies in a whole cluster.

use std::collections::BTreeMap;

use tonic::metadata::MetadataValue;
use tonic::{Request, transport};
use vigie_clients::{
    CallError, Code, IdempotencyKey, MatchAnswer, NewCredential, NewPrincipal, PolicyClient, PolicySource,
    TriedContent, TriedQuery, partial_match,
};
use vigie_consortium::{
    BankRule, Capability, Charter, CharterDraft, Expiry, Policy, PolicyDraft, Role, Roles, Text, Verdict,
    VerdictRuleDraft,
};
use vigie_harness::in_process::{as_of, soon};
use vigie_model::{BankRef, Decided, Hash, ItemId, MatchCall, MinCoverage, PdqHash, SearchOptions, Sequence};
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::opinion_service_client::OpinionServiceClient;
use vigie_proto::pb::model::v1::OpinionKind;
use vigie_tests::material::{generator, hashed, pdq_of_a_picture};

use super::{Client, Consortium, until_known};

pub(super) fn bank(name: &str) -> BankRef {
    name.parse().unwrap()
}

/// Returns a policy with these bank rules, and verdict rules as name, condition and verdict.
pub(super) fn policy(banks: Vec<BankRule>, rules: &[(&str, &str, Verdict)]) -> Policy {
    let rules = rules.iter().map(|(name, condition, verdict)| VerdictRuleDraft {
        name: (*name).to_owned(),
        condition: (*condition).to_owned(),
        verdict: *verdict,
        shadow: false,
    });
    Policy::try_from(PolicyDraft { banks, rules: rules.collect(), scores: Vec::new() }).unwrap()
}

/// Returns a hash of a picture at this even distance: half of the changed bits are cleared, half are set.
pub(super) fn near(hash: &PdqHash, distance: usize) -> PdqHash {
    let mut near = *hash;
    let bit = |hash: &PdqHash, at: usize| hash[at / 8] & (1 << (at % 8)) != 0;
    for is_set in [true, false] {
        let places = (0..256).filter(|at| bit(hash, *at) == is_set).take(distance / 2);
        places.for_each(|at| near[at / 8] ^= 1 << (at % 8));
    }
    near
}

impl Client {
    pub(super) fn policies(&self, consortium: &Consortium) -> PolicyClient {
        PolicyClient::among(&[consortium.cluster.bank_url()], &self.network).unwrap()
    }

    /// Sets the policy of the member, and waits until the frontend decides by it, as a worker of the member
    /// sees.
    pub(super) async fn decides_by(&self, consortium: &Consortium, worker: &Self, policy: &Policy) -> u32 {
        let (source, key) = (PolicySource::Given(policy), IdempotencyKey::random());
        let set = self.policies(consortium).set_policy(source, None, false, key, soon()).await.unwrap();
        until_known(worker, set.sequence).await;
        set.value
    }

    async fn ask_from(&self, surface: &str, hash: Hash, options: SearchOptions) -> MatchAnswer {
        self.called(surface, hash, options).await.unwrap()
    }

    pub(super) async fn called(
        &self,
        surface: &str,
        hash: Hash,
        options: SearchOptions,
    ) -> Result<MatchAnswer, CallError> {
        let contents = vec![hashed([hash])];
        let call = MatchCall {
            contents,
            options,
            quality_floor: None,
            surface: surface.into(),
            classifiers: Vec::new(),
        };
        self.matching.match_content(call, soon()).await
    }

    /// Returns the decision on a hash, as of a sequence.
    async fn decision(&self, hash: Hash, sequence: Sequence) -> Decided {
        decision(&self.ask_from("", hash, as_of(sequence)).await)
    }

    pub(super) async fn set_charter(&self, of: &str, draft: CharterDraft) -> Sequence {
        let (charter, key) = (Charter::try_from(draft).unwrap(), IdempotencyKey::random());
        self.members.set_charter(&bank(of), charter, key, soon()).await.unwrap().sequence
    }
}

pub(super) fn decision(answer: &MatchAnswer) -> Decided {
    answer.results[0].as_ref().unwrap().decision.clone().unwrap()
}

fn said(decided: &Decided) -> (Verdict, &str) {
    (decided.verdict, &decided.rule)
}

/// Records an opinion on an item, by a new reviewer of a member.
async fn opine(consortium: &Consortium, by: &Client, item: ItemId, kind: OpinionKind) -> Sequence {
    let new = NewPrincipal {
        member: None,
        roles: Roles::new([Role::Reviewer]).unwrap(),
        credential: NewCredential::ApiKey,
        expiry: Expiry::NEVER,
        note: Text::default(),
    };
    let made = by.members.create_principal(new, IdempotencyKey::random(), soon()).await.unwrap();
    let bearer = format!("Bearer {}", &*made.value.key.unwrap().reveal());
    let channel = transport::Endpoint::from_shared(consortium.cluster.bank_url()).unwrap();
    let mut client = OpinionServiceClient::new(channel.connect().await.unwrap());
    let opinion = pb::NewOpinion { item_id: item.0, kind: kind.into(), ..Default::default() };
    let mut request = Request::new(pb::PutOpinionsRequest {
        opinions: vec![opinion],
        idempotency_key: format!("opinion of {}", made.value.principal.id),
    });
    let bearer: MetadataValue<_> = bearer.parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    Sequence(client.put_opinions(request).await.unwrap().into_inner().sequence)
}

/// Returns the matches of each hash as item, bank and distance, without opinions and decisions.
async fn sets(client: &Client, hashes: &[PdqHash], sequence: Sequence) -> Vec<Vec<(u64, u32, u32)>> {
    let mut sets = Vec::new();
    for hash in hashes {
        let answer = client.ask(Hash::pdq(*hash), as_of(sequence)).await.unwrap();
        let matched = answer.results[0].as_ref().unwrap();
        let found = matched.found.matches.iter().map(|found| (found.item.0, found.bank.0, found.distance.0));
        sets.push(found.collect());
    }
    sets
}

#[tokio::test(flavor = "multi_thread")]
async fn opinions_and_policies_change_no_set_of_matches() {
    let consortium = Consortium::start(&["acme", "umbra"]).await;
    let (acme, worker) = consortium.team("acme").await;
    let (umbra, other) = consortium.team("umbra").await;
    acme.create_bank(&bank("known")).await;
    let mut rng = generator(3);
    let hashes: Vec<PdqHash> = (0..12).map(|_| pdq_of_a_picture(&mut rng)).collect();
    let (mut items, mut sequence) = (Vec::new(), Sequence::ZERO);
    for (at, hash) in hashes.iter().enumerate() {
        let (item, added) = worker.add(&bank("known"), Hash::pdq(near(hash, 2 * at))).await;
        items.push(item);
        sequence = added;
    }
    let rights = [Capability::Match, Capability::SeeDetails, Capability::Opine];
    let shared = acme.share("known", "umbra", &rights).await;
    until_known(&other, shared).await;
    let before = [sets(&worker, &hashes, sequence).await, sets(&other, &hashes, sequence).await];
    assert_eq!(before[0].iter().flatten().count(), 12);

    for (item, kind) in items.iter().zip([OpinionKind::Positive, OpinionKind::Negative, OpinionKind::Seen]) {
        sequence = opine(&consortium, &umbra, *item, kind).await;
    }
    sequence = opine(&consortium, &acme, items[1], OpinionKind::Positive).await.max(sequence);
    let rule = BankRule { ignored: true, ..BankRule::of(bank("acme/known")) };
    let ignoring = policy(vec![rule], &[("all", "", Verdict::Allow)]);
    let blocking = policy(vec![], &[("any", "matches.size() > 0", Verdict::Block)]);
    umbra.decides_by(&consortium, &other, &ignoring).await;
    acme.decides_by(&consortium, &worker, &blocking).await;
    let after = [sets(&worker, &hashes, sequence).await, sets(&other, &hashes, sequence).await];
    assert_eq!(after, before);
    assert_eq!(said(&worker.decision(Hash::pdq(hashes[0]), sequence).await), (Verdict::Block, "any"));
    assert_eq!(said(&other.decision(Hash::pdq(hashes[0]), sequence).await), (Verdict::Allow, "all"));
    consortium.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_follows_distance_opinions_bank_and_surface() {
    let consortium = Consortium::start(&["acme", "umbra"]).await;
    let (acme, worker) = consortium.team("acme").await;
    let (umbra, _) = consortium.team("umbra").await;
    acme.create_bank(&bank("known")).await;
    acme.create_bank(&bank("seen")).await;
    let mut rng = generator(4);
    let hash = pdq_of_a_picture(&mut rng);
    let (item, _) = worker.add(&bank("known"), Hash::pdq(hash)).await;
    let elsewhere = pdq_of_a_picture(&mut rng);
    let (_, added) = worker.add(&bank("seen"), Hash::pdq(elsewhere)).await;
    let shared = acme.share("known", "umbra", &[Capability::Match, Capability::Opine]).await;
    until_known(&worker, shared).await;

    // Without a policy there is no decision.
    let answer = worker.ask(Hash::pdq(hash), as_of(added)).await.unwrap();
    assert_eq!(answer.results[0].as_ref().unwrap().decision, None);
    let rules = [
        ("confirmed", "matches.exists(m, m.distance <= 10 && m.positives >= 1)", Verdict::Escalate),
        ("avatar", "query.surface == 'avatar' && matches.size() > 0", Verdict::Block),
        ("seen", "matches.exists(m, m.bank == 'acme/seen')", Verdict::Log),
    ];
    let rule = BankRule { max_distance: Some(20), ..BankRule::of(bank("seen")) };
    let set = policy(vec![rule], &rules);
    let version = acme.decides_by(&consortium, &worker, &set).await;
    assert_eq!(version, 1);

    let of = |hash: PdqHash, surface: &'static str, sequence| {
        let worker = &worker;
        async move { decision(&worker.ask_from(surface, Hash::pdq(hash), as_of(sequence)).await) }
    };
    assert_eq!(said(&of(hash, "", added).await), (Verdict::Review, ""));
    assert_eq!(said(&of(hash, "avatar", added).await), (Verdict::Block, "avatar"));
    assert_eq!(said(&of(elsewhere, "", added).await), (Verdict::Log, "seen"));
    assert_eq!(said(&of(near(&elsewhere, 20), "", added).await), (Verdict::Log, "seen"));
    // The bank rule excludes more distant matches from the decision; they are still in the answer.
    let far = worker.ask_from("", Hash::pdq(near(&elsewhere, 22)), as_of(added)).await;
    assert_eq!(said(&decision(&far)), (Verdict::Allow, ""));
    assert_eq!(far.results[0].as_ref().unwrap().found.matches.len(), 1);
    assert_eq!(said(&of(pdq_of_a_picture(&mut rng), "avatar", added).await), (Verdict::Allow, ""));

    let opinion = opine(&consortium, &umbra, item, OpinionKind::Positive).await;
    assert_eq!(said(&of(hash, "avatar", opinion).await), (Verdict::Escalate, "confirmed"));
    assert_eq!(said(&of(near(&hash, 10), "", opinion).await), (Verdict::Escalate, "confirmed"));
    assert_eq!(said(&of(near(&hash, 12), "", opinion).await), (Verdict::Review, ""));
    // The bank decides the same on the returned matches, and explains it.
    let answer = worker.ask_from("", Hash::pdq(near(&hash, 10)), as_of(opinion)).await;
    let matches = answer.results[0].as_ref().unwrap().found.matches.clone();
    let query = TriedQuery { kind: "hashes".to_owned(), ..TriedQuery::default() };
    let policies = acme.policies(&consortium);
    let content = TriedContent { matches, query, ..TriedContent::default() };
    let tried = policies.try_policy(PolicySource::Stored(0), content, soon()).await.unwrap();
    assert_eq!(tried.decision, decision(&answer));
    assert_eq!(tried.trace, ["rule confirmed: holds, ESCALATE"]);
    consortium.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_fails_never_lets_a_match_through() {
    let consortium = Consortium::start(&["acme"]).await;
    let (acme, worker) = consortium.team("acme").await;
    acme.create_bank(&bank("known")).await;
    let hash = pdq_of_a_picture(&mut generator(5));
    let (_, added) = worker.add(&bank("known"), Hash::pdq(hash)).await;
    for condition in ["matches[7].distance > 3", "query.quality > 50", "1 / (matches.size() - 1) > 0"] {
        let set =
            policy(vec![], &[("fails", condition, Verdict::Allow), ("allowed", "true", Verdict::Allow)]);
        let version = acme.decides_by(&consortium, &worker, &set).await;
        let decided = worker.decision(Hash::pdq(hash), added).await;
        assert_eq!(said(&decided), (Verdict::Review, "fails"), "{condition}");
        assert_eq!(decided.policy_version, version);
        assert!(decided.failure.unwrap().starts_with("rule fails: "), "{condition}");
    }
    // A policy that does not compile is not stored.
    let wrong = policy(vec![], &[("wrong", "matches.size() > nothing", Verdict::Allow)]);
    let key = IdempotencyKey::random();
    let policies = acme.policies(&consortium);
    let refused = policies.set_policy(PolicySource::Given(&wrong), None, false, key, soon()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("policy.rules[0].condition: "), "{refused}");
    assert_eq!(policies.get_policy(0, soon()).await.unwrap().value.newest, 3);
    consortium.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_lacks_a_shard_is_never_allowed() {
    let mut consortium = Consortium::start(&["acme"]).await;
    let (acme, worker) = consortium.team("acme").await;
    let created = acme.create_bank(&bank("known")).await;
    let set = policy(vec![], &[("none", "matches.size() == 0", Verdict::Allow)]);
    acme.decides_by(&consortium, &worker, &set).await;
    let hash = Hash::pdq(pdq_of_a_picture(&mut generator(6)));
    assert_eq!(said(&worker.decision(hash.clone(), created).await), (Verdict::Allow, "none"));

    consortium.cluster.stop_matcher(1).await.unwrap();
    let failed = worker.called("", hash.clone(), SearchOptions::default()).await.unwrap_err();
    assert_eq!(failed.code(), Code::Unavailable, "{failed}");
    let partial = partial_match(&failed).unwrap();
    assert_eq!(partial.results[0].as_ref().unwrap().decision, None);
    let options = SearchOptions { min_coverage: MinCoverage::new(0.1).unwrap(), ..SearchOptions::default() };
    let decided = decision(&worker.ask_from("", hash, options).await);
    assert_eq!(decided.verdict, Verdict::Review);
    assert!(decided.failure.is_some());
    consortium.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allow_list_takes_matches_away_for_its_member_alone() {
    let consortium = Consortium::start(&["acme", "umbra"]).await;
    let (acme, worker) = consortium.team("acme").await;
    let (umbra, other) = consortium.team("umbra").await;
    acme.create_bank(&bank("known")).await;
    umbra.create_bank(&bank("benign")).await;
    let hash = Hash::pdq(pdq_of_a_picture(&mut generator(7)));
    worker.add(&bank("known"), hash.clone()).await;
    let (_, added) = other.add(&bank("benign"), hash.clone()).await;
    acme.share("known", "umbra", &[Capability::Match]).await;
    let known = acme.bank.get_bank(&bank("known"), soon()).await.unwrap().value.id;
    umbra.set_charter("benign", CharterDraft { suppresses: vec![known], ..CharterDraft::default() }).await;
    let blocking = policy(vec![], &[("any", "matches.size() > 0", Verdict::Block)]);
    acme.decides_by(&consortium, &worker, &blocking).await;
    umbra.decides_by(&consortium, &other, &blocking).await;

    let own = other.decision(hash.clone(), added).await;
    assert_eq!((said(&own), own.suppressed), ((Verdict::Allow, ""), 1));
    let of_acme = worker.decision(hash.clone(), added).await;
    assert_eq!((said(&of_acme), of_acme.suppressed), ((Verdict::Block, "any"), 0));
    // The answer contains the match for both.
    assert_eq!(other.finds(hash, added).await, ["acme/known", "benign"]);
    consortium.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_shadow_is_answered_to_nobody_and_shows_in_the_shadow_verdict() {
    let consortium = Consortium::start(&["acme", "umbra"]).await;
    let (acme, worker) = consortium.team("acme").await;
    let (umbra, other) = consortium.team("umbra").await;
    let mut hashes = BTreeMap::new();
    let (mut rng, mut added) = (generator(8), Sequence::ZERO);
    for (name, draft) in [
        ("tried", CharterDraft { shadow: true, ..CharterDraft::default() }),
        ("confirmed", CharterDraft { confirmations_min: 2, ..CharterDraft::default() }),
    ] {
        acme.create_bank(&bank(name)).await;
        acme.set_charter(name, draft).await;
        acme.share(name, "umbra", &[Capability::Match]).await;
        let hash = Hash::pdq(pdq_of_a_picture(&mut rng));
        added = worker.add(&bank(name), hash.clone()).await.1;
        hashes.insert(name, hash);
    }
    let blocking = policy(vec![], &[("any", "matches.size() > 0", Verdict::Block)]);
    acme.decides_by(&consortium, &worker, &blocking).await;
    umbra.decides_by(&consortium, &other, &blocking).await;

    // Matches of a bank in shadow are returned to nobody; those of an item in probation only to its
    // contributor.
    for (client, name, found) in [
        (&worker, "tried", &[][..]),
        (&other, "tried", &[]),
        (&worker, "confirmed", &["confirmed"]),
        (&other, "confirmed", &[]),
    ] {
        assert_eq!(client.finds(hashes[name].clone(), added).await, found, "{name}");
        let decided = client.decision(hashes[name].clone(), added).await;
        let (verdict, shadow) =
            if found.is_empty() { (Verdict::Allow, Some(Verdict::Block)) } else { (Verdict::Block, None) };
        assert_eq!((decided.verdict, decided.shadow_verdict), (verdict, shadow), "{name}");
    }
    consortium.cluster.stop().await.unwrap();
}
