//! Reads matches that `vigie match --json` printed, one content in each line, to try a policy on them.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use serde::Deserialize;
use vigie_clients::TriedScore;
use vigie_model::{BankId, Distance, HashType, ItemId, Match, Rendition, UnixMillis, Variant, Way};

use super::file::{input_name, read_input};
use crate::commands::lines::{FactsObject, Subject};

/// Maximum size of all lines together, in bytes.
const INPUT_BYTES_MAX: u64 = 64 << 20;

/// A content and its matches.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TriedLine {
    /// Name of the content, for messages.
    pub(super) name: String,
    /// Matches of the content.
    pub(super) matches: Vec<Match>,
    /// Scores of classifiers; none of models in shadow, whose scores are never printed.
    pub(super) scores: Vec<TriedScore>,
    /// PDQ's quality, if the line contains it.
    pub(super) quality: Option<u8>,
    /// The kind of query: `image`, `hashes` or `undecoded`.
    pub(super) kind: &'static str,
    /// Whether the answer is incomplete, so that a frontend would give at least REVIEW.
    pub(super) is_cut: bool,
}

/// The fields of a line that a policy needs. Other fields are ignored: a later version may print more.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    hash: Option<String>,
    #[serde(default)]
    line: Option<u64>,
    #[serde(default)]
    name: Option<String>,
    matches: Option<Vec<Found>>,
    #[serde(default)]
    classifications: Vec<Classified>,
    #[serde(default)]
    quality: Option<u8>,
    #[serde(default)]
    decode_failure: Option<serde_json::Value>,
    #[serde(default)]
    limit_reached: bool,
    #[serde(default)]
    error: Option<serde_json::Value>,
}

/// The fields of a classification that a policy needs.
#[derive(Debug, Deserialize)]
struct Classified {
    model: String,
    #[serde(default)]
    version: u32,
    #[serde(default)]
    scores: Vec<Score>,
}

/// The fields of a score that a policy needs.
#[derive(Debug, Deserialize)]
struct Score {
    class: String,
    score: f32,
}

/// The fields of a match that a policy needs.
#[derive(Debug, Deserialize)]
struct Found {
    #[serde(default)]
    item_id: u64,
    bank: String,
    #[serde(default)]
    bank_id: u32,
    #[serde(default)]
    external_reference: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
    hash_type: String,
    distance: u32,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    exact: bool,
    #[serde(default)]
    other_matches: u32,
    #[serde(default)]
    frame: u32,
    #[serde(default)]
    item_time_ms: Option<u32>,
    #[serde(default)]
    added_at_unix_ms: Option<u64>,
    #[serde(default)]
    facts: Option<FactsObject>,
}

/// Reads the lines of a file, or of standard input if the path is `-`.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<TriedLine>> {
    let lines = read_input(path, INPUT_BYTES_MAX).and_then(|text| parse(&text));
    lines.with_context(|| input_name(path))
}

/// Returns the scores of a line with `given` ones in the place of those for the same class.
pub(super) fn with(mut scores: Vec<TriedScore>, given: &[TriedScore]) -> Vec<TriedScore> {
    scores.retain(|one| !given.iter().any(|new| (&new.model, &new.class) == (&one.model, &one.class)));
    scores.extend_from_slice(given);
    scores
}

fn parse(text: &str) -> anyhow::Result<Vec<TriedLine>> {
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        lines.push(tried(line, at + 1).with_context(|| format!("line {}", at + 1))?);
    }
    if lines.is_empty() {
        bail!("has no line of `vigie match --json`");
    }
    Ok(lines)
}

fn tried(line: &str, at: usize) -> anyhow::Result<TriedLine> {
    let line: Line = serde_json::from_str(line)?;
    let is_image = line.file.is_some();
    let subject = match (line.file, line.hash, line.line) {
        (Some(file), ..) => Subject::File { file },
        (_, Some(hash), _) => Subject::Hash { hash },
        (.., number) => Subject::Line { line: number.unwrap_or(at as u64), name: line.name },
    };
    let found = line.matches.ok_or_else(|| anyhow!("has no `matches`"))?;
    let matches = found
        .into_iter()
        .enumerate()
        .map(|(number, found)| found.read().with_context(|| format!("matches[{number}]")));
    let of_model = |one: Classified| {
        one.scores.into_iter().map(move |Score { class, score }| TriedScore {
            model: one.model.clone(),
            class,
            score,
            version: one.version,
        })
    };
    let is_undecoded = line.decode_failure.is_some();
    Ok(TriedLine {
        name: subject.in_errors(),
        matches: matches.collect::<Result<_, _>>()?,
        scores: line.classifications.into_iter().flat_map(of_model).collect(),
        quality: line.quality,
        kind: match (is_undecoded, is_image) {
            (true, _) => "undecoded",
            (false, true) => "image",
            (false, false) => "hashes",
        },
        is_cut: is_undecoded || line.limit_reached || line.error.is_some(),
    })
}

