//! Starts a shard from a snapshot that another replica has published.
//!
//! This is tried once in the lifetime of a matcher's process, when it would load the bank's state for the
//! first time. The bank's log is not known at that time, and does not have to be: of the logs in the store,
//! the one with the latest publication is used. If the bank has another log, it does not continue from there,
//! and the state is loaded.
//!
//! Nothing in the store is trusted. Lengths and checksums must equal those in `latest` and the manifest, and
//! every block of every file is compared with its own checksum. Only then is the snapshot moved into the
//! matcher's folder, and opened like one of the matcher's own. Finally, the shard has to agree with the
//! bank's digest.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use thiserror::Error;
use vigie_index::container::Container;
use vigie_model::ShardIdentity;

use crate::saving::folder::{self, Folder};
use crate::saving::manifest::{FileEntry, Manifest};
use crate::saving::snapshot::{self, RestoreError};
use crate::shard::indexes::IndexPlan;
use crate::shard::state::Shard;
use crate::shard::stores::RECORDS;
use crate::sharing::objects::{Objects, StoreError, transfer};
use crate::sharing::publication::{Pointer, SnapshotLocation, content_name};

/// Reasons why the snapshot in the store cannot be used.
#[derive(Debug, Error)]
pub(crate) enum BootstrapError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{object} is not as it was published: {reason}")]
    Damaged { object: String, reason: String },
    #[error("{object} cannot be used: {reason}")]
    Refused { object: String, reason: RestoreError },
    #[error("cannot write what was read from the store: {0}")]
    Folder(#[from] io::Error),
}

/// A shard from a published snapshot.
#[derive(Debug)]
pub(crate) struct Bootstrapped {
    pub(crate) shard: Shard,
    /// The object of the manifest.
    pub(crate) object: String,
    /// The files that are intact in the store, by their content names.
    pub(crate) files: HashSet<String>,
}

/// Returns the shard that was published last, or `None` if nothing was published.
pub(crate) async fn bootstrap(
    objects: &Objects,
    folder: &Arc<Folder>,
    identity: ShardIdentity,
    plan: &IndexPlan,
) -> Result<Option<Bootstrapped>, BootstrapError> {
    let Some((place, pointer)) = newest(objects, identity).await? else { return Ok(None) };
    let object = place.manifest(&pointer);
    let beginning = Arc::clone(folder);
    let arriving = blocking(move || Ok(beginning.begin_bootstrapping()?)).await?;

    let path = arriving.join(folder::MANIFEST);
    objects.download(vec![transfer(object.clone(), &path, pointer.bytes)]).await?;
    let (own, name) = (Arc::clone(folder), object.clone());
    let settings = snapshot::settings(identity, plan);
    let manifest = blocking(move || {
        check_content(&name, &path, pointer.checksum)?;
        let manifest = Manifest::read(&path).map_err(|error| damaged(&name, &error))?.0;
        if (manifest.sequence, manifest.number) != (pointer.sequence, pointer.number) {
            return Err(damaged(&name, &"it is of another snapshot"));
        }
        match snapshot::check_manifest(&own, &path, &manifest, settings) {
            Ok(_) => Ok(manifest),
            Err(reason) => Err(BootstrapError::Refused { object: name, reason }),
        }
    });
    let manifest = manifest.await?;

    let home = arriving.join(&manifest.folder);
    fs::create_dir_all(home.join(RECORDS))?;
    for part in manifest.files.iter().filter_map(|file| Path::new(&file.name).parent()) {
        fs::create_dir_all(arriving.join(part))?;
    }
    let of = |file: &FileEntry| transfer(place.file(file), &arriving.join(&file.name), file.bytes);
    objects.download(manifest.files.iter().map(of).collect()).await?;

    let files = manifest.files.iter().map(content_name).collect();
    let (own, name, plan) = (Arc::clone(folder), object.clone(), plan.clone());
    let shard = blocking(move || {
        for file in &manifest.files {
            check_content(&place.file(file), &arriving.join(&file.name), file.checksum)?;
        }
        own.adopt(&arriving, &manifest.folder)?;
        snapshot::restore(&own, identity, &plan)
            .map_err(|reason| BootstrapError::Refused { object: name, reason })
    });
    Ok(shard.await?.map(|shard| Bootstrapped { shard, object, files }))
}

/// Returns the location of the shard's newest snapshot, and the pointer to it.
async fn newest(
    objects: &Objects,
    identity: ShardIdentity,
) -> Result<Option<(SnapshotLocation, Pointer)>, BootstrapError> {
    let mut newest: Option<(i64, SnapshotLocation)> = None;
    for log in objects.folders().await? {
        let place = SnapshotLocation::new(&log, identity);
        let written_at = match objects.written_at(&place.latest()).await {
            Err(error) if error.is_missing => continue,
            written_at => written_at?,
        };
        if newest.as_ref().is_none_or(|(then, _)| *then < written_at) {
            newest = Some((written_at, place));
        }
    }
    let Some((_, place)) = newest else { return Ok(None) };
    Ok(place.read_latest(objects).await?.map(|pointer| (place, pointer)))
}

/// Compares all checksums of a file, and its header's checksum with that under which its object was
/// published.
fn check_content(object: &str, path: &Path, checksum: u64) -> Result<(), BootstrapError> {
    let container = Container::open(path).map_err(|error| damaged(object, &error))?;
    let is_it = container.saved().is_some_and(|found| found.checksum == checksum);
    if is_it { Ok(()) } else { Err(damaged(object, &"it is another file")) }
}

fn damaged(object: &str, reason: &dyn std::fmt::Display) -> BootstrapError {
    BootstrapError::Damaged { object: object.to_owned(), reason: reason.to_string() }
}

/// Runs work that reads and writes files, not on the threads that answer calls.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BootstrapError> + Send + 'static,
) -> Result<T, BootstrapError> {
    let panicked = |panic| Err(BootstrapError::Folder(io::Error::other(panic)));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(panicked)
}
