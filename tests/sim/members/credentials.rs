//! Credentials of members.

use anyhow::Context as _;
use vigie_clients::{Network, NewCredential, NewPrincipal, PrincipalWithKey};
use vigie_consortium::{Expiry, MemberId, MemberName, PrincipalId, Role, Roles, Text};
use vigie_net::Bearer;

use crate::network::network;

/// The credentials of a member's people and processes.
#[derive(Debug, Clone)]
pub(super) struct Team {
    pub(super) administrator: Network,
    pub(super) contributor: Network,
    pub(super) reviewer: Network,
    /// The id of the member.
    pub(super) id: MemberId,
    /// The credential for the member's searches, which is replaced from time to time.
    pub(super) matcher: Credential,
}

/// A principal and its key.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    pub(super) id: PrincipalId,
    /// The network whose calls carry the key.
    pub(super) network: Network,
}

impl Credential {
    /// Returns the credential of a new principal; `None` if the answer with its key was lost.
    pub(super) fn of(made: &PrincipalWithKey) -> anyhow::Result<Option<Self>> {
        let Some(key) = &made.key else { return Ok(None) };
        let bearer = Bearer::new(&key.reveal(), "a simulation").context("a key is no bearer")?;
        Ok(Some(Self { id: made.principal.id, network: network().bearing(Some(bearer)) }))
    }
}

/// Returns a new principal with a key; of the caller's member if `member` is `None`.
pub(super) fn new_principal(member: Option<MemberName>, role: Role) -> NewPrincipal {
    NewPrincipal {
        member,
        roles: Roles::one(role),
        credential: NewCredential::ApiKey,
        expiry: Expiry::NEVER,
        note: Text::default(),
    }
}
