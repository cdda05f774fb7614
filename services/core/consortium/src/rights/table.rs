//! The table of rights: for each method, the roles and processes that may call it, and on which targets.
//!
//! A method without a row does not compile.

use super::caller::Process;
use super::method::Method;
use crate::flags::Flag as _;
use crate::members::role::{Role, Roles};

/// The targets on which a role may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// No targets: the role may not call the method.
    No,
    /// No restriction: the method reads and changes no banks and no members.
    Free,
    /// Enabled banks that are the member's own or shared for matching, of owners who are not quarantined.
    Search,
    /// Banks that are the member's own or shared with it in any way.
    Visible,
    /// All banks, but only as numbers.
    Everything,
    /// Own banks.
    Own,
    /// Banks of others that are shared with the member.
    Shared,
    /// Own banks, and those shared for contributing.
    Contribute,
    /// Items of own banks, and the member's own contributions in banks shared for contributing.
    Withdraw,
    /// Own banks, and those shared with their hashes.
    Hashes,
    /// Items of own banks, as their owner.
    OwnItems,
    /// Items of own banks and of those shared for opinions.
    Opine,
    /// Items of banks that the member may search.
    Searched,
    /// Items of every bank, of which nothing is returned.
    EveryItem,
    /// Items of own banks and of those shared with their hashes; without hashes, of those shared with
    /// details.
    Items,
    /// Items of own banks and of those shared with details or hashes, always without hashes.
    Details,
    /// The caller's member, its entries, and its principals other than operators.
    OwnMember,
    /// The caller's member, read only; for callers of the host, every member.
    OwnMemberOrAllOfHost,
    /// Cases of the whole deployment; only for callers of the host.
    HostCases,
    /// Every member.
    EveryMember,
    /// Principals of every member whose roles are administrator, auditor or operator.
    Appointed,
}

/// The callers of a method.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Whether anybody may call the method, even without a credential.
    pub(super) anyone: bool,
    /// The processes of the deployment that may call the method, on all targets.
    pub(super) processes: &'static [Process],
    /// The scope of each role, in the order of [`Role`].
    roles: [Scope; 6],
}

impl Row {
    /// Returns the scopes on which these roles may call the method, without [`Scope::No`].
    pub(super) fn scopes(&self, roles: Roles) -> impl Iterator<Item = Scope> {
        let scopes = self.roles;
        roles
            .iter()
            .map(move |role: Role| scopes[usize::from(role.index())])
            .filter(|scope| *scope != Scope::No)
    }
}

const fn roles(roles: [Scope; 6]) -> Row {
    Row { anyone: false, processes: &[], roles }
}

const fn processes(processes: &'static [Process], roles: [Scope; 6]) -> Row {
    Row { anyone: false, processes, roles }
}

const fn anyone() -> Row {
    Row { anyone: true, processes: &Process::ALL, roles: [Scope::Free; 6] }
}

