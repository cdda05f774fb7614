//! Formats whose items are records of a document.

use std::collections::BTreeMap;
use std::io::{self, Write};

use quick_xml::escape::escape;
use vigie_model::{Hash, HashType};

use super::Written;
use super::lines::signal_type;
use crate::files::documents::{ncmec, stop_ncii};

/// The namespace of NCMEC's hash sharing.
const NAMESPACE: &str = "https://hashsharing.ncmec.org/hashsharing/v2";

/// Checks whether StopNCII has a signal type for hashes of a type.
pub(super) fn is_of_stop_ncii(hash_type: HashType) -> bool {
    stop_ncii::TYPES.iter().any(|(_, known)| *known == hash_type)
}

/// Checks whether NCMEC has a fingerprint for hashes of a type.
pub(super) fn is_of_ncmec(hash_type: HashType) -> bool {
    ncmec::FINGERPRINTS.iter().any(|(_, known)| *known == hash_type)
}

pub(super) fn stop_ncii_begin(to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "{{\"hashRecords\":[")
}

/// Writes a record for each hash.
pub(super) fn stop_ncii(
    to: &mut dyn Write,
    item: &Written<'_>,
    hashes: &[&Hash],
    is_first: bool,
) -> io::Result<()> {
    for (at, hash) in hashes.iter().enumerate() {
        let name = stop_ncii::TYPES.iter().find(|(_, known)| *known == hash.hash_type());
        let record = serde_json::json!({
            "lastModtimestamp": item.added_at_unix_ms / 1_000,
            "signalType": name.map(|(name, _)| *name),
            "hashValue": hash.to_text(),
            "hashStatus": "Active",
            "caseNumbers": {},
            "CSPFeedbacks": [],
        });
        if !(is_first && at == 0) {
            writeln!(to, ",")?;
        }
        serde_json::to_writer(&mut *to, &record)?;
    }
    Ok(())
}

pub(super) fn stop_ncii_end(to: &mut dyn Write, count: u64) -> io::Result<()> {
    writeln!(to, "\n],\"count\":{count},\"hasMoreRecords\":false,\"nextPageToken\":\"\"}}")
}

pub(super) fn ncmec_begin(to: &mut dyn Write, now: &str) -> io::Result<()> {
    writeln!(to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<queryResult xmlns=\"{NAMESPACE}\">")?;
    writeln!(to, "<images maxTimestamp=\"{}\">", escape(now))
}

/// Writes an entry, and another one for each further hash of a type.
pub(super) fn ncmec(to: &mut dyn Write, item: &Written<'_>, hashes: &[&Hash]) -> io::Result<()> {
    let reference = item.external_reference;
    // The key of an entry that was read from NCMEC: the member and the id.
    let key = reference.split_once('-').filter(|(member, id)| {
        !id.is_empty() && !member.is_empty() && member.bytes().all(|byte| byte.is_ascii_digit())
    });
    let own = item.id.to_string();
    let (member, id) = key.unwrap_or(("0", if reference.is_empty() { &own } else { reference }));
    for (round, hashes) in one_of_each_type(hashes).into_iter().enumerate() {
        let mark = if round == 0 { String::new() } else { format!("-{}", round + 1) };
        writeln!(to, "<image><member id=\"{member}\">vigie</member>")?;
        writeln!(to, "<timestamp>{}</timestamp><id>{}{mark}</id>", escape(item.added_at), escape(id))?;
        if let Some(class) = item.labels.iter().find(|label| ncmec::CLASSES.contains(&label.as_str())) {
            writeln!(to, "<classification>{class}</classification>")?;
        }
        writeln!(to, "<fingerprints>")?;
        for hash in hashes {
            let name = ncmec::FINGERPRINTS.iter().find(|(_, known)| *known == hash.hash_type());
            let name = name.map_or("", |(name, _)| *name);
            writeln!(to, "<{name}>{}</{name}>", hash.to_text())?;
        }
        writeln!(to, "</fingerprints></image>")?;
    }
    Ok(())
}

pub(super) fn ncmec_end(to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "</images>\n</queryResult>")
}

/// Writes an object with the signals of an item, and another one for each further hash of a type.
pub(super) fn hma(to: &mut dyn Write, item: &Written<'_>, hashes: &[&Hash]) -> io::Result<()> {
    for hashes in one_of_each_type(hashes) {
        let signals = hashes.iter().map(|hash| (signal_type(hash.hash_type()), hash.to_line()));
        let signals: BTreeMap<String, String> = signals.collect();
        serde_json::to_writer(&mut *to, &serde_json::json!({ "id": item.id, "signals": signals }))?;
        writeln!(to)?;
    }
    Ok(())
}

/// Divides hashes into rounds, each with at most one hash of a type.
fn one_of_each_type<'a>(hashes: &[&'a Hash]) -> Vec<Vec<&'a Hash>> {
    let mut rounds: Vec<Vec<&Hash>> = Vec::new();
    for &hash in hashes {
        let is_free =
            |round: &&mut Vec<&Hash>| round.iter().all(|other| other.hash_type() != hash.hash_type());
        match rounds.iter_mut().find(is_free) {
            Some(round) => round.push(hash),
            None => rounds.push(vec![hash]),
        }
    }
    rounds
}
