//! `vigie audit cosign`: fetches the newest checkpoint, and cosigns it as a witness.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context as _, anyhow};
use vigie_audit::checkpoint::Checkpoint;
use vigie_audit::note::{KnownKeys, UnixSeconds};
use vigie_audit::tree::Size;
use vigie_audit::witness::{CosignError, Witness};

use crate::cli::AuditCosignArgs;
use crate::commands::audit::connect::Audit;
use crate::commands::audit::keys::{Log, private_key};
use crate::commands::audit::lines::{CheckpointObject, describe};
use crate::commands::new_file::NewFile;
use crate::output::{Exit, Output};

pub(super) async fn run(args: AuditCosignArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let key = private_key(&args.witness_key, output)?;
    let log = Log::named(&args.log)?;
    let keys = log.known_with(&[])?;
    let public = key.public().clone();
    let witness = Witness::new(key, &log.origin, keys.clone())
        .with_context(|| format!("cannot sign with {}", args.witness_key.display()))?;
    let known = log.known_with(&[public])?;
    // Two processes must not both continue the same checkpoint.
    let _lock = lock(&args.state)?;
    let last = last(&args.state, &log.origin, &keys)?;

    let audit = Audit::connect(&args.address, output)?;
    let note = audit.note().await?;
    let new = Checkpoint::open(note.as_bytes(), &log.origin, &keys)
        .context("the bank's newest checkpoint is not signed")?
        .checkpoint;
    // Only a log that grew since the last checkpoint has a proof. A log that shrank or did not grow has none,
    // and the first checkpoint needs none.
    let proof = match &last {
        Some(last) if last.tree().size > Size::ZERO && last.tree().size < new.tree().size => {
            let proof = audit.consistency(last.tree().size, new.tree().size).await;
            proof.context("the bank does not prove that the log continues what was signed last")?
        }
        Some(_) | None => Vec::new(),
    };
    let cosigned = match witness.cosign(last.as_ref(), note.as_bytes(), &proof, now()) {
        Ok(cosigned) => cosigned,
        Err(error) => return Err(refusal(error, last.as_ref(), &new, &note, &args.state)),
    };
    let signed = cosigned.note.to_string();
    // The state is written before anybody sees the signature: a witness that lost it could sign another
    // history.
    NewFile::write(&args.state, true, &signed)?;
    let cosignatures = Checkpoint::open(signed.as_bytes(), &log.origin, &known)?.cosignatures;
    let continued = last.map_or_else(
        || "the first checkpoint of this witness".to_owned(),
        |last| format!("continues {}", describe(&last)),
    );
    output.note(format!("signed {}: {continued}", describe(&cosigned.checkpoint)));
    let mut object = serde_json::to_value(CheckpointObject::new(&cosigned.checkpoint, &cosignatures))?;
    match &args.output {
        Some(file) => {
            NewFile::write(file, true, &signed)?;
            object["file"] = file.display().to_string().into();
        }
        None => {
            object["note"] = signed.clone().into();
            // It is an error if the output is closed: then nobody received the note.
            let printed = output.say(signed.strip_suffix('\n').unwrap_or(&signed));
            printed.map_err(|error| {
                anyhow!("the signed checkpoint was not printed: {:#}", anyhow::Error::new(error))
            })?;
        }
    }
    output.object(&object)?;
    Ok(Exit::Done)
}

/// Returns the last checkpoint from the state of a witness; `None` before the first one.
fn last(state: &Path, origin: &str, keys: &KnownKeys) -> anyhow::Result<Option<Checkpoint>> {
    let note = match fs::read(state) {
        Ok(note) => note,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", state.display())),
    };
    let opened = Checkpoint::open(&note, origin, keys);
    let opened = opened.with_context(|| format!("{} has no checkpoint of this log", state.display()))?;
    Ok(Some(opened.checkpoint))
}

/// Locks a state against other processes, for as long as the returned file is open.
fn lock(state: &Path) -> anyhow::Result<File> {
    // The lock is a separate file, because the state file is replaced on each run.
    let path = state.with_added_extension("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            Err(anyhow!("another `vigie audit cosign` works with {}", state.display()))
        }
        Err(fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Returns the error for a checkpoint that is not signed. If the log does not continue the last signed
/// checkpoint, the new checkpoint is kept in a file too: the log signed both, and together they prove the
/// fault.
fn refusal(
    error: CosignError,
    last: Option<&Checkpoint>,
    new: &Checkpoint,
    note: &str,
    state: &Path,
) -> anyhow::Error {
    let Some(last) = last else { return error.into() };
    match error {
        CosignError::Shrunk { .. } | CosignError::Forked { .. } | CosignError::Inconsistent(_) => {
            // The file name contains the root too: a log may show several histories of the same size.
            let [a, b, c, d, ..] = new.tree().root.0;
            let name = format!("refused-{}-{:08x}", new.tree().size, u32::from_be_bytes([a, b, c, d]));
            let path = state.with_added_extension(name);
            let kept = match NewFile::write(&path, true, note) {
                Ok(()) => format!("keep {} and {}", state.display(), path.display()),
                Err(error) => {
                    format!("keep {}; the refused checkpoint was not written: {error:#}", state.display())
                }
            };
            let (origin, signed, shown) = (new.origin(), describe(last), describe(new));
            anyhow::Error::new(error).context(format!(
                "REFUSED: the log {origin} does not continue what this witness has signed. Signed: {signed}. Shown now: {shown}. Nothing was \
                 signed; {kept}: the log has signed both"
            ))
        }
        CosignError::Open(_)
        | CosignError::ProofOfTheFirst { .. }
        | CosignError::LastOfAnotherLog { .. }
        | CosignError::Time { .. }
        | CosignError::Note(_) => error.into(),
    }
}

/// Returns the time of this machine's clock. Before 1970 it is 0, which the witness does not sign.
fn now() -> UnixSeconds {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixSeconds(since.as_secs())
}
