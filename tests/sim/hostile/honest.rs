//! The cluster's honest members: what they do of the plan, and what they are answered.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, bail};
use vigie_clients::MatchAnswer;
use vigie_consortium::Method;
use vigie_harness::in_process::as_of;
use vigie_model::{Content, Hash, MatchCall, Sequence};
use vigie_proto::pb::bank::v1 as pb_bank;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::model::v1 as pb_model;
use vigie_tests::material::hashed;

use super::plan::{BANKS, Confirmed, HONEST, Plan, Slot, Step, Terms};
use crate::caller::{Caller, soon};
use crate::cluster::Surroundings;

/// The roles of whoever works for a member: all but that of the operator.
const WORKER: [pb::Role; 5] = [
    pb::Role::Matcher,
    pb::Role::Contributor,
    pb::Role::Reviewer,
    pb::Role::Administrator,
    pb::Role::Auditor,
];
/// What one honest member may do with the banks of another.
const EVERYTHING: [pb::Capability; 5] = [
    pb::Capability::Match,
    pb::Capability::SeeDetails,
    pb::Capability::SeeHashes,
    pb::Capability::Contribute,
    pb::Capability::Opine,
];
/// The classes of items.
const CLASSES: [&str; 3] = ["a", "b", "c"];
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// The bank looks at overdue disputes within a second, and at what is to be done after that in the next.
const LOOKED_AT_WITHIN: Duration = Duration::from_millis(2_200);

/// One of the policies that honest members choose from. Where they ask what members say, they ask two at least; see [`super::plan`].
fn policy(number: usize) -> pb::Policy {
    let rule = |name: &str, condition: &str, verdict: pb::Verdict| pb::VerdictRule {
        name: name.to_owned(),
        condition: condition.to_owned(),
        verdict: verdict.into(),
        shadow: false,
    };
    let of_bank = |bank: &str| pb::BankRule { bank: bank.to_owned(), ..Default::default() };
    let any = |verdict| rule("any", "matches.size() > 0", verdict);
    let (banks, rules) = match number {
        0 => (vec![], vec![]),
        1 => (vec![], vec![any(pb::Verdict::Block)]),
        2 => {
            let confirmed = "matches.exists(m, m.positives >= 2 && m.distance <= 20)";
            let doubted = "matches.exists(m, m.negatives >= 2 || m.seen >= 2)";
            (
                vec![],
                vec![
                    rule("doubted", doubted, pb::Verdict::Log),
                    rule("confirmed", confirmed, pb::Verdict::Escalate),
                    any(pb::Verdict::Block),
                ],
            )
        }
        3 => {
            let class = "matches.exists(m, 'local/kind=a' in m.classification && m.owner != 'cirrus')";
            let label = "matches.all(m, m.labels.exists(label, label == 'honest'))";
            (
                vec![pb::BankRule { positives_min: 2, ..of_bank("acme/known") }],
                vec![
                    rule("class", class, pb::Verdict::Escalate),
                    rule("labelled", label, pb::Verdict::Log),
                    rule("else", "", pb::Verdict::Block),
                ],
            )
        }
        4 => {
            let shares = "matches.exists(m, m.contributors >= 3 || m.mine == 'positive')";
            (
                vec![
                    pb::BankRule { ratio: Some(0.5), ..of_bank("boreal/known") },
                    pb::BankRule { max_distance: Some(4), ..of_bank("cirrus/known") },
                ],
                vec![
                    rule("shared", shares, pb::Verdict::Block),
                    rule("probation", "matches.exists(m, m.probation)", pb::Verdict::Log),
                ],
            )
        }
        _ => (
            vec![pb::BankRule { ignored: true, ..of_bank("acme/known") }],
            vec![rule("all", "matches.size() <= 3", pb::Verdict::Allow), any(pb::Verdict::Block)],
        ),
    };
    pb::Policy { banks, rules, scores: Vec::new() }
}

/// What one member is answered of one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    /// The verdict, its rule, and the number of matches that allow-lists took away.
    pub(super) verdict: Option<(&'static str, String, u32)>,
    /// Honest items that match: bank, and number in the plan.
    pub(super) items: Vec<(String, String)>,
    /// Items of the hostile member that match.
    pub(super) others: usize,
}

/// What honest members are answered, by member and query.
pub(super) type Look = Vec<Vec<Answered>>;

