//! Scripts that reconstruct a hash from the answers to altered copies of it. All queries have 128 bits set: a
//! set bit is exchanged with an unset one.

use rand::RngExt as _;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use vigie_model::PdqHash;

use super::deployment::{Deployment, MEMBER};

/// The part of an answer that a script reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// The distance.
    Distance,
    /// The bucket of the distance: 0, 1 to 10, 11 to 20, or 21 to 31.
    Bucket,
    /// Whether there is a match.
    Match,
}

/// The result of a script.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extraction {
    /// The reconstructed hash.
    pub(super) hash: PdqHash,
    pub(super) queries: u32,
    /// The number of different queries that were not answered by a repetition.
    pub(super) answered: u32,
}

/// Returns a random hash with 128 set bits, like that of a picture.
pub(super) fn picture_hash(random: &mut SmallRng) -> PdqHash {
    let mut bits: Vec<usize> = (0..256).collect();
    bits.shuffle(random);
    let mut hash = [0; 32];
    bits.iter().take(128).for_each(|bit| flip(&mut hash, *bit));
    hash
}

fn flip(hash: &mut PdqHash, bit: usize) {
    hash[bit / 8] ^= 1 << (bit % 8);
}

/// Returns the set bits and the unset bits, each in random order.
fn sides(hash: PdqHash, random: &mut SmallRng) -> (Vec<usize>, Vec<usize>) {
    let is_set = |bit: &usize| hash[bit / 8] >> (bit % 8) & 1 == 1;
    let (mut set, mut unset): (Vec<usize>, Vec<usize>) = (0..256).partition(is_set);
    set.shuffle(random);
    unset.shuffle(random);
    (set, unset)
}

fn exchanged(mut hash: PdqHash, pairs: &[(usize, usize)]) -> PdqHash {
    for (one, other) in pairs {
        flip(&mut hash, *one);
        flip(&mut hash, *other);
    }
    hash
}

/// Returns the hash with one random pair of bits exchanged.
pub(super) fn exchange(hash: PdqHash, random: &mut SmallRng) -> PdqHash {
    let (set, unset) = sides(hash, random);
    exchanged(hash, &[(set[random.random_range(0..128)], unset[random.random_range(0..128)])])
}

/// A caller that counts its queries.
struct Caller<'a> {
    deployment: &'a Deployment,
    reads: Reads,
    /// Whether the caller ignores repetitions.
    stops: bool,
    asked: Vec<PdqHash>,
    queries: u32,
    answered: u32,
}

impl Caller<'_> {
    /// Returns how near the query is, coarsely: less is nearer, `u32::MAX` is no match. `None`: the answer is
    /// ignored.
    fn level(&mut self, query: PdqHash) -> Option<u32> {
        self.queries += 1;
        let answer = self.deployment.ask(MEMBER, query).unwrap();
        if !self.asked.contains(&query) {
            self.asked.push(query);
            // A repetition is not an answer to this query.
            self.answered += u32::from(!answer.is_repeated);
        }
        if self.stops && answer.is_repeated {
            return None;
        }
        Some(answer.distance.map_or(u32::MAX, |distance| match self.reads {
            Reads::Distance => distance,
            Reads::Bucket => distance.div_ceil(10).min(3),
            Reads::Match => 0,
        }))
    }

    fn extraction(&self, hash: PdqHash) -> Extraction {
        Extraction { hash, queries: self.queries, answered: self.answered }
    }
}

fn caller(deployment: &Deployment, reads: Reads, stops: bool) -> Caller<'_> {
    Caller { deployment, reads, stops, asked: Vec::new(), queries: 0, answered: 0 }
}

/// Walks to the point where the answer changes, exchanges each pair of bits there, and then each bit of a
/// pair with one that is known.
pub(super) fn extract(
    deployment: &Deployment,
    copy: PdqHash,
    reads: Reads,
    random: &mut SmallRng,
    stops: bool,
) -> Extraction {
    let mut caller = caller(deployment, reads, stops);
    let mut base = copy;
    let Some(mut level) = caller.level(base) else { return caller.extraction(copy) };
    // The bound is for scripts that take repetitions for answers, whose walk has no other end.
    for _ in 0..100 {
        let next = exchange(base, random);
        match caller.level(next) {
            None => return caller.extraction(base),
            Some(further) if further > level => break,
            Some(further) => (base, level) = (next, further),
        }
    }
    let (set, unset) = sides(base, random);
    let mut guess = base;
    let (mut right, mut mixed) = (None, Vec::new());
    'pairs: for pair in set.into_iter().zip(unset) {
        match caller.level(exchanged(base, &[pair])) {
            None => break,
            // Both bits were right.
            Some(further) if further > level => right = right.or(Some(pair)),
            Some(_) => mixed.push(pair),
        }
        let Some((right_set, right_unset)) = right else { continue };
        for (one, other) in mixed.drain(..) {
            for (probe, bit) in [((one, right_unset), one), ((right_set, other), other)] {
                match caller.level(exchanged(base, &[probe])) {
                    None => break 'pairs,
                    Some(further) if further > level => {}
                    Some(_) => flip(&mut guess, bit),
                }
            }
        }
    }
    caller.extraction(guess)
}

/// A script that accounts for the budget: it exchanges five pairs at once, derives from the exact distance
/// how many of the ten bits were wrong, and halves the groups that had any.
pub(super) fn extract_by_groups(deployment: &Deployment, copy: PdqHash, random: &mut SmallRng) -> Extraction {
    let mut caller = caller(deployment, Reads::Distance, true);
    let Some(base) = caller.level(copy) else { return caller.extraction(copy) };
    let (set, unset) = sides(copy, random);
    let pairs: Vec<(usize, usize)> = set.into_iter().zip(unset).collect();
    let mut guess = copy;
    let (mut right, mut single) = (None, Vec::new());
    let wrong = |caller: &mut Caller<'_>, group: &[(usize, usize)]| {
        let changed = u32::try_from(2 * group.len()).unwrap();
        caller.level(exchanged(copy, group)).map(|level| (base + changed).saturating_sub(level) / 2)
    };
    'groups: for group in pairs.chunks(5) {
        let Some(of_group) = wrong(&mut caller, group) else { break };
        let mut counted = vec![(group, of_group)];
        while let Some((group, count)) = counted.pop() {
            if count == 0 {
                right = right.or(group.first().copied());
            } else if group.len() == 1 && count == 2 {
                guess = exchanged(guess, group);
            } else if let [pair] = *group {
                single.push(pair);
            } else {
                let (left, rest) = group.split_at(group.len() / 2);
                let Some(of_left) = wrong(&mut caller, left) else { break 'groups };
                counted.extend([(left, of_left), (rest, count.saturating_sub(of_left))]);
            }
        }
        let Some((_, right)) = right else { continue };
        for (one, other) in single.drain(..) {
            match wrong(&mut caller, &[(one, right)]) {
                None => break 'groups,
                Some(0) => flip(&mut guess, other),
                Some(_) => flip(&mut guess, one),
            }
        }
    }
    caller.extraction(guess)
}
