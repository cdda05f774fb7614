//! A statement, its faults, and batches of statements.

use serde_json::{Map, Value, json};
use std::borrow::Cow;
use thiserror::Error;

use super::attributes::{ATTRIBUTES, Attribute, Shape};
use super::privacy::PrivateWords;
use crate::month::Day;

/// The largest number of statements in one call.
pub const BATCH_MAX: usize = 100;

/// A statement of reasons in the form in which it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement(pub(super) Map<String, Value>);

/// A fault of a statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error)]
#[error("{attribute}: {reason}")]
pub struct Fault {
    /// The attribute.
    pub attribute: String,
    /// The reason why the attribute is faulty.
    pub reason: String,
}

/// The texts that are required by a choice of another attribute: the attribute, the choice, the text.
const DESCRIBED: [(&str, &str, &str); 8] = [
    ("decision_visibility", "DECISION_VISIBILITY_OTHER", "decision_visibility_other"),
    ("decision_monetary", "DECISION_MONETARY_OTHER", "decision_monetary_other"),
    ("decision_ground", "DECISION_GROUND_ILLEGAL_CONTENT", "illegal_content_legal_ground"),
    ("decision_ground", "DECISION_GROUND_ILLEGAL_CONTENT", "illegal_content_explanation"),
    ("decision_ground", "DECISION_GROUND_INCOMPATIBLE_CONTENT", "incompatible_content_ground"),
    ("decision_ground", "DECISION_GROUND_INCOMPATIBLE_CONTENT", "incompatible_content_explanation"),
    ("category_specification", "KEYWORD_OTHER", "category_specification_other"),
    ("content_type", "CONTENT_TYPE_OTHER", "content_type_other"),
];

const DECISIONS: [&str; 4] =
    ["decision_visibility", "decision_monetary", "decision_provision", "decision_account"];

const END_DATES: [&str; 4] = [
    "end_date_visibility_restriction",
    "end_date_monetary_restriction",
    "end_date_service_restriction",
    "end_date_account_restriction",
];

impl Statement {
    /// Creates a statement from attributes that were written elsewhere, without validating it.
    #[must_use]
    pub const fn new(attributes: Map<String, Value>) -> Self {
        Self(attributes)
    }

