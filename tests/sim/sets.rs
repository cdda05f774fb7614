//! Opinions and policies change no set of matches.
//!
//! Three members share plain banks, whose charters ask for no confirmations and hold nothing. They put and take back random opinions, and set
//! random policies. After each change every member's matches of every query are what they were before the first: the same items of the same banks
//! at the same distances in the same order, by digest; also where a limit cuts them off, and in one bank alone.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use tonic::Code;
use vigie_consortium::Method;
use vigie_harness::in_process::as_of;
use vigie_model::{Content, Hash, Limit, MatchCall, PdqHash, SearchOptions, Sequence};
use vigie_proto::pb::bank::v1 as pb_bank;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::model::v1 as pb_model;
use vigie_tests::material::{flipped, hashed, pdq_of_a_picture};

use crate::caller::{Caller, soon};
use crate::hostile::near;
use crate::{quiet, seeds};

/// Seeds of a short run.
const SEEDS: u64 = 4;
/// Changes of a run.
const CHANGES: usize = 24;
const MEMBERS: [&str; 3] = ["acme", "boreal", "cirrus"];
const ITEMS: usize = 12;
const WORKER: [pb::Role; 4] =
    [pb::Role::Matcher, pb::Role::Contributor, pb::Role::Reviewer, pb::Role::Administrator];
const SHARED: [pb::Capability; 3] =
    [pb::Capability::Match, pb::Capability::SeeDetails, pb::Capability::Opine];
/// Conditions that hold, that do not, and that fail.
const CONDITIONS: [&str; 8] = [
    "",
    "matches.size() == 0",
    "matches.exists(m, m.positives > m.negatives)",
    "matches.exists(m, m.disputed || m.mine == 'negative')",
    "matches.all(m, m.distance > 4)",
    "matches[5].distance > 3",
    "1 / (matches.size() - 1) > 0",
    "query.surface == 'avatar'",
];

/// What a seed came to.
struct Ran {
    digests: usize,
    matches: usize,
    opinions: usize,
    policies: usize,
    verdicts: usize,
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { digests, matches, opinions, policies, verdicts } = self;
        write!(
            f,
            "{digests} digests of {matches} matches, {verdicts} kinds of verdicts, after {opinions} opinions and {policies} policies"
        )
    }
}

/// The digests of what each member finds, and how many matches and which verdicts there were.
#[derive(Debug, Default)]
struct Look {
    digests: Vec<u64>,
    matches: usize,
    verdicts: BTreeMap<&'static str, usize>,
}

struct Run {
    operator: Caller,
    members: Vec<Caller>,
    items: Vec<u64>,
    hashes: Vec<PdqHash>,
    queries: Vec<PdqHash>,
    rng: SmallRng,
}

impl Run {
    async fn new(mut rng: SmallRng, confirmations_min: u32) -> anyhow::Result<Self> {
        let operator = Caller::new("")?.create("", &[pb::Role::Operator]).await?;
        let mut members = Vec::new();
        for name in MEMBERS {
            let request = pb::CreateMemberRequest { name: name.to_owned(), ..Default::default() };
            let _: pb::CreateMemberResponse = operator.send(Method::CreateMember, request).await?;
            let administrator = operator.create(name, &[pb::Role::Administrator]).await?;
            members.push(administrator.create("", &WORKER).await?);
        }
        for (owner, caller) in members.iter().enumerate() {
            let request = pb_bank::CreateBankRequest { name: "known".to_owned(), ..Default::default() };
            let _: pb_bank::CreateBankResponse = caller.send(Method::CreateBank, request).await?;
            let charter = Some(pb::Charter { confirmations_min, ..Default::default() });
            let request = pb::SetCharterRequest { bank: "known".to_owned(), charter, ..Default::default() };
            let _: pb::SetCharterResponse = caller.send(Method::SetCharter, request).await?;
            for (_, member) in MEMBERS.iter().enumerate().filter(|(at, _)| *at != owner) {
                let request = pb::PutGrantRequest {
                    bank: "known".to_owned(),
                    member: (*member).to_owned(),
                    capabilities: SHARED.map(Into::into).to_vec(),
                    ..Default::default()
                };
                let _: pb::PutGrantResponse = caller.send(Method::PutGrant, request).await?;
            }
        }
        // Some are copies and some near each other, so that an order is to be kept and a limit cuts.
        let base: Vec<PdqHash> = (0..3).map(|_| pdq_of_a_picture(&mut rng)).collect();
        let mut hashes = Vec::new();
        for at in 0..ITEMS {
            let distance = 2 * rng.random_range(0..6);
            hashes.push(near(&base[at % base.len()], distance, &mut rng));
        }
        let mut queries: Vec<PdqHash> = base.iter().chain(&hashes[..3]).copied().collect();
        queries.push(flipped(&[0; 32], 128, &mut rng));
        let mut run = Self { operator, members, items: Vec::new(), hashes, queries, rng };
        for at in 0..ITEMS {
            let item =
                pb_bank::ItemContent { hashes: vec![Hash::pdq(run.hashes[at]).into()], ..Default::default() };
            let request = pb_bank::AddItemsRequest {
                bank: "known".to_owned(),
                items: vec![item],
                ..Default::default()
            };
            let added: pb_bank::AddItemsResponse =
                run.members[at % 3].send(Method::AddItems, request).await?;
            run.items.extend(added.item_ids);
        }
        Ok(run)
    }

