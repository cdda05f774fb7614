//! One member against three others: whatever it does, others' verdicts stay as they are, and their items where they are.
//!
//! A seed is run twice on a cluster in which nothing goes wrong, with the hostile member and without it. The honest members do the same
//! both times; after each step they ask the same queries. Every verdict and every honest item that matches has to be the same.
//!
//! Real are the bank with its plan and its log, the feed, the shards' indexes, the frontend with its directory of members, its rights and the
//! evaluation of policies, and the protocol between them; the network, the bank's disk and its clock are simulated. No process follows
//! exchanges. Incidents are for the host to open, which is none of the members here.
//!
//! Reading order: `plan` (what honest members do), `honest`, `attack`.

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

/// Seeds of a short run.
const SEEDS: u64 = 6;
/// Calls of the hostile member after each step of the honest ones.
const BURST: usize = 24;

/// Methods for roles that every member has, on what is the host's alone. There is no referral to set the outcome of.
const HOSTS: [Method; 5] = [
    Method::ReviewReport,
    Method::AddReferral,
    Method::SetReferralOutcome,
    Method::OpenIncident,
    Method::CloseIncident,
];
/// What is hashed is no picture, the audit of this bank has no key, and what is sent of reflection asks for nothing.
const UNANSWERED: [Method; 4] =
    [Method::Hash, Method::GetCheckpoint, Method::Reflection, Method::ReflectionAlpha];

/// What a run leaves out of what protects its honest members. A test that changes nothing there would prove nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Without {
    /// Everything is as it should be.
    Nothing,
    /// One member that calls an item wrong holds it.
    TwoNegatives,
    /// What one member adds matches for all.
    TwoConfirmations,
    /// The same in banks that the hostile member shares.
    TermsOfLures,
}

/// What honest members were answered after each step, and what the hostile one did.
struct Ran {
    looks: Vec<Look>,
    tally: Tally,
}

/// What a seed came to.
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

/// Runs a seed with the hostile member and without it, and compares.
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
    // What is the host's is refused, however often it is tried.
    for method in HOSTS {
        assert!(tally.get(&method).is_none_or(|(did, _)| *did == 0), "{method} was done");
    }
    // A long enough run has called every method, and has done whatever a member may do here.
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

/// Where one word is enough, the same calls change what others are answered: the comparison finds that.
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
