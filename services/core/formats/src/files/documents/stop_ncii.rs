//! Records of StopNCII, of `FetchHashes` and `SubmitHashes`.

use serde::Deserialize;
use vigie_model::{HashType, ItemDraft};

use super::Found;
use crate::files::fault::Unknown;
use crate::files::left_out::LeftOut;
use crate::files::lines::item_json::parse;
use crate::files::lines::parts::hash;

/// The field of a page that holds its records.
pub(in crate::files) const CONTAINER: &str = "hashRecords";

/// A record. It has other fields, which say nothing of the hash.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashRecord {
    signal_type: String,
    hash_value: String,
    #[serde(default)]
    hash_status: Option<String>,
}

/// Signal types and what they are here. A client of the field writes `StopNCIISignalType.` before them.
pub(in crate::files) const TYPES: [(&str, HashType); 2] =
    [("ImagePDQ", HashType::PDQ), ("VideoMD5", HashType::MD5)];

/// States in which a hash is to be matched no longer.
const WITHDRAWN: [&str; 2] = ["Withdrawn", "Deleted"];

/// Reads a record that begins on a line.
pub(in crate::files) fn read(text: &str, line: u64, unknown: Unknown, left_out: &mut LeftOut) -> Found {
    let mut found = Found::default();
    match draft(text, unknown, left_out) {
        Ok(draft) => found.draft = draft,
        Err(reason) => found.bad.push((line, reason)),
    }
    found
}

fn draft(text: &str, unknown: Unknown, left_out: &mut LeftOut) -> Result<Option<ItemDraft>, String> {
    let HashRecord { signal_type, hash_value, hash_status } = parse(text)?;
    if hash_status.is_some_and(|status| WITHDRAWN.contains(&status.as_str())) {
        left_out.withdrawn += 1;
        return Ok(None);
    }
    let name = signal_type.rsplit('.').next().unwrap_or_default();
    let Some((_, hash_type)) = TYPES.iter().find(|(known, _)| *known == name) else {
        return match unknown {
            Unknown::Ignored => {
                left_out.unknown("type", name);
                Ok(None)
            }
            Unknown::Refused => Err("has an unknown signal type: use ImagePDQ or VideoMD5".to_owned()),
        };
    };
    let hashes = vec![hash(*hash_type, &hash_value)?];
    Ok(Some(ItemDraft { hashes, ..ItemDraft::default() }))
}
