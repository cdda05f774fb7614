//! A hostile member against three honest ones: whatever it does, their verdicts stay the same, and their
//! items stay where they are.
//!
//! Each seed is run twice on a cluster without faults, with the hostile member and without it. The honest
//! members do the same both times; after each step they send the same queries. Every verdict and every honest
//! item that matches has to be equal.
//!
//! Real are the bank with its plan and its log, the feed, the shards' indexes, the frontend with its
//! directory of members, its rights and the evaluation of policies, and the protocol between them; the
//! network, the bank's disk and its clock are simulated. No process follows exchanges. Only the host may open
//! incidents, and it is none of the members here.
//!
//! Reading order: `plan` (the steps of the honest members), `honest`, `attack`.

mod plan;
mod honest;
mod attack;

use std::fmt;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use rand::rngs::SmallRng;
use vigie_consortium::Method;

use crate::cluster::Surroundings;
use crate::hostile::attack::{Attack, Tally};
use crate::hostile::honest::{Look, World};
pub(crate) use crate::hostile::plan::near;
use crate::hostile::plan::{HONEST, Plan};
use crate::{quiet, seeds};

/// Number of seeds in a short run.
const SEEDS: u64 = 6;
/// Calls of the hostile member after each step of the honest ones.
const BURST: usize = 24;

/// Methods whose roles every member has, but whose objects belong to the host alone. There is no referral
/// whose outcome could be set.
const HOSTS: [Method; 5] = [
    Method::ReviewReport,
    Method::AddReferral,
    Method::SetReferralOutcome,
    Method::OpenIncident,
    Method::CloseIncident,
];
/// Methods without a successful answer here: the content for hashing is not a picture, this bank's audit has
/// no key, and the reflection requests are empty.
const UNANSWERED: [Method; 4] =
    [Method::Hash, Method::GetCheckpoint, Method::Reflection, Method::ReflectionAlpha];

/// The protection of honest members that a run leaves out. Without it a test has to find differences;
/// otherwise it would prove nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Without {
    /// All protections are in place.
    Nothing,
    /// The negative opinion of one member is enough to hold an item.
    TwoNegatives,
    /// An item of a single member matches for all.
    TwoConfirmations,
    /// Banks that the hostile member shares may have terms that accept a single member.
    TermsOfLures,
}

/// The answers of honest members after each step, and the counts of the hostile member's calls.
struct Ran {
    looks: Vec<Look>,
    tally: Tally,
}

/// The result of a seed.
struct Compared {
    answers: usize,
    matches: usize,
    tally: Tally,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (did, refused) = self.calls();
        let Self { answers, matches, .. } = self;
        write!(
            f,
            "{answers} answers with {matches} matches, beside {did} hostile calls and {refused} that were refused"
        )
    }
}

impl Compared {
    fn calls(&self) -> (u32, u32) {
        self.tally.values().fold((0, 0), |(did, refused), one| (did + one.0, refused + one.1))
    }
}

/// Runs the plan of a seed, with the hostile member or without it.
fn ran(seed: u64, plan: &Arc<Plan>, is_attacked: bool, without: Without) -> anyhow::Result<Ran> {
    let plan = Arc::clone(plan);
    quiet::run(seed ^ 0x5eed, async move |rng: SmallRng, surroundings| {
        members(&plan, &surroundings, is_attacked.then_some(rng), without).await
    })
}

async fn members(
    plan: &Plan,
    surroundings: &Surroundings,
    hostile: Option<SmallRng>,
    without: Without,
) -> anyhow::Result<Ran> {
    let (mut world, caller) = World::new(plan, hostile.as_ref().map(|_| attack::NAME)).await?;
    let mut attack = match caller.zip(hostile) {
        Some((caller, rng)) => {
            Some(Attack::begin(caller, &world, rng, without != Without::TermsOfLures).await?)
        }
        None => None,
    };
    let mut looks = Vec::new();
    for step in &plan.steps {
        world.take(*step, surroundings).await.with_context(|| format!("{step:?}"))?;
        if let Some(attack) = &mut attack {
            attack.burst(&world, BURST).await?;
        }
        looks.push(world.look().await.with_context(|| format!("after {step:?}"))?);
    }
    Ok(Ran { looks, tally: attack.map(|attack| attack.tally).unwrap_or_default() })
}

