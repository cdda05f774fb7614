//! A grant: the rights of one member on a bank of another member.

use vigie_model::{BankId, BankName};

use crate::expiry::Expiry;
use crate::flags::{Flag, Flags};
use crate::members::member::MemberId;

/// A right of a member on a bank of another member. No capability includes another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Capability {
    /// The bank's items match the member's queries.
    Match,
    /// The member sees labels, references and ids of items.
    SeeDetails,
    /// The member may give opinions on items.
    Opine,
    /// The member may add items, and remove those that it added.
    Contribute,
    /// The member may read the items with their hashes, and follow the feed.
    SeeHashes,
}

/// A set of at least one capability.
pub type Capabilities = Flags<Capability>;

impl Flag for Capability {
    const ALL: &'static [Self] =
        &[Self::Match, Self::SeeDetails, Self::Opine, Self::Contribute, Self::SeeHashes];

    fn index(self) -> u8 {
        self as u8
    }

    fn name(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::SeeDetails => "see-details",
            Self::Opine => "opine",
            Self::Contribute => "contribute",
            Self::SeeHashes => "see-hashes",
        }
    }
}

/// A grant as the directory stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The bank.
    pub bank: BankId,
    /// The member that the bank is shared with.
    pub member: MemberId,
    /// That member's rights on the bank.
    pub capabilities: Capabilities,
    /// The member's own name for the bank, in addition to `owner/name`; unique among the member's aliases and
    /// banks.
    pub alias: Option<BankName>,
    /// The time at which the sharing ends.
    pub expiry: Expiry,
}
