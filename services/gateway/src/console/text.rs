//! Texts of pages, by language, from the files in `text/`. The key of a text is the file name and the path in
//! the file: `check.known.title`.
//!
//! The files of all languages have the same keys, and the same `{names}` in each text. A test compares them,
//! and reports keys that pages use and no file has, and keys that no page uses.

use std::collections::HashMap;
use std::fmt::{Display, Write as _};
use std::sync::LazyLock;

use http::{HeaderMap, header};
use toml::{Table, Value};

/// The cookie that keeps a chosen language.
pub(crate) const COOKIE: &str = "vigie-language";

/// A language of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    /// English.
    English,
    /// French.
    French,
}

macro_rules! texts {
    ($($name:literal),* $(,)?) => {
        /// The texts of each file, by language.
        const FILES: &[(&str, [&str; 2])] = &[$((
            $name,
            [include_str!(concat!("text/en/", $name, ".toml")), include_str!(concat!("text/fr/", $name, ".toml"))],
        )),*];
    };
}

texts!(
    "frame",
    "parts",
    "done",
    "failed",
    "start",
    "sign_in",
    "check",
    "banks",
    "items",
    "adding",
    "opinions",
    "review",
    "members",
    "policies",
    "sharing",
    "exchanges",
    "cases",
    "reports",
    "audit",
    "health",
);

static TEXTS: LazyLock<[HashMap<String, String>; 2]> = LazyLock::new(|| [0, 1].map(read));

/// Parses the texts of a language. A test parses every file, so no file is skipped at run time.
fn read(language: usize) -> HashMap<String, String> {
    let mut texts = HashMap::new();
    for (name, files) in FILES {
        let table = files[language].parse::<Table>().unwrap_or_default();
        flatten(name, &table, &mut texts);
    }
    texts
}

fn flatten(prefix: &str, table: &Table, texts: &mut HashMap<String, String>) {
    for (key, value) in table {
        let key = format!("{prefix}.{key}");
        match value {
            Value::Table(inner) => flatten(&key, inner, texts),
            Value::String(text) => drop(texts.insert(key, text.clone())),
            Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_) => {}
        }
    }
}

impl Language {
    /// All languages.
    pub(crate) const ALL: [Self; 2] = [Self::English, Self::French];

    /// Returns the language code (ISO 639-1).
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }

    /// Returns the name of the language, in the language itself.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::French => "Français",
        }
    }

    /// Returns the language with this code.
    pub(crate) fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// Returns the language of a request: the chosen one, or the one that the browser prefers among those of
    /// the console.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let chosen = pairs.find(|(name, _)| *name == COOKIE).and_then(|(_, code)| Self::of_code(code));
        chosen
            .or_else(|| accepted(headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?))
            .unwrap_or(Self::English)
    }

    /// Returns the text of a key; the key itself if no file has it.
    pub(crate) fn text(self, key: &str) -> &'static str {
        let texts: &'static HashMap<String, String> = &TEXTS[self as usize];
        match texts.get(key) {
            Some(text) => text,
            None => {
                debug_assert!(false, "no text for {key}");
                ""
            }
        }
    }

    /// Returns whether a file has the key.
    pub(crate) fn has(self, key: &str) -> bool {
        TEXTS[self as usize].contains_key(key)
    }

    /// Returns the text of a key, with each `{name}` replaced by its value.
    pub(crate) fn fill(self, key: &str, values: &[(&str, &dyn Display)]) -> String {
        let mut rest = self.text(key);
        let mut filled = String::with_capacity(rest.len() + 32);
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let Some((name, after)) = after.split_once('}') else { break };
            let value = values.iter().find(|(known, _)| *known == name);
            debug_assert!(value.is_some(), "no value {name} for {key}");
            if let Some((_, value)) = value {
                // Writing to a string cannot fail.
                let _: std::fmt::Result = write!(filled, "{value}");
            }
            rest = after;
        }
        filled.push_str(rest);
        filled
    }

    /// Returns the text for a count: `key.one` or `key.other`, with `{count}` replaced by the number.
    pub(crate) fn count(self, key: &str, count: u64) -> String {
        // French uses the singular for zero.
        let is_one = count == 1 || count == 0 && self == Self::French;
        let key = format!("{key}.{}", if is_one { "one" } else { "other" });
        self.fill(&key, &[("count", &self.number(count))])
    }

    /// Returns a decimal number, which has a point, as the language writes it.
    pub(crate) fn decimal(self, text: &str) -> String {
        match self {
            Self::English => text.to_owned(),
            Self::French => text.replace('.', ","),
        }
    }

    /// Formats a number with thousands separators.
    pub(crate) fn number(self, number: u64) -> String {
        let digits = number.to_string();
        let gap = match self {
            Self::English => ',',
            Self::French => '\u{202f}',
        };
        let mut grouped = String::with_capacity(digits.len() * 2);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                grouped.push(gap);
            }
            grouped.push(digit);
        }
        grouped
    }
}

/// Returns the language with the greatest weight in an `Accept-Language` header (RFC 9110, section 12.5.4)
/// that the console has.
fn accepted(header: &str) -> Option<Language> {
    let mut best: Option<(f32, Language)> = None;
    for one in header.split(',').take(32) {
        let (tag, parameters) = one.split_once(';').unwrap_or((one, ""));
        let weight =
            parameters.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.trim().parse().ok());
        let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
        let (Some(language), Some(weight)) = (Language::of_code(&primary), weight) else { continue };
        if weight > 0.0 && best.is_none_or(|(other, _)| weight > other) {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

#[cfg(test)]
mod tests;