    /// Returns the attributes.
    #[must_use]
    pub const fn attributes(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Returns every fault with its attribute. The database accepts a statement without faults, unless its
    /// puid was already used.
    #[must_use]
    pub fn validate(&self, private: &PrivateWords) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut add =
            |attribute: &str, reason: String| faults.push(Fault { attribute: attribute.to_owned(), reason });
        for name in self.0.keys().filter(|name| !ATTRIBUTES.iter().any(|attribute| attribute.name == *name)) {
            add(name, "is no attribute of a statement of Vigie".to_owned());
        }
        for attribute in &ATTRIBUTES {
            match self.get(attribute.name) {
                None if attribute.is_required => add(attribute.name, "is required".to_owned()),
                None => {}
                Some(value) => shape_faults(attribute, value, private)
                    .into_iter()
                    .for_each(|one| add(attribute.name, one)),
            }
        }
        if DECISIONS.iter().all(|name| self.get(name).is_none()) {
            add("decision_visibility", "is required, or another restriction is".to_owned());
        }
        for (attribute, choice, text) in DESCRIBED {
            match (self.has(attribute, choice), self.get(text).is_some()) {
                (true, false) => add(text, format!("is required with {choice}")),
                // A missing ground has its own fault.
                (false, true) if attribute == "decision_ground" && self.get(attribute).is_none() => {}
                (false, true) => add(text, format!("is dropped without {choice}")),
                (true, true) | (false, false) => {}
            }
        }
        if self.get("incompatible_content_illegal").is_some()
            && !self.has("decision_ground", "DECISION_GROUND_INCOMPATIBLE_CONTENT")
        {
            add(
                "incompatible_content_illegal",
                "is dropped without DECISION_GROUND_INCOMPATIBLE_CONTENT".to_owned(),
            );
        }
        if self.get("source_identity").is_some() && self.has("source_type", "SOURCE_VOLUNTARY") {
            add("source_identity", "is dropped with SOURCE_VOLUNTARY".to_owned());
        }
        let start = self.day("application_date");
        for name in END_DATES {
            if start.zip(self.day(name)).is_some_and(|(start, end)| end < start) {
                add(name, "lies before application_date".to_owned());
            }
        }
        faults
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Checks whether an attribute is a word, or contains it in a list.
    fn has(&self, name: &str, word: &str) -> bool {
        self.get(name).is_some_and(|value| {
            value == word || value.as_array().is_some_and(|words| words.iter().any(|one| one == word))
        })
    }

    fn day(&self, name: &str) -> Option<Day> {
        Day::parse(self.get(name)?.as_str()?).ok()
    }
}

fn shape_faults(attribute: &Attribute, value: &Value, private: &PrivateWords) -> Vec<String> {
    let text = || value.as_str().ok_or_else(|| vec!["is no text".to_owned()]);
    let checked = match attribute.shape {
        Shape::Puid => text().map(|text| puid_faults(text, private)),
        Shape::Text(len_max) => text().map(|text| {
            let fault = private.fault(text).map(Cow::into_owned);
            length_fault(text, len_max).into_iter().chain(fault).collect()
        }),
        Shape::Url(len_max) => text().map(|text| {
            let is_url = text.starts_with("https://") || text.starts_with("http://");
            length_fault(text, len_max).into_iter().chain((!is_url).then(|| "is no URL".to_owned())).collect()
        }),
        Shape::Word(words) => text().map(|text| word_fault(text, words).into_iter().collect()),
        Shape::Words(words) => Ok(words_faults(value, words)),
        Shape::Date(min) => text().map(|text| date_fault(text, min).into_iter().collect()),
        Shape::Language => text().map(|text| {
            let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
            (!is_code).then(|| "is no language code of two capital letters".to_owned()).into_iter().collect()
        }),
    };
    checked.unwrap_or_else(|faults: Vec<String>| faults)
}

fn puid_faults(text: &str, private: &PrivateWords) -> Vec<String> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if !(1..=500).contains(&text.len()) || !text.bytes().all(is_fit) {
        return vec!["is 1 to 500 of A-Z a-z 0-9 _ -".to_owned()];
    }
    // An id of random digits looks like a fingerprint. A name in it is still a fault.
    let is_random = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let fault = if is_random { None } else { private.fault(text) };
    fault.map(Cow::into_owned).into_iter().collect()
}

fn length_fault(text: &str, len_max: usize) -> Option<String> {
    if text.trim().is_empty() {
        return Some("is empty".to_owned());
    }
    let len = text.chars().count();
    (len > len_max).then(|| format!("has {len} characters, more than {len_max}"))
}

fn word_fault(text: &str, words: &[&str]) -> Option<String> {
    (!words.contains(&text)).then(|| format!("{text:?} is none of {}", words.join(", ")))
}

fn words_faults(value: &Value, words: &[&str]) -> Vec<String> {
    let Some(list) = value.as_array() else { return vec!["is no list".to_owned()] };
    if list.is_empty() {
        return vec!["is empty".to_owned()];
    }
    let fault = |one: &Value| {
        one.as_str().map_or_else(|| Some("holds no text".to_owned()), |text| word_fault(text, words))
    };
    let mut faults: Vec<String> = list.iter().filter_map(fault).collect();
    if list.iter().enumerate().any(|(at, one)| list[..at].contains(one)) {
        faults.push("holds a word twice".to_owned());
    }
    faults
}

fn date_fault(text: &str, min: &str) -> Option<String> {
    let days = (Day::parse(text), Day::parse(min), Day::parse("2038-01-01"));
    let (Ok(day), Ok(min), Ok(end)) = days else { return Some("is no day such as 2026-11-09".to_owned()) };
    (day < min || day > end).then(|| format!("lies before {min} or after {end}"))
}

/// Returns the bodies of `POST /api/v1/statements`, each with at most [`BATCH_MAX`] statements. The database
/// accepts or refuses a body as a whole.
#[must_use]
pub fn batches(statements: &[Statement]) -> Vec<Value> {
    let body = |batch: &[Statement]| {
        let batch: Vec<&Map<String, Value>> = batch.iter().map(Statement::attributes).collect();
        json!({ "statements": batch })
    };
    statements.chunks(BATCH_MAX).map(body).collect()
}
