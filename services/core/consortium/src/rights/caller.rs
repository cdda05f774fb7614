//! The caller: the principal of a proven credential, or a process of the deployment. `vigie-credentials`
//! verifies credentials.

use thiserror::Error;
use vigie_model::UnixMillis;

use super::view::View;
use crate::members::api_key::{ApiKey, KeyId};
use crate::members::credential::{Credential, CredentialId};
use crate::members::member::MemberName;
use crate::members::principal::{Principal, PrincipalId};

/// A kind of the deployment's own processes, identified by the certificate names in the configuration.
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

/// A verified credential, with which its principal is looked up.
#[derive(Debug, Clone, Copy)]
pub enum Reference<'a> {
    /// A certificate with this whole SPIFFE ID.
    Certificate(&'a str),
    /// An API key with this id.
    ApiKey(KeyId),
    /// A token.
    Token {
        /// The token's `iss`.
        issuer: &'a str,
        /// The token's `sub`.
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

    /// Whether the principal has the credential. Lookup uses a digest, so this compares the full credential.
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

/// The caller as verified at one time. [`View::admit`] checks that it is still valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// An unknown caller without a credential.
    Anonymous,
    /// The host with every role, while the consortium is off.
    Everyone,
    /// A process of the deployment.
    Process(Process),
    /// A principal, by one of its credentials.
    Principal(Proven),
}

/// A principal with a verified credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proven {
    /// The principal.
    pub principal: PrincipalId,
    pub(super) credential: CredentialId,
}

/// A credential is invalid; expired and revoked ones give the same error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a credential of the call is not valid")]
pub struct InvalidCredential;

impl View {
    /// Returns the API key with this id, for its verification; expired ones too.
    #[must_use]
    pub fn api_key(&self, id: KeyId) -> Option<&ApiKey> {
        let principal = self.directory().principal_with(CredentialId::of_key(id))?;
        match &principal.credential {
            Credential::ApiKeys(keys) => keys.get(id),
            Credential::Certificate(_) | Credential::Token(_) => None,
        }
    }

    /// Returns the principal of a verified credential, with its member's name: two credentials of one call
    /// must belong to one member. `None` if nobody has the credential or it has expired; the call then fails,
    /// even if it needs no credential. The member may be suspended.
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

    /// Returns the caller of a call: its verified principal, or else the process of the deployment that its
    /// certificate names. While the consortium is off there are no principals, and certificates identify
    /// processes only.
    #[must_use]
    pub fn caller(&self, proven: Option<Proven>, process: Option<Process>) -> Caller {
        match (proven, process) {
            (Some(proven), _) => Caller::Principal(proven),
            (None, _) if !self.directory().is_on() => Caller::Everyone,
            (None, Some(process)) => Caller::Process(process),
            (None, None) => Caller::Anonymous,
        }
    }

    /// Returns a principal that was verified before, if the directory still has it with this credential.
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
