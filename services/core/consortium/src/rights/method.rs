//! The list of every method that a server of the deployment answers.

use std::fmt;

macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident = $path:literal,)*) => {
        /// A method of the protocol, of health checks or of reflection.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Method {
            $($(#[$doc])* $method,)*
        }

        impl Method {
            /// All methods.
            pub const ALL: &'static [Self] = &[$(Self::$method,)*];

            /// Returns the path of a call: `/<package>.<Service>/<Method>`.
            #[must_use]
            pub const fn path(self) -> &'static str {
                match self {
                    $(Self::$method => $path,)*
                }
            }

            /// Returns the method of a call with this path.
            #[must_use]
            pub fn from_path(path: &str) -> Option<Self> {
                match path {
                    $($path => Some(Self::$method),)*
                    _ => None,
                }
            }
        }
    };
}

methods! {
    /// Matches images or hashes.
    Match = "/vigie.matching.v1.MatchService/Match",
    /// Matches images or hashes in a stream.
    MatchStream = "/vigie.matching.v1.MatchService/MatchStream",
    /// Computes fingerprints.
    Hash = "/vigie.matching.v1.MatchService/Hash",
    /// Matches a video that is sent in parts.
    MatchVideo = "/vigie.matching.v1.MatchService/MatchVideo",
    /// Computes the fingerprints of a video that is sent in parts.
    HashVideo = "/vigie.matching.v1.MatchService/HashVideo",
    /// Describes what a frontend decodes.
    DescribeDecoding = "/vigie.matching.v1.MatchService/DescribeDecoding",
    /// Searches every shard.
    CoordinatorSearch = "/vigie.coordinator.v1.CoordinatorService/Search",
    /// Describes shards and replicas.
    DescribeTopology = "/vigie.coordinator.v1.CoordinatorService/DescribeTopology",
    /// Searches one shard.
    MatcherSearch = "/vigie.matcher.v1.MatcherService/Search",
    /// Describes a replica.
    MatcherDescribe = "/vigie.matcher.v1.MatcherService/Describe",
    /// Describes a replica whenever it changes.
    MatcherWatch = "/vigie.matcher.v1.MatcherService/Watch",
    /// Creates a bank.
    CreateBank = "/vigie.bank.v1.BankService/CreateBank",
    /// Reads a bank.
    GetBank = "/vigie.bank.v1.BankService/GetBank",
    /// Lists banks.
    ListBanks = "/vigie.bank.v1.BankService/ListBanks",
    /// Renames a bank.
    RenameBank = "/vigie.bank.v1.BankService/RenameBank",
    /// Enables or disables a bank.
    SetBankEnabled = "/vigie.bank.v1.BankService/SetBankEnabled",
    /// Sets the share of lookups in which a bank takes part.
    SetBankMatchRatio = "/vigie.bank.v1.BankService/SetBankMatchRatio",
    /// Deletes a bank.
    DeleteBank = "/vigie.bank.v1.BankService/DeleteBank",
    /// Adds items.
    AddItems = "/vigie.bank.v1.BankService/AddItems",
    /// Reads an item.
    GetItem = "/vigie.bank.v1.BankService/GetItem",
    /// Lists items with their hashes.
    ListItems = "/vigie.bank.v1.BankService/ListItems",
    /// Finds items by hash or text.
    FindItems = "/vigie.bank.v1.BankService/FindItems",
    /// Restores removed items.
    RestoreItems = "/vigie.bank.v1.BankService/RestoreItems",
    /// Lists the removed items of a bank.
    ListRemovedItems = "/vigie.bank.v1.BankService/ListRemovedItems",
    /// Changes the details of an item.
    UpdateItem = "/vigie.bank.v1.BankService/UpdateItem",
    /// Holds items, or lifts holds.
    SetItemHold = "/vigie.bank.v1.BankService/SetItemHold",
    /// Removes items.
    RemoveItems = "/vigie.bank.v1.BankService/RemoveItems",
    /// Reads the changes of one bank, with hashes.
    ReadBankChanges = "/vigie.bank.v1.BankService/ReadBankChanges",
    /// Reads a bank's published list.
    ReadPublishedList = "/vigie.bank.v1.BankService/ReadPublishedList",
    /// Counts banks, items and changes.
    GetLogHead = "/vigie.bank.v1.BankService/GetLogHead",
    /// Adds an exchange.
    AddExchange = "/vigie.bank.v1.ExchangeService/AddExchange",
    /// Reads an exchange.
    GetExchange = "/vigie.bank.v1.ExchangeService/GetExchange",
    /// Lists exchanges.
    ListExchanges = "/vigie.bank.v1.ExchangeService/ListExchanges",
    /// Pauses or resumes an exchange.
    SetExchangeEnabled = "/vigie.bank.v1.ExchangeService/SetExchangeEnabled",
    /// Removes an exchange.
    RemoveExchange = "/vigie.bank.v1.ExchangeService/RemoveExchange",
    /// Asks for a round of an exchange.
    FetchExchangeNow = "/vigie.bank.v1.ExchangeService/FetchExchangeNow",
    /// Leases the work on exchanges.
    AcquireExchangeLease = "/vigie.bank.v1.ExchangeService/AcquireExchangeLease",
    /// Applies a page of a programme.
    ApplyExchangePage = "/vigie.bank.v1.ExchangeService/ApplyExchangePage",
    /// Lists the keys of an exchange's records.
    ListExchangeRecords = "/vigie.bank.v1.ExchangeService/ListExchangeRecords",
    /// Records the result of a round.
    ReportExchange = "/vigie.bank.v1.ExchangeService/ReportExchange",
    /// Streams a shard's changes.
    FeedWatch = "/vigie.bank.v1.FeedService/Watch",
    /// Streams a shard's state.
    FeedLoad = "/vigie.bank.v1.FeedService/Load",
    /// Returns the directory of members when it changes.
    ReadDirectory = "/vigie.bank.v1.FeedService/ReadDirectory",
    /// Creates a member.
    CreateMember = "/vigie.consortium.v1.ConsortiumService/CreateMember",
    /// Reads a member.
    GetMember = "/vigie.consortium.v1.ConsortiumService/GetMember",
    /// Lists members.
    ListMembers = "/vigie.consortium.v1.ConsortiumService/ListMembers",
    /// Changes the description of a member.
    UpdateMember = "/vigie.consortium.v1.ConsortiumService/UpdateMember",
    /// Suspends or quarantines a member.
    SetMemberState = "/vigie.consortium.v1.ConsortiumService/SetMemberState",
    /// Sets the identity providers of a member.
    SetTokenIssuers = "/vigie.consortium.v1.ConsortiumService/SetTokenIssuers",
    /// Creates a principal.
    CreatePrincipal = "/vigie.consortium.v1.ConsortiumService/CreatePrincipal",
    /// Lists principals.
    ListPrincipals = "/vigie.consortium.v1.ConsortiumService/ListPrincipals",
    /// Gives a principal another API key.
    RotateKey = "/vigie.consortium.v1.ConsortiumService/RotateKey",
    /// Revokes a principal.
    RevokePrincipal = "/vigie.consortium.v1.ConsortiumService/RevokePrincipal",
    /// Shares a bank.
    PutGrant = "/vigie.consortium.v1.ConsortiumService/PutGrant",
    /// Stops sharing a bank.
    RevokeGrant = "/vigie.consortium.v1.ConsortiumService/RevokeGrant",
    /// Names a bank that is shared with the caller's member.
    SetAlias = "/vigie.consortium.v1.ConsortiumService/SetAlias",
    /// Lists grants.
    ListGrants = "/vigie.consortium.v1.ConsortiumService/ListGrants",
    /// Sets the limits of a member.
    SetQuota = "/vigie.consortium.v1.ConsortiumService/SetQuota",
    /// Sets a bank's charter.
    SetCharter = "/vigie.consortium.v1.ConsortiumService/SetCharter",
    /// Reads a bank's charter.
    GetCharter = "/vigie.consortium.v1.ConsortiumService/GetCharter",
    /// Returns the identity of the caller.
    WhoAmI = "/vigie.consortium.v1.ConsortiumService/WhoAmI",
    /// Puts opinions on items.
    PutOpinions = "/vigie.consortium.v1.OpinionService/PutOpinions",
    /// Withdraws opinions.
    WithdrawOpinions = "/vigie.consortium.v1.OpinionService/WithdrawOpinions",
    /// Lists opinions on items of a bank.
    ListOpinions = "/vigie.consortium.v1.OpinionService/ListOpinions",
    /// Lists disputes.
    ListDisputes = "/vigie.consortium.v1.OpinionService/ListDisputes",
    /// Resolves a dispute.
    ResolveDispute = "/vigie.consortium.v1.OpinionService/ResolveDispute",
    /// Holds items for the caller's member only.
    SetMemberHold = "/vigie.consortium.v1.OpinionService/SetMemberHold",
    /// Lists the items that are held for the caller's member.
    ListMemberHolds = "/vigie.consortium.v1.OpinionService/ListMemberHolds",
    /// Holds items for members at which they match too often.
    ReportFloods = "/vigie.consortium.v1.OpinionService/ReportFloods",
    /// Sets the policy of the caller's member.
    SetPolicy = "/vigie.consortium.v1.PolicyService/SetPolicy",
    /// Reads a policy of the caller's member.
    GetPolicy = "/vigie.consortium.v1.PolicyService/GetPolicy",
    /// Tries a policy on given matches.
    TryPolicy = "/vigie.consortium.v1.PolicyService/TryPolicy",
    /// Declares a hash type of vectors.
    DeclareHashType = "/vigie.consortium.v1.HashTypeService/DeclareHashType",
    /// Lists declared hash types.
    ListHashTypes = "/vigie.consortium.v1.HashTypeService/ListHashTypes",
    /// Sets a model card.
    PutModelCard = "/vigie.consortium.v1.ModelCardService/PutModelCard",
    /// Reads a model card.
    GetModelCard = "/vigie.consortium.v1.ModelCardService/GetModelCard",
    /// Lists the models.
    ListModelCards = "/vigie.consortium.v1.ModelCardService/ListModelCards",
    /// Scores a conversation by classifiers.
    ScoreConversation = "/vigie.matching.v1.ScoringService/ScoreConversation",
    /// Scores a content for a calibration.
    MeasureScores = "/vigie.matching.v1.ScoringService/MeasureScores",
    /// Runs classifiers.
    ClassifierScore = "/vigie.classifier.v1.ClassifierService/Score",
    /// Describes the models of a classifier.
    DescribeModels = "/vigie.classifier.v1.ClassifierService/DescribeModels",
    /// Returns statistics.
    GetStatistics = "/vigie.consortium.v1.StatisticsService/GetStatistics",
    /// Counts matches and verdicts.
    RecordMatches = "/vigie.consortium.v1.StatisticsService/RecordMatches",
    /// Counts the time from changes until they are searched.
    RecordLatencies = "/vigie.consortium.v1.StatisticsService/RecordLatencies",
    /// Sends a report to the reviewers.
    SubmitReport = "/vigie.consortium.v1.ReportService/SubmitReport",
    /// Lists reports.
    ListReports = "/vigie.consortium.v1.ReportService/ListReports",
    /// Decides on a report.
    ReviewReport = "/vigie.consortium.v1.ReportService/ReviewReport",
    /// Records decisions about matched content.
    RecordDecisions = "/vigie.consortium.v1.DecisionService/RecordDecisions",
    /// Explains a decision of the caller's member.
    GetDecision = "/vigie.consortium.v1.DecisionService/GetDecision",
    /// Lists decisions of the caller's member.
    ListDecisions = "/vigie.consortium.v1.DecisionService/ListDecisions",
    /// Sets the outcome of a decision of the caller's member.
    SetDecisionOutcome = "/vigie.consortium.v1.DecisionService/SetDecisionOutcome",
    /// Adds a referral or a removal order.
    AddReferral = "/vigie.consortium.v1.ReferralService/AddReferral",
    /// Lists referrals.
    ListReferrals = "/vigie.consortium.v1.ReferralService/ListReferrals",
    /// Sets the outcome of a referral at the caller's member.
    SetReferralOutcome = "/vigie.consortium.v1.ReferralService/SetReferralOutcome",
    /// Opens an incident.
    OpenIncident = "/vigie.consortium.v1.IncidentService/OpenIncident",
    /// Lists incidents.
    ListIncidents = "/vigie.consortium.v1.IncidentService/ListIncidents",
    /// Closes an incident.
    CloseIncident = "/vigie.consortium.v1.IncidentService/CloseIncident",
    /// Subscribes the caller's member to types of incidents.
    SetIncidentSubscription = "/vigie.consortium.v1.IncidentService/SetIncidentSubscription",
    /// Lists entries of the audit.
    ListEntries = "/vigie.consortium.v1.AuditService/ListEntries",
    /// Reads the newest checkpoint of the audit.
    GetCheckpoint = "/vigie.consortium.v1.AuditService/GetCheckpoint",
    /// Proves that an entry is in the audit.
    ProveInclusion = "/vigie.consortium.v1.AuditService/ProveInclusion",
    /// Proves that the audit has only grown.
    ProveConsistency = "/vigie.consortium.v1.AuditService/ProveConsistency",
    /// Records calls in the audit.
    RecordCalls = "/vigie.consortium.v1.AuditService/RecordCalls",
    /// Returns whether a service is serving.
    HealthCheck = "/grpc.health.v1.Health/Check",
    /// Streams whether a service is serving, whenever that changes.
    HealthWatch = "/grpc.health.v1.Health/Watch",
    /// Describes the protocol.
    Reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    /// Describes the protocol, in the previous version of reflection.
    ReflectionAlpha = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
}

/// Writes the path without the first slash.
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.path().trim_start_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_back_to_their_methods() {
        for method in Method::ALL {
            assert_eq!(Method::from_path(method.path()), Some(*method));
        }
        assert_eq!(Method::from_path("/vigie.bank.v1.BankService/Drop"), None);
    }
}
