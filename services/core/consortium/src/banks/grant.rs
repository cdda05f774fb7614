//! A grant: what one member may do with one bank of another.

use vigie_model::{BankId, BankName};

use crate::expiry::Expiry;
use crate::flags::{Flag, Flags};
use crate::members::member::MemberId;

/// A right of a member on a bank of another. None includes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Capability {
    /// The bank's items match the member's queries.
    Match,
    /// The member sees labels, references and ids of items.
    SeeDetails,
    /// The member may put opinions.
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

/// A grant as the directory holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The bank.
    pub bank: BankId,
    /// The member that it is shared with.
    pub member: MemberId,
    /// The rights of that member.
    pub capabilities: Capabilities,
    /// The name under which that member finds the bank, beside `owner/name`: unique among its aliases and
    /// banks.
    pub alias: Option<BankName>,
    /// From when on the bank is not shared any more.
    pub expiry: Expiry,
}
