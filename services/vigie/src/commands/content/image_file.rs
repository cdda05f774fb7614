//! Reads image files locally, as a contributor does: no image leaves the machine.

use std::path::Path;

use crate::commands::content::media_file::{self, MediaFile};
use crate::output::ErrorLine;

/// Reads a file that may be an image. Reads no more than the maximum size of an image.
pub(crate) async fn read(path: &Path) -> Result<Vec<u8>, ErrorLine> {
    let (MediaFile::Other(content) | MediaFile::Video(content)) = media_file::read(path, |_| false).await?;
    Ok(content)
}
