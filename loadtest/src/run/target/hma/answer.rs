//! The two forms of HMA's answers.
//!
//! `/m/raw_lookup` answers `{"matches":[...]}`, each match a content id, or an object with `bank_content_id`
//! (`content_id` in some versions) and `distance`. `/m/lookup` answers an object with such a list for each
//! bank. A distance is the text of a number.

use std::collections::HashMap;

use anyhow::Context as _;
use serde::Deserialize;

use crate::cli::HmaCall;
use crate::judge::oracle::Hit;
use crate::run::target::hma::contents::Contents;

#[derive(Deserialize)]
struct Raw {
    matches: Vec<Match>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Match {
    Content(u64),
    WithDistance {
        #[serde(alias = "bank_content_id")]
        content_id: u64,
        distance: Option<Distance>,
    },
}

/// A number, or its text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Distance {
    Number(u16),
    Text(String),
}

/// Reads the body of an answer to `call`.
pub(super) fn read(body: &[u8], call: HmaCall, contents: &Contents) -> anyhow::Result<Vec<Hit>> {
    let matches = match call {
        HmaCall::RawLookup => serde_json::from_slice::<Raw>(body)?.matches,
        HmaCall::Lookup => {
            let banks: HashMap<String, Vec<Match>> = serde_json::from_slice(body)?;
            banks.into_values().flatten().collect()
        }
    };
    let hit = |one: Match| match one {
        Match::Content(content) => Ok(Hit { item: contents.row(content), distance: None, video: None }),
        Match::WithDistance { content_id, distance } => {
            let distance = match distance {
                None => None,
                Some(Distance::Number(distance)) => Some(distance),
                Some(Distance::Text(text)) => Some(text.trim().parse().context("a distance is no number")?),
            };
            Ok(Hit { item: contents.row(content_id), distance, video: None })
        }
    };
    matches.into_iter().map(hit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::oracle::Identity;

    fn check(body: &str, call: HmaCall, expected: &[(Identity, Option<u16>)]) {
        let mut hits = read(body.as_bytes(), call, &Contents::From(7)).unwrap();
        hits.sort_by_key(|hit| (hit.item, hit.distance));
        assert!(hits.iter().map(|hit| (hit.item, hit.distance)).eq(expected.iter().copied()), "{hits:?}");
    }

    #[test]
    fn every_form_of_match_is_read() {
        check(
            r#"{"matches": [7, {"content_id": 8, "distance": "3"}, {"bank_content_id": 9, "distance": 4}, 6]}"#,
            HmaCall::RawLookup,
            &[
                (Identity::Row(0), None),
                (Identity::Row(1), Some(3)),
                (Identity::Row(2), Some(4)),
                (Identity::Unknown, None),
            ],
        );
    }

    #[test]
    fn the_matches_of_every_bank_count() {
        check(
            r#"{"A": [{"bank_content_id": 7, "distance": "0"}], "B": [{"bank_content_id": 8, "distance": "31"}], "C": []}"#,
            HmaCall::Lookup,
            &[(Identity::Row(0), Some(0)), (Identity::Row(1), Some(31))],
        );
        check("{}", HmaCall::Lookup, &[]);
    }

    #[test]
    fn an_answer_of_another_form_is_an_error() {
        for (body, call) in [
            ("{}", HmaCall::RawLookup),
            (r#"{"matches": [{"content_id": 1, "distance": "near"}]}"#, HmaCall::RawLookup),
            (r#"{"matches": [-1]}"#, HmaCall::RawLookup),
            (r#"{"message": "index not yet ready"}"#, HmaCall::Lookup),
            ("I-AM-ALIVE", HmaCall::Lookup),
        ] {
            assert!(read(body.as_bytes(), call, &Contents::From(1)).is_err(), "{body}");
        }
    }
}
