//! The manifest of a snapshot: its files, and the state that they are a snapshot of.
//!
//! The manifest is the last file of a snapshot to be written, and appears atomically by a rename: a snapshot
//! exists exactly if its manifest does. The manifest names every other file with its length and checksum,
//! relative to its own folder. So a snapshot can be copied file by file, the manifest last, and be verified
//! at its destination.
//!
//! A manifest is a container like a segment (checksummed, versioned), with one section of JSON, one of bits
//! (the dead records, file by file), and, if items have standings, one of these ([`super::standings`]).
//! Without the last section, versions without standings can read it. With it, they find that the digests of
//! its banks differ, and refuse it.

use std::path::Path;

use bytemuck::cast_slice;
use serde::{Deserialize, Serialize};
use vigie_index::SegmentError;
use vigie_index::container::{Container, ContainerWriter};
use vigie_model::{Hash, HashType};

use crate::shard::indexes::{IndexKey, Part};
use crate::shard::pdq::PdqEngine;

const TEXT: u32 = 1;
const DEAD: u32 = 2;
const STANDINGS: u32 = 3;
const NOTE: &[u8] = b"vigie snapshot";

/// The version of the content of [`Manifest`].
pub(crate) const FORMAT: u32 = 2;
/// The version before it, without [`Manifest::indexes`].
const FORMAT_OF_THREE_INDEXES: u32 = 1;

/// The manifest of a snapshot. It is saved as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    /// The number of the snapshot. Together with the sequence it is the tag of the indexes' checkpoints.
    pub(crate) number: u64,
    /// The settings with which the files can be used.
    pub(crate) settings: Settings,
    /// The log's id; with `sequence` and `chain`, the position in the log.
    pub(crate) log: [u8; 16],
    pub(crate) sequence: u64,
    pub(crate) chain: Option<[u8; 32]>,
    /// See `ShardState::settled`.
    pub(crate) settled: u64,
    /// The folder of the shard's files.
    pub(crate) folder: String,
    /// See `Moment::members_on`. Absent while there are no members, as in snapshots of versions that knew
    /// none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) members_on: bool,
    /// The time of the oldest removal that the files may still hold, in milliseconds since 1970; 0 for none.
    /// Absent in snapshots of versions that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) removed_since_ms: Option<u64>,
    /// The ids of the items that are held, ascending. Absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) held: Vec<u64>,
    /// The living banks, in ascending order of ids.
    pub(crate) banks: Vec<BankEntry>,
    /// The files of records, in order, and the number of words of dead bits of each.
    pub(crate) records: Vec<RecordsEntry>,
    /// The indexes. The first version had those of `pdq`, `md5` and `sha256`, and did not list them.
    #[serde(default = "three_indexes")]
    pub(crate) indexes: Vec<IndexEntry>,
    /// Every file except this one.
    pub(crate) files: Vec<FileEntry>,
}

/// The other sections of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sections {
    /// The dead bits of all files of records, one after the other.
    pub(crate) dead: Vec<u64>,
    /// The encoded standings of items; empty if there are none.
    pub(crate) standings: Vec<u8>,
}

/// The settings that a shard's files depend on. With other settings, the files are useless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) shard: u16,
    pub(crate) shard_count: u16,
    pub(crate) pdq_engine: PdqEngine,
    /// The distance for which the tables of the PDQ index are made, in bits.
    pub(crate) pdq_distance: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BankEntry {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) enabled: bool,
    /// The digest of the bank on this shard: its living hashes, and the holds and standings of its items.
    pub(crate) sums: [u64; 4],
    pub(crate) hashes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordsEntry {
    pub(crate) name: String,
    pub(crate) dead_words: usize,
}

/// The manifest's entry of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IndexEntry {
    /// The number of the hash type.
    pub(crate) hash_type: u16,
    /// The length of a hash in bytes. For videos, whose frames are in two indexes, it is [`PROBE`] or
    /// [`REST`] instead. Versions without videos skip indexes of types that they do not know, as long as the
    /// form of the entries stays the same.
    pub(crate) bytes: usize,
    /// The distance for which the tables of the index are made, in bits.
    pub(crate) distance: u32,
}

