//! The checkpoint that a browser remembers: the size and root hash of the log, in a cookie of its own.
//!
//! The next check detects any change to the entries of that checkpoint, because the bank cannot change the
//! browser's cookie.

use http::{HeaderMap, HeaderValue, header};
use vigie_audit::tree::{NodeHash, Size, TreeHead};

use crate::console::state::Console;

/// The cookie's name.
const NAME: &str = "vigie-audit";
/// The lifetime of the cookie: 400 days, the most that browsers allow.
const AGE_S: u32 = 34_560_000;

/// A remembered size and root hash. Text form: `1234:BASE64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept(TreeHead);

impl Kept {
    pub(super) const fn new(tree: TreeHead) -> Self {
        Self(tree)
    }

    /// The tree head of the log at that size.
    pub(super) const fn tree(self) -> TreeHead {
        self.0
    }

    /// Returns the checkpoint in a request's cookie. An invalid cookie is ignored.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == NAME).and_then(|(_, text)| Self::parse(text))
    }

    /// Parses the text form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (size, root) = text.split_once(':')?;
        let size = size.parse().ok().and_then(Size::new)?;
        let root: NodeHash = root.parse().ok()?;
        Some(Self(TreeHead { size, root }))
    }

    /// The text form.
    pub(super) fn text(self) -> String {
        format!("{}:{}", self.0.size, self.0.root)
    }

    /// The `Set-Cookie` value that stores the checkpoint.
    pub(super) fn cookie(self, console: &Console) -> HeaderValue {
        cookie(&self.text(), AGE_S, console)
    }

    /// The `Set-Cookie` value that deletes the checkpoint.
    pub(super) fn forgotten(console: &Console) -> HeaderValue {
        cookie("", 0, console)
    }
}

fn cookie(text: &str, age_s: u32, console: &Console) -> HeaderValue {
    let secure = if console.sessions.is_secure() { "; Secure" } else { "" };
    let cookie =
        format!("{NAME}={text}; Path=/console/audit; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}");
    // Digits and Base64 are valid in a header.
    HeaderValue::from_str(&cookie).unwrap_or_else(|_| HeaderValue::from_static("vigie-audit="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_remembers_a_size_and_a_root_and_nothing_else() {
        let kept = Kept::new(TreeHead { size: Size::new(1_234).unwrap(), root: NodeHash([7; 32]) });
        assert_eq!(Kept::parse(&kept.text()), Some(kept));
        let cookies = format!("a=b; vigie-audit={}; c=d", kept.text());
        let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(&cookies).unwrap())]);
        assert_eq!(Kept::of(&headers), Some(kept));
        for wrong in ["", "1234", "x:y", "-1:AAAA", &format!("99999999999999999999:{}", NodeHash::EMPTY)] {
            assert_eq!(Kept::parse(wrong), None, "{wrong}");
        }
    }
}