/// Runs a seed with the hostile member and without it, and compares the answers.
fn compared(seed: u64, without: Without) -> anyhow::Result<Compared> {
    let mut plan = Plan::new(seed);
    for terms in plan.terms.iter_mut().flatten() {
        match without {
            Without::TwoNegatives => terms.hold_on_negatives = 1,
            Without::TwoConfirmations => terms.confirmations_min = 0,
            Without::Nothing | Without::TermsOfLures => {}
        }
    }
    let plan = Arc::new(plan);
    let alone = ran(seed, &plan, false, without).context("without the hostile member")?;
    let attacked = ran(seed, &plan, true, without).context("with the hostile member")?;
    let (mut answers, mut matches) = (0, 0);
    for ((step, before), after) in plan.steps.iter().zip(&alone.looks).zip(&attacked.looks) {
        for (member, (before, after)) in before.iter().zip(after).enumerate() {
            for (query, (expected, answered)) in before.iter().zip(after).enumerate() {
                ensure!(
                    expected == answered,
                    "CHANGED: query {query} of {} after {step:?}: {answered:?} instead of {expected:?}",
                    HONEST[member]
                );
                answers += 1;
                matches += expected.items.len();
            }
        }
    }
    ensure!(alone.looks.len() == attacked.looks.len(), "the runs are not of equal length");
    Ok(Compared { answers, matches, tally: attacked.tally })
}

#[test]
fn a_hostile_member_changes_no_verdict_and_no_item_of_others() {
    let compared = seeds::over(SEEDS, |seed| compared(seed, Without::Nothing));
    let mut tally = Tally::new();
    for (method, (did, refused)) in compared.iter().flat_map(|one| &one.tally) {
        let all = tally.entry(*method).or_default();
        *all = (all.0 + did, all.1 + refused);
    }
    for (method, (did, refused)) in &tally {
        println!("{method}: {did} done, {refused} refused");
    }
    // Objects of the host are refused, however often they are tried.
    for method in HOSTS {
        assert!(tally.get(&method).is_none_or(|(did, _)| *did == 0), "{method} was done");
    }
    // A run that is long enough has called every method, and has succeeded with each that a member may call
    // here.
    let calls: u32 = tally.values().map(|(did, refused)| did + refused).sum();
    if calls >= 3_000 {
        for method in attack::open_to_members() {
            let is_done = tally.get(&method).is_some_and(|(did, _)| *did > 0);
            let may_be_done = !HOSTS.contains(&method) && !UNANSWERED.contains(&method);
            assert!(tally.contains_key(&method) && is_done == may_be_done, "{method}: done {is_done}");
        }
    }
    assert!(compared.iter().all(|one| one.answers > 0));
    assert!(compared.iter().map(|one| one.matches).sum::<usize>() > 0, "nothing matched");
}

/// Where one opinion or one submission is enough, the same calls change the answers of others, and the
/// comparison detects it.
#[test]
fn a_hostile_member_is_found_where_one_word_is_enough() {
    std::thread::scope(|scope| {
        for without in [Without::TwoNegatives, Without::TwoConfirmations, Without::TermsOfLures] {
            scope.spawn(move || {
                let found = (0..64).find_map(|seed| {
                    let fault = format!("{:#}", compared(seed, without).err()?);
                    assert!(fault.starts_with("CHANGED: "), "{without:?}, seed {seed}: {fault}");
                    Some(fault)
                });
                println!("{without:?}: {}", found.unwrap_or_else(|| panic!("{without:?} changes nothing")));
            });
        }
    });
}