/// The members of a run, as its honest ones know them.
pub(super) struct World<'p> {
    pub(super) plan: &'p Plan,
    pub(super) operator: Caller,
    honest: Vec<Caller>,
    /// Ids of banks by owner and bank.
    pub(super) bank_ids: Vec<[u32; 2]>,
    /// Ids of items, by their numbers in the plan.
    pub(super) items: BTreeMap<usize, u64>,
    /// The idempotency keys that honest members have used: each is its word and a number.
    pub(super) keys: u64,
}

impl<'p> World<'p> {
    /// Makes the honest members and their banks, in which `guest` may do all that they may themselves.
    pub(super) async fn new(plan: &'p Plan, guest: Option<&str>) -> anyhow::Result<(Self, Option<Caller>)> {
        let operator = Caller::new("")?.create("", &[pb::Role::Operator]).await?;
        let mut world = Self {
            plan,
            operator,
            honest: Vec::new(),
            bank_ids: Vec::new(),
            items: BTreeMap::new(),
            keys: 0,
        };
        for name in HONEST {
            let worker = world.member(name).await?;
            world.honest.push(worker);
        }
        let hostile = match guest {
            Some(name) => Some(world.member(name).await?),
            None => None,
        };
        for (owner, caller) in world.honest.iter().enumerate() {
            let mut ids = [0; 2];
            for (bank, id) in ids.iter_mut().enumerate() {
                let (name, idempotency_key) = (BANKS[bank].to_owned(), format!("bank {bank}"));
                let request = pb_bank::CreateBankRequest { name, idempotency_key, match_ratio: None };
                let made: pb_bank::CreateBankResponse = caller.send(Method::CreateBank, request).await?;
                *id = made.bank.context("no bank was made")?.id;
                let others = HONEST.iter().copied().enumerate().filter(|(at, _)| *at != owner);
                for name in others.map(|(_, name)| name).chain(guest) {
                    let request = pb::PutGrantRequest {
                        bank: BANKS[bank].to_owned(),
                        member: name.to_owned(),
                        capabilities: EVERYTHING.map(Into::into).to_vec(),
                        ..Default::default()
                    };
                    let _: pb::PutGrantResponse = caller.send(Method::PutGrant, request).await?;
                }
            }
            world.bank_ids.push(ids);
        }
        for (owner, caller) in world.honest.iter().enumerate() {
            for (bank, name) in BANKS.into_iter().enumerate() {
                let Terms { confirmations_min, hold_on_negatives, dispute_days } = plan.terms[owner][bank];
                let known = world.bank_ids.iter().map(|ids| ids[0]);
                let suppresses_bank_ids = if bank == 1 { known.collect() } else { Vec::new() };
                let charter = pb::Charter {
                    confirmations_min,
                    hold_on_negatives,
                    dispute_days,
                    suppresses_bank_ids,
                    match_record_days: 30,
                    ..Default::default()
                };
                let (bank, charter) = (name.to_owned(), Some(charter));
                let request = pb::SetCharterRequest { bank, charter, ..Default::default() };
                let _: pb::SetCharterResponse = caller.send(Method::SetCharter, request).await?;
            }
        }
        Ok((world, hostile))
    }

    /// Creates a member, and its worker.
    async fn member(&self, name: &str) -> anyhow::Result<Caller> {
        let request = pb::CreateMemberRequest { name: name.to_owned(), ..Default::default() };
        let _: pb::CreateMemberResponse = self.operator.send(Method::CreateMember, request).await?;
        let administrator = self.operator.create(name, &[pb::Role::Administrator]).await?;
        administrator.create("", &WORKER).await
    }

    fn key(&mut self) -> String {
        self.keys += 1;
        format!("honest {}", self.keys)
    }

    fn slot(&self, slot: usize) -> anyhow::Result<(u64, &'p Slot)> {
        let id = self.items.get(&slot).context("a step is about an item that is not there")?;
        Ok((*id, &self.plan.slots[slot]))
    }

