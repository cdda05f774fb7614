//! The compact form of a token (RFC 7515, section 7.1), read but not verified.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::jwt::algorithm::Algorithm;
use crate::jwt::object::Object;
use crate::jwt::refused::{Part, TokenRefused};

/// The longest token, in bytes: servers commonly accept no longer headers.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;

/// The parts of a token.
#[derive(Debug)]
pub(super) struct Compact<'a> {
    /// The signed bytes: header, dot, claims.
    pub(super) signed: &'a [u8],
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    pub(super) claims: Object,
    pub(super) signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, TokenRefused> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(TokenRefused::TooLong { bytes: text.len(), max: TOKEN_BYTES_MAX });
        }
        let form = TokenRefused::Malformed { part: Part::Form };
        let (signed, signature) = text.rsplit_once('.').ok_or_else(|| form.clone())?;
        let (header, claims) = signed.split_once('.').ok_or_else(|| form.clone())?;
        if claims.contains('.') {
            return Err(form);
        }
        let header = Object::parse(&decode(header, Part::Header)?, Part::Header)?;
        let algorithm = string(&header, "alg")?.ok_or(TokenRefused::Malformed { part: Part::Header })?;
        let algorithm = Algorithm::from_name(algorithm).ok_or(TokenRefused::Algorithm)?;
        if header.get("crit").is_some() {
            return Err(TokenRefused::Critical);
        }
        if !string(&header, "typ")?.is_none_or(is_type) {
            return Err(TokenRefused::Type);
        }
        Ok(Self {
            signed: signed.as_bytes(),
            algorithm,
            key_id: string(&header, "kid")?.map(str::to_owned),
            claims: Object::parse(&decode(claims, Part::Claims)?, Part::Claims)?,
            signature: decode(signature, Part::Signature)?,
        })
    }
}

/// Returns whether a token of this `typ` is an access token (RFC 7519, section 5.1; RFC 9068, section 2.1). A
/// media type with or without its `application/`, in any case.
fn is_type(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.strip_prefix("application/").unwrap_or(&name), "jwt" | "at+jwt")
}

fn string<'a>(header: &'a Object, name: &str) -> Result<Option<&'a str>, TokenRefused> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenRefused::Malformed { part: Part::Header }),
    }
}

/// Decodes base64url without padding. Each value has one text: unused bits must be 0.
fn decode(text: &str, part: Part) -> Result<Vec<u8>, TokenRefused> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenRefused::Malformed { part })
}
