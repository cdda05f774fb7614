//! Reads and hashes image files here, as a contributor does: no image leaves the machine.

use std::path::Path;

use vigie_media::{Limits, begins_as_picture};
use vigie_model::ImageFingerprint;

use crate::commands::content::folders::FoundFile;
use crate::commands::content::image_hasher::ImageHasher;
use crate::output::ErrorLine;

/// Reads a file that may be an image, and no more of it than an image may have.
pub(crate) async fn read(path: &Path) -> Result<Vec<u8>, ErrorLine> {
    let path = path.to_owned();
    let bytes_max = Limits::default().input_bytes_max;
    let read = tokio::task::spawn_blocking(move || {
        use std::io::Read as _;
        let mut content = Vec::new();
        let bound = u64::try_from(bytes_max).unwrap_or(u64::MAX) + 1;
        std::fs::File::open(path)?.take(bound).read_to_end(&mut content)?;
        Ok::<_, std::io::Error>(content)
    })
    .await;
    match read {
        Ok(Ok(content)) => Ok(content),
        Ok(Err(error)) => {
            Err(ErrorLine { code: "unreadable".into(), message: format!("cannot read it: {error}") })
        }
        Err(error) => {
            Err(ErrorLine { code: "unreadable".into(), message: format!("cannot read it: {error}") })
        }
    }
}

/// Reads a file and has it hashed. `None` for one that was found in a folder and is no image.
pub(crate) async fn fingerprint(
    file: &FoundFile,
    hasher: &ImageHasher,
) -> Option<Result<ImageFingerprint, ErrorLine>> {
    let content = match read(&file.path).await {
        Ok(content) if file.in_folder && !begins_as_picture(&content) => return None,
        Ok(content) => content,
        Err(error) => return Some(Err(error)),
    };
    Some(hasher.fingerprint(content).await)
}
