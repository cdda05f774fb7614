//! The data that platforms send to the programme: hashes, and feedback on hashes.

use serde::{Deserialize, Serialize};
use serde_json::json;
use vigie_model::{Hash, UnixMillis};

use super::mapping::KINDS;
use super::page::{Feedback, FeedbackValue, SignalType, signal_type};
use crate::json::{self, Records};
use crate::programme::hash_text::word_among;
use crate::programme::{Fault, HashText};

/// A hash that a platform submits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubmittedHash {
    /// The time at which the platform last changed the hash, in seconds since 1970.
    #[serde(rename = "lastModtimestamp", deserialize_with = "json::whole")]
    pub last_mod_timestamp: u64,
    /// The hash's type.
    #[serde(deserialize_with = "signal_type")]
    pub signal_type: SignalType,
    /// The hash.
    pub hash_value: HashText,
    /// The platform's feedback on the hash.
    #[serde(rename = "CSPFeedbacks", default, deserialize_with = "json::or_default")]
    pub feedbacks: Vec<Feedback>,
}

/// Feedback on a hash. The programme identifies the hash by its value, without a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubmittedFeedback {
    /// The platform's tags.
    #[serde(default, deserialize_with = "json::or_default")]
    pub tags: Vec<String>,
    /// The platform's verdict.
    pub feedback_value: FeedbackValue,
    /// The hash.
    pub hash_value: HashText,
}

/// Returns the programme's words for the types of hashes that can be submitted.
pub fn signal_types() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.word)
}

impl SubmittedHash {
    /// Creates the submission of a hash that a platform has reviewed and blocks, with its tags.
    /// `signal_types` are the allowed words; empty allows all. `None` if no word fits, and for a hash of only
    /// zero bytes.
    #[must_use]
    pub fn blocked(
        hash: &Hash,
        signal_types: &[String],
        tags: &[String],
        changed_at: UnixMillis,
    ) -> Option<Self> {
        let word = word_among(KINDS, hash, signal_types)?;
        let feedback =
            Feedback { source: String::new(), feedback_value: FeedbackValue::Blocked, tags: tags.to_vec() };
        Some(Self {
            last_mod_timestamp: changed_at.0 / 1_000,
            signal_type: SignalType::from(word),
            hash_value: HashText::of(hash),
            feedbacks: vec![feedback],
        })
    }
}

impl SubmittedFeedback {
    /// Creates a platform's feedback on a hash, in the programme's word.
    #[must_use]
    pub fn of(hash: &Hash, feedback_value: FeedbackValue, tags: &[String]) -> Self {
        Self { tags: tags.to_vec(), feedback_value, hash_value: HashText::of(hash) }
    }

    /// Creates feedback that withdraws the platform's earlier feedback on a hash. The types that can be
    /// submitted differ in the length of their values, so the value identifies the hash without a type.
    #[must_use]
    pub fn withdrawn(hash: &Hash) -> Self {
        Self::of(hash, FeedbackValue::Withdrawn, &[])
    }
}

/// Reads the body of `SubmitHashes`: the hashes, and the number of records of another form.
pub fn parse_hashes(bytes: &[u8]) -> Result<(Vec<SubmittedHash>, u64), Fault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        hash_records: Records<SubmittedHash>,
    }
    let Body { hash_records } = json::read(bytes)?;
    Ok((hash_records.records, hash_records.bad))
}

/// Writes the body of `SubmitHashes`.
#[must_use]
pub fn render_hashes(hashes: &[SubmittedHash]) -> Vec<u8> {
    json!({"count": hashes.len(), "hashRecords": hashes}).to_string().into_bytes()
}

/// Reads the body of `SubmitFeedback`: the feedback, and the number of records of another form.
pub fn parse_feedback(bytes: &[u8]) -> Result<(Vec<SubmittedFeedback>, u64), Fault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        hash_feedbacks: Records<SubmittedFeedback>,
    }
    let Body { hash_feedbacks } = json::read(bytes)?;
    Ok((hash_feedbacks.records, hash_feedbacks.bad))
}

/// Writes the body of `SubmitFeedback`.
#[must_use]
pub fn render_feedback(feedback: &[SubmittedFeedback]) -> Vec<u8> {
    json!({"count": feedback.len(), "hashFeedbacks": feedback}).to_string().into_bytes()
}
