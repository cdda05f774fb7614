//! Typed clients of every service, in one file each.
//!
//! A client uses model types; the wire format stays inside. `vigie-net` makes calls, keeps their deadlines,
//! retries them and spreads them over endpoints; its types that a client's functions take and return are
//! exported here too.
//!
//! Reading order: [`Ask`], `wrong_service`, `leading_bank`, then one module for each service. [`Neighbours`]
//! are called without any network.

mod ask;
mod wrong_service;
mod leading_bank;
mod bank;
mod consortium;
mod audit;
/// The services that frontends call.
mod behind_frontends {
    pub(crate) mod coordinator;
    pub(crate) mod classifier;
}
mod directory;
mod exchange;
mod feed;
mod matcher;
mod matching;
#[cfg(feature = "decoder")]
pub mod decoder;

pub use ask::Ask;
pub use audit::{
    AuditClient, AuditEntry, AuditLeaf, AuditPage, ConsistencyProof, CountedCalls, InclusionProof,
};
pub use bank::{
    AddedItems, BankClient, BankEntry, BankLabel, BankListing, ChangesFrom, ChangesPage, DescribedItem,
    DescribedPage, EntryContent, EntryState, FoundItems, ItemPage, ItemSearch, ItemUpdate, ListEntry,
    ListPage, ListSays, RemovedItem,
};
pub use behind_frontends::classifier::{
    ClassifierClient, DescribedModel, RawScores, ScoreContent, ScoreDistribution, ScoreItem,
};
pub use behind_frontends::coordinator::{CoordinatorClient, partial_search};
pub use consortium::opinions::{
    DisputePage, ListedDispute, ListedOpinion, MemberHeldItem, NewOpinion, OpinionClient, OpinionPage,
    Outcome,
};
pub use consortium::statistics::{
    CountedMatches, CountedScores, CountedTrial, StatisticsClient, StatisticsFormat,
};
pub use consortium::{
    CasePage, CasesAfter, ClosedIncident, ConsortiumClient, DecisionClient, ExplainedDecision, GivenGrant,
    HashTypeClient, IncidentClient, IncidentListing, KeyListing, MemberMeasure, MemberWords, ModelCardClient,
    ModelClass, ModelSummary, NewCredential, NewDecision, NewHashType, NewPrincipal, OpenedIncident,
    PolicyClient, PolicyFault, PolicySource, PrincipalCredential, PrincipalListing, PrincipalWithKey,
    ReadModelCard, ReadPolicy, ReferralClient, ReferralListing, ReferralsListed, ReportClient, ReportListing,
    TrialCount, TriedContent, TriedPolicy, TriedQuery, TriedScore, WhoAmI,
};
pub use directory::DirectoryClient;
pub use exchange::{AppliedPage, ExchangeClient, ExchangeLease, ExchangeListing, NewExchange, NewPage};
pub use feed::{FeedClient, FeedStream, StateStream};
pub use leading_bank::{IdempotencyKey, Written};
pub use matcher::{DescriptionStream, MatcherClient, Neighbour, Neighbours};
pub use matching::{
    Decoding, HashedVideo, MatchAnswer, MatchClient, MatchStreamAnswer, MeasuredContent, MeasuredScores,
    QueryFailure, ScoredConversation, partial_match,
};
pub use tokio::time::Instant as Deadline;
pub use vigie_net::{Bearer, BearerFault, CallError, EndpointError, Network, Notice, Patience, Wait};
pub use vigie_rpc::{Code, LocalServers, Priority};