    /// Puts, disputes or takes back an opinion.
    async fn say(&mut self) -> anyhow::Result<()> {
        let member = self.rng.random_range(0..3);
        let at = self.rng.random_range(0..ITEMS);
        let caller = self.members[member].clone();
        if self.rng.random_bool(0.2) {
            let request =
                pb::WithdrawOpinionsRequest { item_ids: vec![self.items[at]], ..Default::default() };
            let _: pb::WithdrawOpinionsResponse = caller.send(Method::WithdrawOpinions, request).await?;
            return Ok(());
        }
        let kinds =
            [pb_model::OpinionKind::Positive, pb_model::OpinionKind::Negative, pb_model::OpinionKind::Seen];
        let kind = *kinds.choose(&mut self.rng).context("there are kinds")?;
        let is_negative = kind == pb_model::OpinionKind::Negative;
        let opinion = pb::NewOpinion {
            item_id: self.items[at],
            hash: self.rng.random_bool(0.3).then(|| Hash::pdq(self.hashes[at]).into()),
            kind: kind.into(),
            reason: if is_negative { self.rng.random_range(0..8) } else { 0 },
            disputes: is_negative && self.rng.random(),
            ..Default::default()
        };
        let request = pb::PutOpinionsRequest { opinions: vec![opinion], ..Default::default() };
        let _: pb::PutOpinionsResponse = caller.send(Method::PutOpinions, request).await?;
        Ok(())
    }

    /// Sets a policy, or tries one beside it.
    async fn set_policy(&mut self) -> anyhow::Result<()> {
        let rng = &mut self.rng;
        let rules = (0..rng.random_range(0..4)).map(|number| pb::VerdictRule {
            name: format!("rule-{number}"),
            condition: CONDITIONS.choose(rng).map(ToString::to_string).unwrap_or_default(),
            verdict: rng.random_range(1..6),
            shadow: rng.random_bool(0.2),
        });
        let rules = rules.collect();
        let named: Vec<&str> = MEMBERS.into_iter().filter(|_| rng.random_bool(0.5)).collect();
        let banks = named.into_iter().map(|owner| pb::BankRule {
            bank: format!("{owner}/known"),
            ignored: rng.random_bool(0.3),
            max_distance: rng.random_bool(0.3).then(|| rng.random_range(0..31)),
            positives_min: rng.random_range(0..3),
            ignore_disputed: rng.random(),
            ratio: rng.random_bool(0.3).then(|| rng.random()),
            shadow: rng.random_bool(0.2),
        });
        let policy = pb::Policy { banks: banks.collect(), rules, scores: Vec::new() };
        let request = pb::SetPolicyRequest {
            source: Some(pb::set_policy_request::Source::Policy(policy)),
            trial: rng.random_bool(0.2),
            ..Default::default()
        };
        let member = rng.random_range(0..3);
        match self.members[member].send::<_, pb::SetPolicyResponse>(Method::SetPolicy, request).await {
            // A version is tried beside one that decides.
            Err(status) if status.code() == Code::FailedPrecondition => Ok(()),
            set => Ok(set.map(drop)?),
        }
    }