/// Returns the row of a method.
pub(super) const fn row(method: Method) -> Row {
    use Process::{Bank, Classifier, Coordinator, Exchange, Frontend, Matcher};
    use Scope::{
        Appointed, Contribute, Details, EveryItem, EveryMember, Everything, Free, Hashes, HostCases, Items,
        No, Opine, Own, OwnItems, OwnMember, OwnMemberOrAllOfHost, Search, Searched, Shared, Visible,
        Withdraw,
    };
    const NOBODY: [Scope; 6] = [Scope::No; 6];
    match method {
        // Columns: matcher, contributor, reviewer, administrator, auditor, operator.
        Method::Match | Method::MatchStream | Method::MatchVideo => {
            roles([Search, Search, Search, No, No, No])
        }
        Method::Hash | Method::HashVideo => roles([Free, Free, Free, No, No, No]),
        Method::DescribeDecoding => roles([Free, Free, Free, No, No, Free]),

        // A frontend may be its own coordinator. Members cannot bypass the frontend, which decides on banks.
        Method::CoordinatorSearch => processes(&[Frontend], NOBODY),
        Method::DescribeTopology => processes(&[Frontend], [No, No, No, No, No, Free]),
        Method::MatcherSearch | Method::MatcherWatch => processes(&[Coordinator, Frontend], NOBODY),
        Method::MatcherDescribe => processes(&[Coordinator, Frontend], [No, No, No, No, No, Free]),

        Method::GetBank | Method::ListBanks => roles([Visible, Visible, Visible, Visible, Visible, Visible]),
        // The answer contains only numbers: whether the bank answers, and the head of its log.
        Method::GetLogHead => {
            processes(&[Frontend], [Visible, Visible, Visible, Visible, Visible, Everything])
        }
        Method::CreateBank
        | Method::RenameBank
        | Method::SetBankEnabled
        | Method::SetBankMatchRatio
        | Method::DeleteBank => roles([No, No, No, Own, No, No]),
        Method::AddItems => roles([No, Contribute, No, Contribute, No, No]),
        Method::ListRemovedItems => roles([No, Own, No, Own, Own, No]),
        Method::RemoveItems | Method::UpdateItem | Method::RestoreItems => {
            roles([No, Withdraw, No, Withdraw, No, No])
        }
        // The only change of items that an operator can make.
        Method::SetItemHold => roles([No, No, OwnItems, OwnItems, No, EveryItem]),
        Method::GetItem => roles([No, Items, Items, Items, Details, No]),
        Method::ListItems | Method::FindItems | Method::ReadBankChanges | Method::ReadPublishedList => {
            roles([No, Hashes, Hashes, Hashes, No, No])
        }

        Method::AddExchange | Method::SetExchangeEnabled | Method::RemoveExchange => {
            roles([No, No, No, Own, No, No])
        }
        Method::FetchExchangeNow => roles([No, Own, No, Own, No, No]),
        Method::GetExchange | Method::ListExchanges => processes(&[Exchange], [No, Own, Own, Own, Own, No]),
        Method::AcquireExchangeLease
        | Method::ApplyExchangePage
        | Method::ListExchangeRecords
        | Method::ReportExchange => processes(&[Exchange], NOBODY),

        // A feed covers a shard, which contains every member's banks.
        Method::FeedWatch | Method::FeedLoad => processes(&[Matcher], NOBODY),

        // The followers of the directory make decisions for other members.
        Method::ReadDirectory => processes(&[Frontend, Coordinator, Bank, Classifier], NOBODY),
        // Calls that do not reach a bank. A matcher knows no members, so it reports only refusals without a
        // member.
        Method::RecordCalls => processes(&[Frontend, Coordinator, Matcher, Classifier], NOBODY),

        Method::CreateMember | Method::SetMemberState | Method::SetTokenIssuers | Method::SetQuota => {
            roles([No, No, No, No, No, EveryMember])
        }
        Method::UpdateMember => roles([No, No, No, OwnMember, No, EveryMember]),
        Method::GetMember | Method::ListMembers | Method::ListPrincipals => {
            roles([No, No, No, OwnMember, OwnMemberOrAllOfHost, EveryMember])
        }
        Method::CreatePrincipal | Method::RotateKey => roles([No, No, No, OwnMember, No, Appointed]),
        Method::RevokePrincipal => roles([No, No, No, OwnMember, No, EveryMember]),
        Method::PutGrant | Method::RevokeGrant | Method::SetCharter => roles([No, No, No, Own, No, No]),
        Method::SetAlias => roles([No, No, No, Shared, No, No]),
        Method::ListGrants => roles([No, No, No, Own, Own, No]),
        Method::GetCharter => roles([No, Visible, Visible, Visible, Visible, No]),
        Method::WhoAmI => roles([Free; 6]),

        Method::PutOpinions | Method::WithdrawOpinions => roles([No, No, Opine, No, No, No]),
        Method::ListOpinions => roles([No, Visible, Visible, Visible, Visible, No]),
        // Each member lists only its own.
        Method::ListDisputes => roles([No, Free, Free, Free, Free, No]),
        Method::ListMemberHolds => roles([No, No, Free, Free, Free, No]),
        Method::ResolveDispute => roles([No, No, OwnItems, OwnItems, No, No]),
        Method::SetMemberHold => roles([No, No, Searched, Searched, No, No]),
        Method::ReportFloods => processes(&[Frontend], NOBODY),

        // Each method concerns only the caller's own member.
        Method::SetPolicy => roles([No, No, No, Free, No, No]),
        Method::GetPolicy => roles([No, No, Free, Free, Free, No]),
        Method::TryPolicy => roles([No, No, Free, Free, No, No]),

        // A hash type is permanent and shared by all members, so only the deployment's operators declare one.
        Method::DeclareHashType => roles([No, No, No, No, No, Free]),
        Method::ListHashTypes => roles([Free; 6]),

        // The operators of the deployment are responsible for its models. The roles that match may also
        // request scores.
        Method::PutModelCard => roles([No, No, No, No, No, Free]),
        Method::GetModelCard | Method::ListModelCards => roles([Free; 6]),
        Method::ScoreConversation => roles([Free, Free, Free, No, No, No]),
        Method::MeasureScores => roles([No, No, Free, No, No, Free]),
        Method::ClassifierScore => processes(&[Frontend], NOBODY),
        Method::DescribeModels => processes(&[Frontend], [No, No, No, No, No, Free]),

        // The answer contains only numbers; small numbers of other members are suppressed.
        Method::GetStatistics => roles([No, No, No, OwnMember, OwnMemberOrAllOfHost, EveryMember]),
        Method::RecordMatches | Method::RecordDecisions => processes(&[Frontend], NOBODY),
        // Each method concerns only the caller's own member.
        Method::GetDecision | Method::ListDecisions => roles([No, No, Free, Free, Free, No]),
        Method::SetDecisionOutcome => roles([No, No, Free, Free, No, No]),
        Method::RecordLatencies => processes(&[Matcher], NOBODY),
        // A principal with the role matcher may report content that it has just decided on. Only the host
        // handles reviews, referrals and incidents.
        Method::SubmitReport => roles([Visible, No, Visible, Visible, No, No]),
        Method::ReviewReport => roles([No, No, HostCases, No, No, No]),
        Method::AddReferral => roles([No, No, HostCases, HostCases, No, No]),
        Method::SetReferralOutcome => roles([No, No, OwnMember, OwnMember, No, No]),
        Method::ListReports | Method::ListReferrals => {
            roles([No, No, OwnMemberOrAllOfHost, OwnMemberOrAllOfHost, OwnMemberOrAllOfHost, No])
        }
        Method::OpenIncident | Method::CloseIncident => roles([No, No, No, HostCases, No, No]),
        Method::SetIncidentSubscription => roles([No, No, No, OwnMember, No, No]),
        Method::ListIncidents => roles([Free, Free, Free, Free, Free, No]),

        Method::ListEntries | Method::ProveInclusion => {
            roles([No, No, No, OwnMember, OwnMemberOrAllOfHost, No])
        }
        Method::GetCheckpoint | Method::ProveConsistency => roles([No, No, No, Free, Free, Free]),

        Method::HealthCheck | Method::HealthWatch | Method::Reflection | Method::ReflectionAlpha => anyone(),
    }
}

impl Method {
    /// Whether anybody may call the method, even without a credential.
    #[must_use]
    pub const fn is_for_anyone(self) -> bool {
        row(self).anyone
    }

    /// Whether principals of this role may call the method on at least one kind of target.
    #[must_use]
    pub fn is_open_to(self, role: Role) -> bool {
        row(self).scopes(Roles::one(role)).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Running the servers gives no rights on items and banks.
    #[test]
    fn an_operator_reads_no_hash_and_changes_no_bank() {
        for method in Method::ALL {
            for scope in row(*method).scopes(Roles::one(Role::Operator)) {
                let is_harmless = matches!(
                    scope,
                    Scope::Free | Scope::Visible | Scope::Everything | Scope::EveryMember | Scope::Appointed
                );
                let is_hold = (*method, scope) == (Method::SetItemHold, Scope::EveryItem);
                assert!(is_harmless || is_hold, "{method}: {scope:?}");
            }
        }
    }

    #[test]
    fn a_method_has_somebody_who_may_call_it() {
        for method in Method::ALL {
            let row = row(*method);
            let some_role = row.scopes(Roles::all()).next().is_some();
            assert!(row.anyone || some_role || !row.processes.is_empty(), "{method}");
        }
    }
}
