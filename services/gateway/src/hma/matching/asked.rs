//! The parameters of a lookup.

use serde::Deserialize;
use serde_json::Value;
use vigie_model::{BankRef, Hash, HashType, MaxDistances, Query};

use crate::hma::input::{ByUrl, boolean};
use crate::hma::refusal::Refusal;
use crate::hma::signals::{hash, type_named};

/// The query of a lookup.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::hma) struct Lookup {
    pub(super) signal_type: Option<String>,
    pub(super) signal: Option<String>,
    banks: Option<String>,
    pub(super) seed: Option<String>,
    pub(super) bypass_coinflip: Option<String>,
    include_distance: Option<String>,
    max_distance: Option<String>,
    numeric_distance: Option<String>,
    include_labels: Option<String>,
    include_metadata: Option<String>,
    include_coverage: Option<String>,
    include_opinions: Option<String>,
    url: Option<String>,
    content_type: Option<String>,
    types: Option<String>,
}

/// The extensions beyond HMA to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shown {
    /// Distances as numbers.
    pub(super) numbers: bool,
    /// Labels, the contributor's reference, the hash type, and whether the index is exact.
    pub(super) labels: bool,
    /// Metadata and the note.
    pub(super) metadata: bool,
    /// Headers with the coverage.
    pub(super) coverage: bool,
    /// The members' opinions on the item.
    pub(super) opinions: bool,
}

/// The options of the search and of the answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Wish {
    /// The named banks; `None` for all.
    pub(super) banks: Option<Vec<BankRef>>,
    /// The largest distances; HMA's by default.
    pub(super) max_distances: MaxDistances,
    /// The extensions beyond HMA to show.
    pub(super) shown: Shown,
}

impl Lookup {
    pub(super) fn signal(&self) -> Option<&str> {
        self.signal.as_deref().filter(|signal| !signal.is_empty())
    }

    /// Returns the content named by its URL, and the URL, if there is one.
    pub(super) fn by_url(&self) -> Option<(ByUrl, &str)> {
        let url = self.url.as_deref().filter(|url| !url.is_empty())?;
        let (content_type, types) = (self.content_type.clone(), self.types.clone());
        Some((ByUrl { url: None, content_type, types }, url))
    }

    /// Returns the requested types of a file.
    pub(super) fn types(&self) -> Option<&str> {
        self.types.as_deref()
    }

    pub(super) fn bypasses_draw(&self) -> Result<bool, Refusal> {
        switch("bypass_coinflip", self.bypass_coinflip.as_deref())
    }

    pub(super) fn includes_distance(&self) -> Result<bool, Refusal> {
        switch("include_distance", self.include_distance.as_deref())
    }

    pub(super) fn wish(&self) -> Result<Wish, Refusal> {
        // A name that no bank can have is dropped; an empty text searches all banks, as in HMA.
        let banks = self.banks.as_deref().filter(|names| !names.is_empty());
        let banks = banks.map(|names| names.split(',').filter_map(|name| name.trim().parse().ok()).collect());
        let mut max_distances = MaxDistances::default();
        if let Some(text) = self.max_distance.as_deref() {
            let distance = text.parse().map_err(|_| Refusal::query("max_distance", "is no whole number"))?;
            max_distances = max_distances
                .with(HashType::PDQ, distance)
                .map_err(|error| Refusal::query("max_distance", error.to_string()))?;
        }
        let shown = Shown {
            numbers: switch("numeric_distance", self.numeric_distance.as_deref())?,
            labels: switch("include_labels", self.include_labels.as_deref())?,
            metadata: switch("include_metadata", self.include_metadata.as_deref())?,
            coverage: switch("include_coverage", self.include_coverage.as_deref())?,
            opinions: switch("include_opinions", self.include_opinions.as_deref())?,
        };
        Ok(Wish { banks, max_distances, shown })
    }
}

/// Reads a switch as HMA's schema does; off if it is not given.
fn switch(name: &str, text: Option<&str>) -> Result<bool, Refusal> {
    let Some(text) = text else { return Ok(false) };
    boolean(text).ok_or_else(|| Refusal::query(name, "is no boolean"))
}

/// The signals of one request.
#[derive(Debug)]
pub(super) struct Batch {
    /// The hashes, at least one.
    pub(super) hashes: Vec<Hash>,
    /// The named banks; `None` for all.
    pub(super) banks: Option<Vec<BankRef>>,
}

impl Batch {
    /// Reads `{"signals": [{"signal_type": .., "signal": ..}], "banks": [..]}`.
    pub(super) fn of(body: &Value) -> Result<Self, Refusal> {
        let signals = body.get("signals").and_then(Value::as_array);
        let signals = signals.ok_or_else(|| Refusal::bad("send a list of signals"))?;
        if signals.is_empty() || signals.len() > Query::BATCH_MAX {
            return Err(Refusal::bad(format!("send 1 to {} signals", Query::BATCH_MAX)));
        }
        let read = |(at, one): (usize, &Value)| {
            let text = |key: &str| {
                let text = one.get(key).and_then(Value::as_str);
                text.ok_or_else(|| Refusal::bad(format!("signals[{at}] has no {key}")))
            };
            hash(type_named(text("signal_type")?)?, text("signal")?)
        };
        let hashes = signals.iter().enumerate().map(read).collect::<Result<_, Refusal>>()?;
        let banks = match body.get("banks") {
            None | Some(Value::Null) => None,
            Some(Value::Array(names)) => {
                Some(names.iter().filter_map(|name| name.as_str()?.parse().ok()).collect())
            }
            Some(_) => return Err(Refusal::bad("banks is not a list of names")),
        };
        Ok(Self { hashes, banks })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn switches_are_read_as_leniently_as_hma_reads_them() {
        for on in ["true", "True", "1", "on", "yes"] {
            assert_eq!(switch("x", Some(on)), Ok(true));
        }
        assert_eq!(switch("x", None), Ok(false));
        assert_eq!(switch("x", Some("0")), Ok(false));
        assert!(switch("x", Some("maybe")).is_err());
    }

    #[test]
    fn distances_beyond_the_type_are_refused() {
        let asked = |text: &str| Lookup { max_distance: Some(text.to_owned()), ..Lookup::default() }.wish();
        assert!(asked("64").is_ok());
        assert!(asked("65").is_err() && asked("-1").is_err() && asked("x").is_err());
    }

    #[test]
    fn a_batch_names_the_signal_that_is_wrong() {
        let one = json!({ "signal_type": "pdq", "signal": "0".repeat(64) });
        assert_eq!(Batch::of(&json!({ "signals": [one, one] })).unwrap().hashes.len(), 2);
        let wrong = Batch::of(&json!({ "signals": [one, { "signal_type": "pdq" }] })).unwrap_err();
        assert_eq!(wrong, Refusal::bad("signals[1] has no signal"));
        assert!(Batch::of(&json!({ "signals": [] })).is_err());
        assert!(Batch::of(&json!({ "signals": vec![one; 257] })).is_err());
    }
}
