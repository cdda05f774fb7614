//! Principals in the bank's answers: without the digests of their keys, which are only in the log.

use vigie_consortium::{
    Expiry, KeyId, MemberId, MemberName, Principal, PrincipalId, Roles, SpiffeId, Text, TokenSubject,
};
use vigie_credentials::api_key::ApiKey;
use vigie_model::UnixMillis;
use vigie_proto::Invalid;
use vigie_proto::consortium as wire;
use vigie_proto::pb::consortium::v1 as pb;
use zeroize::Zeroizing;

/// A living principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrincipalListing {
    /// Its id.
    pub id: PrincipalId,
    /// The member for whom it acts.
    pub member: MemberId,
    /// Its roles.
    pub roles: Roles,
    /// The credential with which it authenticates.
    pub credential: PrincipalCredential,
    /// When it was created, by the bank's clock.
    pub created_at: UnixMillis,
    /// The time from which it is refused.
    pub expiry: Expiry,
    /// A note for people who read a list; may be empty.
    pub note: Text<{ Principal::NOTE_LEN_MAX }>,
}

/// A principal's credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrincipalCredential {
    /// A client certificate.
    Certificate(SpiffeId),
    /// Its API keys, one or two, the older one first.
    ApiKeys(Vec<KeyListing>),
    /// A token of an identity provider.
    Token(TokenSubject),
}

/// The public part of an API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyListing {
    /// Its id.
    pub id: KeyId,
    /// When it was created.
    pub created_at: UnixMillis,
    /// The time from which it is refused.
    pub expiry: Expiry,
}

/// A principal, and the API key that was just made for it.
#[derive(Debug, Clone)]
pub struct PrincipalWithKey {
    /// The principal.
    pub principal: PrincipalListing,
    /// The key that the bank made; no other answer has it. `None` if no key was requested, or if the first
    /// answer was lost and the request was sent again; a rotation then makes another key.
    pub key: Option<ApiKey>,
}

/// A principal before the bank has created it.
#[derive(Debug, Clone)]
pub struct NewPrincipal {
    /// Its member; `None` for the caller's.
    pub member: Option<MemberName>,
    /// Its roles.
    pub roles: Roles,
    /// The credential with which it will authenticate.
    pub credential: NewCredential,
    /// The time from which it is refused.
    pub expiry: Expiry,
    /// A note for people who read a list; may be empty.
    pub note: Text<{ Principal::NOTE_LEN_MAX }>,
}

/// The credential of a new principal.
#[derive(Debug, Clone)]
pub enum NewCredential {
    /// A client certificate.
    Certificate(SpiffeId),
    /// An API key that the bank makes. If the answer is lost, so is the key.
    ApiKey,
    /// An API key that the caller has made.
    OwnKey(ApiKey),
    /// A token of an identity provider.
    Token(TokenSubject),
}

impl TryFrom<pb::Principal> for PrincipalListing {
    type Error = Invalid;

    fn try_from(message: pb::Principal) -> Result<Self, Invalid> {
        Ok(Self {
            id: PrincipalId(message.id),
            member: MemberId(message.member_id),
            roles: wire::roles(&message.roles)?,
            credential: message.credential.ok_or_else(|| Invalid::missing("credential"))?.try_into()?,
            created_at: UnixMillis(message.created_at_unix_ms),
            expiry: Expiry::from_wire(message.expires_at_unix_ms),
            note: Text::new(&message.note).map_err(|error| Invalid::new("note", error))?,
        })
    }
}

impl TryFrom<pb::principal::Credential> for PrincipalCredential {
    type Error = Invalid;

    fn try_from(message: pb::principal::Credential) -> Result<Self, Invalid> {
        use pb::principal::Credential as Wire;
        match message {
            Wire::SpiffeId(id) => wire::certificate(&id).map(Self::Certificate),
            Wire::TokenSubject(token) => wire::token_subject(&token).map(Self::Token),
            Wire::ApiKeys(keys) => {
                Ok(Self::ApiKeys(keys.keys.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?))
            }
        }
    }
}

impl TryFrom<pb::ApiKey> for KeyListing {
    type Error = Invalid;

    fn try_from(message: pb::ApiKey) -> Result<Self, Invalid> {
        Ok(Self {
            id: message.key_id.parse().map_err(|error| Invalid::new("key_id", error))?,
            created_at: UnixMillis(message.created_at_unix_ms),
            expiry: Expiry::from_wire(message.expires_at_unix_ms),
        })
    }
}

