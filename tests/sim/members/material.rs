//! The members, banks and hashes of a run.

use rand::RngExt as _;
use rand::rngs::SmallRng;
use vigie_consortium::MemberName;
use vigie_model::{BankName, BankRef, Hash, HashType};
use vigie_tests::material::pdq_of_a_picture;

/// The members in addition to the host.
pub(super) const MEMBERS: [&str; 3] = ["acme", "boreal", "umbra"];
/// The owner of each bank.
pub(super) const OWNERS: [usize; 6] = [0, 1, 2, 0, 1, 2];
/// For each bank, the number of members that have to confirm an item before it matches for others, its
/// contributor included; 0 for none.
pub(super) const CONFIRMATIONS_MIN: [usize; 6] = [0, 0, 0, 2, 2, 2];
/// Number of hashes from which items are drawn: so few that several banks have the same.
const HASHES: usize = 16;

/// The hashes and names of a run.
#[derive(Debug)]
pub(super) struct Material {
    hashes: Vec<Hash>,
}

impl Material {
    pub(super) fn new(rng: &mut SmallRng) -> Self {
        let hash = |at: usize| {
            if at.is_multiple_of(2) { Hash::md5(rng.random()) } else { Hash::pdq(pdq_of_a_picture(rng)) }
        };
        Self { hashes: (0..HASHES).map(hash).collect() }
    }

    pub(super) fn hash(&self, at: usize) -> Hash {
        self.hashes[at].clone()
    }

    pub(super) fn hash_type(&self, at: usize) -> HashType {
        self.hashes[at].hash_type()
    }

    pub(super) fn count(&self) -> usize {
        self.hashes.len()
    }

    pub(super) fn member(&self, member: usize) -> MemberName {
        MEMBERS[member].parse().expect("a name of a member")
    }

    pub(super) fn bank(&self, bank: usize) -> BankName {
        format!("known-{bank}").parse().expect("a name of a bank")
    }

    /// Returns a bank's name for a member that owns it or that it is shared with.
    pub(super) fn name_for(&self, member: usize, bank: usize) -> BankRef {
        let owner = (OWNERS[bank] != member).then(|| self.member(OWNERS[bank]));
        BankRef { owner, name: self.bank(bank) }
    }
}
