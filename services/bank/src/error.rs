//! Why a call is refused, and the code that tells the caller what to do about it.

mod cases;

use std::time::Duration;

use thiserror::Error;
use tonic::{Code, Status};
use vigie_consortium::change::Refusal;
use vigie_consortium::{
    ClassError, Denied, DeniedKind, Exchange, ExchangeId, ExchangeName, PrincipalId, Spent,
};
use vigie_log::{FollowError, StoreFault as _, WriteRefused};
use vigie_model::{BankName, BankRef, DeclarationError, Distance, HashType, ItemId, MemberName};
use vigie_proto::{Invalid, status};
use vigie_serving::TooManyStreams;

pub(crate) use cases::CaseError;

use crate::plan::records::RemovedItems;
use crate::store::StoreError;

/// The advice of every message about a damaged store.
pub(crate) const RESTORE: &str = "restore the newest backup that `vigie bank verify` accepts";

/// Why a call is refused. Holds no source: what the store said is logged where it was handled, once.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Error {
    /// The caller may not do that, or there is no such thing for it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A living bank of the member has this name already, or an alias.
    #[error("there is a bank called {0} already")]
    NameTaken(BankName),
    /// The bank is not shared with the member.
    #[error("the bank {bank} is not shared with {member}")]
    GrantNotFound {
        /// The bank, as the caller names it.
        bank: BankRef,
        /// The member.
        member: MemberName,
    },
    /// The change needs two people, and this is the first.
    #[error(
        "the bank's charter asks for two people for a removal of {limit} items or more in a day, and for a charter that asks for \
         less: this request is noted; it is done when another principal of the member makes the same one within 24 hours"
    )]
    SecondPerson {
        /// The items that need two people.
        limit: u32,
    },
    /// The member has added as many items as its quota lets it, or asks for more at once than that.
    #[error("{0}")]
    Spent(Spent),
    /// A hold would have ended before it begins.
    #[error("until_unix_ms: the hold would be over already; it must end later than now")]
    HoldIsOver,
    /// Other labels would make the item a canary, or the canary another item.
    #[error(
        "labels: item {0} has the label of a canary only if it was added with it, and keeps it: add the item anew and remove this one"
    )]
    CanaryLabel(ItemId),
    /// A classification is not the bank's.
    #[error("{0}")]
    Class(ClassError),
    /// The item has submissions of as many members as it may have.
    #[error("item {0} has submissions of 64 members, and an item has no more")]
    TooManySubmissions(ItemId),
    /// The items that are to be brought back have too many bytes for one write.
    #[error(
        "item_ids: the items have more than {max} bytes together; bring fewer of them back at once",
        max = RemovedItems::BYTES_MAX
    )]
    TooMuchRestored,
    /// The member has opinions on as many hashes of the item as it may have.
    #[error("item {0}: a member has opinions on at most 8 hashes of one item")]
    TooManyOpinions(ItemId),
    /// The member has no such version of a policy.
    #[error("{}", if *.0 == 0 { "the member has no policy".to_owned() } else { format!("there is no version {} of the member's policy", .0) })]
    NoPolicy(u32),
    /// The newest version of the policy is another one.
    #[error("expected_version: the newest version of the member's policy is {used}; read it again")]
    StalePolicy {
        /// The newest version.
        used: u32,
    },
    /// There is no such model, or no such version of its card.
    #[error("there is no {}{name}", if *version == 0 { "model called ".to_owned() } else { format!("version {version} of the card of ") })]
    NoCard {
        /// The name of the model.
        name: Box<str>,
        /// The version; 0 for the newest.
        version: u32,
    },
    /// The newest version of the card is another one.
    #[error("expected_version: the newest version of the model's card is {newest}; read it again")]
    StaleCard {
        /// The newest version; 0 for none.
        newest: u32,
    },
    /// The card cannot be kept.
    #[error("document: {0}")]
    Card(String),
    /// Nobody disputes the item.
    #[error("there is no dispute about item {0}")]
    NoDispute(ItemId),
    /// A change of a case is refused.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// The member has not submitted the item, or not from this origin.
    #[error("item {0} has no such submission of the caller's member")]
    SubmissionNotFound(ItemId),
    /// The principal proves itself otherwise.
    #[error("principal {0} has no API key: its credential is a certificate or a token")]
    NoApiKey(PrincipalId),
    /// A hash type cannot get a number of its class.
    #[error("there are 255 hash types of such vectors already, and no more can be declared")]
    NoHashTypeLeft,
    /// A charter names a hash type that is not declared.
    #[error("charter.vector_distances: {0} is no hash type that is declared here")]
    NotDeclared(HashType),
    /// A charter names a larger distance than the declaration of the type.
    #[error(
        "charter.vector_distances: the distance for {hash_type} must be 0 to {}",
        hash_type.distance_text(*max)
    )]
    TooFar {
        /// The type.
        hash_type: HashType,
        /// The largest distance of its declaration.
        max: Distance,
    },
    /// The directory refuses the change.
    #[error("{0}")]
    Directory(DirectoryRefusal),
    /// The member has no exchange of the name.
    #[error("there is no exchange called {0}")]
    ExchangeNotFound(ExchangeName),
    /// There is no exchange of the id.
    #[error("there is no exchange {0}")]
    NoExchange(ExchangeId),
    /// The member has an exchange of the name.
    #[error("there is an exchange called {0} already")]
    ExchangeNameTaken(ExchangeName),
    /// The table of exchanges is full.
    #[error("there are {max} exchanges already, and no more can be added", max = Exchange::COUNT_MAX)]
    TooManyExchanges,
    /// The exchange is paused.
    #[error("the exchange {0} is paused")]
    ExchangePaused(ExchangeName),
    /// The cursor of an exchange is another one.
    #[error("expected_cursor: the exchange's cursor is another one; read the exchange again")]
    StaleCursor,
    /// The caller's lease is over.
    #[error("lease_token: the caller has no lease of the exchanges now; acquire one")]
    NoLease,
    /// The table of banks is full.
    #[error("there are {0} banks already, and no more can be created")]
    TooManyBanks(usize),
    /// The time of the call was over while the write was waiting or being written.
    #[error(
        "the call's time is spent: the write may have been done or not; repeat it with the same idempotency key"
    )]
    TimeSpent,
    /// A cursor of a bank's changes is none of this log.
    #[error(
        "after_sequence: the log ends at {head}, before the cursor: it was restored from a backup; begin anew"
    )]
    CursorBeyondLog {
        /// The newest change.
        head: vigie_log::Sequence,
    },
    /// A published list is not the one that the follower has.
    #[error(
        "after_number: the list has {number} entries and does not go on from what the caller has; begin anew"
    )]
    ListDiffers {
        /// Its newest entry.
        number: u64,
    },
    /// The store cannot be read.
    #[error("the store cannot be read now")]
    Unreadable,
    /// A record is damaged, and the bank cannot prove what it was.
    #[error("{0} is damaged in the bank's store: stop the bank, and {RESTORE}")]
    Damaged(String),
    /// The bank is going down.
    #[error("the bank is stopping; nothing was written")]
    Stopping,
    /// This bank does not lead.
    #[error("standby: this bank does not serve the log now; another one does, or will")]
    Standby,
    /// The log refuses the write.
    #[error(transparent)]
    Log(WriteRefused),
    /// The log refuses the follower.
    #[error(transparent)]
    Follow(FollowError),
    /// There are too many followers, in all or of this client.
    #[error(transparent)]
    Followers(TooManyStreams),
    /// Something that is always true was not.
    #[error("the bank is at fault")]
    Broken,
}

