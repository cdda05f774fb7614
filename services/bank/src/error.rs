//! The bank's errors: why a call is refused, and the gRPC code that the caller gets.

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

/// The advice in every message about a damaged store.
pub(crate) const RESTORE: &str = "restore the newest backup that `vigie bank verify` accepts";

/// The reasons why a call is refused. Holds no source: the store's error is logged once, where it is handled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Error {
    /// The caller may not do that, or it does not exist for the caller.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A living bank or an alias of the member has this name already.
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
    /// The change needs two people, and this request is the first.
    #[error(
        "the bank's charter asks for two people for a removal of {limit} items or more in a day, and for a charter that asks for \
         less: this request is noted; it is done when another principal of the member makes the same one within 24 hours"
    )]
    SecondPerson {
        /// The number of items from which a removal needs two people.
        limit: u32,
    },
    /// The member has used up its quota, or asks for more at once than its quota allows.
    #[error("{0}")]
    Spent(Spent),
    /// A hold would end before it begins.
    #[error("until_unix_ms: the hold would be over already; it must end later than now")]
    HoldIsOver,
    /// Other labels would make the item a canary, or a canary an ordinary item.
    #[error(
        "labels: item {0} has the label of a canary only if it was added with it, and keeps it: add the item anew and remove this one"
    )]
    CanaryLabel(ItemId),
    /// A classification does not belong to the bank.
    #[error("{0}")]
    Class(ClassError),
    /// The item has submissions of as many members as one item may have.
    #[error("item {0} has submissions of 64 members, and an item has no more")]
    TooManySubmissions(ItemId),
    /// The items to restore have too many bytes for one write.
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
    /// The newest version of the policy is not the expected one.
    #[error("expected_version: the newest version of the member's policy is {used}; read it again")]
    StalePolicy {
        /// The number of the newest version.
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
    /// The newest version of the card is not the expected one.
    #[error("expected_version: the newest version of the model's card is {newest}; read it again")]
    StaleCard {
        /// The number of the newest version; 0 for none.
        newest: u32,
    },
    /// The card cannot be stored.
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
    /// The principal has no API key: it has another kind of credential.
    #[error("principal {0} has no API key: its credential is a certificate or a token")]
    NoApiKey(PrincipalId),
    /// No number is left for a hash type of this class.
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
        /// The hash type.
        hash_type: HashType,
        /// The largest distance that the type's declaration allows.
        max: Distance,
    },
    /// The directory refuses the change.
    #[error("{0}")]
    Directory(DirectoryRefusal),
    /// The member has no exchange of this name.
    #[error("there is no exchange called {0}")]
    ExchangeNotFound(ExchangeName),
    /// There is no exchange with this id.
    #[error("there is no exchange {0}")]
    NoExchange(ExchangeId),
    /// The member has an exchange of this name already.
    #[error("there is an exchange called {0} already")]
    ExchangeNameTaken(ExchangeName),
    /// The table of exchanges is full.
    #[error("there are {max} exchanges already, and no more can be added", max = Exchange::COUNT_MAX)]
    TooManyExchanges,
    /// The exchange is paused.
    #[error("the exchange {0} is paused")]
    ExchangePaused(ExchangeName),
    /// The exchange's cursor is not the expected one.
    #[error("expected_cursor: the exchange's cursor has changed; read the exchange again")]
    StaleCursor,
    /// The caller's lease has expired.
    #[error("lease_token: the caller has no lease of the exchanges now; acquire one")]
    NoLease,
    /// The table of banks is full.
    #[error("there are {0} banks already, and no more can be created")]
    TooManyBanks(usize),
    /// The call's deadline passed while the write was waiting or being written.
    #[error(
        "the call's time is spent: the write may have been done or not; repeat it with the same idempotency key"
    )]
    TimeSpent,
    /// A cursor of a bank's changes is beyond the end of this log.
    #[error(
        "after_sequence: the log ends at {head}, before the cursor: it was restored from a backup; begin anew"
    )]
    CursorBeyondLog {
        /// The sequence of the newest change.
        head: vigie_log::Sequence,
    },
    /// A published list differs from the one that the follower has.
    #[error(
        "after_number: the list has {number} entries and does not go on from what the caller has; begin anew"
    )]
    ListDiffers {
        /// The number of its newest entry.
        number: u64,
    },
    /// The store cannot be read.
    #[error("the store cannot be read now")]
    Unreadable,
    /// A record is damaged, and the bank cannot prove what it was.
    #[error("{0} is damaged in the bank's store: stop the bank, and {RESTORE}")]
    Damaged(String),
    /// The bank is stopping.
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
    /// An invariant is broken.
    #[error("the bank is at fault")]
    Broken,
}

/// The retry delay when the write queue is full: about the time to write a few groups.
const RETRY_WRITE_AFTER: Duration = Duration::from_millis(100);
/// The retry delay when there are too many followers: capacity is freed when others restart.
const RETRY_WATCH_AFTER: Duration = Duration::from_secs(1);

impl Error {
    /// Returns the gRPC code of an error. This is the only table from error to code.
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
            // Versions only grow, so the same call can never succeed, and clients must not retry it.
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
    /// Returns the error for a bank that does not exist for the caller.
    pub(crate) const fn bank_not_found(name: BankRef) -> Self {
        Self::Denied(Denied::BankNotFound(name))
    }

    /// Returns the error for an item that does not exist for the caller.
    pub(crate) const fn item_not_found(item: ItemId) -> Self {
        Self::Denied(Denied::ItemNotFound(item))
    }

    /// Returns the error for a missing version of a card, or for a missing card if the version is 0. `name`
    /// is the caller's text and may be longer than any name, so it is cut to 64 characters.
    pub(crate) fn no_card(name: &str, version: u32) -> Self {
        Self::NoCard { name: name.chars().take(64).collect::<String>().into(), version }
    }

    /// Returns how long a refused caller should wait before it retries, if that is known.
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

    /// Returns the refusal of a follower whose state cannot be read. It names the damaged row, because no
    /// state is complete without it. Logs the store's error.
    pub(crate) fn from_load(error: &StoreError) -> Self {
        let refusal = Self::from_read(error);
        if let StoreError::Corrupt { row } = error { Self::Damaged(row.clone()) } else { refusal }
    }

    /// Returns the refusal of a call whose read failed. Logs the store's error.
    pub(crate) fn from_read(error: &StoreError) -> Self {
        tracing::error!(error = error as &dyn std::error::Error, "cannot read the store");
        if error.is_corrupt() { Self::Broken } else { Self::Unreadable }
    }
}

/// The reasons why the directory refuses a change, in words that the caller may see: [`Refusal`] names ids of
/// other members.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum DirectoryRefusal {
    /// Another member or principal has the name, the identity provider or the credential.
    #[error("{0}")]
    Taken(String),
    /// The present state does not allow the change.
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
            // The plan has checked each of these in the same state.
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

/// Uses the bank's own error where there is one, so that it is the same whichever part found it.
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

/// Uses the bank's own error where there is one, as for [`WriteRefused`].
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
