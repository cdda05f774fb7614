//! The page and its records, and their reading and writing.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use crate::json::{self, Records};
use crate::programme::{Fault, HashText, Tally};
use crate::words::words;

/// A page of `FetchHashes`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The records, in the page's order.
    pub records: Vec<HashRecord>,
    /// The token of the next page, valid for a short time.
    pub next_page_token: Option<String>,
    /// The start of the next round, in seconds since 1970. It may be lower than that of the previous page: a
    /// follower keeps the maximum.
    pub next_set_timestamp: u64,
    /// Whether there is a next page.
    pub has_more_records: bool,
    /// The counts of what was left out when the page was read.
    pub tally: Tally,
}

/// The state of one hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HashRecord {
    /// The time of the last change, in seconds since 1970.
    #[serde(rename = "lastModtimestamp", deserialize_with = "json::whole")]
    pub last_mod_timestamp: u64,
    /// The hash's type.
    #[serde(deserialize_with = "signal_type")]
    pub signal_type: SignalType,
    /// The hash.
    pub hash_value: HashText,
    /// The state of the hash over all of its cases.
    pub hash_status: CaseStatus,
    /// The state of each case, keyed by the case's id.
    #[serde(default, deserialize_with = "cases")]
    pub case_numbers: BTreeMap<String, CaseStatus>,
    /// The feedback of platforms on the hash.
    #[serde(rename = "CSPFeedbacks", default, deserialize_with = "json::or_default")]
    pub feedbacks: Vec<Feedback>,
}

/// The feedback of one platform on a hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Feedback {
    /// The platform's name.
    #[serde(default, deserialize_with = "json::or_default")]
    pub source: String,
    /// The platform's verdict.
    pub feedback_value: FeedbackValue,
    /// The platform's tags.
    #[serde(default, deserialize_with = "json::or_default")]
    pub tags: Vec<String>,
}

words! {
    /// The type of a hash.
    SignalType {
        /// PDQ of a picture.
        ImagePdq = "ImagePDQ",
        /// MD5 of a video.
        VideoMd5 = "VideoMD5",
        /// TMK of a video.
        VideoTmk = "VideoTMK",
        /// A text.
        Text = "Text",
        /// A URL.
        Url = "URL",
        /// The type is not given.
        Unknown = "Unknown",
    }
}

words! {
    /// The state of a case, or of a hash.
    CaseStatus {
        /// Submitted.
        Received = "Received",
        /// In force.
        Active = "Active",
        /// Taken back: clients delete the hash.
        Withdrawn = "Withdrawn",
        /// Removed: clients delete the hash.
        Deleted = "Deleted",
        /// The state is not given.
        Unknown = "Unknown",
    }
}

words! {
    /// The verdict of a platform.
    FeedbackValue {
        /// Reviewed and blocked.
        Blocked = "Blocked",
        /// Reviewed and not blocked.
        NotBlocked = "NotBlocked",
        /// A match awaits review.
        PendingReview = "PendingReview",
        /// The hash's quality is not known.
        QualityUnknown = "QualityUnknown",
        /// There are only tags.
        None = "None",
        /// Taken back.
        Withdrawn = "Withdrawn",
        /// Removed.
        Deleted = "Deleted",
        /// The verdict is not given.
        Unknown = "Unknown",
    }
}

impl CaseStatus {
    /// Checks whether clients have to delete a hash in this state.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Withdrawn | Self::Deleted)
    }
}

/// Reads a page.
pub fn parse(bytes: &[u8]) -> Result<Page, Fault> {
    let wire: WirePage = json::read(bytes)?;
    Ok(Page {
        records: wire.hash_records.records,
        next_page_token: wire.next_page_token.filter(|token| !token.is_empty()),
        next_set_timestamp: wire.next_set_timestamp,
        has_more_records: wire.has_more_records,
        tally: Tally { bad_records: wire.hash_records.bad, ..Tally::default() },
    })
}

/// Writes a page.
#[must_use]
pub fn render(page: &Page) -> Vec<u8> {
    let root = json!({
        "count": page.records.len(),
        "nextPageToken": page.next_page_token,
        "nextSetTimestamp": page.next_set_timestamp,
        "hasMoreRecords": page.has_more_records,
        "hashRecords": page.records,
    });
    root.to_string().into_bytes()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePage {
    next_page_token: Option<String>,
    #[serde(deserialize_with = "json::whole")]
    next_set_timestamp: u64,
    has_more_records: bool,
    #[serde(default, deserialize_with = "json::or_default")]
    hash_records: Records<HashRecord>,
}

/// Reads a type, as the programme writes it or as python-threatexchange submits it:
/// `StopNCIISignalType.ImagePDQ`.
pub(crate) fn signal_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignalType, D::Error> {
    let word = SignalType::deserialize(deserializer)?;
    let bare = word.as_str().rsplit('.').next().map(SignalType::from);
    Ok(bare.filter(|bare| !matches!(bare, SignalType::Other(_))).unwrap_or(word))
}

/// Reads cases keyed by their ids. The programme writes `[]` if there are none.
fn cases<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, CaseStatus>, D::Error> {
    struct Cases;

    impl<'de> Visitor<'de> for Cases {
        type Value = BTreeMap<String, CaseStatus>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cases by their ids")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut cases = BTreeMap::new();
            while let Some((id, status)) = map.next_entry()? {
                cases.insert(id, status);
            }
            Ok(cases)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            match list.next_element::<IgnoredAny>()? {
                None => Ok(BTreeMap::new()),
                Some(IgnoredAny) => Err(A::Error::custom("a list of cases that is not empty")),
            }
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }
    }

    deserializer.deserialize_any(Cases)
}
