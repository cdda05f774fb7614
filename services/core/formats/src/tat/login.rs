//! The login: a user and a password are exchanged for a token.

use std::fmt;

use serde::Deserialize;
use serde_json::json;

use crate::json;
use crate::programme::Fault;

/// A token that the programme issued. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Reads the answer to a login.
pub fn parse(bytes: &[u8]) -> Result<Token, Fault> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
    }
    let Answer { token } = json::read(bytes)?;
    let token = token.filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
    token.map(Token).ok_or(Fault::Field { syntax: "JSON", field: "token" })
}

/// Writes the answer to a login.
#[must_use]
pub fn render(token: &Token, user: &str) -> Vec<u8> {
    json!({"token": token.0, "user": {"username": user}}).to_string().into_bytes()
}