    /// Takes one step of the plan.
    pub(super) async fn take(&mut self, step: Step, surroundings: &Surroundings) -> anyhow::Result<()> {
        match step {
            Step::Add { slot, confirmed, is_classified } => self.add(slot, confirmed, is_classified).await,
            Step::Dispute { slot } => {
                let (id, of) = self.slot(slot)?;
                let asked = self.plan.terms[of.owner][of.bank].hold_on_negatives as usize;
                let (negative, others) = (pb_model::OpinionKind::Negative, others(of.contributor));
                for member in others.into_iter().chain([of.contributor]).take(asked) {
                    self.say(member, id, negative).await?;
                }
                Ok(())
            }
            Step::Keep { slot } => {
                let (id, of) = self.slot(slot)?;
                self.resolve(of.owner, id, pb_model::Resolution::Kept).await?;
                for member in others(of.contributor).into_iter().chain([of.contributor]) {
                    self.say(member, id, pb_model::OpinionKind::Positive).await?;
                }
                Ok(())
            }
            Step::GiveUp { slot } => {
                let (id, of) = self.slot(slot)?;
                self.resolve(of.owner, id, pb_model::Resolution::Removed).await
            }
            Step::Remove { slot } => {
                let (id, of) = self.slot(slot)?;
                self.remove(of.owner, id).await
            }
            Step::Withdraw { slot } => {
                let (id, of) = self.slot(slot)?;
                for member in 0..HONEST.len() {
                    let (item_ids, idempotency_key) = (vec![id], self.key());
                    let request = pb::WithdrawOpinionsRequest { item_ids, idempotency_key };
                    let caller = &self.honest[member];
                    let _: pb::WithdrawOpinionsResponse =
                        caller.send(Method::WithdrawOpinions, request).await?;
                }
                self.remove(of.contributor, id).await
            }
            Step::HoldHere { slot, member, held } => {
                let (item_ids, idempotency_key) = (vec![self.slot(slot)?.0], self.key());
                let request = pb::SetMemberHoldRequest { item_ids, held, idempotency_key };
                let caller = &self.honest[member];
                let _: pb::SetMemberHoldResponse = caller.send(Method::SetMemberHold, request).await?;
                Ok(())
            }
            Step::Hold { slot, held } => {
                let (id, of) = self.slot(slot)?;
                let (item_ids, idempotency_key) = (vec![id], self.key());
                let request =
                    pb_bank::SetItemHoldRequest { item_ids, held, until_unix_ms: 0, idempotency_key };
                let caller = &self.honest[of.owner];
                let _: pb_bank::SetItemHoldResponse = caller.send(Method::SetItemHold, request).await?;
                Ok(())
            }
            Step::Reclassify { slot, class } => {
                let (item_id, of) = self.slot(slot)?;
                let (details, idempotency_key) = (Some(details(CLASSES[class])), self.key());
                let request = pb_bank::UpdateItemRequest { item_id, details, idempotency_key, labels: None };
                let caller = &self.honest[of.contributor];
                let _: pb_bank::UpdateItemResponse = caller.send(Method::UpdateItem, request).await?;
                Ok(())
            }
            Step::SetPolicy { member, policy: number } => {
                let source = Some(pb::set_policy_request::Source::Policy(policy(number)));
                let idempotency_key = self.key();
                let request = pb::SetPolicyRequest { source, idempotency_key, ..Default::default() };
                let caller = &self.honest[member];
                let _: pb::SetPolicyResponse = caller.send(Method::SetPolicy, request).await?;
                Ok(())
            }
            Step::Leap { days } => {
                let leap = i64::try_from(days).unwrap_or(1) * DAY_MS;
                surroundings.skew_ms.fetch_add(leap, Ordering::Relaxed);
                tokio::time::sleep(LOOKED_AT_WITHIN).await;
                Ok(())
            }
        }
    }

    async fn add(&mut self, slot: usize, confirmed: Confirmed, is_classified: bool) -> anyhow::Result<()> {
        let of = &self.plan.slots[slot];
        let class = if is_classified { CLASSES[slot % CLASSES.len()] } else { "" };
        let id = self.submit(of.contributor, slot, class).await?;
        self.items.insert(slot, id);
        for member in others(of.contributor) {
            match confirmed {
                Confirmed::ByWord => self.say(member, id, pb_model::OpinionKind::Positive).await?,
                Confirmed::BySubmission => {
                    let joined = self.submit(member, slot, "").await?;
                    anyhow::ensure!(joined == id, "the same content became another item");
                }
                Confirmed::Not => {}
            }
        }
        Ok(())
    }

