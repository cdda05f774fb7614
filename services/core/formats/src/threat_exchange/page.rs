//! The page and its updates, and their reading and writing.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use crate::json::{self, Records};
use crate::programme::{Fault, HashText, Tally};
use crate::words::words;

/// A page of updates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The updates, in the page's order.
    pub updates: Vec<Update>,
    /// The absolute URL of the next page with everything that the request needs, including credentials;
    /// `None` on the last page.
    pub next: Option<NextLink>,
    /// The counts of what was left out when the page was read.
    pub tally: Tally,
}

/// The absolute URL of a next page. It contains the caller's token, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct NextLink(pub String);

impl fmt::Debug for NextLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NextLink({} bytes)", self.0.len())
    }
}

/// The state of one indicator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The indicator's id, a number as text.
    pub id: String,
    /// The hash, the URL or the text.
    pub indicator: HashText,
    /// The programme's word for the type, such as `HASH_PDQ`.
    pub kind: String,
    /// The time of the last update, in seconds since 1970.
    pub last_updated: u64,
    /// Whether clients have to delete the indicator.
    pub should_delete: bool,
    /// The descriptors of the indicator; `None` if the update has no such key, which also means a deletion.
    pub descriptors: Option<Vec<Descriptor>>,
}

/// The description of an indicator by one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The descriptor's id, a number as text.
    pub id: String,
    /// The app's id, a number as text; `None` if the programme does not show it.
    pub owner: Option<String>,
    /// The app's verdict.
    pub status: Status,
    /// The app's tags.
    pub tags: Vec<Tag>,
    /// Reactions of other apps.
    pub reactions: Vec<Reaction>,
    /// The time at which the app added the descriptor, as the programme writes it.
    pub added_on: Option<String>,
}

words! {
    /// The verdict of a descriptor.
    Status {
        /// The indicator is harmful.
        Malicious = "MALICIOUS",
        /// The indicator is harmless.
        NonMalicious = "NON_MALICIOUS",
        /// The indicator may be harmful.
        Suspicious = "SUSPICIOUS",
        /// The verdict is not given.
        Unknown = "UNKNOWN",
    }
}

/// A tag of a descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The tag's id, a number as text; empty if the programme gives none.
    #[serde(default, deserialize_with = "json::id")]
    pub id: String,
    /// The tag's text.
    pub text: String,
}

/// Apps that reacted to a descriptor in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// The programme's word, such as `HELPFUL`.
    pub kind: String,
    /// The apps' ids, numbers as text.
    pub apps: BTreeSet<String>,
}

/// Reads a page.
pub fn parse(bytes: &[u8]) -> Result<Page, Fault> {
    let WirePage { data, paging } = json::read(bytes)?;
    let next = paging.and_then(|paging| paging.next).filter(|next| !next.is_empty()).map(NextLink);
    let tally = Tally { bad_records: data.bad, ..Tally::default() };
    Ok(Page { updates: data.records.into_iter().map(Update::from).collect(), next, tally })
}

/// Writes a page. A page without updates is written without `next`, because clients stop at an empty page
/// that has one.
#[must_use]
pub fn render(page: &Page) -> Vec<u8> {
    let mut root = json!({"data": page.updates.iter().map(update).collect::<Vec<_>>()});
    if let (Some(next), false, Some(root)) = (&page.next, page.updates.is_empty(), root.as_object_mut()) {
        root.insert("paging".to_owned(), json!({"next": next.0}));
    }
    root.to_string().into_bytes()
}

fn update(update: &Update) -> Value {
    let mut object = json!({
        "id": update.id,
        "indicator": update.indicator,
        "type": update.kind,
        "last_updated": update.last_updated,
        "should_delete": update.should_delete,
    });
    if let (Some(descriptors), Some(object)) = (&update.descriptors, object.as_object_mut()) {
        let descriptors: Vec<Value> = descriptors.iter().map(descriptor).collect();
        object.insert("descriptors".to_owned(), json!({"data": descriptors}));
    }
    object
}