    /// What every member finds now, as of everything that was written.
    async fn look(&self) -> anyhow::Result<Look> {
        let request = pb::UpdateMemberRequest { name: MEMBERS[0].to_owned(), ..Default::default() };
        let updated: pb::UpdateMemberResponse = self.operator.send(Method::UpdateMember, request).await?;
        let sequence = Sequence(updated.sequence);
        let mut look = Look::default();
        for (member, caller) in self.members.iter().enumerate() {
            let of_one = if member == 0 { "known".parse()? } else { "acme/known".parse()? };
            let all = as_of(sequence);
            let few = SearchOptions { limit: Limit::new(3).context("a limit")?, ..all.clone() };
            let one_bank = SearchOptions { banks: vec![of_one], ..all.clone() };
            for options in [all, few, one_bank] {
                self.find(caller, options, sequence, &mut look).await?;
            }
        }
        Ok(look)
    }

    async fn find(
        &self,
        caller: &Caller,
        options: SearchOptions,
        sequence: Sequence,
        look: &mut Look,
    ) -> anyhow::Result<()> {
        let matching = caller.matching()?;
        for _ in 0..200 {
            let contents: Vec<Content> = self.queries.iter().map(|hash| hashed([Hash::pdq(*hash)])).collect();
            let call = MatchCall {
                contents,
                options: options.clone(),
                quality_floor: None,
                surface: "avatar".into(),
                classifiers: Vec::new(),
            };
            let answer = matching.match_content(call, soon()).await?;
            if answer.directory < sequence {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
            for result in answer.results {
                let Ok(matched) = result else { bail!("a query failed: {result:?}") };
                let mut digest = DefaultHasher::new();
                matched.found.limit_reached.hash(&mut digest);
                for found in &matched.found.matches {
                    (found.item.0, found.bank.0, found.distance.0, found.exact).hash(&mut digest);
                    found.bank_name.to_string().hash(&mut digest);
                }
                look.digests.push(digest.finish());
                look.matches += matched.found.matches.len();
                let verdict = matched.decision.map_or("none", |decided| decided.verdict.name());
                *look.verdicts.entry(verdict).or_default() += 1;
            }
            return Ok(());
        }
        bail!("the frontend's directory does not come to {sequence}")
    }
}

fn ran(seed: u64, confirmations_min: u32) -> anyhow::Result<Ran> {
    quiet::run(seed ^ 0x5e75, async move |rng: SmallRng, _| {
        let mut run = Run::new(rng, confirmations_min).await?;
        let before = run.look().await?;
        ensure!(before.matches > 0, "nothing matches");
        let (mut opinions, mut policies, mut verdicts) = (0, 0, before.verdicts.clone());
        for number in 0..CHANGES {
            if run.rng.random_bool(0.7) {
                run.say().await.context("an opinion")?;
                opinions += 1;
            } else {
                run.set_policy().await.context("a policy")?;
                policies += 1;
            }
            let after = run.look().await?;
            ensure!(after.digests == before.digests, "CHANGED: sets of matches differ after change {number}");
            verdicts.extend(after.verdicts);
        }
        let (digests, matches) = (before.digests.len() * (CHANGES + 1), before.matches);
        Ok(Ran { digests, matches, opinions, policies, verdicts: verdicts.len() })
    })
}

#[test]
fn opinions_and_policies_leave_the_sets_of_matches_as_they_are() {
    let ran = seeds::over(SEEDS, |seed| ran(seed, 0));
    // Verdicts did change meanwhile.
    let kinds = ran.iter().map(|one| one.verdicts).max();
    assert!(kinds.is_some_and(|kinds| kinds >= 3), "{kinds:?} kinds of verdicts");
}

/// Where a charter asks for confirmations, opinions do change what matches: the digests tell.
#[test]
fn digests_differ_where_a_charter_asks_for_opinions() {
    let changed = (0..4).find_map(|seed| Some(format!("{:#}", ran(seed, 2).err()?)));
    assert!(changed.is_some_and(|fault| fault.starts_with("CHANGED: ")));
}
