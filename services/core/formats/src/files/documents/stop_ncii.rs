//! Records of StopNCII, as in `FetchHashes` and `SubmitHashes`.

use serde::Deserialize;
use vigie_model::{HashType, ItemDraft};

use super::Found;
use crate::files::fault::Unknown;
use crate::files::left_out::LeftOut;
use crate::files::lines::item_json::parse;
use crate::files::lines::parts::hash;

/// The field of a page that contains its records.
pub(in crate::files) const CONTAINER: &str = "hashRecords";

/// A record. Its other fields, which do not concern the hash, are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashRecord {
    signal_type: String,
    hash_value: String,
    #[serde(default)]
    hash_status: Option<String>,
}

/// The signal types and their hash types. One client of the field writes `StopNCIISignalType.` before them.
pub(in crate::files) const TYPES: [(&str, HashType); 2] =
    [("ImagePDQ", HashType::PDQ), ("VideoMD5", HashType::MD5)];

/// The states in which a hash must no longer be matched.
const WITHDRAWN: [&str; 2] = ["Withdrawn", "Deleted"];

/// Reads a record that begins on this line.
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
