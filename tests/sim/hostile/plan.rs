//! The steps of the honest members in a run, drawn from its seed before it begins.
//!
//! Opinions of honest members keep a distance of two from every number that a charter or a policy requires:
//! either they reach it on their own, or two more would be needed. So a single further member cannot change a
//! result. Decisions of several members together are outside this test, and so are policies that depend on
//! the opinion of any single member (`disputed`).

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngExt as _};
use vigie_model::PdqHash;
use vigie_tests::material::{generator, pdq_of_a_picture};

/// The honest members.
pub(super) const HONEST: [&str; 3] = ["acme", "boreal", "cirrus"];
/// The banks of each member: known content, and an allow-list that suppresses matches of all known content.
pub(super) const BANKS: [&str; 2] = ["known", "benign"];
/// The most items in a run.
const SLOTS: usize = 8;
const STEPS: usize = 14;

/// Number of policies that honest members choose from.
const POLICIES: usize = 6;

/// An item that honest members bank.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) hash: PdqHash,
    /// The owner of its bank.
    pub(super) owner: usize,
    /// The number of the bank among the owner's banks.
    pub(super) bank: usize,
    pub(super) contributor: usize,
}

/// How the members that did not add an item confirm it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmed {
    /// With positive opinions.
    ByWord,
    /// By submissions of their own.
    BySubmission,
    /// They do not, although three members are required.
    Not,
}

/// The terms of a bank's charter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) confirmations_min: u32,
    pub(super) hold_on_negatives: u32,
    pub(super) dispute_days: u32,
}

/// A step of the honest members.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// An item is added, with or without a class, and confirmed.
    Add { slot: usize, confirmed: Confirmed, is_classified: bool },
    /// As many members as the charter requires record a negative opinion.
    Dispute { slot: usize },
    /// The owner keeps the item, and the members change their negative opinions to positive ones.
    Keep { slot: usize },
    /// The owner resolves the dispute by removing the item.
    GiveUp { slot: usize },
    /// The owner removes the item.
    Remove { slot: usize },
    /// The others withdraw their opinions, and its contributor withdraws its submission.
    Withdraw { slot: usize },
    /// A member holds the item for itself, or lifts that hold.
    HoldHere { slot: usize, member: usize, held: bool },
    /// The owner holds the item, or lifts that hold.
    Hold { slot: usize, held: bool },
    /// Its contributor changes its class.
    Reclassify { slot: usize, class: usize },
    /// A member sets another policy.
    SetPolicy { member: usize, policy: usize },
    /// The bank's clock jumps forward.
    Leap { days: u64 },
}

/// All steps of the honest members, and their queries.
#[derive(Debug)]
pub(super) struct Plan {
    /// The terms, by owner and bank.
    pub(super) terms: [[Terms; 2]; 3],
    pub(super) slots: Vec<Slot>,
    pub(super) steps: Vec<Step>,
    pub(super) queries: Vec<PdqHash>,
}

/// The state of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Living(Confirmed),
    Disputed,
    Gone,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = generator(seed);
        let mut terms = || Terms {
            confirmations_min: rng.random_range(2..4),
            hold_on_negatives: rng.random_range(2..4),
            dispute_days: *[1, 14].choose(&mut rng).expect("there are two"),
        };
        let terms = [0, 1, 2].map(|_| [terms(), terms()]);
        let mut slot = || Slot {
            hash: pdq_of_a_picture(&mut rng),
            owner: rng.random_range(0..3),
            bank: usize::from(rng.random_bool(0.25)),
            contributor: rng.random_range(0..3),
        };
        let slots: Vec<Slot> = (0..SLOTS).map(|_| slot()).collect();
        let strangers: Vec<PdqHash> = (0..2).map(|_| pdq_of_a_picture(&mut rng)).collect();
        let banked = slots.iter().map(|slot| slot.hash);
        let queries = banked.clone().chain(banked.map(|hash| near(&hash, 8, &mut rng))).chain(strangers);
        let queries = queries.collect();
        let steps = steps(&slots, &terms, &mut rng);
        Self { terms, slots, steps, queries }
    }
}

/// Returns a hash at this even distance, with the same number of set bits.
pub(crate) fn near(hash: &PdqHash, distance: usize, rng: &mut SmallRng) -> PdqHash {
    let mut near = *hash;
    let is_set = |at: &usize| hash[at / 8] & (1 << (at % 8)) != 0;
    let (ones, zeros): (Vec<usize>, Vec<usize>) = (0..256).partition(is_set);
    for bits in [ones, zeros] {
        bits.sample(rng, distance / 2).for_each(|at| near[at / 8] ^= 1 << (at % 8));
    }
    near
}

fn steps(slots: &[Slot], terms: &[[Terms; 2]; 3], rng: &mut SmallRng) -> Vec<Step> {
    let mut states = vec![State::New; slots.len()];
    let (mut held_here, mut held) = (vec![[false; 3]; slots.len()], vec![false; slots.len()]);
    let mut steps: Vec<Step> = (0..3).map(|member| set_policy(member, rng)).collect();
    while steps.len() < STEPS {
        let at = rng.random_range(0..slots.len());
        let slot = &slots[at];
        let step = match (states[at], rng.random_range(0..12)) {
            (_, 0) => set_policy(rng.random_range(0..3), rng),
            (_, 1) => Step::Leap { days: rng.random_range(1..20) },
            (State::New, _) => {
                let may_be_alone = terms[slot.owner][slot.bank].confirmations_min == 3;
                let confirmed = match rng.next_u32() % 4 {
                    0 if may_be_alone => Confirmed::Not,
                    1 => Confirmed::BySubmission,
                    _ => Confirmed::ByWord,
                };
                states[at] = State::Living(confirmed);
                Step::Add { slot: at, confirmed, is_classified: rng.random() }
            }
            (State::Living(_), 2) => {
                states[at] = State::Gone;
                Step::Remove { slot: at }
            }
            (State::Living(Confirmed::ByWord | Confirmed::Not), 3) if slot.contributor != slot.owner => {
                states[at] = State::Gone;
                Step::Withdraw { slot: at }
            }
            (State::Living(Confirmed::ByWord), 4 | 5) => {
                states[at] = State::Disputed;
                Step::Dispute { slot: at }
            }
            (State::Living(_), 6) => Step::Reclassify { slot: at, class: rng.random_range(0..3) },
            (State::Living(_), 7 | 8) => {
                let member = rng.random_range(0..3);
                held_here[at][member] ^= true;
                Step::HoldHere { slot: at, member, held: held_here[at][member] }
            }
            (State::Living(_), 9) => {
                held[at] ^= true;
                Step::Hold { slot: at, held: held[at] }
            }
            (State::Disputed, 2) => {
                states[at] = State::Gone;
                Step::GiveUp { slot: at }
            }
            (State::Disputed, 3..8) => {
                states[at] = State::Living(Confirmed::ByWord);
                Step::Keep { slot: at }
            }
            (State::Living(_) | State::Disputed | State::Gone, _) => continue,
        };
        steps.push(step);
    }
    steps
}

fn set_policy(member: usize, rng: &mut SmallRng) -> Step {
    Step::SetPolicy { member, policy: rng.random_range(0..POLICIES) }
}
