//! What platforms send to the programme: hashes, and feedback on hashes.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::page::{Feedback, FeedbackValue, SignalType, signal_type};
use crate::json::{self, Records};
use crate::programme::{Fault, HashText};

/// A hash that a platform submits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubmittedHash {
    /// When the platform last changed it, in seconds since 1970.
    #[serde(rename = "lastModtimestamp", deserialize_with = "json::whole")]
    pub last_mod_timestamp: u64,
    /// The hash's type.
    #[serde(deserialize_with = "signal_type")]
    pub signal_type: SignalType,
    /// The hash.
    pub hash_value: HashText,
    /// What the platform says of it.
    #[serde(rename = "CSPFeedbacks", default, deserialize_with = "json::or_default")]
    pub feedbacks: Vec<Feedback>,
}

/// Feedback on a hash. The programme names no type beside the value.
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

/// Reads the body of `SubmitHashes`: the hashes, and the count of records of another shape.
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

/// Reads the body of `SubmitFeedback`: the feedback, and the count of records of another shape.
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
