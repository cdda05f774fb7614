//! Checks that a published text contains nothing private.

use std::borrow::Cow;
use std::net::IpAddr;

/// Words that no published text may contain: names of banks and programmes, references of items. Compared as
/// whole words, without case.
#[derive(Debug, Clone, Default)]
pub struct PrivateWords(Vec<Vec<String>>);

impl PrivateWords {
    /// Creates the list from these names. A name without a letter or a digit is ignored.
    #[must_use]
    pub fn new<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        let names = names.into_iter().map(|name| words(name.as_ref()));
        Self(names.filter(|name| !name.is_empty()).collect())
    }

    /// Returns the first private part of a text, if it has any.
    pub(super) fn fault(&self, text: &str) -> Option<Cow<'static, str>> {
        let lower = text.to_lowercase();
        if lower.contains("://") || lower.contains("www.") {
            return Some("holds a URL".into());
        }
        let mut tokens =
            text.split(|character: char| character.is_whitespace() || "()[]{}<>\"',;".contains(character));
        if let Some(fault) = tokens.find_map(token_fault) {
            return Some(fault.into());
        }
        let words = words(text);
        let is_there = |name: &&Vec<String>| words.windows(name.len()).any(|part| part == *name);
        let name = self.0.iter().find(is_there)?.join(" ");
        Some(format!("holds `{name}`, the name of a list or the reference of an item").into())
    }
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|character: char| !character.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// The smallest length of a fingerprint in hexadecimal digits: 64 bits.
const HEX_LEN_MIN: usize = 16;
/// The smallest length of base64 or other codes, which is longer than words of a language.
const CODE_LEN_MIN: usize = 32;

fn token_fault(token: &str) -> Option<&'static str> {
    let token = token.trim_matches(['.', ':', '!', '?']);
    if token.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()) {
        return Some("holds an e-mail address");
    }
    if token.parse::<IpAddr>().is_ok() {
        return Some("holds an IP address");
    }
    let is_code = |run: &str, len_min| run.len() >= len_min && run.bytes().any(|byte| byte.is_ascii_digit());
    let hex_runs = token.split(|character: char| !character.is_ascii_hexdigit());
    let code_runs =
        token.split(|character: char| !character.is_ascii_alphanumeric() && !"+/=_-".contains(character));
    let is_fingerprint = hex_runs.into_iter().any(|run| is_code(run, HEX_LEN_MIN))
        || code_runs.into_iter().any(|run| is_code(run, CODE_LEN_MIN));
    is_fingerprint.then_some("holds what looks like a fingerprint")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_texts_are_found_and_ordinary_ones_are_not() {
        let private = PrivateWords::new(["csam-known", "Lantern 2", "", "--"]);
        for (text, fault) in [
            ("Content that matches known material under Regulation (EU) 2021/784, Article 7(3).", None),
            ("A lantern, 2 pictures; csam known elsewhere at 12:30 @ noon.", Some("name of a list")),
            ("The list CSAM-KNOWN.", Some("name of a list")),
            ("See https://example.org/1", Some("URL")),
            ("See WWW.example.org", Some("URL")),
            ("By user@example.org.", Some("e-mail")),
            ("From 192.0.2.7.", Some("IP address")),
            ("From [2001:db8::1]", Some("IP address")),
            ("Digest d41d8cd98f00b204e9800998ecf8427e", Some("fingerprint")),
            ("hash=0123456789ABCDEF", Some("fingerprint")),
            ("1B2M2Y8AsgTpgAmY7PhCfg1B2M2Y8AsgTpgAmY7PhCfg", Some("fingerprint")),
            ("Donaudampfschifffahrtsgesellschaftskapitän, effectivenesses", None),
            ("The csamknown of lanterns 2.", None),
        ] {
            let found = private.fault(text);
            assert_eq!(found.is_some(), fault.is_some(), "{text}: {found:?}");
            assert!(
                found.clone().unwrap_or_default().contains(fault.unwrap_or_default()),
                "{text}: {found:?}"
            );
        }
    }
}
