//! The sort orders of the directory's tables.

use std::cmp::Ordering;
use std::sync::Arc;

use vigie_model::Declaration;

use super::table::Order;
use crate::banks::bank::OwnedBank;
use crate::banks::grant::Grant;
use crate::classifiers::CardVersion;
use crate::members::credential::CredentialId;
use crate::members::member::{Member, MemberId};
use crate::members::principal::{Principal, PrincipalId};
use crate::policies::MemberPolicies;
use crate::quotas::quota::Quota;

/// Sorts rows by id.
#[derive(Debug)]
pub(super) struct ById;

/// Sorts rows by name; banks by owner, then name.
#[derive(Debug)]
pub(super) struct ByName;

/// Sorts rows by member first.
#[derive(Debug)]
pub(super) struct ByMember;

/// Sorts rows by bank first.
#[derive(Debug)]
pub(super) struct ByBank;

/// Sorts grants by member, then alias. Grants without an alias are not in such a table.
#[derive(Debug)]
pub(super) struct ByAlias;

/// Sorts rows by [`CredentialId`].
#[derive(Debug)]
pub(super) struct ByCredential;

impl Order<Arc<Member>> for ById {
    fn compare(one: &Arc<Member>, other: &Arc<Member>) -> Ordering {
        one.id.cmp(&other.id)
    }
}

impl Order<Arc<Member>> for ByName {
    fn compare(one: &Arc<Member>, other: &Arc<Member>) -> Ordering {
        one.name.cmp(&other.name)
    }
}

impl Order<(MemberId, Quota)> for ById {
    fn compare(one: &(MemberId, Quota), other: &(MemberId, Quota)) -> Ordering {
        one.0.cmp(&other.0)
    }
}

impl Order<(MemberId, Arc<MemberPolicies>)> for ById {
    fn compare(one: &(MemberId, Arc<MemberPolicies>), other: &(MemberId, Arc<MemberPolicies>)) -> Ordering {
        one.0.cmp(&other.0)
    }
}

impl Order<Arc<Declaration>> for ById {
    fn compare(one: &Arc<Declaration>, other: &Arc<Declaration>) -> Ordering {
        one.hash_type.cmp(&other.hash_type)
    }
}

impl Order<Arc<CardVersion>> for ByName {
    fn compare(one: &Arc<CardVersion>, other: &Arc<CardVersion>) -> Ordering {
        one.name().cmp(other.name())
    }
}

impl Order<Arc<Principal>> for ById {
    fn compare(one: &Arc<Principal>, other: &Arc<Principal>) -> Ordering {
        one.id.cmp(&other.id)
    }
}

impl Order<Arc<Principal>> for ByMember {
    fn compare(one: &Arc<Principal>, other: &Arc<Principal>) -> Ordering {
        (one.member, one.id).cmp(&(other.member, other.id))
    }
}

impl Order<(CredentialId, PrincipalId)> for ByCredential {
    fn compare(one: &(CredentialId, PrincipalId), other: &(CredentialId, PrincipalId)) -> Ordering {
        one.0.cmp(&other.0)
    }
}

impl Order<Arc<OwnedBank>> for ById {
    fn compare(one: &Arc<OwnedBank>, other: &Arc<OwnedBank>) -> Ordering {
        one.id.cmp(&other.id)
    }
}

impl Order<Arc<OwnedBank>> for ByName {
    fn compare(one: &Arc<OwnedBank>, other: &Arc<OwnedBank>) -> Ordering {
        (one.owner, &one.name).cmp(&(other.owner, &other.name))
    }
}

impl Order<Arc<Grant>> for ByMember {
    fn compare(one: &Arc<Grant>, other: &Arc<Grant>) -> Ordering {
        (one.member, one.bank).cmp(&(other.member, other.bank))
    }
}

impl Order<Arc<Grant>> for ByBank {
    fn compare(one: &Arc<Grant>, other: &Arc<Grant>) -> Ordering {
        (one.bank, one.member).cmp(&(other.bank, other.member))
    }
}

impl Order<Arc<Grant>> for ByAlias {
    fn compare(one: &Arc<Grant>, other: &Arc<Grant>) -> Ordering {
        (one.member, &one.alias).cmp(&(other.member, &other.alias))
    }
}