/// When a caller is told to come back to a full queue: about as long as it takes to write a few groups.
const RETRY_WRITE_AFTER: Duration = Duration::from_millis(100);
/// When a caller is told to come back as a follower: places become free when others restart.
const RETRY_WATCH_AFTER: Duration = Duration::from_secs(1);

impl Error {
    /// The one table from error to code.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Denied(denied) => match denied.kind() {
                DeniedKind::Unauthenticated => Code::Unauthenticated,
                DeniedKind::PermissionDenied => Code::PermissionDenied,
                DeniedKind::NotFound => Code::NotFound,
                DeniedKind::FailedPrecondition => Code::FailedPrecondition,
            },
            Self::GrantNotFound { .. }
            | Self::SubmissionNotFound(_)
            | Self::NoPolicy(_)
            | Self::NoCard { .. }
            | Self::ExchangeNotFound(_)
            | Self::NoExchange(_) => Code::NotFound,
            Self::Class(_)
            | Self::CanaryLabel(_)
            | Self::NotDeclared(_)
            | Self::Card(_)
            | Self::TooFar { .. }
            | Self::HoldIsOver
            | Self::TooManyOpinions(_)
            | Self::TooMuchRestored
            | Self::Spent(Spent::TooMuch { .. }) => Code::InvalidArgument,
            Self::Spent(Spent::Until { .. }) => Code::ResourceExhausted,
            Self::NameTaken(_) | Self::ExchangeNameTaken(_) => Code::AlreadyExists,
            Self::StaleCursor => Code::Aborted,
            Self::TooManyBanks(_)
            | Self::TooManyExchanges
            | Self::NoHashTypeLeft
            | Self::ExchangePaused(_)
            | Self::NoLease
            | Self::NoApiKey(_)
            | Self::TooManySubmissions(_)
            | Self::NoDispute(_)
            // Versions only grow, so the same call never succeeds, and clients must not send it again.
            | Self::StalePolicy { .. }
            | Self::StaleCard { .. }
            | Self::SecondPerson { .. } => Code::FailedPrecondition,
            Self::Case(refused) => refused.code(),
            Self::Directory(refusal) => refusal.code(),
            Self::TimeSpent => Code::DeadlineExceeded,
            Self::Unreadable | Self::Stopping | Self::Standby => Code::Unavailable,
            Self::CursorBeyondLog { .. } | Self::ListDiffers { .. } => Code::OutOfRange,
            Self::Followers(_) => Code::ResourceExhausted,
            Self::Broken => Code::Internal,
            Self::Damaged(_) => Code::DataLoss,
            Self::Log(refused) => match refused {
                WriteRefused::KeyReused => Code::InvalidArgument,
                WriteRefused::QueueFull => Code::ResourceExhausted,
                WriteRefused::TooLate => Code::DeadlineExceeded,
                WriteRefused::Contended => Code::Aborted,
                WriteRefused::NotWritten | WriteRefused::OutcomeUnknown | WriteRefused::Stopping => {
                    Code::Unavailable
                }
                WriteRefused::Broken => Code::Internal,
            },
            Self::Follow(refused) => match refused {
                FollowError::TooManyFollowers => Code::ResourceExhausted,
                FollowError::Unreadable | FollowError::Stopping => Code::Unavailable,
                FollowError::CursorBeyondHead { .. }
                | FollowError::CursorBeforeFloor { .. }
                | FollowError::Purged { .. }
                | FollowError::AnotherLog { .. }
                | FollowError::Diverged { .. } => Code::OutOfRange,
                FollowError::Broken => Code::Internal,
            },
        }
    }
}

