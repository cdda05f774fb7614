//! Origins and submissions: on whose word an item is in a bank.

use thiserror::Error;
use vigie_model::{MemberId, UnixMillis};

use super::foreign::ForeignOpinion;
use crate::text::{Text, TextError};

/// Where an item comes from, in the words of its contributor. It tells one submission of a member from
/// another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Origin {
    programme: Text<{ Origin::PROGRAMME_LEN_MAX }>,
    key: Text<{ Origin::KEY_LEN_MAX }>,
    case: Text<{ Origin::CASE_LEN_MAX }>,
}

/// The texts are no [`Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct OriginError {
    /// The field at fault.
    pub field: &'static str,
    /// Its fault.
    pub reason: TextError,
}

impl Origin {
    /// Bytes of a programme's name.
    pub const PROGRAMME_LEN_MAX: usize = 255;
    /// Bytes of a key.
    pub const KEY_LEN_MAX: usize = 512;
    /// Bytes of a case.
    pub const CASE_LEN_MAX: usize = 128;

    /// Checks the texts, each of which may be empty.
    pub fn new(programme: &str, key: &str, case: &str) -> Result<Self, OriginError> {
        let of = |field| move |reason| OriginError { field, reason };
        Ok(Self {
            programme: Text::new(programme).map_err(of("programme"))?,
            key: Text::new(key).map_err(of("key"))?,
            case: Text::new(case).map_err(of("case"))?,
        })
    }

    /// The programme of the field that the item was shared by; empty for none.
    #[must_use]
    pub fn programme(&self) -> &str {
        self.programme.as_str()
    }

    /// The item's key there, or the contributor's own; empty for none.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key.as_str()
    }

    /// The case that the item belongs to; empty for none.
    #[must_use]
    pub fn case(&self) -> &str {
        self.case.as_str()
    }

    /// Whether nothing is said, so that nobody can say it again.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        [self.programme(), self.key(), self.case()].iter().all(|text| text.is_empty())
    }
}

/// The statement of a member that an item belongs into its bank. An item lives while one of them does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The member.
    pub member: MemberId,
    /// Where it has the item from.
    pub origin: Origin,
    /// When it said so.
    pub at: UnixMillis,
    /// What the programme's record says of it, where the submission is of an exchange's record with opinions.
    pub foreign: Option<ForeignOpinion>,
}
