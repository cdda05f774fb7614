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
    /// The member's own id.
    pub(super) id: MemberId,
    /// That of its searches, which others replace from time to time.
    pub(super) matcher: Credential,
}

/// A principal and its key.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    pub(super) id: PrincipalId,
    /// The network on which calls carry the key.
    pub(super) network: Network,
}

impl Credential {
    /// `None` where the answer with the key was lost.
    pub(super) fn of(made: &PrincipalWithKey) -> anyhow::Result<Option<Self>> {
        let Some(key) = &made.key else { return Ok(None) };
        let bearer = Bearer::new(&key.reveal(), "a simulation").context("a key is no bearer")?;
        Ok(Some(Self { id: made.principal.id, network: network().bearing(Some(bearer)) }))
    }
}

/// A new principal with a key; `None` for the member of the caller.
pub(super) fn new_principal(member: Option<MemberName>, role: Role) -> NewPrincipal {
    NewPrincipal {
        member,
        roles: Roles::one(role),
        credential: NewCredential::ApiKey,
        expiry: Expiry::NEVER,
        note: Text::default(),
    }
}
