//! Reads and hashes image files here, as a contributor does: no image leaves the machine.

use std::path::Path;

use vigie_media::Limits;
use vigie_media::video::VideoLimits;

use crate::output::ErrorLine;

/// Bytes by which a video is told from other files.
const HEAD_BYTES: u64 = 4 << 10;

/// Reads a file that may be an image, and no more of it than an image may have.
pub(crate) async fn read(path: &Path) -> Result<Vec<u8>, ErrorLine> {
    read_some(path, |_| false).await
}

/// Reads a file that may be an image or a video, and no more of it than that may have. What `is_video` says of its first bytes decides.
pub(crate) async fn read_either(path: &Path, is_video: fn(&[u8]) -> bool) -> Result<Vec<u8>, ErrorLine> {
    read_some(path, is_video).await
}

async fn read_some(path: &Path, is_video: fn(&[u8]) -> bool) -> Result<Vec<u8>, ErrorLine> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        use std::io::Read as _;
        let mut content = Vec::new();
        let mut file = std::fs::File::open(path)?;
        file.by_ref().take(HEAD_BYTES).read_to_end(&mut content)?;
        let bytes_max = if is_video(&content) {
            VideoLimits::default().input_bytes_max
        } else {
            Limits::default().input_bytes_max
        };
        // One byte more shows that it is too large.
        let rest = (bytes_max + 1).saturating_sub(content.len());
        file.take(u64::try_from(rest).unwrap_or(u64::MAX)).read_to_end(&mut content)?;
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
