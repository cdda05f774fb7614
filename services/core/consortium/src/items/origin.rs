//! Origins and submissions: the sources of an item, and the members that submitted it.

use thiserror::Error;
use vigie_model::{MemberId, UnixMillis};

use super::foreign::ForeignOpinion;
use crate::text::{Text, TextError};

/// The source of an item, as given by its contributor. It distinguishes the submissions of one member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Origin {
    programme: Text<{ Origin::PROGRAMME_LEN_MAX }>,
    key: Text<{ Origin::KEY_LEN_MAX }>,
    case: Text<{ Origin::CASE_LEN_MAX }>,
}

/// The texts are not a valid [`Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct OriginError {
    /// The invalid field.
    pub field: &'static str,
    /// The fault of the field.
    pub reason: TextError,
}

impl Origin {
    /// The longest name of a programme, in bytes.
    pub const PROGRAMME_LEN_MAX: usize = 255;
    /// The longest key, in bytes.
    pub const KEY_LEN_MAX: usize = 512;
    /// The longest case, in bytes.
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

    /// Returns the hash-sharing programme from which the item comes; empty for none.
    #[must_use]
    pub fn programme(&self) -> &str {
        self.programme.as_str()
    }

    /// Returns the item's key in the programme, or the contributor's own key; empty for none.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key.as_str()
    }

    /// Returns the case that the item belongs to; empty for none.
    #[must_use]
    pub fn case(&self) -> &str {
        self.case.as_str()
    }

    /// Whether all texts are empty. Such an origin cannot identify an item that is submitted again.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        [self.programme(), self.key(), self.case()].iter().all(|text| text.is_empty())
    }
}

/// A member's claim that an item belongs in its bank. An item exists while it has at least one submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The member.
    pub member: MemberId,
    /// The source of the item.
    pub origin: Origin,
    /// The time of the submission.
    pub at: UnixMillis,
    /// The opinion in the programme's record, if the submission comes from an exchange's record with
    /// opinions.
    pub foreign: Option<ForeignOpinion>,
}
