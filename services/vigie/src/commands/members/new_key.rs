//! Delivers a new API key to its owner: in a file of its own, or as the only line on standard output. The
//! command generates and keeps the key before the bank knows it, so that a lost answer does not lose the key.

use std::fs::{self, File};
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::Context as _;
use vigie_clients::{CallError, Code, PrincipalWithKey, Written};
use vigie_consortium::PrincipalId;
use vigie_credentials::api_key::ApiKey;

use crate::cli::NewKeyArgs;
use crate::commands::members::lines::PrincipalObject;
use crate::output::{Exit, Output};

/// A key that the bank does not know yet, and the file that contains it, if any.
#[derive(Debug)]
pub(super) struct NewKey {
    key: ApiKey,
    file: Option<KeyFile>,
}

/// A file for one key. Dropping it removes the file, unless it is kept.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    file: File,
    is_kept: bool,
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        if !self.is_kept {
            // This process created the file, and no principal has the key in it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl NewKey {
    /// Generates a key, and writes it to the file if one is named. If the file cannot be written, this fails
    /// before the principal exists.
    pub(super) fn make(args: NewKeyArgs) -> anyhow::Result<Self> {
        let key = ApiKey::generate()?;
        let mut file = args.key_file.map(KeyFile::create).transpose()?;
        if let Some(file) = &mut file {
            file.write(&key.reveal())?;
        }
        Ok(Self { key, file })
    }

    /// Returns the key.
    pub(super) const fn key(&self) -> &ApiKey {
        &self.key
    }

    /// Delivers the key of a principal that now has it. `done` describes the change for a person.
    pub(super) fn deliver(
        self,
        done: &str,
        made: &Written<PrincipalWithKey>,
        output: &mut Output,
    ) -> anyhow::Result<Exit> {
        let Written { value: PrincipalWithKey { principal, key }, .. } = made;
        // The file is kept even if a later step fails, because the principal may have the key.
        let mut file = self.file;
        if let Some(file) = &mut file {
            file.is_kept = true;
        }
        let mut object = note_change(done, made, output)?;
        let delivered = match file {
            Some(mut file) => {
                // A bank of a version that does not accept a key for a rotation has generated one itself.
                if let Some(key) = key {
                    file.write(&key.reveal()).with_context(|| way_out(principal.id))?;
                }
                let path = file.keep();
                object["key_file"] = path.display().to_string().into();
                output.note(format!(
                    "its key is in {}, and cannot be shown again: keep it secret",
                    path.display()
                ));
                output.object(&object)
            }
            None => {
                output.note("its key follows, and cannot be shown again: keep it secret");
                let key = key.as_ref().unwrap_or(&self.key).reveal();
                object["api_key"] = key.as_str().into();
                output.object(&object).and_then(|()| output.say(&*key))
            }
        };
        // It is an error if the output is closed: then nobody received the key.
        delivered.map_err(|error| {
            let error = anyhow::Error::new(error);
            anyhow::anyhow!("the key was not printed, {error:#}; {}", way_out(principal.id))
        })?;
        Ok(Exit::Done)
    }

    /// Returns the error of a call that should have given the key to a principal. If the call may have
    /// succeeded, the key is kept in its file, or printed.
    pub(super) fn after(self, error: CallError, output: &mut Output) -> anyhow::Error {
        if !may_have_succeeded(&error) {
            return error.into();
        }
        let place = match self.file {
            Some(file) => format!("in {}", file.keep().display()),
            None => {
                let key = self.key.reveal();
                let printed = output.object(&serde_json::json!({ "api_key": key.as_str() }));
                if printed.and_then(|()| output.say(&*key)).is_err() {
                    return error.into();
                }
                "on standard output".to_owned()
            }
        };
        output.note(format!(
            "it is not known whether a principal has the new key, which is {place}: run `vigie whoami` with it. If the key is still \
             refused after a minute, throw it away and try again"
        ));
        error.into()
    }
}

/// Prints the change of a principal, and returns its object for `--json`.
pub(super) fn note_change(
    done: &str,
    made: &Written<PrincipalWithKey>,
    output: &mut Output,
) -> anyhow::Result<serde_json::Value> {
    let Written { value, sequence } = made;
    output.note(format!("{done} (sequence {sequence})"));
    let mut object = serde_json::to_value(PrincipalObject::from(&value.principal))?;
    object["sequence"] = sequence.0.into();
    Ok(object)
}

/// Returns whether a change may have been made although its call failed with this error. The last of several
/// attempts may have been refused because an earlier one succeeded.
pub(crate) fn may_have_succeeded(error: &CallError) -> bool {
    let is_uncertain = matches!(
        error.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::Aborted
    );
    is_uncertain || error.is_after_another()
}

impl KeyFile {
    /// Creates the file. It must not exist yet, and only its owner may read it.
    pub(crate) fn create(path: PathBuf) -> anyhow::Result<Self> {
        let opened = File::options().write(true).create_new(true).mode(0o600).open(&path);
        let file = opened.with_context(|| {
            format!("cannot create {} for the key: the file must not exist yet", path.display())
        })?;
        Ok(Self { path, file, is_kept: false })
    }

    /// Writes the key as text, and replaces the file's content.
    pub(crate) fn write(&mut self, key: &str) -> anyhow::Result<()> {
        let mut write = || {
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.file.write_all(key.as_bytes())?;
            self.file.write_all(b"\n")?;
            self.file.sync_all()
        };
        write().with_context(|| format!("cannot write the key to {}", self.path.display()))
    }

    /// Keeps the file, and returns its path.
    pub(crate) fn keep(mut self) -> PathBuf {
        self.is_kept = true;
        self.path.clone()
    }
}

fn way_out(principal: PrincipalId) -> String {
    format!(
        "`vigie principal rotate {principal}` makes another, `vigie principal revoke {principal}` ends it"
    )
}
