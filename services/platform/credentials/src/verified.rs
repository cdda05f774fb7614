//! Verified credentials, and their principal.

use std::time::SystemTime;

use crate::api_key::KeyId;
use crate::jwt::VerifiedToken;
use crate::rejected::Rejected;
use crate::spiffe::MemberSpiffeId;

/// A verified credential, by which a directory finds its principal.
#[derive(Debug, Clone, Copy)]
pub enum PrincipalReference<'a> {
    /// A certificate: the whole SPIFFE ID.
    Certificate(&'a MemberSpiffeId),
    /// An API key.
    ApiKey(KeyId),
    /// A token: issuer and subject, and the groups of the subject according to the issuer.
    Token(&'a VerifiedToken),
}

impl PrincipalReference<'_> {
    /// Returns the kind of the credential.
    const fn credential(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "certificate",
            Self::ApiKey(_) => "API key",
            Self::Token(_) => "token",
        }
    }
}

/// The verified credentials of one call: a certificate, an API key or token, both, or neither.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    pub(crate) certificate: Option<MemberSpiffeId>,
    pub(crate) bearer: Option<VerifiedBearer>,
}

/// The verified credential in the header `Authorization`.
#[derive(Debug, Clone)]
pub enum VerifiedBearer {
    /// An API key.
    ApiKey {
        /// The public part.
        id: KeyId,
        /// The first moment at which the key is no longer valid.
        expires: Option<SystemTime>,
    },
    /// A token.
    Token(VerifiedToken),
}

impl Verified {
    /// Returns the member's certificate.
    #[must_use]
    pub const fn certificate(&self) -> Option<&MemberSpiffeId> {
        self.certificate.as_ref()
    }

    /// Returns the API key or token.
    #[must_use]
    pub const fn bearer(&self) -> Option<&VerifiedBearer> {
        self.bearer.as_ref()
    }

    /// Returns whether the call has no credential of a member.
    #[must_use]
    pub const fn is_anonymous(&self) -> bool {
        self.certificate.is_none() && self.bearer.is_none()
    }

    /// Returns the first moment at which the API key or token is no longer valid: a stream that is open then
    /// has to end.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        match &self.bearer {
            Some(VerifiedBearer::ApiKey { expires, .. }) => *expires,
            Some(VerifiedBearer::Token(token)) => Some(token.expires()),
            None => None,
        }
    }

    /// Finds the principal of the call: that of the API key or token, otherwise that of the certificate;
    /// `None` if the call has neither. `find` looks up one reference and returns the principal with its
    /// member's name.
    ///
    /// # Errors
    ///
    /// A credential has no principal, the certificate names another member than its principal's, or the two
    /// credentials belong to different members.
    pub(crate) fn resolve<P, M: AsRef<str>>(
        &self,
        mut find: impl FnMut(PrincipalReference<'_>) -> Option<(P, M)>,
    ) -> Result<Option<P>, Rejected> {
        let mut found = |reference: PrincipalReference<'_>| {
            let credential = reference.credential();
            find(reference).ok_or(Rejected::NoPrincipal { credential })
        };
        let mut principal = None;
        if let Some(id) = &self.certificate {
            let (holder, member) = found(PrincipalReference::Certificate(id))?;
            if member.as_ref() != id.member() {
                return Err(Rejected::CertificateOfAnother);
            }
            principal = Some(holder);
        }
        if let Some(bearer) = &self.bearer {
            let reference = match bearer {
                VerifiedBearer::ApiKey { id, .. } => PrincipalReference::ApiKey(*id),
                VerifiedBearer::Token(token) => PrincipalReference::Token(token),
            };
            let (holder, member) = found(reference)?;
            if self.certificate.as_ref().is_some_and(|id| id.member() != member.as_ref()) {
                return Err(Rejected::DifferentMembers);
            }
            principal = Some(holder);
        }
        Ok(principal)
    }
}
