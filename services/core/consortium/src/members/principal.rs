//! A principal: a machine or a person of one member.

use std::fmt;

use vigie_model::UnixMillis;

use super::credential::{Credential, CredentialId};
use super::member::MemberId;
use super::role::Roles;
use crate::expiry::Expiry;
use crate::text::Text;

/// The id of a principal: ascending in order of creation, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrincipalId(pub u64);

impl fmt::Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A principal as the directory stores it. A revoked principal is removed from the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The id.
    pub id: PrincipalId,
    /// The member for whom it acts.
    pub member: MemberId,
    /// The roles.
    pub roles: Roles,
    /// The credential by which it proves its identity.
    pub credential: Credential,
    /// The time of its creation, by the bank's clock.
    pub created_at: UnixMillis,
    /// The time from which it is refused.
    pub expiry: Expiry,
    /// A note for readers of lists; may be empty.
    pub note: Text<{ Principal::NOTE_LEN_MAX }>,
}

impl Principal {
    /// The longest note, in bytes.
    pub const NOTE_LEN_MAX: usize = 256;

    /// Whether it can make calls without a time limit: neither the principal nor all of its credentials
    /// expire.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        let stays = match &self.credential {
            Credential::Certificate(_) | Credential::Token(_) => true,
            Credential::ApiKeys(keys) => keys.iter().any(|key| key.expiry == Expiry::NEVER),
        };
        stays && self.expiry == Expiry::NEVER
    }

    /// Whether the credential `id`, which is one of its own, is accepted at `now`.
    pub(crate) fn accepts(&self, id: CredentialId, now: UnixMillis) -> bool {
        let is_held = match &self.credential {
            Credential::Certificate(_) | Credential::Token(_) => true,
            Credential::ApiKeys(keys) => {
                keys.iter().any(|key| CredentialId::of_key(key.id) == id && !key.expiry.is_over(now))
            }
        };
        is_held && !self.expiry.is_over(now)
    }
}
