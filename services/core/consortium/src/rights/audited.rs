//! The way in which calls of each method are audited. A method without a row does not compile.

use super::method::Method;

/// The way in which calls of a method are audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audited {
    /// Each call that changes something gets an entry, in the transaction of its change. Refused calls are
    /// counted.
    Written,
    /// Each call that returns hashes of items gets an entry, before the answer is sent. Refused calls are
    /// counted.
    Read,
    /// Calls and refused calls are counted; the counts are recorded some seconds later.
    Counted,
    /// Searches are counted, and recorded once an hour. Refused calls are counted.
    Searched,
    /// Only refused calls are counted.
    Refused,
    /// No call is recorded: anybody may make it, or the deployment makes it for itself several times a
    /// second.
    Never,
}

impl Method {
    /// Returns the way in which calls of the method are audited.
    #[must_use]
    pub const fn audited(self) -> Audited {
        match self {
            Self::Match | Self::MatchStream | Self::MatchVideo => Audited::Searched,
            Self::CreateBank
            | Self::RenameBank
            | Self::SetBankEnabled
            | Self::SetBankMatchRatio
            | Self::DeleteBank
            | Self::AddItems
            | Self::RemoveItems
            | Self::UpdateItem
            | Self::RestoreItems
            | Self::SetItemHold
            | Self::AddExchange
            | Self::SetExchangeEnabled
            | Self::RemoveExchange
            | Self::FetchExchangeNow
            | Self::ApplyExchangePage
            | Self::ReportExchange
            | Self::CreateMember
            | Self::UpdateMember
            | Self::SetMemberState
            | Self::SetTokenIssuers
            | Self::CreatePrincipal
            | Self::RotateKey
            | Self::RevokePrincipal
            | Self::PutGrant
            | Self::RevokeGrant
            | Self::SetAlias
            | Self::SetQuota
            | Self::SetCharter
            | Self::DeclareHashType
            | Self::PutModelCard
            | Self::PutOpinions
            | Self::WithdrawOpinions
            | Self::ResolveDispute
            | Self::SetMemberHold
            | Self::ReportFloods
            | Self::SetPolicy
            | Self::SubmitReport
            | Self::ReviewReport
            | Self::SetDecisionOutcome
            | Self::AddReferral
            | Self::SetReferralOutcome
            | Self::OpenIncident
            | Self::CloseIncident
            | Self::SetIncidentSubscription => Audited::Written,
            Self::GetItem
            | Self::ListItems
            | Self::FindItems
            | Self::ReadBankChanges
            | Self::ReadPublishedList => Audited::Read,
            // Feeds contain every hash of a shard. Reading members or the audit is part of administration.
            Self::FeedWatch
            | Self::FeedLoad
            | Self::GetMember
            | Self::ListMembers
            | Self::ListPrincipals
            | Self::ListGrants
            | Self::GetCharter
            | Self::ListRemovedItems
            | Self::GetExchange
            | Self::ListExchanges
            | Self::ListOpinions
            | Self::ListDisputes
            | Self::ListMemberHolds
            | Self::GetPolicy
            | Self::TryPolicy
            | Self::GetStatistics
            | Self::ListReports
            | Self::GetDecision
            | Self::ListDecisions
            | Self::ListReferrals
            | Self::ListIncidents
            | Self::ListEntries
            | Self::GetCheckpoint
            | Self::ProveInclusion
            | Self::ProveConsistency
            | Self::ScoreConversation
            | Self::MeasureScores => Audited::Counted,
            Self::Hash
            | Self::HashVideo
            | Self::DescribeDecoding
            | Self::GetBank
            | Self::ListBanks
            | Self::GetLogHead
            | Self::WhoAmI
            | Self::ListHashTypes
            | Self::GetModelCard
            | Self::ListModelCards
            | Self::ClassifierScore
            | Self::DescribeModels
            | Self::CoordinatorSearch
            | Self::DescribeTopology
            | Self::MatcherSearch
            | Self::MatcherWatch
            | Self::MatcherDescribe
            | Self::ReadDirectory
            | Self::RecordCalls
            | Self::RecordMatches
            | Self::RecordDecisions
            | Self::RecordLatencies
            | Self::AcquireExchangeLease
            | Self::ListExchangeRecords => Audited::Refused,
            Self::HealthCheck | Self::HealthWatch | Self::Reflection | Self::ReflectionAlpha => {
                Audited::Never
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::role::Role;

    #[test]
    fn whatever_a_credential_is_needed_for_is_recorded_when_it_is_refused() {
        for method in Method::ALL {
            assert_eq!(method.audited() == Audited::Never, method.is_for_anyone(), "{method}");
        }
    }

    /// Every method with which only administrators and operators change something is audited as a write.
    #[test]
    fn what_only_administrators_and_operators_may_do_is_recorded() {
        let others = [Role::Matcher, Role::Contributor, Role::Reviewer, Role::Auditor];
        for method in Method::ALL {
            let administers = method.is_open_to(Role::Administrator) || method.is_open_to(Role::Operator);
            let is_open_to_others = others.into_iter().any(|role| method.is_open_to(role));
            let is_described =
                matches!(method, Method::DescribeTopology | Method::MatcherDescribe | Method::DescribeModels);
            if administers && !is_open_to_others && !is_described {
                assert_eq!(method.audited(), Audited::Written, "{method}");
            }
        }
    }
}
