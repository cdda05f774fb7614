//! `vigie audit export`: writes every entry that the caller may read to a file that can be verified without
//! the bank.

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::ProgressBar;
use vigie_audit::tree::{Frontier, LeafIndex};
use vigie_clients::AuditLeaf;

use crate::cli::AuditExportArgs;
use crate::commands::audit::connect::{Audit, PAGE, Unverified};
use crate::commands::audit::export_file::{ExportWriter, Kind};
use crate::commands::new_file::NewFile;
use crate::commands::stop::StopRequests;
use crate::output::{Exit, Output, counted_as};

/// Maximum number of proofs that are requested at the same time.
const PROOFS_AT_ONCE: usize = 16;

pub(super) async fn run(args: AuditExportArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let audit = Audit::connect(&args.address, output)?;
    let mut file = NewFile::create(&args.file, args.force)?;
    let mut requests = StopRequests::listen();
    let signed = audit.checkpoint().await?;
    let tree = *signed.checkpoint.tree();
    let progress = output.progress(tree.size.get(), "exporting");
    let export = async {
        let complete = write_complete(&audit, &signed, &mut file, &progress).await?;
        if let Listed::All(count) = complete {
            return Ok((Kind::Complete, count));
        }
        file.restart()?;
        progress.set_position(0);
        // If an entry is not in the tree of the checkpoint, this fails and names the first such entry.
        let count = write_proven(&audit, &signed, &mut file, &progress).await?;
        ensure!(complete == Listed::Some, "the bank lists other entries than those of its checkpoint");
        Ok((Kind::Proven, count))
    };
    let exported: anyhow::Result<(Kind, u64)> = tokio::select! {
        exported = export => exported,
        () = requests.next() => {
            progress.finish_and_clear();
            output.note("stopped; no file was written");
            return Ok(Exit::Interrupted);
        }
    };
    progress.finish_and_clear();
    let (kind, count) = exported.with_context(|| format!("cannot export to {}", args.file.display()))?;
    file.finish()?;
    let (entries, size) = (counted_as(count, "entry", "entries"), tree.size);
    output.say(match kind {
        Kind::Complete => format!("{}: {entries}, all of the log", args.file.display()),
        Kind::Proven => format!(
            "{}: {entries} of the {size} of the log, which are those that the caller may read; each with its proof",
            args.file.display()
        ),
    })?;
    output.object(&serde_json::json!({
        "file": args.file, "kind": kind.name(), "entries": count, "size": size.get()
    }))?;
    Ok(Exit::Done)
}

/// Reads the pages of entries, up to the size of a checkpoint.
struct Pages<'a> {
    audit: &'a Audit,
    next: Option<LeafIndex>,
    size: u64,
}

impl<'a> Pages<'a> {
    const fn of(audit: &'a Audit, signed: &Unverified) -> Self {
        Self { audit, next: Some(LeafIndex(0)), size: signed.checkpoint.tree().size.get() }
    }

    async fn next(&mut self) -> anyhow::Result<Option<Vec<AuditLeaf>>> {
        let Some(from) = self.next.filter(|next| next.0 < self.size) else { return Ok(None) };
        let mut page = self.audit.page(from, PAGE, None).await?;
        self.next = page.next;
        // Drops the entries that were logged after the checkpoint.
        page.leaves.retain(|leaf| leaf.entry.index.0 < self.size);
        Ok(Some(page.leaves))
    }
}

/// How the entries that the bank lists for the caller compare with those of the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    /// All entries of the checkpoint; the value is their number.
    All(u64),
    /// Some entries of the checkpoint.
    Some,
    /// As many entries as the checkpoint has, but at least one of them differs.
    Other,
}

/// Writes the entries as a complete export. Unless the result is [`Listed::All`], the file is not valid and
/// must be written again from the start.
async fn write_complete(
    audit: &Audit,
    signed: &Unverified,
    file: &mut NewFile,
    progress: &ProgressBar,
) -> anyhow::Result<Listed> {
    let tree = signed.checkpoint.tree();
    let mut writer = ExportWriter::begin(file, Kind::Complete, &signed.note)?;
    let mut frontier = Frontier::empty();
    let mut pages = Pages::of(audit, signed);
    while let Some(leaves) = pages.next().await? {
        for AuditLeaf { bytes, entry } in &leaves {
            if entry.index.0 != frontier.size().get() {
                return Ok(Listed::Some);
            }
            let appended = frontier.append(bytes)?;
            let hash = appended.hashes.first().context("an entry has a hash")?;
            writer.entry(appended.index, hash, bytes, &[])?;
        }
        progress.set_position(frontier.size().get());
    }
    if frontier.size() != tree.size {
        return Ok(Listed::Some);
    }
    let count = writer.finish()?;
    Ok(if frontier.root() == tree.root { Listed::All(count) } else { Listed::Other })
}

/// Writes each entry with its proof of inclusion, and returns the number of entries.
async fn write_proven(
    audit: &Audit,
    signed: &Unverified,
    file: &mut NewFile,
    progress: &ProgressBar,
) -> anyhow::Result<u64> {
    let tree = signed.checkpoint.tree();
    let mut writer = ExportWriter::begin(file, Kind::Proven, &signed.note)?;
    let mut pages = Pages::of(audit, signed);
    while let Some(leaves) = pages.next().await? {
        let mut proven = stream::iter(&leaves)
            .map(|leaf| async move { anyhow::Ok((leaf, audit.inclusion(leaf, tree).await?)) })
            .buffered(PROOFS_AT_ONCE);
        while let Some((leaf, proof)) = proven.try_next().await? {
            writer.entry(leaf.entry.index, &leaf.hash(), &leaf.bytes, &proof)?;
            progress.set_position(leaf.entry.index.0 + 1);
        }
    }
    Ok(writer.finish()?)
}
