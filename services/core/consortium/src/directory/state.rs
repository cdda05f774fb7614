//! A directory as rows, for a follower that does not begin with the log's first change.

use std::sync::Arc;

use vigie_model::{BankId, Sequence, SetDigest};

use super::Directory;
use super::element::Used;
use crate::banks::bank::OwnedBank;
use crate::banks::grant::Grant;
use crate::members::member::{Member, MemberId};
use crate::members::principal::{Principal, PrincipalId};
use crate::quotas::quota::Quota;

/// Everything of a directory, each list by ascending id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryState {
    /// As of this change.
    pub sequence: Sequence,
    /// The largest id of a principal that was ever used.
    pub principal_used: PrincipalId,
    /// The largest id of a bank that was ever used.
    pub bank_used: BankId,
    /// Members; the host is among them.
    pub members: Vec<Member>,
    /// Limits that were set.
    pub quotas: Vec<(MemberId, Quota)>,
    /// Living principals.
    pub principals: Vec<Principal>,
    /// Living banks.
    pub banks: Vec<OwnedBank>,
    /// Grants, by member, then bank.
    pub grants: Vec<Grant>,
}

impl Directory {
    /// Everything, as rows.
    #[must_use]
    pub fn state(&self) -> DirectoryState {
        fn owned<R: Clone>(rows: &[Arc<R>]) -> Vec<R> {
            rows.iter().map(|row| R::clone(row)).collect()
        }
        DirectoryState {
            sequence: self.sequence,
            principal_used: self.used.principal,
            bank_used: self.used.bank,
            members: owned(self.members.rows()),
            quotas: self.quotas.rows().to_vec(),
            principals: owned(self.principals.rows()),
            banks: owned(self.banks.rows()),
            grants: owned(self.grants.rows()),
        }
    }

    /// The directory of these rows, which another directory gave, if its digest is `expected`; the bank proves that together with its
    /// log. `None` for rows that were damaged, lost or doubled on their way.
    #[must_use]
    pub fn from_state(state: DirectoryState, expected: SetDigest) -> Option<Self> {
        let mut directory = Self::new();
        state.members.into_iter().for_each(|row| directory.set_member(Arc::new(row)));
        state.quotas.into_iter().for_each(|(member, quota)| directory.set_quota(member, quota));
        state.principals.into_iter().for_each(|row| directory.set_principal(Arc::new(row)));
        state.banks.into_iter().for_each(|row| directory.set_bank(Arc::new(row)));
        state.grants.into_iter().for_each(|row| directory.set_grant(Arc::new(row)));
        directory.set_used(Used { principal: state.principal_used, bank: state.bank_used });
        directory.sequence = state.sequence;
        (directory.digest == expected).then_some(directory)
    }
}