fn descriptor(descriptor: &Descriptor) -> Value {
    let Descriptor { id, owner, status, tags, reactions, added_on } = descriptor;
    let mut object = Map::new();
    object.insert("id".to_owned(), json!(id));
    object.insert("status".to_owned(), json!(status));
    if let Some(owner) = owner {
        object.insert("owner".to_owned(), json!({"id": owner}));
    }
    if !tags.is_empty() {
        object.insert("tags".to_owned(), json!({"data": tags}));
    }
    if !reactions.is_empty() {
        let reaction = |one: &Reaction| {
            let apps: Vec<&str> = one.apps.iter().map(String::as_str).collect();
            json!({"key": one.kind, "value": apps.join(",")})
        };
        object.insert("reactions".to_owned(), reactions.iter().map(reaction).collect());
    }
    if let Some(at) = added_on {
        object.insert("added_on".to_owned(), json!(at));
    }
    Value::Object(object)
}

#[derive(Deserialize)]
struct WirePage {
    data: Records<WireUpdate>,
    paging: Option<WirePaging>,
}

#[derive(Deserialize)]
struct WirePaging {
    next: Option<String>,
}

#[derive(Deserialize)]
struct WireUpdate {
    #[serde(deserialize_with = "json::id")]
    id: String,
    indicator: HashText,
    #[serde(rename = "type")]
    kind: String,
    #[serde(deserialize_with = "json::whole")]
    last_updated: u64,
    #[serde(default, deserialize_with = "json::or_default")]
    should_delete: bool,
    descriptors: Option<WireList<WireDescriptor>>,
}

/// A list, either bare or in the field `data`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum WireList<T> {
    Below {
        #[serde(default = "Vec::new")]
        data: Vec<T>,
    },
    Bare(Vec<T>),
}

impl<T> WireList<T> {
    fn items(self) -> Vec<T> {
        match self {
            Self::Below { data } | Self::Bare(data) => data,
        }
    }
}

#[derive(Deserialize)]
struct WireDescriptor {
    #[serde(deserialize_with = "json::id")]
    id: String,
    owner: Option<WireOwner>,
    #[serde(default = "unknown")]
    status: Status,
    tags: Option<WireList<WireTag>>,
    reactions: Option<WireList<WireReaction>>,
    #[serde(default, deserialize_with = "optional_id")]
    added_on: Option<String>,
}

#[derive(Deserialize)]
struct WireOwner {
    #[serde(deserialize_with = "json::id")]
    id: String,
}

/// A tag, with its id or only as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireTag {
    Tag(Tag),
    Word(String),
}

#[derive(Deserialize)]
pub(super) struct WireReaction {
    key: String,
    #[serde(deserialize_with = "json::id")]
    value: String,
}

/// Reads reactions. The programme writes the apps of a reaction as one text.
pub(super) fn reactions_of(wire: Option<WireList<WireReaction>>) -> Vec<Reaction> {
    let reaction = |WireReaction { key, value }| Reaction {
        kind: key,
        apps: value.split(',').map(str::trim).filter(|app| !app.is_empty()).map(str::to_owned).collect(),
    };
    wire.map(WireList::items).unwrap_or_default().into_iter().map(reaction).collect()
}

fn unknown() -> Status {
    Status::Unknown
}

fn optional_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct Id(#[serde(deserialize_with = "json::id")] String);
    Ok(Option::<Id>::deserialize(deserializer)?.map(|Id(text)| text))
}

impl From<WireUpdate> for Update {
    fn from(wire: WireUpdate) -> Self {
        let WireUpdate { id, indicator, kind, last_updated, should_delete, descriptors } = wire;
        let descriptors = descriptors.map(|list| list.items().into_iter().map(Descriptor::from).collect());
        Self { id, indicator, kind, last_updated, should_delete, descriptors }
    }
}

impl From<WireDescriptor> for Descriptor {
    fn from(wire: WireDescriptor) -> Self {
        let WireDescriptor { id, owner, status, tags, reactions, added_on } = wire;
        let tag = |tag| match tag {
            WireTag::Tag(tag) => tag,
            WireTag::Word(text) => Tag { id: String::new(), text },
        };
        Self {
            id,
            owner: owner.map(|owner| owner.id),
            status,
            tags: tags.map(WireList::items).unwrap_or_default().into_iter().map(tag).collect(),
            reactions: reactions_of(reactions),
            added_on,
        }
    }
}