impl Error {
    /// There is no such bank for the caller.
    pub(crate) const fn bank_not_found(name: BankRef) -> Self {
        Self::Denied(Denied::BankNotFound(name))
    }

    /// There is no such item for the caller.
    pub(crate) const fn item_not_found(item: ItemId) -> Self {
        Self::Denied(Denied::ItemNotFound(item))
    }

    /// There is no such version of a card; no card at all for 0. The caller's text may be longer than any
    /// name.
    pub(crate) fn no_card(name: &str, version: u32) -> Self {
        Self::NoCard { name: name.chars().take(64).collect::<String>().into(), version }
    }

    /// When a refused caller is to come back, where that is known.
    fn retry_after(&self) -> Option<Duration> {
        if let Self::Spent(Spent::Until { retry_after, .. }) = self {
            return Some(*retry_after);
        }
        if *self == Self::Log(WriteRefused::QueueFull) {
            return Some(RETRY_WRITE_AFTER);
        }
        let is_full = matches!(self, Self::Followers(_) | Self::Follow(FollowError::TooManyFollowers));
        is_full.then_some(RETRY_WATCH_AFTER)
    }

    /// The refusal of a follower for whom a state cannot be read: names a row that does not read back, since
    /// without it no state is whole. Logs what the store reported.
    pub(crate) fn from_load(error: &StoreError) -> Self {
        let refusal = Self::from_read(error);
        if let StoreError::Corrupt { row } = error { Self::Damaged(row.clone()) } else { refusal }
    }