impl IndexEntry {
    /// Returns the entry of an index.
    pub(crate) fn of(key: IndexKey) -> Self {
        let distance = key.options().distance.0;
        let bytes = match key.part {
            Part::Whole => key.bytes,
            Part::Probe => PROBE,
            Part::Rest => REST,
        };
        Self { hash_type: key.hash_type.number(), bytes, distance }
    }

    /// Returns the key of the index, or `None` if the entry is invalid.
    pub(crate) fn key(&self) -> Option<IndexKey> {
        match (HashType::from_number(self.hash_type)?, self.bytes) {
            (HashType::VPDQ, PROBE) => Some(IndexKey::frames(Part::Probe)),
            (HashType::VPDQ, REST) => Some(IndexKey::frames(Part::Rest)),
            (HashType::VPDQ, _) => None,
            (hash_type, 1..=Hash::LEN_MAX) => Some(IndexKey::whole(hash_type, self.bytes)),
            (_, _) => None,
        }
    }
}

/// The index of the probe frames of videos. Never change these numbers: existing manifests use them.
const PROBE: usize = 1;
/// The index of the other frames of videos.
const REST: usize = 2;

fn three_indexes() -> Vec<IndexEntry> {
    let keys = [(HashType::PDQ, 32), (HashType::MD5, 16), (HashType::SHA256, 32)];
    keys.map(|(hash_type, bytes)| IndexEntry::of(IndexKey::whole(hash_type, bytes))).into()
}

/// A file, relative to the manifest's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileEntry {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// The checksum of the file's header, which covers the checksums of everything else in it.
    pub(crate) checksum: u64,
}

impl Manifest {
    /// Writes the manifest with its other sections.
    pub(crate) fn write(&self, path: &Path, beside: &Sections) -> Result<(), SegmentError> {
        Self::write_text(path, &serde_json::to_vec(self).expect("it is made of numbers and text"), beside)
    }

    /// Writes the manifest in the first version's form.
    #[cfg(test)]
    pub(crate) fn write_first_format(&self, path: &Path, beside: &Sections) {
        let mut text = serde_json::to_value(self).unwrap();
        text["format"] = FORMAT_OF_THREE_INDEXES.into();
        text.as_object_mut().unwrap().remove("indexes");
        Self::write_text(path, text.to_string().as_bytes(), beside).unwrap();
    }

    fn write_text(path: &Path, text: &[u8], beside: &Sections) -> Result<(), SegmentError> {
        let Sections { dead, standings } = beside;
        let mut sections = vec![(TEXT, text.len()), (DEAD, dead.len() * 8)];
        sections.extend((!standings.is_empty()).then_some((STANDINGS, standings.len())));
        let writer = ContainerWriter::create(path, &sections)?;
        writer.write_at(TEXT, 0, text)?;
        writer.write_at(DEAD, 0, cast_slice(dead))?;
        if !standings.is_empty() {
            writer.write_at(STANDINGS, 0, standings)?;
        }
        writer.finish(NOTE).map(drop)
    }

    /// Reads what [`Self::write`] wrote.
    ///
    /// Errors: the file cannot be read, is damaged, or has an unknown form.
    pub(crate) fn read(path: &Path) -> Result<(Self, Sections), SegmentError> {
        let container = Container::open(path)?;
        if container.note() != NOTE {
            return Err(container.contradiction("it is no manifest of a snapshot"));
        }
        let text = container.section(TEXT).unwrap_or_default();
        let manifest: Self = serde_json::from_slice(text)
            .map_err(|_| container.contradiction("it says what this version does not know"))?;
        if ![FORMAT_OF_THREE_INDEXES, FORMAT].contains(&manifest.format) {
            return Err(container.contradiction("it is of another version"));
        }
        let (words, rest) = container.section(DEAD).unwrap_or_default().as_chunks::<8>();
        let expected: usize = manifest.records.iter().map(|one| one.dead_words).sum();
        if !rest.is_empty() || words.len() != expected {
            return Err(container.contradiction("its dead bits are of other files"));
        }
        let dead = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let standings = container.section(STANDINGS).unwrap_or_default().to_vec();
        Ok((manifest, Sections { dead, standings }))
    }
}
