//! The caller: the principal of a proven credential, or a process of the deployment. `vigie-credentials`
//! proves credentials.

use thiserror::Error;
use vigie_model::UnixMillis;

use super::view::View;
use crate::members::api_key::{ApiKey, KeyId};
use crate::members::credential::{Credential, CredentialId};
use crate::members::member::MemberName;
use crate::members::principal::{Principal, PrincipalId};

/// A kind of the deployment's own processes, by the names of certificates that its configuration lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Process {
    /// A frontend, or a gateway: decides on banks, then searches.
    Frontend,
    /// A coordinator.
    Coordinator,
    /// A matcher: follows the log.
    Matcher,
    /// A bank.
    Bank,
    /// The exchange process: follows programmes.
    Exchange,
    /// A classifier: runs models.
    Classifier,
}

impl Process {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Frontend, Self::Coordinator, Self::Matcher, Self::Bank, Self::Exchange, Self::Classifier];
}

/// A credential that was proven, by which its principal is found.
#[derive(Debug, Clone, Copy)]
pub enum Reference<'a> {
    /// A certificate, by its whole SPIFFE ID.
    Certificate(&'a str),
    /// An API key.
    ApiKey(KeyId),
    /// A token.
    Token {
        /// Its `iss`.
        issuer: &'a str,
        /// Its `sub`.
        subject: &'a str,
    },
}

impl Reference<'_> {
    fn id(self) -> CredentialId {
        match self {
            Self::Certificate(id) => CredentialId::of_certificate(id),
            Self::ApiKey(id) => CredentialId::of_key(id),
            Self::Token { issuer, subject } => CredentialId::of_token(issuer, subject),
        }
    }

    /// Whether the credential is a principal's. What credentials are found by is a digest, on which alone
    /// nothing depends.
    fn is_of(self, principal: &Principal) -> bool {
        match (self, &principal.credential) {
            (Self::Certificate(text), Credential::Certificate(id)) => id.as_str() == text,
            (Self::ApiKey(id), Credential::ApiKeys(keys)) => keys.get(id).is_some(),
            (Self::Token { issuer, subject }, Credential::Token(token)) => {
                token.issuer() == issuer && token.subject() == subject
            }
            (Self::Certificate(_) | Self::ApiKey(_) | Self::Token { .. }, _) => false,
        }
    }
}

/// The caller as proven at one moment. [`View::admit`] checks again whether that still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Nobody known: no credential was shown.
    Anonymous,
    /// The host with every role: the consortium is off.
    Everyone,
    /// A process of the deployment.
    Process(Process),
    /// A principal, by one of its credentials.
    Principal(Proven),
}

/// A principal that has shown a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proven {
    /// The principal.
    pub principal: PrincipalId,
    pub(super) credential: CredentialId,
}

/// A credential that was proven is not valid any more: expired and revoked ones alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a credential of the call is not valid")]
pub struct InvalidCredential;

impl View {
    /// The API key of this id, for its proof; expired ones too.
    #[must_use]
    pub fn api_key(&self, id: KeyId) -> Option<&ApiKey> {
        let principal = self.directory().principal_with(CredentialId::of_key(id))?;
        match &principal.credential {
            Credential::ApiKeys(keys) => keys.get(id),
            Credential::Certificate(_) | Credential::Token(_) => None,
        }
    }

    /// The principal that has a proven credential, with its member's name: two credentials of one call have
    /// to be of one member. `None` if nobody has the credential, or its time is over; the call then fails,
    /// also where it would need none. The member may be suspended.
    #[must_use]
    pub fn find(&self, reference: Reference<'_>, now: UnixMillis) -> Option<(Proven, &MemberName)> {
        let credential = reference.id();
        let principal = self.directory().principal_with(credential)?;
        if !reference.is_of(principal) || !principal.accepts(credential, now) {
            return None;
        }
        let member = self.directory().member(principal.member)?;
        Some((Proven { principal: principal.id, credential }, &member.name))
    }

    /// The caller of a call, by its proven principal, or else by which of the deployment's own processes its
    /// certificate is of. While the consortium is off there are no principals, and certificates mean what
    /// they meant before there were any.
    #[must_use]
    pub fn caller(&self, proven: Option<Proven>, process: Option<Process>) -> Caller {
        match (proven, process) {
            (Some(proven), _) => Caller::Principal(proven),
            (None, _) if !self.directory().is_on() => Caller::Everyone,
            (None, Some(process)) => Caller::Process(process),
            (None, None) => Caller::Anonymous,
        }
    }

    /// The principal that has proven itself before, if the directory still has it with this credential.
    pub(super) fn still_proven(
        &self,
        proven: Proven,
        now: UnixMillis,
    ) -> Result<&Principal, InvalidCredential> {
        let principal = self.directory().principal_with(proven.credential);
        let is_the_same =
            |one: &&Principal| one.id == proven.principal && one.accepts(proven.credential, now);
        principal.map(AsRef::as_ref).filter(is_the_same).ok_or(InvalidCredential)
    }
}
