//! Principals. The digests of their keys are in changes of the log, but in no answer.

use vigie_consortium::{
    ApiKey, ApiKeys, Credential, Expiry, Flags, KeyDigest, KeyId, MemberId, Principal, PrincipalId, Role,
    Roles, SpiffeId, Text, TokenSubject,
};
use vigie_model::UnixMillis;

use crate::invalid::{Invalid, check_len, each};
use crate::pb::consortium::v1 as pb;
use crate::pb::consortium::v1::principal::Credential as Wire;

/// Reads the roles of a principal.
pub fn roles(numbers: &[i32]) -> Result<Roles, Invalid> {
    let role = |number: &i32| match pb::Role::try_from(*number) {
        Ok(pb::Role::Matcher) => Ok(Role::Matcher),
        Ok(pb::Role::Contributor) => Ok(Role::Contributor),
        Ok(pb::Role::Reviewer) => Ok(Role::Reviewer),
        Ok(pb::Role::Administrator) => Ok(Role::Administrator),
        Ok(pb::Role::Auditor) => Ok(Role::Auditor),
        Ok(pb::Role::Operator) => Ok(Role::Operator),
        Ok(pb::Role::Unspecified) | Err(_) => {
            Err(Invalid::new("roles", format!("has {number}; this version knows 1 to 6")))
        }
    };
    check_len("roles", numbers.len(), 1, 6)?;
    let all = numbers.iter().map(role).collect::<Result<Vec<_>, _>>()?;
    Flags::new(all).map_err(|error| Invalid::new("roles", error))
}

/// Returns the numbers of the roles on the wire.
#[must_use]
pub fn role_numbers(roles: Roles) -> Vec<i32> {
    let number = |role| match role {
        Role::Matcher => pb::Role::Matcher.into(),
        Role::Contributor => pb::Role::Contributor.into(),
        Role::Reviewer => pb::Role::Reviewer.into(),
        Role::Administrator => pb::Role::Administrator.into(),
        Role::Auditor => pb::Role::Auditor.into(),
        Role::Operator => pb::Role::Operator.into(),
    };
    roles.iter().map(number).collect()
}

/// Reads the credential of a client certificate.
pub fn certificate(id: &str) -> Result<SpiffeId, Invalid> {
    id.parse().map_err(|error| Invalid::new("spiffe_id", error))
}

/// Reads the credential of a token.
pub fn token_subject(token: &pb::TokenSubject) -> Result<TokenSubject, Invalid> {
    let subject = TokenSubject::new(&token.issuer, &token.subject);
    subject.map_err(|error| Invalid::new("token_subject", error))
}

impl From<&TokenSubject> for pb::TokenSubject {
    fn from(token: &TokenSubject) -> Self {
        Self { issuer: token.issuer().to_owned(), subject: token.subject().to_owned() }
    }
}

/// Returns a principal for an answer, without the digests of its keys.
#[must_use]
pub fn answered_principal(principal: &Principal) -> pb::Principal {
    let key = |key: &ApiKey| pb::ApiKey {
        key_id: key.id.to_string(),
        created_at_unix_ms: key.created_at.0,
        expires_at_unix_ms: key.expiry.to_wire(),
    };
    let credential = match &principal.credential {
        Credential::Certificate(id) => Wire::SpiffeId(id.to_string()),
        Credential::ApiKeys(keys) => Wire::ApiKeys(pb::ApiKeys { keys: keys.iter().map(key).collect() }),
        Credential::Token(token) => Wire::TokenSubject(token.into()),
    };
    pb::Principal {
        id: principal.id.0,
        member_id: principal.member.0,
        roles: role_numbers(principal.roles),
        credential: Some(credential),
        created_at_unix_ms: principal.created_at.0,
        expires_at_unix_ms: principal.expiry.to_wire(),
        note: principal.note.to_string(),
    }
}

impl From<Principal> for pb::PrincipalPut {
    fn from(principal: Principal) -> Self {
        let key_digests = match &principal.credential {
            Credential::ApiKeys(keys) => keys.iter().map(|key| key.digest.0.to_vec()).collect(),
            Credential::Certificate(_) | Credential::Token(_) => Vec::new(),
        };
        Self { principal: Some(answered_principal(&principal)), key_digests }
    }
}

impl TryFrom<pb::PrincipalPut> for Principal {
    type Error = Invalid;

