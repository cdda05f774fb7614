//! Publishes a snapshot to an object store, so that another replica can start from it.
//!
//! ```text
//! <log>/<shard>-of-<shard_count>/
//!   latest                                   names the newest snapshot, and its manifest's checksum
//!   snapshots/<sequence>-<number>-<checksum> a manifest, as in a matcher's folder
//!   files/<checksum>-<bytes>                 the files that manifests name, by content
//! ```
//!
//! All objects except `latest` are never changed. `latest` is written last and atomically, so wherever a
//! publication stops, the previous one can still be used. Files that this matcher has uploaded before are not
//! uploaded again. After that, all snapshots are deleted except this one and the previous one, and the files
//! that neither names. A replica that is reading the previous one has time until the next publication.
//!
//! The uploaded files are hard links to files that are never written to, so the shard may save and merge
//! meanwhile. Readers trust nothing of it: see `bootstrap`. After a purge the previous snapshot is deleted at
//! once, because it holds removed items; a replica that was reading it loads the bank's state instead. One
//! publishing replica of a shard is enough. If two publish, each may delete files of the other. This is
//! noticed before `latest` is written, or by the reader.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::PathBuf;

use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use vigie_index::{SavedFile, SegmentError};
use vigie_model::change::LogId;
use vigie_model::{Sequence, ShardIdentity};

use crate::saving::folder::{self, Folder};
use crate::saving::manifest::{FileEntry, Manifest};
use crate::sharing::objects::{Objects, StoreError, TRANSFERS_MAX, transfer};

/// Reasons why a snapshot was not published, or why old ones were not deleted.
#[derive(Debug, Error)]
pub(crate) enum PublishError {
    #[error("cannot prepare the snapshot's files for publication: {0}")]
    Stage(io::Error),
    #[error(transparent)]
    Manifest(#[from] SegmentError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "{object} has gone, or is not as long as it was written: does another matcher publish this shard?"
    )]
    Incomplete { object: String },
    #[cfg(test)]
    #[error("the test stops here")]
    Stopped,
}

/// The snapshots that stay in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The published one and the one before it.
    NewestTwo,
    /// Only the published one.
    Newest,
}

