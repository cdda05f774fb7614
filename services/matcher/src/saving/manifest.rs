//! What a snapshot consists of, and what it is a snapshot of.
//!
//! The manifest is the last file of a snapshot to be written, and appears at one instant by a renaming: with it the
//! snapshot is there, without it there is none. It names every other file, with its length and checksum, relative to
//! its own folder, so that a snapshot can be copied file by file, the manifest last, and be verified where it arrives.
//!
//! In the container of segments (checksummed, versioned) it is one section of JSON, one of bits (the records that had died, file by
//! file), and where items have standings one of these ([`super::standings`]). Without the last it is of the form that versions
//! without standings know; with it those find that the digests of its banks are others, and refuse it.

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

/// The version of what [`Manifest`] says.
pub(crate) const FORMAT: u32 = 2;
/// The version before it: without [`Manifest::indexes`].
const FORMAT_OF_THREE_INDEXES: u32 = 1;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    /// The number of the snapshot; with the sequence it is the tag of the indexes' checkpoints.
    pub(crate) number: u64,
    /// What the files are good for.
    pub(crate) settings: Settings,
    /// The place in the log.
    pub(crate) log: [u8; 16],
    pub(crate) sequence: u64,
    pub(crate) chain: Option<[u8; 32]>,
    /// See `ShardState::settled`.
    pub(crate) settled: u64,
    /// The folder of the shard's files.
    pub(crate) folder: String,
    /// See `Moment::members_on`. Absent while there are none, as in snapshots of versions that knew none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) members_on: bool,
    /// When the oldest removal was that the files may still hold, in milliseconds since 1970; 0 for none. Absent in snapshots of
    /// versions that did not note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) removed_since_ms: Option<u64>,
    /// The items that are held, by id. Absent where none is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) held: Vec<u64>,
    /// The living banks, by id.
    pub(crate) banks: Vec<BankEntry>,
    /// The files of records, in order, and the words of their dead bits.
    pub(crate) records: Vec<RecordsEntry>,
    /// The indexes. The first version had those of `pdq`, `md5` and `sha256`, and did not list them.
    #[serde(default = "three_indexes")]
    pub(crate) indexes: Vec<IndexEntry>,
    /// Every file but this one.
    pub(crate) files: Vec<FileEntry>,
}

/// What lies beside a manifest in sections of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sections {
    /// The dead bits of all files of records, one after the other.
    pub(crate) dead: Vec<u64>,
    /// The standings of items, encoded; empty where none has one.
    pub(crate) standings: Vec<u8>,
}

/// What a shard's files depend on: with others, they are of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) shard: u16,
    pub(crate) shard_count: u16,
    pub(crate) pdq_engine: PdqEngine,
    /// The distance that the tables of the PDQ index are made for.
    pub(crate) pdq_distance: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BankEntry {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) enabled: bool,
    /// The digest of its living hashes on this shard.
    pub(crate) sums: [u64; 4],
    pub(crate) hashes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordsEntry {
    pub(crate) name: String,
    pub(crate) dead_words: usize,
}

/// An index of the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IndexEntry {
    /// The number of the hash type.
    pub(crate) hash_type: u16,
    /// The length of a hash; of videos, whose frames are in two indexes, which of them it is: [`PROBE`] or [`REST`]. Versions without
    /// videos pass over indexes of types that they do not know, as long as entries have no other form.
    pub(crate) bytes: usize,
    /// The distance that the tables of the index are made for, in bits.
    pub(crate) distance: u32,
}

impl IndexEntry {
    /// The entry of an index.
    pub(crate) fn of(key: IndexKey) -> Self {
        let distance = key.options().distance.0;
        let bytes = match key.part {
            Part::Whole => key.bytes,
            Part::Probe => PROBE,
            Part::Rest => REST,
        };
        Self { hash_type: key.hash_type.number(), bytes, distance }
    }

    /// The index, if its entry is sound.
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

/// The index of the probe frames of videos. The numbers are fixed: manifests hold them.
const PROBE: usize = 1;
/// The index of their other frames.
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
    /// The checksum of its header, which covers those of everything else.
    pub(crate) checksum: u64,
}

impl Manifest {
    /// Writes it, with what lies beside it.
    pub(crate) fn write(&self, path: &Path, beside: &Sections) -> Result<(), SegmentError> {
        Self::write_text(path, &serde_json::to_vec(self).expect("it is made of numbers and text"), beside)
    }

    /// Writes it as the first version did.
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
