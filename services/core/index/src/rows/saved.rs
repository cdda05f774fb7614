//! The identity of a saved file: name, length and checksum.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::rows::segment_file::{SegmentError, SegmentFile};

/// The identity of a file of a checkpoint, by which the file is recognised later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedFile {
    /// The file's name in the folder.
    pub name: String,
    /// The file's length in bytes.
    pub bytes: u64,
    /// The checksum of the file's header, which covers the checksums of everything else.
    pub checksum: u64,
}

impl SavedFile {
    /// Reads the length of a file and the checksum in its header, without verifying either. `None` if it is
    /// not a segment file. Fast: it shows whether two files differ, not whether a file is undamaged.
    pub fn look_at(path: &Path) -> Result<Option<Self>, SegmentError> {
        let failed = |source| SegmentError::io("open", path, source);
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let Some(checksum) = header_checksum(&file, bytes).map_err(failed)? else { return Ok(None) };
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        Ok(Some(Self { name, bytes, checksum }))
    }

    /// Returns the identity of a file that was written or opened; `None` in memory.
    pub(crate) fn of(file: &SegmentFile) -> Option<Self> {
        let name = file.path()?.file_name()?.to_str()?.to_owned();
        Some(Self { name, bytes: file.len() as u64, checksum: file.checksum()? })
    }
}

/// Reads the checksum in the header of a file of this length.
fn header_checksum(file: &File, bytes: u64) -> io::Result<Option<u64>> {
    let mut length = [0; 4];
    if bytes < 32 {
        return Ok(None);
    }
    file.read_exact_at(&mut length, 12)?;
    let Some(at) = u64::from(u32::from_le_bytes(length)).checked_sub(8).filter(|at| at + 8 <= bytes) else {
        return Ok(None);
    };
    let mut checksum = [0; 8];
    file.read_exact_at(&mut checksum, at)?;
    Ok(Some(u64::from_le_bytes(checksum)))
}