impl Found {
    fn read(self) -> anyhow::Result<Match> {
        let hash_type: HashType = self.hash_type.parse().context("hash_type")?;
        let variant = match &self.variant {
            None => Variant::Original,
            Some(name) => {
                let found = Variant::ALL.into_iter().find(|variant| variant.name() == name);
                found.ok_or_else(|| anyhow!("variant: is no variant"))?
            }
        };
        Ok(Match {
            video: None,
            item_time_ms: self.item_time_ms,
            item: ItemId(self.item_id),
            bank: BankId(self.bank_id),
            bank_name: self.bank.parse().context("bank")?,
            external_reference: self.external_reference.map(String::into_boxed_str),
            labels: self.labels.into_iter().map(String::into_boxed_str).collect(),
            hash_type,
            distance: Distance(self.distance),
            variant,
            exact: self.exact,
            other_matches: self.other_matches,
            rendition: Rendition { frame: self.frame, way: Way::Plain },
            added_at: self.added_at_unix_ms.map(UnixMillis),
            facts: self
                .facts
                .map(|facts| facts.read().map_err(|why| anyhow!(why)))
                .transpose()?
                .map(Box::new),
        })
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::Facts;

    use super::*;
    use crate::commands::lines::MatchObject;

    #[test]
    fn matches_are_read_as_they_are_printed() {
        let found = Match {
            video: None,
            item_time_ms: Some(3_400),
            item: ItemId(9),
            bank: BankId(2),
            bank_name: "acme/known".parse().unwrap(),
            external_reference: Some("a.jpg".into()),
            labels: ["seen".into()].into(),
            hash_type: HashType::PDQ,
            distance: Distance(4),
            variant: Variant::FlipX,
            exact: true,
            other_matches: 3,
            rendition: Rendition::default(),
            added_at: Some(UnixMillis(7)),
            facts: Some(Box::new(Facts { positives: 2, ..Facts::default() })),
        };
        let object = serde_json::to_value(MatchObject::from(&found)).unwrap();
        let line = |rest: serde_json::Value| {
            let mut line = serde_json::json!({ "matches": [object], "coverage": {}, "sequence": 3 });
            line.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            line.to_string()
        };
        let text = [
            line(serde_json::json!({ "file": "a.jpg", "quality": 80, "limit_reached": false })),
            line(serde_json::json!({ "hash": "0123456789", "limit_reached": true })),
            line(serde_json::json!({ "line": 4, "name": "b", "decode_failure": { "code": "corrupt" } })),
        ];
        let read = parse(&text.join("\n\n")).unwrap();
        assert!(read.iter().all(|one| one.matches == [found.clone()]));
        let seen: Vec<_> =
            read.iter().map(|one| (one.name.as_str(), one.quality, one.kind, one.is_cut)).collect();
        assert_eq!(
            seen,
            [
                ("a.jpg", Some(80), "image", false),
                ("01234567...", None, "hashes", true),
                ("line 4 (b)", None, "undecoded", true)
            ]
        );
    }

    #[test]
    fn scores_are_read_and_given_ones_take_their_place() {
        let line = r#"{"file":"a.jpg","matches":[],"classifications":[
            {"model":"nsfw","version":2,"shadow":false,"scores":[{"class":"nude","score":0.25,"threshold":null},
             {"class":"other","score":0.75}],"unavailable":null},
            {"model":"gore","version":1,"shadow":true,"scores":[],"unavailable":null}]}"#;
        let [line] = &parse(&line.replace('\n', " ")).unwrap()[..] else { panic!() };
        let score =
            |class: &str, score| TriedScore { model: "nsfw".into(), class: class.into(), score, version: 2 };
        assert_eq!(line.scores, [score("nude", 0.25), score("other", 0.75)]);
        let given = [score("nude", 0.5)];
        assert_eq!(with(line.scores.clone(), &given), [score("other", 0.75), score("nude", 0.5)]);
    }

    #[test]
    fn a_line_at_fault_is_named() {
        let fault = |text: &str| crate::output::sentence(&parse(text).unwrap_err());
        assert!(fault("").contains("has no line"));
        assert!(
            fault("{\"matches\":[]}\n{\"file\":\"a\",\"error\":{}}").contains("line 2: has no `matches`")
        );
        let found = r#"{"matches":[{"bank":"a","hash_type":"no-type","distance":3}]}"#;
        assert!(fault(found).contains("line 1: matches[0]: hash_type"), "{}", fault(found));
    }
}
