//! Credentials of programmes, as files that the exchange process reads. They are written here, and never
//! shown.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use http::StatusCode;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::hma::exchanges::schema::Api;
use crate::hma::refusal::Refusal;
use crate::problem::Problem;

/// The folder of credentials; `None` if the gateway stores none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Folder(pub(crate) Option<PathBuf>);

/// The most bytes of a credential.
const VALUE_BYTES_MAX: usize = 4_096;

impl Folder {
    fn path(&self, api: Api) -> Option<PathBuf> {
        // The names of programmes are constants, so no path leads out of the folder.
        self.0.as_ref().map(|folder| folder.join(api.name))
    }

    /// Returns whether there are credentials for a programme.
    pub(crate) fn has(&self, api: Api) -> bool {
        self.path(api).is_some_and(|path| path.exists())
    }

    /// Replaces the credentials of a programme by those of a request; null removes them.
    pub(crate) fn set(&self, api: Api, given: &Value) -> Result<(), Refusal> {
        let fields = api.credentials.ok_or_else(|| Refusal::bad("this api has no credentials"))?;
        let given = given.as_object().ok_or_else(|| Refusal::bad("credential_json is not a JSON object"))?;
        let path = self.path(api).ok_or_else(|| {
            let how = "this server keeps no credentials: put them into the files or variables of the exchange process";
            Problem::new(StatusCode::NOT_IMPLEMENTED, how)
        })?;
        if given.is_empty() {
            return removed(std::fs::remove_file(path));
        }
        let is_known = |name: &str| fields.iter().any(|field| field.name == name);
        if given.iter().any(|(name, value)| !value.is_null() && *value != "" && !is_known(name)) {
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            return Err(Refusal::bad(format!("credential_json may have {}", names.join(", "))));
        }
        let mut text = Zeroizing::new(String::new());
        for field in fields {
            let value = given.get(field.name).filter(|value| !value.is_null());
            let value = value.map(|value| value.as_str().ok_or(field.name)).transpose();
            let wrong = |name: &str| Refusal::bad(format!("credential_json: {name} is not a string"));
            match value.map_err(wrong)?.filter(|value| !value.is_empty()) {
                Some(value) if value.len() > VALUE_BYTES_MAX || value.chars().any(char::is_control) => {
                    return Err(Refusal::bad(format!(
                        "credential_json: {} is too long or has line breaks",
                        field.name
                    )));
                }
                Some(value) => {
                    for part in [field.own, "=", value, "\n"] {
                        text.push_str(part);
                    }
                }
                None if field.required => {
                    return Err(Refusal::bad(format!("credential_json: {} is required", field.name)));
                }
                None => {}
            }
        }
        write(&path, &text).map_err(|error| {
            tracing::error!(%error, folder = ?self.0, "credentials cannot be written");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the credentials could not be kept").into()
        })
    }
}

fn removed(outcome: std::io::Result<()>) -> Result<(), Refusal> {
    match outcome {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::error!(%error, "credentials cannot be removed");
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the credentials could not be removed")
                .into())
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a file that only its owner may read, as a whole or not at all.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Temporary files are readable only by their owner.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn credentials_are_written_for_the_exchange_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, api) = (Folder(Some(folder.path().to_owned())), Api::named("stop_ncii").unwrap());
        assert!(!kept.has(api));
        kept.set(api, &json!({ "fetch_function_key": "a=b", "subscription_key": "c" })).unwrap();
        let text = std::fs::read_to_string(folder.path().join("stop_ncii")).unwrap();
        assert_eq!(text, "fetch_key=a=b\nsubscription_key=c\n");
        assert!(kept.has(api));
        kept.set(api, &json!({})).unwrap();
        kept.set(api, &json!({})).unwrap();
        assert!(!kept.has(api));
    }

    #[test]
    fn incomplete_and_split_credentials_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, api) = (Folder(Some(folder.path().to_owned())), Api::named("ncmec").unwrap());
        for bad in [
            json!({ "user": "a" }),
            json!({ "user": "a", "password": "b\nuser=c" }),
            json!([]),
            json!({ "user": 1, "password": "b" }),
            json!({ "user": "a", "password": "b", "base_url": "c" }),
        ] {
            assert!(kept.set(api, &bad).is_err(), "{bad}");
        }
        assert!(kept.set(Api::named("sample").unwrap(), &json!({ "a": "b" })).is_err());
        assert!(Folder(None).set(api, &json!({ "user": "a", "password": "b" })).is_err());
        assert!(!kept.has(api));
    }
}
