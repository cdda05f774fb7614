//! Fills the minimum contents of a report from a decision as JSON.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use vigie_consortium::cases::DecisionListing;
use vigie_consortium::{BankRef, Class, Verdict};
use vigie_model::{HashType, ItemId, UnixMillis};

use crate::cli::{class, decision_id};
use crate::commands::cases::decision_record::nearest;

/// Maximum size of a decision's JSON, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// The facts that a decision has about a match; `None` for unknown ones.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) bank: Option<BankRef>,
    pub(super) item: Option<ItemId>,
    pub(super) id: Option<[u8; 16]>,
    pub(super) decided_at: Option<UnixMillis>,
    pub(super) hash_type: Option<HashType>,
    pub(super) distance: Option<u32>,
    pub(super) verdict: Option<Verdict>,
    pub(super) person_looked: Option<bool>,
    pub(super) classes: Vec<Class>,
}

impl Decision {
    /// Returns the facts of a recorded decision, from its nearest match.
    pub(super) fn of_record(listing: &DecisionListing) -> anyhow::Result<Self> {
        let (record, nearest) = (&listing.record, nearest(listing)?);
        let classes = nearest.facts.iter().flat_map(|facts| &facts.classes);
        Ok(Self {
            bank: nearest.bank_name.clone(),
            item: nearest.item,
            id: Some(record.id),
            decided_at: Some(record.decided_at),
            hash_type: Some(nearest.hash_type),
            distance: Some(nearest.distance.0),
            verdict: record.decided.as_ref().map(|decided| decided.verdict),
            person_looked: listing.outcome.and_then(|(outcome, _)| outcome.person_looked),
            classes: classes.map(|text| class(text)).collect::<Result<_, _>>().map_err(anyhow::Error::msg)?,
        })
    }

    /// Reads a decision from a file, or from standard input if the path is `-`.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let mut text = String::new();
        let read = if path == Path::new("-") {
            std::io::stdin().lock().take(BYTES_MAX + 1).read_to_string(&mut text)
        } else {
            let file = std::fs::File::open(path);
            file.and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text))
        };
        read.with_context(|| format!("cannot read the decision of {}", path.display()))?;
        ensure!(u64::try_from(text.len())? <= BYTES_MAX, "a decision has at most {BYTES_MAX} bytes");
        Self::parse(&text).with_context(|| format!("{} is no decision", path.display()))
    }

    /// Parses one JSON object, as `vigie match --json` or `vigie report show --format json` prints it.
    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut objects = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let object = objects.next().context("it is empty")?.context("it is not JSON")?;
        ensure!(objects.next().is_none(), "it has several objects; a report is about one");
        match object.get("file_details") {
            Some(details) => Self::of_fragment(&object, details),
            None => Self::of_match(&object),
        }
    }

    fn of_match(object: &Value) -> anyhow::Result<Self> {
        let matches = object.get("matches").and_then(Value::as_array);
        let matches = matches.context("it has neither `matches` nor `file_details`")?;
        // The matches are sorted, the nearest first.
        let Some(nearest) = matches.first() else { bail!("nothing matched, so there is nothing to report") };
        let item = nearest.get("item_id").and_then(Value::as_u64).filter(|item| *item != 0);
        let distance = nearest.get("distance").and_then(Value::as_u64);
        let classes = nearest.get("facts").and_then(|facts| facts.get("classes")).and_then(Value::as_array);
        let classes = classes.into_iter().flatten().filter_map(Value::as_str).map(class);
        Ok(Self {
            bank: words(nearest, "bank")?,
            item: item.map(ItemId),
            hash_type: words(nearest, "hash_type")?,
            distance: distance.map(u32::try_from).transpose().context("distance")?,
            classes: classes.collect::<Result<_, _>>().map_err(anyhow::Error::msg)?,
            ..Self::of_both(object)?
        })
    }

    fn of_fragment(object: &Value, details: &Value) -> anyhow::Result<Self> {
        let class = details.get("industryClassification").and_then(Value::as_str);
        let class = class.map(|value| Class::new("ncmec", "classification", value)).transpose()?;
        // In this format `false` may also mean "not known", so only `true` is used.
        let is_viewed = details.get("fileViewedByEsp").and_then(Value::as_bool) == Some(true);
        let hash = details.get("details").and_then(|list| list.get(0));
        Ok(Self {
            person_looked: is_viewed.then_some(true),
            hash_type: hash.map(|hash| words(hash, "name")).transpose()?.flatten(),
            classes: class.into_iter().collect(),
            ..Self::of_both(object)?
        })
    }

    fn of_both(object: &Value) -> anyhow::Result<Self> {
        // A line of `vigie match` contains the decision as an object; a fragment contains its id.
        let decision = object.get("decision").filter(|decision| decision.is_object()).unwrap_or(object);
        let id = ["decision_id", "decision"].iter().find_map(|name| decision.get(name)?.as_str());
        Ok(Self {
            id: id.map(decision_id).transpose().map_err(anyhow::Error::msg)?,
            decided_at: object.get("decided_at_unix_ms").and_then(Value::as_u64).map(UnixMillis),
            verdict: words(decision, "verdict")?,
            person_looked: object.get("person_looked").and_then(Value::as_bool),
            ..Self::default()
        })
    }
}