/// Called between two steps of a publication. Tests stop there.
pub(crate) type Checkpoint<'a> = &'a mut (dyn FnMut(&'static str) -> Result<(), PublishError> + Send);

/// The version of [`Pointer`] and of the layout.
const FORMAT: u32 = 1;
const POINTER_BYTES_MAX: u64 = 4_096;

/// The content of `latest`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pointer {
    format: u32,
    pub(crate) sequence: u64,
    pub(crate) number: u64,
    /// The length of the manifest in bytes; with `checksum`, as for any file: see [`FileEntry`].
    pub(crate) bytes: u64,
    pub(crate) checksum: u64,
}

impl Pointer {
    /// Returns the manifest's name among the snapshots.
    fn name(&self) -> String {
        let Self { sequence, number, checksum, .. } = self;
        format!("{sequence}-{number}-{checksum:016x}")
    }
}

/// The location of the snapshots of one shard of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SnapshotLocation(String);

impl SnapshotLocation {
    pub(crate) fn new(log: &str, identity: ShardIdentity) -> Self {
        Self(format!("{log}/{}-of-{}", identity.shard().0, identity.shard_count().get()))
    }

    pub(crate) fn latest(&self) -> String {
        format!("{}/latest", self.0)
    }

    fn snapshots(&self) -> String {
        format!("{}/snapshots", self.0)
    }

    fn files(&self) -> String {
        format!("{}/files", self.0)
    }

    pub(crate) fn manifest(&self, pointer: &Pointer) -> String {
        format!("{}/{}", self.snapshots(), pointer.name())
    }

    pub(crate) fn file(&self, file: &FileEntry) -> String {
        format!("{}/{}", self.files(), content_name(file))
    }

    /// Returns the pointer to the newest snapshot, or `None` if there is none.
    ///
    /// Errors: the pointer cannot be read, or has an unknown form.
    pub(crate) async fn read_latest(&self, objects: &Objects) -> Result<Option<Pointer>, StoreError> {
        let read = match objects.read(&self.latest(), POINTER_BYTES_MAX).await {
            Err(error) if error.is_missing => return Ok(None),
            read => read?,
        };
        let pointer: Option<Pointer> = serde_json::from_slice(&read).ok();
        let pointer = pointer.filter(|pointer| pointer.format == FORMAT);
        pointer
            .map(Some)
            .ok_or_else(|| objects.refuse(&self.latest(), "it says what this version does not know"))
    }
}

/// Returns the name of a file by its content: files of the same length and checksum are the same file.
pub(crate) fn content_name(file: &FileEntry) -> String {
    format!("{:016x}-{}", file.checksum, file.bytes)
}

/// Links to the files of a snapshot. They are deleted when this is dropped.
#[derive(Debug)]
pub(crate) struct Staged {
    folder: PathBuf,
    place: SnapshotLocation,
    manifest: Manifest,
    pointer: Pointer,
}

impl Staged {
    /// Links to the files of the snapshot that was saved last. Returns `None` if there is none. Nothing may
    /// be saved meanwhile; this takes little time.
    pub(crate) fn take(folder: &Folder, identity: ShardIdentity) -> Result<Option<Self>, PublishError> {
        let path = folder.manifest();
        if !path.exists() {
            return Ok(None);
        }
        let (manifest, _) = Manifest::read(&path)?;
        let found =
            SavedFile::look_at(&path)?.ok_or_else(|| PublishError::Stage(io::ErrorKind::NotFound.into()))?;
        let pointer = Pointer {
            format: FORMAT,
            sequence: manifest.sequence,
            number: manifest.number,
            bytes: found.bytes,
            checksum: found.checksum,
        };
        let place = SnapshotLocation::new(&LogId(manifest.log).to_string(), identity);
        let staging = folder.begin_publishing().map_err(PublishError::Stage)?;
        let staged = Self { folder: staging, place, manifest, pointer };
        fs::hard_link(&path, staged.folder.join(staged.pointer.name())).map_err(PublishError::Stage)?;
        for file in &staged.manifest.files {
            match fs::hard_link(folder.path().join(&file.name), staged.folder.join(content_name(file))) {
                // The snapshot has another file with the same content.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                linked => linked.map_err(PublishError::Stage)?,
            }
        }
        Ok(Some(staged))
    }

    pub(crate) fn sequence(&self) -> Sequence {
        Sequence(self.manifest.sequence)
    }

    /// Returns the files by their names in the store, and their lengths in bytes.
    fn files(&self) -> BTreeMap<String, u64> {
        self.manifest.files.iter().map(|file| (content_name(file), file.bytes)).collect()
    }

    /// Publishes the snapshot. `uploaded` are the files that this matcher knows to have uploaded completely.
    pub(crate) async fn publish(
        &self,
        objects: &Objects,
        uploaded: &mut HashSet<String>,
        keep: Keep,
        checkpoint: Checkpoint<'_>,
    ) -> Result<(), PublishError> {
        let Self { folder, place, pointer, .. } = self;
        // A pointer that cannot be read names nothing worth keeping.
        let before = match place.read_latest(objects).await {
            Err(error) => {
                tracing::warn!(%error, "what was published before is given up");
                None
            }
            Ok(before) => before.filter(|before| before != pointer),
        };
        let files = self.files();
        let there = objects.lengths(&place.files()).await?;
        uploaded.retain(|name| files.get(name).is_some_and(|bytes| there.get(name) == Some(bytes)));
        let missing = files.iter().filter(|(name, _)| !uploaded.contains(*name));
        let missing: Vec<_> = missing.map(|(name, bytes)| (name.clone(), *bytes)).collect();
        let sending = missing.into_iter().map(|(name, bytes)| async move {
            let object = format!("{}/{name}", place.files());
            objects.upload(&transfer(object, &folder.join(&name), bytes)).await.map(|()| name)
        });
        let mut sending = futures::stream::iter(sending).buffer_unordered(TRANSFERS_MAX);
        while let Some(name) = sending.try_next().await? {
            uploaded.insert(name);
            checkpoint("file")?;
        }
        checkpoint("files")?;
        let manifest = transfer(place.manifest(pointer), &folder.join(pointer.name()), pointer.bytes);
        objects.upload(&manifest).await?;
        checkpoint("manifest")?;
        let there = objects.lengths(&place.files()).await?;
        if let Some((name, _)) = files.iter().find(|(name, bytes)| there.get(*name) != Some(bytes)) {
            return Err(PublishError::Incomplete { object: format!("{}/{name}", place.files()) });
        }
        let latest = serde_json::to_vec(pointer).expect("it is made of numbers");
        objects.write(&place.latest(), latest).await?;
        checkpoint("latest")?;
        let forgotten = match (keep, before) {
            // A purged hash has to be deleted from the store, so it is an error if this fails.
            (Keep::Newest, _) => return self.forget(objects, None, there, checkpoint).await,
            (Keep::NewestTwo, None) => Ok(()),
            (Keep::NewestTwo, Some(before)) => self.forget(objects, Some(&before), there, checkpoint).await,
        };
        if let Err(error) = forgotten {
            // The snapshot is published. The rest is deleted after the next publication.
            tracing::warn!(%error, "cannot delete what was published earlier");
        }
        Ok(())
    }

    /// Deletes all snapshots except this one and `before`, and the files that neither names.
    async fn forget(
        &self,
        objects: &Objects,
        before: Option<&Pointer>,
        there: BTreeMap<String, u64>,
        checkpoint: Checkpoint<'_>,
    ) -> Result<(), PublishError> {
        let Self { place, pointer, .. } = self;
        let mut kept: BTreeSet<String> = self.files().into_keys().collect();
        if let Some(before) = before {
            kept.extend(self.files_before(objects, before).await?);
        }
        let snapshots = objects.lengths(&place.snapshots()).await?.into_keys();
        let named: Vec<String> = [Some(pointer), before].into_iter().flatten().map(Pointer::name).collect();
        objects.delete(&place.snapshots(), snapshots.filter(|name| !named.contains(name)).collect()).await?;
        checkpoint("forgotten")?;
        let garbage = there.into_keys().filter(|name| !kept.contains(name)).collect();
        Ok(objects.delete(&place.files(), garbage).await?)
    }

    /// Returns the files of the previous snapshot by their names in the store. A damaged or missing snapshot
    /// names none.
    async fn files_before(&self, objects: &Objects, before: &Pointer) -> Result<Vec<String>, PublishError> {
        let Self { folder, place, .. } = self;
        let copy = folder.join("before");
        folder::remove(&copy).map_err(PublishError::Stage)?;
        let manifest = transfer(place.manifest(before), &copy, before.bytes);
        match objects.download(vec![manifest]).await {
            Ok(()) => match Manifest::read(&copy) {
                Ok((manifest, _)) => Ok(manifest.files.iter().map(content_name).collect()),
                Err(error) => {
                    tracing::warn!(%error, object = place.manifest(before), "what was published before is damaged");
                    Ok(Vec::new())
                }
            },
            Err(error) if error.is_missing => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Links that remain are deleted with the next publication.
        let _later = fs::remove_dir_all(&self.folder);
    }
}
