//! Several organisations on one deployment: members, their rights on banks, and their quotas.
//!
//! The crate is pure: it has no network, store or clock. Its input is the changes of the bank's log, with
//! sequences and wall times from the caller; its output is a directory, decisions and sets of banks. The bank
//! applies each change before committing it. Frontends apply the same changes as followers and get the same
//! [`Directory`], as its digest proves.
//!
//! Always true:
//!
//! - **What a member may not see does not exist for it.** A bank that is not shared with it, one that was
//!   deleted and one that never was are refused with the same [`Denied`]: the same variant, text and size.
//! - **Every method has a row.** [`Method`] lists each method of the protocol, of health checks and of
//!   reflection; a new one does not compile without an entry in the one table ([`rights::table`]) and fails a
//!   test of `vigie-proto` without a variant.
//! - **A refused change changes nothing**, and a followed log is refused nothing that its bank applied.
//! - **Revocation is permanent.** The ids of principals and banks are never used twice, so nothing that was
//!   revoked becomes valid again.
//! - **An operator who can call always remains**, and reads no hash.
//! - **The cost of a search does not grow with the number of members**: a member's set of banks is computed
//!   once for each state of the directory ([`View`]) and tested by one bit for each bank.
//! - **Bounded**: members, principals, grants, banks, names and texts have limits; a directory of 200
//!   members, 2,000 banks and grants and 4,000 principals takes less than 20 MB, which a test measures.
//!
//! Reading order:
//!
//! - the basic types: `text`, `expiry`, `flags`; `members` (member, role, api_key, credential, principal),
//!   `banks` (bank, grant, charter), `items` (origin, taxonomy, details, opinion, dispute, record, standing,
//!   published), [`exchanges`], [`documents`], [`classifiers`] (model_cards), [`cases`] (report, referral,
//!   incident, decision), [`policies`] (verdict, bank_rule, policy), `quotas::quota`;
//! - [`change`]: the changes of the log, and the reasons for refusing one;
//! - `directory`: `table` (sorted rows that share memory), [`Directory`], `apply`, `element` (digests),
//!   `rows` (for stores and followers);
//! - [`rights`]: `method`, `table` (the rights of each role), `caller` (principals and processes), `bank_set`
//!   and `view` (sets of banks, names), `admitted` (decisions about one target), `denied`;
//! - [`quotas`]: `gcra` (one limit), `seen`, `meter` (a member's limits), `near` (the budget of near queries
//!   of one item: `pair`, `pairs`).

mod text;
mod expiry;
mod flags;
pub mod members;
pub mod banks;
pub mod items;
pub mod exchanges;
pub mod documents;
/// Classifiers that an operator supplies: versions of their cards.
pub mod classifiers {
    mod model_cards;

    pub use model_cards::{CardFault, CardVersion};
}
/// Cases: reports of members, referrals of authorised bodies, incidents, and records of decisions. With the
/// bounds of each part, and the words for scripts.
///
/// A case contains references, fingerprints and bounded texts, but no content and no personal data. Only
/// referrals contain a URL, and their `Debug` hides it.
pub mod cases {
    mod words;
    mod report;
    mod referral;
    mod incident;
    mod decision;

    pub use decision::{
        Action, Basis, Complaint, DecisionListing, DecisionOutcome, MediaKind, QueryDigest, RecordedDecision,
        RecordedMatch, Review,
    };
    pub use incident::{IncidentType, IncidentTypeError, IncidentTypes, IncidentWords};
    pub use referral::{
        Ground, IssuingState, Measure, MeasureError, MeasureOutcome, Priority, ReferralTarget, ReferralUrl,
        ReferralWords, RemovalOrder,
    };
    pub use report::{ReportContents, ReportOutcome, ReportReview, ReviewError};
    pub use words::{CaseNote, CaseReference};
}
pub mod policies;
pub mod quotas;
pub mod change;
mod directory;
pub mod rights;

pub use banks::{
    BankRef, BankRefError, Capabilities, Capability, Charter, CharterDraft, CharterError, Grant, OwnedBank,
};
pub use change::{Change, Refusal};
pub use classifiers::{CardFault, CardVersion};
pub use directory::{Difference, Directory, Row, RowKey};
pub use documents::{Document, DocumentId, DocumentKey, DocumentKind};
pub use exchanges::{Exchange, ExchangeApi, ExchangeConfig, ExchangeId, ExchangeName, ExchangeStatus};
pub use expiry::Expiry;
pub use flags::{Flag, Flags, NoFlag};
pub use items::{
    Class, ClassError, Classification, ContentDigest, Details, Dispute, EntryDigest, FloodLift,
    ForeignOpinion, Hold, Holder, Holds, ItemRecord, ListChain, ListContent, ListHead, ListKey, ListSecret,
    MemberHold, Metadata, Opinion, OpinionReason, OpinionWords, Opinions, Origin, Resolution, Submission,
    TooManyOpinions, TooManySubmissions, Whose,
};
pub use members::{
    ApiKey, ApiKeys, ApiKeysError, Credential, CredentialError, Jurisdictions, JurisdictionsError, KeyDigest,
    KeyId, KeyIdError, Member, MemberId, MemberName, MemberNameError, MemberState, Principal, PrincipalId,
    Role, Roles, SpiffeId, TokenIssuers, TokenIssuersError, TokenSubject,
};
pub use policies::{
    BankRule, MemberPolicies, Policy, PolicyDraft, PolicyError, PolicyVersion, ScoreRule, ScoreRuleDraft,
    ScoreRuleField, UnknownVerdict, Verdict, VerdictRule, VerdictRuleDraft,
};
pub use quotas::{Amount, AmountError, Meter, Quota, Spent, UnitLimit};
pub use rights::{
    Admitted, BankSet, Caller, Claim, Denied, DeniedKind, InvalidCredential, ItemPlace, Method, Process,
    Proven, Reference, View,
};
pub use text::{Text, TextError};