    fn try_from(message: pb::PrincipalPut) -> Result<Self, Invalid> {
        let pb::PrincipalPut { principal, key_digests } = message;
        let message = principal.ok_or_else(|| Invalid::missing("principal"))?;
        let credential = match message.credential.ok_or_else(|| Invalid::missing("principal.credential"))? {
            Wire::SpiffeId(id) => Credential::Certificate(certificate(&id)?),
            Wire::TokenSubject(token) => Credential::Token(token_subject(&token)?),
            Wire::ApiKeys(keys) => Credential::ApiKeys(Box::new(api_keys(keys, key_digests)?)),
        };
        Ok(Self {
            id: PrincipalId(message.id),
            member: MemberId(message.member_id),
            roles: roles(&message.roles)?,
            credential,
            created_at: UnixMillis(message.created_at_unix_ms),
            expiry: Expiry::from_wire(message.expires_at_unix_ms),
            note: Text::new(&message.note).map_err(|error| Invalid::new("principal.note", error))?,
        })
    }
}

fn api_keys(message: pb::ApiKeys, digests: Vec<Vec<u8>>) -> Result<ApiKeys, Invalid> {
    check_len("key_digests", digests.len(), message.keys.len(), message.keys.len())?;
    let digest = |bytes: Vec<u8>| {
        let bytes = bytes.try_into().map_err(|_| Invalid::new("", "must have 32 bytes"))?;
        Ok(KeyDigest(bytes))
    };
    let digests = each("key_digests", digests, digest)?;
    let keys = each("api_keys", message.keys.into_iter().zip(digests), |(key, digest)| {
        let id = key.key_id.parse::<KeyId>();
        Ok(ApiKey {
            id: id.map_err(|error| Invalid::new("key_id", error))?,
            digest,
            created_at: UnixMillis(key.created_at_unix_ms),
            expiry: Expiry::from_wire(key.expires_at_unix_ms),
        })
    })?;
    ApiKeys::new(keys).map_err(|error| Invalid::new("api_keys", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> ApiKey {
        let id = char::from(b'a' + number).to_string().repeat(16).parse().unwrap();
        let expiry = Expiry::at(UnixMillis(number.into()));
        ApiKey { id, digest: KeyDigest([number; 32]), created_at: UnixMillis(4), expiry }
    }

    fn principal(credential: Credential) -> Principal {
        Principal {
            id: PrincipalId(9),
            member: MemberId(3),
            roles: Roles::all(),
            credential,
            created_at: UnixMillis(5),
            expiry: Expiry::at(UnixMillis(6)),
            note: Text::new("a note").unwrap(),
        }
    }

    #[test]
    fn principals_survive_the_log() {
        let keys = ApiKeys::new([key(1), key(2)]).unwrap();
        for credential in [
            Credential::Certificate("spiffe://d/member/acme/a".parse().unwrap()),
            Credential::Token(TokenSubject::new("issuer", "subject").unwrap()),
            Credential::ApiKeys(Box::new(keys)),
        ] {
            let principal = principal(credential);
            let message = pb::PrincipalPut::from(principal.clone());
            assert!(!format!("{message:?}").contains("digest"), "{message:?}");
            assert_eq!(Principal::try_from(message), Ok(principal));
        }
    }

    #[test]
    fn keys_without_their_digests_are_refused() {
        let keys = ApiKeys::new([key(1)]).unwrap();
        let good = pb::PrincipalPut::from(principal(Credential::ApiKeys(Box::new(keys))));
        for digests in [vec![], vec![vec![0; 32]; 2], vec![vec![0; 31]]] {
            let message = pb::PrincipalPut { key_digests: digests, ..good.clone() };
            let invalid = Principal::try_from(message).unwrap_err();
            assert!(invalid.field.starts_with("key_digests"), "{invalid}");
        }
        assert_eq!(roles(&[]).unwrap_err().field, "roles");
        assert_eq!(roles(&[7]).unwrap_err().field, "roles");
    }

    #[test]
    fn no_message_shows_a_key() {
        let api_key = format!("vgk_{}_{}", "a".repeat(16), "b".repeat(58));
        let credential = Some(pb::create_principal_request::Credential::ApiKey(api_key.clone()));
        let create = pb::CreatePrincipalRequest { credential, ..Default::default() };
        let rotate = pb::RotateKeyRequest { api_key: api_key.clone(), ..Default::default() };
        assert!(!format!("{create:?} {rotate:?}").contains("vgk_"));
        let created = pb::CreatePrincipalResponse { api_key: api_key.clone(), ..Default::default() };
        let rotated = pb::RotateKeyResponse { api_key, ..Default::default() };
        assert!(!format!("{created:?} {rotated:?}").contains("vgk_"));
    }
}