impl PrincipalWithKey {
    pub(super) fn new(principal: Option<pb::Principal>, api_key: String) -> Result<Self, Invalid> {
        let text = Zeroizing::new(api_key);
        let key = (!text.is_empty()).then(|| ApiKey::parse(&text)).transpose();
        Ok(Self { principal: listed(principal)?, key: key.map_err(|fault| Invalid::new("api_key", fault))? })
    }
}

pub(super) fn listed(principal: Option<pb::Principal>) -> Result<PrincipalListing, Invalid> {
    principal.ok_or_else(|| Invalid::missing("principal"))?.try_into()
}

impl From<NewCredential> for pb::create_principal_request::Credential {
    fn from(credential: NewCredential) -> Self {
        match credential {
            NewCredential::Certificate(id) => Self::SpiffeId(id.to_string()),
            NewCredential::ApiKey => Self::NewApiKey(true),
            NewCredential::OwnKey(key) => Self::ApiKey(key.reveal().to_string()),
            NewCredential::Token(token) => Self::TokenSubject((&token).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(credential: pb::principal::Credential) -> pb::Principal {
        pb::Principal {
            id: 7,
            member_id: 2,
            roles: vec![1, 4],
            credential: Some(credential),
            created_at_unix_ms: 5,
            expires_at_unix_ms: 0,
            note: "a note".into(),
        }
    }

    fn keys(ids: &[&str]) -> pb::principal::Credential {
        let key =
            |id: &&str| pb::ApiKey { key_id: (*id).to_owned(), created_at_unix_ms: 5, expires_at_unix_ms: 9 };
        pb::principal::Credential::ApiKeys(pb::ApiKeys { keys: ids.iter().map(key).collect() })
    }

    #[test]
    fn an_answered_principal_has_the_ids_of_its_keys() {
        let id = "a".repeat(16);
        let listing = PrincipalListing::try_from(answered(keys(&[&id]))).unwrap();
        assert_eq!((listing.id, listing.member), (PrincipalId(7), MemberId(2)));
        assert_eq!(
            (listing.roles.to_string().as_str(), listing.expiry),
            ("matcher,administrator", Expiry::NEVER)
        );
        let PrincipalCredential::ApiKeys(keys) = listing.credential else { panic!("{listing:?}") };
        assert_eq!((keys[0].id.as_str(), keys[0].expiry), (id.as_str(), Expiry::at(UnixMillis(9))));
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let fault = |message: pb::Principal| PrincipalListing::try_from(message).unwrap_err().field;
        assert_eq!(fault(answered(keys(&["short"]))), "key_id");
        assert_eq!(fault(answered(pb::principal::Credential::SpiffeId("x".into()))), "spiffe_id");
        let good = || answered(keys(&[]));
        assert_eq!(fault(pb::Principal { credential: None, ..good() }), "credential");
        assert_eq!(fault(pb::Principal { roles: vec![], ..good() }), "roles");
        assert_eq!(fault(pb::Principal { note: "x".repeat(257), ..good() }), "note");
    }

    #[test]
    fn a_new_key_is_read_once_and_shown_by_nothing() {
        let key = ApiKey::generate().unwrap();
        let text = key.reveal();
        let with = |key: &str| PrincipalWithKey::new(Some(answered(keys(&[]))), key.to_owned());
        let made = with(&text).unwrap();
        assert_eq!(made.key.as_ref().map(|key| key.reveal()), Some(text.clone()));
        assert!(!format!("{made:?}").contains(&text[30..]));
        assert!(with("").unwrap().key.is_none());
        let damaged = with(&text[..78]).unwrap_err();
        assert_eq!(damaged.field, "api_key");
        assert!(!format!("{damaged:?}").contains(&text[30..40]));
    }

    #[test]
    fn what_is_asked_for_has_one_credential() {
        use pb::create_principal_request::Credential as Asked;
        let spiffe = "spiffe://d/member/acme/a";
        let key = ApiKey::generate().unwrap();
        let token = TokenSubject::new("issuer", "subject").unwrap();
        for (new, asked) in [
            (NewCredential::ApiKey, Asked::NewApiKey(true)),
            (NewCredential::OwnKey(key.clone()), Asked::ApiKey(key.reveal().to_string())),
            (NewCredential::Certificate(spiffe.parse().unwrap()), Asked::SpiffeId(spiffe.into())),
            (NewCredential::Token(token.clone()), Asked::TokenSubject((&token).into())),
        ] {
            assert_eq!(Asked::from(new.clone()), asked);
            assert!(!format!("{new:?} {asked:?}").contains(&key.reveal()[30..]));
        }
    }
}
