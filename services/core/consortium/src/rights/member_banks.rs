//! The sets of banks of one member, as of one state of the directory.

use std::sync::Arc;

use vigie_model::{BankId, BankSet, Sequence, UnixMillis};

use crate::banks::bank::OwnedBank;
use crate::banks::grant::{Capabilities, Capability, Grant};
use crate::directory::Directory;
use crate::members::member::{MemberId, MemberState};

/// The relation of a bank to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// The member owns the bank.
    Own,
    /// Another member's bank, shared with the member.
    Granted(Capabilities),
}

impl Relation {
    /// Returns the relation of the bank to the member; `None` if the bank does not exist for the member.
    pub(super) fn of(
        directory: &Directory,
        bank: &OwnedBank,
        member: MemberId,
        now: UnixMillis,
    ) -> Option<Self> {
        if bank.owner == member {
            return Some(Self::Own);
        }
        let grant = directory.grant(bank.id, member).filter(|grant| !grant.expiry.is_over(now))?;
        Some(Self::Granted(grant.capabilities))
    }

    pub(super) fn allows(self, capability: Capability) -> bool {
        match self {
            Self::Own => true,
            Self::Granted(capabilities) => capabilities.contains(capability),
        }
    }

    /// Whether the member sees details of items: it may see hashes or details.
    pub(super) fn sees_details(self) -> bool {
        self.allows(Capability::SeeHashes) || self.allows(Capability::SeeDetails)
    }
}

/// Whether a bank that may be searched is searched now and its matches are returned.
pub(super) fn is_searched(directory: &Directory, bank: &OwnedBank) -> bool {
    is_there(directory, bank) && !bank.charter.is_shadow()
}

/// Whether a bank is enabled and its owner is not quarantined.
fn is_there(directory: &Directory, bank: &OwnedBank) -> bool {
    let owner = directory.member(bank.owner).map(|owner| owner.state);
    bank.enabled && owner.is_some_and(|state| state != MemberState::Quarantined)
}

/// The sets of banks of one member: computed once, with one bit for each bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberBanks {
    /// The sequence of the directory from which the sets were computed. Together with the member and
    /// [`Self::valid_until`] it identifies the sets.
    pub sequence: Sequence,
    /// Enabled banks, own or shared for matching, of owners who are not quarantined, except those in shadow.
    pub searched: Arc<BankSet>,
    /// The banks, searched or in shadow, that may have matches which are not returned: all banks in shadow,
    /// and banks whose items need confirmations first.
    pub aside: Arc<BankSet>,
    /// Banks that the member sees in any way.
    pub visible: BankSet,
    /// Banks whose hashes the member may read.
    pub hashes: BankSet,
    valid_from: UnixMillis,
    valid_until: Option<UnixMillis>,
}

impl MemberBanks {
    /// Computes the sets: one step for each own bank and each grant.
    #[must_use]
    pub fn new(directory: &Directory, member: MemberId, now: UnixMillis) -> Self {
        let own = directory.banks_of(member).iter().map(|bank| (bank, None));
        let is_living = |grant: &&Grant| !grant.expiry.is_over(now);
        let granted = || directory.grants_to(member).iter().map(AsRef::as_ref).filter(is_living);
        let shared = granted().filter_map(|grant| Some((directory.bank(grant.bank)?, Some(grant))));
        let all: Vec<(&OwnedBank, Option<&Grant>)> =
            own.chain(shared).map(|(bank, grant)| (bank.as_ref(), grant)).collect();
        let with = |capability: Option<Capability>, is_fit: &dyn Fn(&OwnedBank) -> bool| {
            let may = |grant: Option<&Grant>| match (grant, capability) {
                (None, _) | (_, None) => true,
                (Some(grant), Some(capability)) => grant.capabilities.contains(capability),
            };
            all.iter()
                .filter(|(bank, grant)| may(*grant) && is_fit(bank))
                .map(|(bank, _)| bank.id)
                .collect::<BankSet>()
        };
        Self {
            sequence: directory.sequence(),
            searched: Arc::new(with(Some(Capability::Match), &|bank| is_searched(directory, bank))),
            aside: Arc::new(with(Some(Capability::Match), &|bank| {
                let may_be_aside = bank.charter.is_shadow() || bank.charter.confirmations_min().is_some();
                may_be_aside && is_there(directory, bank)
            })),
            visible: with(None, &|_| true),
            hashes: with(Some(Capability::SeeHashes), &|_| true),
            valid_from: now,
            valid_until: granted().filter_map(|grant| grant.expiry.moment()).min(),
        }
    }

    /// Returns the time at which the first of the grants expires. From then on the sets must be computed
    /// again.
    #[must_use]
    pub const fn valid_until(&self) -> Option<UnixMillis> {
        self.valid_until
    }

    /// Whether the sets are valid at `now`. They are not valid before their own time: if the clock went back,
    /// a grant may not have expired yet.
    pub(super) fn holds_at(&self, now: UnixMillis) -> bool {
        now >= self.valid_from && self.valid_until.is_none_or(|until| now < until)
    }

    /// Whether the member sees the bank.
    #[must_use]
    pub fn sees(&self, bank: BankId) -> bool {
        self.visible.contains(bank)
    }
}
