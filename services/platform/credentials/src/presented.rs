//! The credentials of a call, before any of them is verified.

use std::fmt;
use std::net::IpAddr;

use zeroize::Zeroizing;

use crate::api_key::{self, ApiKey};
use crate::rejected::Rejected;
use crate::spiffe::CertificateName;

/// The only supported scheme of `Authorization` (RFC 6750). Schemes are compared without regard to case.
const BEARER: &[u8] = b"bearer";

/// The parts of a call that identify its caller: the connection's address and certificate, and the header
/// `Authorization`.
#[derive(Debug, Clone, Copy)]
pub struct Carried<'a> {
    /// The address of the connection; `None` where the network has no addresses.
    pub address: Option<IpAddr>,
    /// The name in the client's certificate, which the handshake has checked, as [`vigie_tls::peer_name`]
    /// returns it.
    pub certificate_name: Option<&'a str>,
    /// The call's headers `Authorization`.
    pub authorization: Authorization<'a>,
}

/// The values of all headers `Authorization` of a call.
#[derive(Clone, Copy)]
pub enum Authorization<'a> {
    /// There is no such header.
    Absent,
    /// The value of the only header.
    One(&'a [u8]),
    /// More than one, which is refused: servers and proxies differ in which of them counts.
    Several,
}

impl<'a> Authorization<'a> {
    /// Takes the values of all headers named `Authorization`.
    pub fn of(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::One(value),
            (Some(_), Some(_)) => Self::Several,
        }
    }

    pub(crate) const fn is_present(&self) -> bool {
        !matches!(self, Self::Absent)
    }
}

/// Never shows the value.
impl fmt::Debug for Authorization<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Absent => "Absent",
            Self::One(_) => "One(..)",
            Self::Several => "Several",
        })
    }
}

/// The text of a token. It is never displayed, and its memory is wiped.
#[derive(Clone)]
pub struct TokenText(Zeroizing<String>);

impl TokenText {
    /// Takes a token's text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenText(..)")
    }
}

/// The credentials of a call, read but not verified.
#[derive(Debug, Clone)]
pub(crate) struct Presented {
    pub(crate) certificate: Option<CertificateName>,
    pub(crate) bearer: Option<Bearer>,
}

/// The credential of the header `Authorization`.
#[derive(Debug, Clone)]
pub(crate) enum Bearer {
    ApiKey(ApiKey),
    Token(TokenText),
}

impl Presented {
    pub(crate) fn read(carried: &Carried<'_>) -> Result<Self, Rejected> {
        let certificate = carried.certificate_name.map(CertificateName::read).transpose()?;
        let bearer = match carried.authorization {
            Authorization::Absent => None,
            Authorization::One(value) => Some(Bearer::read(value)?),
            Authorization::Several => return Err(Rejected::SeveralAuthorizations),
        };
        Ok(Self { certificate, bearer })
    }
}

/// Returns whether a text has the form of a bearer credential (RFC 6750, section 2.1): one or more of `A-Z
/// a-z 0-9 - . _ ~ + / =`.
#[must_use]
pub fn is_bearer_credential(text: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    !text.is_empty() && text.bytes().all(is_fit)
}

impl Bearer {
    fn read(value: &[u8]) -> Result<Self, Rejected> {
        let scheme = value.split(|byte| *byte == b' ').next().unwrap_or_default();
        if !scheme.eq_ignore_ascii_case(BEARER) {
            return Err(Rejected::NotBearer);
        }
        // The bytes of a credential are ASCII.
        let credential = str::from_utf8(&value[scheme.len()..]).map_err(|_| Rejected::MalformedBearer)?;
        let credential = credential.trim_matches(' ');
        if !is_bearer_credential(credential) {
            return Err(Rejected::MalformedBearer);
        }
        if credential.starts_with(api_key::PREFIX) {
            return Ok(Self::ApiKey(ApiKey::parse(credential)?));
        }
        Ok(Self::Token(TokenText::new(credential)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(authorization: &[&[u8]]) -> Result<Presented, Rejected> {
        let authorization = Authorization::of(authorization.iter().copied());
        Presented::read(&Carried { address: None, certificate_name: None, authorization })
    }

    #[test]
    fn the_header_is_a_bearer_of_a_key_or_of_a_token() {
        let key = ApiKey::generate().unwrap().reveal();
        for scheme in ["Bearer ", "bearer ", "BEARER   "] {
            let value = format!("{scheme}{}", *key);
            let presented = read(&[value.as_bytes()]).unwrap();
            assert!(matches!(presented.bearer, Some(Bearer::ApiKey(_))), "{scheme}");
            assert!(!format!("{presented:?}").contains(&key[21..]));
        }
        let presented = read(&[b"Bearer abc.def.ghi"]).unwrap();
        assert!(matches!(&presented.bearer, Some(Bearer::Token(text)) if text.as_str() == "abc.def.ghi"));
        assert!(!format!("{presented:?}").contains("abc"));
        assert!(read(&[]).unwrap().bearer.is_none());
    }

    #[test]
    fn what_is_no_bearer_is_refused_and_never_ignored() {
        for value in ["", "Basic YTpi", "Bearer:abc", "Bearerabc", "abc.def.ghi", "vgk_", " Bearer abc"] {
            assert_eq!(read(&[value.as_bytes()]).err(), Some(Rejected::NotBearer), "{value:?}");
        }
        for value in
            ["Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer \"a\"", "Bearer a\tb", "Bearer é"]
        {
            assert_eq!(read(&[value.as_bytes()]).err(), Some(Rejected::MalformedBearer), "{value:?}");
        }
        assert_eq!(read(&[b"Bearer \xff"]).err(), Some(Rejected::MalformedBearer));
        assert_eq!(read(&[b"Bearer a", b"Bearer a"]).err(), Some(Rejected::SeveralAuthorizations));
        assert!(matches!(read(&[b"Bearer vgk_short"]).err(), Some(Rejected::ApiKey(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(value: Vec<u8>, rest: Vec<u8>) {
            let _ = read(&[&value]);
            let _ = read(&[&[b"Bearer vgk_", &rest[..]].concat()]);
        }
    }
}
