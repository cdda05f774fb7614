//! The member that owns a bank: its id and its name. `vigie-consortium` has the other data of members.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The id of a member: ascending in order of creation, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub u32);

impl MemberId {
    /// The member that always exists. It owns every bank that was created before there were other members,
    /// and only its principals may be operators.
    pub const HOST: Self = Self(1);
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a member: 1 to 32 characters of `a-z 0-9 -`, beginning with a letter. It contains no `/`, so
/// `owner/name` is unambiguous.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberName(Box<str>);

/// The text is not a valid [`MemberName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a member's name is 1 to {max} of a-z 0-9 - and begins with a letter", max = MemberName::LEN_MAX)]
pub struct MemberNameError;

impl MemberName {
    /// The largest length of a name, in bytes.
    pub const LEN_MAX: usize = 32;

    /// Returns the name of the host.
    #[must_use]
    pub fn of_host() -> Self {
        Self("local".into())
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MemberName {
    type Err = MemberNameError;

    fn from_str(text: &str) -> Result<Self, MemberNameError> {
        let begins_well = text.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
        let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        let is_fit = begins_well && text.len() <= Self::LEN_MAX && text.as_bytes().iter().all(inner);
        if is_fit { Ok(Self(text.into())) } else { Err(MemberNameError) }
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "acme-2", &"n".repeat(32)] {
            assert_eq!(good.parse::<MemberName>().unwrap().as_str(), good);
        }
        for bad in ["", "2a", "-a", "A", "a_b", "a/b", "a.b", "é", &"n".repeat(33)] {
            assert_eq!(bad.parse::<MemberName>(), Err(MemberNameError), "{bad}");
        }
    }
}
