//! A new API key on its way to its owner: to a file of its own, or alone to standard output. No other answer has it.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use vigie_clients::{PrincipalWithKey, Written};
use vigie_consortium::PrincipalId;

use crate::cli::NewKeyArgs;
use crate::commands::members::lines::PrincipalObject;
use crate::output::{Exit, Output};

/// Where a key is to go, before there is one. A file that is still empty is removed when this is dropped.
#[derive(Debug)]
pub(super) struct KeyPlace(Option<KeyFile>);

/// A file for one key.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    file: File,
    is_written: bool,
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        if !self.is_written {
            // Nothing is in it; it was not there before.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl KeyPlace {
    /// Creates the file, if one is named: what would keep a key from being written fails before the key is made.
    pub(super) fn prepare(args: NewKeyArgs) -> anyhow::Result<Self> {
        Ok(Self(args.key_file.map(KeyFile::create).transpose()?))
    }

    /// Hands over the key of a principal, after `done` in words. Without a key there are only the words.
    pub(super) fn deliver(
        self,
        done: &str,
        made: &Written<PrincipalWithKey>,
        is_key_expected: bool,
        output: &mut Output,
    ) -> anyhow::Result<Exit> {
        let Written { value: PrincipalWithKey { principal, key }, sequence } = made;
        output.note(format!("{done} (sequence {sequence})"));
        let mut object = serde_json::to_value(PrincipalObject::from(principal))?;
        object["sequence"] = sequence.0.into();
        let Some(key) = key else {
            output.object(&object)?;
            if is_key_expected {
                bail!("its key was lost with an answer that did not arrive; {}", way_out(principal.id));
            }
            return Ok(Exit::Done);
        };
        let delivered = match self.0 {
            Some(file) => {
                let path = file.write(&key.reveal())?;
                object["key_file"] = path.display().to_string().into();
                output.note(format!(
                    "its key is in {}, and cannot be shown again: keep it secret",
                    path.display()
                ));
                output.object(&object)
            }
            None => {
                output.note("its key follows, and cannot be shown again: keep it secret");
                object["api_key"] = key.reveal().as_str().into();
                output.object(&object).and_then(|()| output.say(&*key.reveal()))
            }
        };
        // That nobody reads the output is no success here.
        delivered.map_err(|error| {
            let error = anyhow::Error::new(error);
            anyhow::anyhow!("the key was not printed, {error:#}; {}", way_out(principal.id))
        })?;
        Ok(Exit::Done)
    }
}

impl KeyFile {
    /// Creates the file, which must not be there yet, and which only its owner may read.
    pub(crate) fn create(path: PathBuf) -> anyhow::Result<Self> {
        let opened = File::options().write(true).create_new(true).mode(0o600).open(&path);
        let file = opened.with_context(|| {
            format!("cannot create {} for the key: it must not be there yet", path.display())
        })?;
        Ok(Self { path, file, is_written: false })
    }

    /// Writes the text of the key, and returns where it is.
    pub(crate) fn write(mut self, key: &str) -> anyhow::Result<PathBuf> {
        let mut write = || {
            self.file.write_all(key.as_bytes())?;
            self.file.write_all(b"\n")?;
            self.file.sync_all()
        };
        write().with_context(|| format!("cannot write the key to {}", self.path.display()))?;
        self.is_written = true;
        Ok(self.path.clone())
    }
}

fn way_out(principal: PrincipalId) -> String {
    format!(
        "`vigie principal rotate {principal}` makes another, `vigie principal revoke {principal}` ends it"
    )
}
