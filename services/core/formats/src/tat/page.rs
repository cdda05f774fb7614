//! The page and its entries, and their reading and writing.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;

use crate::json::{self, Records};
use crate::programme::{Fault, HashText, Tally};

/// A page of the hash list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The entries, in the page's order.
    pub entries: Vec<Entry>,
    /// The number of entries on all pages, as counted by the server.
    pub count: u64,
    /// The URL of the next page; `None` on the last one.
    pub next: Option<String>,
    /// The URL of the previous page.
    pub previous: Option<String>,
    /// The checkpoint after this page; `None` if the page has none, and the previous one stays valid.
    pub checkpoint: Option<String>,
    /// The counts of what was left out when the page was read.
    pub tally: Tally,
}

/// A hash of the list. Clients fail on any further key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The hash.
    pub hash_digest: HashText,
    /// The programme's word for the type: `MD5`, `SHA256`, `SHA512`, `PDQ`.
    pub algorithm: String,
    /// The ideology, such as `islamist` or `far-right`.
    #[serde(default, deserialize_with = "json::or_default")]
    pub ideology: String,
    /// The extension of the file that was hashed, such as `mp4`.
    #[serde(default, deserialize_with = "json::or_default")]
    pub file_type: String,
    /// Whether the programme has withdrawn the hash.
    pub deleted: bool,
    /// The time of the last change, in microseconds since 1970; written in seconds with a fraction.
    #[serde(serialize_with = "to_seconds", deserialize_with = "from_seconds")]
    pub updated_on: u64,
    /// The time at which the hash was added, as the programme writes it.
    #[serde(default, deserialize_with = "json::or_default")]
    pub created_on: String,
    /// The entry's number within the list.
    #[serde(deserialize_with = "json::whole")]
    pub id: u64,
}

/// Reads a page.
pub fn parse(bytes: &[u8]) -> Result<Page, Fault> {
    let wire: WirePage = json::read(bytes)?;
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    Ok(Page {
        entries: wire.results.records,
        count: wire.count,
        next: some(wire.next),
        previous: some(wire.previous),
        checkpoint: some(wire.checkpoint),
        tally: Tally { bad_records: wire.results.bad, ..Tally::default() },
    })
}

/// Writes a page. A page without a checkpoint has an empty one.
#[must_use]
pub fn render(page: &Page) -> Vec<u8> {
    let root = json!({
        "count": page.count,
        "next": page.next,
        "previous": page.previous,
        "checkpoint": page.checkpoint.as_deref().unwrap_or_default(),
        "results": page.entries,
    });
    root.to_string().into_bytes()
}

#[derive(Deserialize)]
struct WirePage {
    #[serde(default, deserialize_with = "json::or_default")]
    count: u64,
    next: Option<String>,
    previous: Option<String>,
    checkpoint: Option<String>,
    results: Records<Entry>,
}

#[expect(clippy::cast_precision_loss, reason = "exact to the microsecond until the year 2096")]
fn to_seconds<S: Serializer>(micros: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(*micros as f64 / 1e6)
}

fn from_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(f64),
        Text(String),
    }
    let seconds = match Seconds::deserialize(deserializer)? {
        Seconds::Number(number) => Some(number),
        Seconds::Text(text) => text.parse().ok(),
    };
    seconds.and_then(json::micros).ok_or_else(|| serde::de::Error::custom("no time in seconds"))
}