    async fn submit(&mut self, member: usize, slot: usize, class: &str) -> anyhow::Result<u64> {
        let of = &self.plan.slots[slot];
        let item = pb_bank::ItemContent {
            hashes: vec![Hash::pdq(of.hash).into()],
            labels: vec!["honest".to_owned()],
            external_reference: format!("honest-{slot}"),
            details: (!class.is_empty()).then(|| details(class)),
            ..Default::default()
        };
        let bank = match (of.owner == member, BANKS[of.bank]) {
            (true, name) => name.to_owned(),
            (false, name) => format!("{}/{name}", HONEST[of.owner]),
        };
        let (items, idempotency_key) = (vec![item], self.key());
        let request = pb_bank::AddItemsRequest { bank, items, idempotency_key };
        let added: pb_bank::AddItemsResponse = self.honest[member].send(Method::AddItems, request).await?;
        added.item_ids.first().copied().context("no item was added")
    }

    async fn say(&mut self, member: usize, item: u64, kind: pb_model::OpinionKind) -> anyhow::Result<()> {
        let opinion = pb::NewOpinion { item_id: item, kind: kind.into(), ..Default::default() };
        let request = pb::PutOpinionsRequest { opinions: vec![opinion], idempotency_key: self.key() };
        let _: pb::PutOpinionsResponse = self.honest[member].send(Method::PutOpinions, request).await?;
        Ok(())
    }

    async fn resolve(&mut self, owner: usize, item: u64, how: pb_model::Resolution) -> anyhow::Result<()> {
        let (resolution, idempotency_key) = (how.into(), self.key());
        let request =
            pb::ResolveDisputeRequest { item_id: item, resolution, idempotency_key, ..Default::default() };
        let _: pb::ResolveDisputeResponse = self.honest[owner].send(Method::ResolveDispute, request).await?;
        Ok(())
    }

    async fn remove(&mut self, member: usize, item: u64) -> anyhow::Result<()> {
        let (item_ids, idempotency_key) = (vec![item], self.key());
        let request = pb_bank::RemoveItemsRequest { item_ids, idempotency_key, origin: None };
        let _: pb_bank::RemoveItemsResponse = self.honest[member].send(Method::RemoveItems, request).await?;
        Ok(())
    }

    /// What each honest member is answered now, by a frontend and matchers that have everything that was written.
    pub(super) async fn look(&self) -> anyhow::Result<Look> {
        // The change of the directory that everything before it comes with.
        let name = HONEST[0].to_owned();
        let request = pb::UpdateMemberRequest {
            name,
            is_named: Some(self.keys.is_multiple_of(2)),
            ..Default::default()
        };
        let updated: pb::UpdateMemberResponse = self.operator.send(Method::UpdateMember, request).await?;
        let mut look = Vec::new();
        for caller in &self.honest {
            let answer = self.ask(caller, Sequence(updated.sequence)).await?;
            let results = answer.results.into_iter();
            let answered = results.map(|result| match result {
                Ok(matched) => Ok(answered(&matched)),
                Err(failure) => bail!("a query failed: {failure:?}"),
            });
            look.push(answered.collect::<anyhow::Result<Vec<_>>>()?);
        }
        Ok(look)
    }

    async fn ask(&self, caller: &Caller, sequence: Sequence) -> anyhow::Result<MatchAnswer> {
        let matching = caller.matching()?;
        let contents = self.plan.queries.iter().map(|hash| hashed([Hash::pdq(*hash)]));
        let contents: Vec<Content> = contents.collect();
        for _ in 0..200 {
            let options = as_of(sequence);
            let contents = contents.clone();
            let call = MatchCall {
                contents,
                options,
                quality_floor: None,
                surface: Box::default(),
                classifiers: Vec::new(),
            };
            let answer = matching.match_content(call, soon()).await?;
            if answer.directory >= sequence {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("the frontend's directory does not come to {sequence}")
    }
}

fn answered(matched: &vigie_model::Matched) -> Answered {
    let (mut items, mut others) = (Vec::new(), 0);
    for found in &matched.found.matches {
        let reference = found.external_reference.as_deref().unwrap_or_default();
        if reference.starts_with("honest-") {
            items.push((found.bank_name.to_string(), reference.to_owned()));
        } else {
            others += 1;
        }
    }
    items.sort();
    let verdict = matched.decision.as_ref();
    let verdict = verdict.map(|by| (by.verdict.name(), by.rule.to_string(), by.suppressed));
    Answered { verdict, items, others }
}

fn details(class: &str) -> pb_bank::ItemDetails {
    let class = pb_model::Class { taxonomy: "local".into(), dimension: "kind".into(), value: class.into() };
    pb_bank::ItemDetails { classification: vec![class], ..Default::default() }
}

/// The honest members but one.
fn others(member: usize) -> [usize; 2] {
    [(member + 1) % 3, (member + 2) % 3]
}
