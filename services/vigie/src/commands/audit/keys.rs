//! Reads the keys that are given on the command line.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use vigie_audit::note::{KeyKind, KnownKeys, SignerKey, VerifierKey};

use crate::cli::{KeyArg, LogArgs, of_kind};
use crate::output::Output;

/// Maximum size of a key file in bytes; the text of every key is shorter.
const KEY_FILE_BYTES_MAX: u64 = 4 << 10;

/// A log, by its origin and its public keys.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) origin: String,
    pub(super) keys: Vec<VerifierKey>,
}

impl Log {
    pub(super) fn named(args: &LogArgs) -> anyhow::Result<Self> {
        let keys = public_keys(&args.log_keys, KeyKind::Log)?;
        let origin = match (&args.origin, keys.split_first()) {
            (Some(origin), _) => origin.clone(),
            (None, Some((first, others))) if others.iter().all(|key| key.name() == first.name()) => {
                first.name().to_owned()
            }
            (None, _) => bail!("the keys have different names, so --origin has to name the log"),
        };
        Ok(Self { origin, keys })
    }

    /// Returns the log's keys together with `others`.
    pub(super) fn known_with(&self, others: &[VerifierKey]) -> anyhow::Result<KnownKeys> {
        Ok(KnownKeys::new(self.keys.iter().chain(others).cloned())?)
    }
}

/// Reads the public keys of arguments; each must be of the given kind.
pub(super) fn public_keys(args: &[KeyArg], kind: KeyKind) -> anyhow::Result<Vec<VerifierKey>> {
    args.iter()
        .map(|arg| match arg {
            KeyArg::Key(key) => Ok(key.clone()),
            KeyArg::File(file) => {
                let text = text_of(file)
                    .context("an argument that is not a public key, NAME+ID+KEY, names a file")?;
                let key = text.trim_end_matches(['\r', '\n']).parse().and_then(|key| of_kind(key, kind));
                key.with_context(|| format!("{} has no public key for this", file.display()))
            }
        })
        .collect()
}

/// Reads a private key from a file. Warns if other users may read the file.
pub(super) fn private_key(file: &Path, output: &Output) -> anyhow::Result<SignerKey> {
    let text = text_of(file)?;
    let is_open = std::fs::metadata(file).is_ok_and(|file| file.is_file() && file.mode() & 0o077 != 0);
    if is_open {
        output
            .note(format!("warning: others may read the private key in {0}: chmod 600 {0}", file.display()));
    }
    let key = text.trim_end_matches(['\r', '\n']).parse();
    key.with_context(|| format!("{} has no private key", file.display()))
}

fn text_of(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = File::open(file).and_then(|file| file.take(KEY_FILE_BYTES_MAX + 1).read_to_string(&mut text));
    let read = read.with_context(|| format!("cannot read {}", file.display()))?;
    ensure!(u64::try_from(read)? <= KEY_FILE_BYTES_MAX, "{} is too long for a key", file.display());
    Ok(text)
}
