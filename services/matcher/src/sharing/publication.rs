//! Publishes a snapshot to an object store, from where another replica can begin with it.
//!
//! ```text
//! <log>/<shard>-of-<shard_count>/
//!   latest                                        which snapshot is the newest, and the checksum of its manifest
//!   snapshots/<sequence>-<number>-<checksum>      a manifest, as in a matcher's folder
//!   files/<checksum>-<bytes>                      what manifests name, by content
//! ```
//!
//! All but `latest` are never changed. It is written last and at one instant, so that wherever publishing stops, what
//! was published before can be had. Files that this matcher has uploaded before are not uploaded again. Then the
//! snapshots go but for this one and the one that was the latest before, and the files that neither names: whoever was
//! reading the one before has until the next publication.
//!
//! What is uploaded are hard links to files that are never written to: the shard goes on, and may save and merge. Nothing
//! here is trusted by who reads it: see `bootstrap`. After a purge the one before goes at once, since it holds what was removed:
//! whoever was reading it loads the bank's state. One replica of a shard is enough to publish. Where two do, they
//! may take files from each other, which is noticed before `latest` is written, or by the reader.

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

/// A snapshot was not published, or not tidied up after.
#[derive(Debug, Error)]
pub(crate) enum PublishError {
    #[error("cannot keep hold of the snapshot's files: {0}")]
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
    /// The one that is published and the one before it.
    NewestTwo,
    /// The one that is published.
    Newest,
}

/// A point of publishing that lies between two steps. Tests stop there.
pub(crate) type Checkpoint<'a> = &'a mut (dyn FnMut(&'static str) -> Result<(), PublishError> + Send);

/// The version of what [`Pointer`] says, and of the layout.
const FORMAT: u32 = 1;
const POINTER_BYTES_MAX: u64 = 4_096;

/// What `latest` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pointer {
    format: u32,
    pub(crate) sequence: u64,
    pub(crate) number: u64,
    /// Of the manifest, as of any file: see [`FileEntry`].
    pub(crate) bytes: u64,
    pub(crate) checksum: u64,
}

impl Pointer {
    /// The manifest's name among the snapshots.
    fn name(&self) -> String {
        let Self { sequence, number, checksum, .. } = self;
        format!("{sequence}-{number}-{checksum:016x}")
    }
}

/// Where the snapshots of one shard of one log lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place(String);

impl Place {
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

    /// What is the newest snapshot here; `None` where there is none, and the fault where it cannot be told.
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

/// Two files of the same length and checksum are the same file.
pub(crate) fn content_name(file: &FileEntry) -> String {
    format!("{:016x}-{}", file.checksum, file.bytes)
}

/// Links to the files of a snapshot. Dropped, they go.
#[derive(Debug)]
pub(crate) struct Staged {
    folder: PathBuf,
    place: Place,
    manifest: Manifest,
    pointer: Pointer,
}

impl Staged {
    /// Links to the snapshot that was saved last; `None` where none was. Nothing may be saved meanwhile; it is quick.
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
        let place = Place::new(&LogId(manifest.log).to_string(), identity);
        let staging = folder.begin_publishing().map_err(PublishError::Stage)?;
        let staged = Self { folder: staging, place, manifest, pointer };
        fs::hard_link(&path, staged.folder.join(staged.pointer.name())).map_err(PublishError::Stage)?;
        for file in &staged.manifest.files {
            match fs::hard_link(folder.path().join(&file.name), staged.folder.join(content_name(file))) {
                // Another file of the same content.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                linked => linked.map_err(PublishError::Stage)?,
            }
        }
        Ok(Some(staged))
    }

    pub(crate) fn sequence(&self) -> Sequence {
        Sequence(self.manifest.sequence)
    }

    /// By their names in the store.
    fn files(&self) -> BTreeMap<String, u64> {
        self.manifest.files.iter().map(|file| (content_name(file), file.bytes)).collect()
    }

    /// Publishes it. `uploaded` are the files that this matcher knows to have uploaded whole.
    pub(crate) async fn publish(
        &self,
        objects: &Objects,
        uploaded: &mut HashSet<String>,
        keep: Keep,
        checkpoint: Checkpoint<'_>,
    ) -> Result<(), PublishError> {
        let Self { folder, place, pointer, .. } = self;
        // One that cannot be read names nothing that is worth keeping.
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
            // What holds a purged hash has to go, and that it does not is a failure.
            (Keep::Newest, _) => return self.forget(objects, None, there, checkpoint).await,
            (Keep::NewestTwo, None) => Ok(()),
            (Keep::NewestTwo, Some(before)) => self.forget(objects, Some(&before), there, checkpoint).await,
        };
        if let Err(error) = forgotten {
            // Published it is. What was left goes after the next.
            tracing::warn!(%error, "cannot delete what was published earlier");
        }
        Ok(())
    }

    /// Deletes the snapshots but for this one and the one before it, if that is to stay, and the files that neither names.
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

    /// The files of the snapshot before, by their names in the store. One that is damaged or gone names none.
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
        // What stays goes at the next.
        let _later = fs::remove_dir_all(&self.folder);
    }
}
