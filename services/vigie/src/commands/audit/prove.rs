//! `vigie audit prove`: writes a file that proves that an entry is in the log.

use std::path::PathBuf;

use anyhow::bail;
use vigie_audit::files::InclusionFile;
use vigie_audit::tree::LeafIndex;

use crate::cli::AuditProveArgs;
use crate::commands::audit::connect::{Audit, Unverified};
use crate::commands::new_file::{NewFile, check_free};
use crate::output::{ErrorLine, Exit, Output};

pub(super) async fn run(args: AuditProveArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let index = LeafIndex(args.index);
    let path = args.output.unwrap_or_else(|| PathBuf::from(format!("{index}.tlog-proof")));
    let is_stdout = path.as_os_str() == "-";
    if !is_stdout {
        check_free(&path, args.force)?;
    }

    let audit = Audit::connect(&args.address, output)?;
    let (leaf, size) = audit.entry(index).await?;
    let Some(leaf) = leaf else {
        bail!("the audit has {size} entries, and none with the index {index} that the caller may read");
    };
    let Unverified { note, checkpoint } = audit.checkpoint().await?;
    let tree = checkpoint.tree();
    if index.0 >= tree.size.get() {
        let message = format!(
            "entry {index} is newer than the newest checkpoint, which has {} entries; the bank signs the next one within \
             its `audit.checkpoint_seconds`: try again after that time",
            tree.size
        );
        output.note(format!("vigie: {message}"));
        output
            .object(&serde_json::json!({ "error": ErrorLine { code: "unavailable".to_owned(), message } }))?;
        return Ok(Exit::Unavailable);
    }
    let proof = audit.inclusion(&leaf, tree).await?;
    let proof = InclusionFile { extra: Some(leaf.bytes), index, proof, checkpoint: note }.to_string();
    let size = tree.size;
    if is_stdout {
        output.object(&serde_json::json!({ "index": index.0, "size": size.get(), "proof": proof }))?;
        // `say` adds the line end that the text already has.
        output.say(proof.strip_suffix('\n').unwrap_or(&proof))?;
        return Ok(Exit::Done);
    }
    NewFile::write(&path, args.force, &proof)?;
    output.say(format!("{}: entry {index} is in the log of {size} entries", path.display()))?;
    output.object(&serde_json::json!({ "file": path, "index": index.0, "size": size.get() }))?;
    Ok(Exit::Done)
}
