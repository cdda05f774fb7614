//! A directory for concurrent readers, with each member's sets of banks, which are computed at first use.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use vigie_model::{BankId, BankSet, Distance, HashType, Stills, Threshold, UnixMillis};

use super::member_banks::{MemberBanks, Relation};
use crate::banks::bank::{BankRef, OwnedBank};
use crate::banks::charter::Charter;
use crate::directory::Directory;
use crate::members::member::MemberId;
use crate::members::principal::PrincipalId;

/// A state of the directory with each member's sets of banks. A change of the directory creates a new view.
///
/// A member's sets are computed at its first search after a change, and again after a grant of its own
/// expires. Readers take no lock.
#[derive(Debug)]
pub struct View {
    directory: Directory,
    /// The sets, by the member's index in the directory.
    sets: Box<[ArcSwapOption<MemberBanks>]>,
    /// The names of principals in logs, by their indices in the directory.
    names: Box<[OnceLock<Arc<str>>]>,
    stills: Stills,
    thresholds: Box<[Threshold]>,
}

impl From<Directory> for View {
    fn from(directory: Directory) -> Self {
        let sets = directory.members().iter().map(|_| ArcSwapOption::empty()).collect();
        let names = directory.principals().iter().map(|_| OnceLock::new()).collect();
        let of_charters = |says: fn(&Charter) -> bool| {
            let banks = directory.banks().iter().filter(|bank| says(&bank.charter)).map(|bank| bank.id);
            let banks: BankSet = banks.collect();
            (!banks.is_empty()).then(|| Arc::new(banks))
        };
        let stills = Stills {
            frames_of: of_charters(Charter::frames_answer_images),
            images_of: of_charters(Charter::images_answer_videos),
        };
        let thresholds = thresholds(&directory);
        Self { directory, sets, names, stills, thresholds }
    }
}

impl View {
    /// Returns the directory.
    #[must_use]
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Returns the banks whose charters let videos and images match each other, for all members.
    #[must_use]
    pub const fn stills(&self) -> &Stills {
        &self.stills
    }

    /// Returns the distances of vectors that charters set, for all members: each pair of hash type and
    /// distance once, with its banks.
    #[must_use]
    pub const fn thresholds(&self) -> &[Threshold] {
        &self.thresholds
    }

    /// Returns the sets of banks of a member at `now`; empty sets if the member does not exist.
    #[must_use]
    pub fn banks(&self, member: MemberId, now: UnixMillis) -> Arc<MemberBanks> {
        let compute = || Arc::new(MemberBanks::new(&self.directory, member, now));
        let Some(held) = self.directory.member_place(member).and_then(|at| self.sets.get(at)) else {
            return compute();
        };
        if let Some(sets) = held.load_full().filter(|sets| sets.holds_at(now)) {
            return sets;
        }
        // Two calls may compute the sets at the same time; both results are correct.
        let sets = compute();
        held.store(Some(Arc::clone(&sets)));
        sets
    }

    /// Returns the name of a principal in logs and fair shares: its member's name, and its number. `None` if
    /// the principal or its member does not exist.
    #[must_use]
    pub fn principal_name(&self, id: PrincipalId) -> Option<Arc<str>> {
        let name = self.names.get(self.directory.principal_place(id)?)?;
        if let Some(name) = name.get() {
            return Some(Arc::clone(name));
        }
        let member = self.directory.member(self.directory.principal(id)?.member)?;
        Some(Arc::clone(name.get_or_init(|| format!("{}/{id}", member.name).into())))
    }

    /// Resolves a name to a bank and its relation to the member. `None` if there is no such bank, or the
    /// member may not see it.
    ///
    /// A flat name is the name of an own bank or an alias; never both, since the directory refuses that.
    pub(super) fn resolve(
        &self,
        member: MemberId,
        name: &BankRef,
        now: UnixMillis,
    ) -> Option<(&Arc<OwnedBank>, Relation)> {
        let directory = &self.directory;
        let bank = match &name.owner {
            Some(owner) => directory.bank_called(directory.member_called(owner)?.id, &name.name)?,
            None => match directory.bank_called(member, &name.name) {
                Some(own) => own,
                None => directory.bank(directory.grant_called(member, &name.name)?.bank)?,
            },
        };
        Some((bank, Relation::of(directory, bank, member, now)?))
    }

    /// Whether a member sees the details of a bank's items: it owns the bank, or the bank is shared with it
    /// with details or hashes.
    #[must_use]
    pub fn sees_details(&self, member: MemberId, bank: &OwnedBank, now: UnixMillis) -> bool {
        let relation = Relation::of(&self.directory, bank, member, now);
        relation.is_some_and(Relation::sees_details)
    }

    /// Returns the name of a bank in answers to a member: the plain name of an own bank, otherwise the
    /// member's alias, or else owner and name. `None` if the member may not see the bank.
    #[must_use]
    pub fn name_for(&self, member: MemberId, bank: &OwnedBank, now: UnixMillis) -> Option<BankRef> {
        if bank.owner == member {
            return Some(bank.name.clone().into());
        }
        let grant = self.directory.grant(bank.id, member).filter(|grant| !grant.expiry.is_over(now))?;
        match &grant.alias {
            Some(alias) => Some(alias.clone().into()),
            None => {
                let owner = self.directory.member(bank.owner)?.name.clone();
                Some(BankRef { owner: Some(owner), name: bank.name.clone() })
            }
        }
    }
}

fn thresholds(directory: &Directory) -> Box<[Threshold]> {
    let mut banks = BTreeMap::<(HashType, Distance), Vec<BankId>>::new();
    for bank in directory.banks() {
        for one in bank.charter.vector_distances() {
            banks.entry(*one).or_default().push(bank.id);
        }
    }
    let threshold = |((hash_type, distance), banks): (_, Vec<BankId>)| {
        let banks = Arc::new(banks.into_iter().collect());
        Threshold { hash_type, distance, banks }
    };
    banks.into_iter().map(threshold).collect()
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = &self.directory;
        write!(
            f,
            "{} members, {} principals, {} banks as of {}",
            directory.members().len(),
            directory.principals().len(),
            directory.banks().len(),
            directory.sequence()
        )
    }
}