/// Parses a text field; `None` if it is missing or empty.
fn words<T: std::str::FromStr>(object: &Value, field: &str) -> anyhow::Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text = object.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.map(str::parse).transpose().with_context(|| field.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_match_of_a_line_fills_a_report() {
        let line = r#"{"file":"a.jpg","matches":[
            {"item_id":7,"bank":"known","bank_id":1,"labels":[],"hash_type":"pdq","distance":4},
            {"item_id":8,"bank":"other","bank_id":2,"labels":[],"hash_type":"md5","distance":0}
        ],"decision":{"verdict":"BLOCK","rule":"near","decision_id":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"}}"#;
        let decision = Decision::parse(line).unwrap();
        let expected = Decision {
            bank: Some("known".parse().unwrap()),
            item: Some(ItemId(7)),
            id: Some([15; 16]),
            hash_type: Some(HashType::PDQ),
            distance: Some(4),
            verdict: Some(Verdict::Block),
            ..Decision::default()
        };
        assert_eq!(decision, expected);
    }

    #[test]
    fn a_fragment_fills_a_report_and_an_unknown_view_stays_unknown() {
        let fragment = |viewed: bool| {
            serde_json::json!({
                "decision": "0f".repeat(16), "decided_at_unix_ms": 5, "verdict": "block",
                "file_details": {
                    "fileViewedByEsp": viewed, "industryClassification": "A1",
                    "details": [{"name": "pdq", "value": "00", "type": "HASH"}],
                },
            })
        };
        let decision = Decision::parse(&fragment(true).to_string()).unwrap();
        assert_eq!((decision.person_looked, decision.hash_type), (Some(true), Some(HashType::PDQ)));
        assert_eq!((decision.decided_at, decision.classes.len()), (Some(UnixMillis(5)), 1));
        assert_eq!(Decision::parse(&fragment(false).to_string()).unwrap().person_looked, None);
    }

    #[test]
    fn what_is_no_decision_is_refused_with_a_reason() {
        for (text, expected) in [
            ("", "empty"),
            ("x", "not JSON"),
            ("{}", "neither"),
            (r#"{"matches":[]}"#, "nothing matched"),
            (r#"{"matches":[]} {"matches":[]}"#, "several"),
            (r#"{"matches":[{"bank":"known","distance":5000000000}]}"#, "distance"),
            (r#"{"matches":[{"bank":"known"}],"decision":{"verdict":"perhaps"}}"#, "verdict"),
        ] {
            let error = format!("{:#}", Decision::parse(text).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