    /// The refusal of a call whose read failed. Logs what the store reported.
    pub(crate) fn from_read(error: &StoreError) -> Self {
        tracing::error!(error = error as &dyn std::error::Error, "cannot read the store");
        if error.is_corrupt() { Self::Broken } else { Self::Unreadable }
    }
}

/// Why the directory refuses a change, as its caller may know it: [`Refusal`] names ids of others.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum DirectoryRefusal {
    /// A name, an identity provider or a credential is another's.
    #[error("{0}")]
    Taken(String),
    /// The present state does not admit the change.
    #[error("{0}")]
    State(String),
    /// The request could never be granted.
    #[error("{0}")]
    Invalid(String),
}

impl DirectoryRefusal {
    const fn code(&self) -> Code {
        match self {
            Self::Taken(_) => Code::AlreadyExists,
            Self::State(_) => Code::FailedPrecondition,
            Self::Invalid(_) => Code::InvalidArgument,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        Self::Directory(match refusal {
            Refusal::BankNameTaken(name) => return Self::NameTaken(name),
            Refusal::MemberNameTaken(_) => DirectoryRefusal::Taken(text),
            Refusal::IssuerTaken(_) => DirectoryRefusal::Taken("another member has this issuer".to_owned()),
            Refusal::CredentialTaken(_) => {
                DirectoryRefusal::Taken("another principal has this credential".to_owned())
            }
            Refusal::HashType(DeclarationError::NameTaken(_) | DeclarationError::Conflict(_)) => {
                DirectoryRefusal::Taken(text)
            }
            Refusal::HashType(DeclarationError::TooMany) => DirectoryRefusal::State(text),
            Refusal::HashType(_) => DirectoryRefusal::Invalid(text),
            Refusal::NoOperatorLeft | Refusal::HostInactive | Refusal::TooMany { .. } => {
                DirectoryRefusal::State(text)
            }
            Refusal::OperatorOutsideHost => DirectoryRefusal::Invalid(text),
            Refusal::GrantToOwner(_) => DirectoryRefusal::Invalid(
                "the bank belongs to the member that it would be shared with".to_owned(),
            ),
            // The plan has looked each of these up in the same state.
            Refusal::OutOfOrder { .. }
            | Refusal::IdUsed(_)
            | Refusal::UnknownMember(_)
            | Refusal::UnknownPrincipal(_)
            | Refusal::UnknownBank(_)
            | Refusal::UnknownGrant(..)
            | Refusal::CardVersion { .. }
            | Refusal::PrincipalOfAnother(_) => {
                tracing::error!("the directory refuses what the plan has checked: {text}");
                return Self::Broken;
            }
        })
    }
}

/// What the bank has an error of its own for is told as that, whichever part of it found it.
impl From<WriteRefused> for Error {
    fn from(refused: WriteRefused) -> Self {
        match refused {
            WriteRefused::Stopping => Self::Stopping,
            WriteRefused::Broken => Self::Broken,
            WriteRefused::KeyReused
            | WriteRefused::QueueFull
            | WriteRefused::TooLate
            | WriteRefused::Contended
            | WriteRefused::NotWritten
            | WriteRefused::OutcomeUnknown => Self::Log(refused),
        }
    }
}

/// As above.
impl From<FollowError> for Error {
    fn from(refused: FollowError) -> Self {
        match refused {
            FollowError::Unreadable => Self::Unreadable,
            FollowError::Stopping => Self::Stopping,
            FollowError::Broken => Self::Broken,
            FollowError::CursorBeyondHead { .. }
            | FollowError::CursorBeforeFloor { .. }
            | FollowError::Purged { .. }
            | FollowError::AnotherLog { .. }
            | FollowError::Diverged { .. }
            | FollowError::TooManyFollowers => Self::Follow(refused),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        if error == Error::Log(WriteRefused::KeyReused) {
            return Invalid::new("idempotency_key", text).into();
        }
        match error.retry_after() {
            Some(after) => status::resource_exhausted(text, after),
            None => Self::new(error.code(), text),
        }
    }
}
