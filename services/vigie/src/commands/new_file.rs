//! Files that are created completely, or not at all.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Seek as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tempfile::NamedTempFile;

/// A file that is written under a temporary name beside its path, and renamed when it is complete. Dropping
/// it before that removes it.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    replaces: bool,
    to: BufWriter<NamedTempFile>,
}

impl NewFile {
    /// Creates a file. It must not exist yet, unless `replaces` is set.
    pub(crate) fn create(path: &Path, replaces: bool) -> anyhow::Result<Self> {
        check_free(path, replaces)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            // The file gets the usual permissions: the umask of the process decides who may read it.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder(path))
            .with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path: path.to_owned(), replaces, to: BufWriter::new(file) })
    }

    /// Creates a complete file that contains `text`.
    pub(crate) fn write(path: &Path, replaces: bool, text: &str) -> anyhow::Result<()> {
        let mut file = Self::create(path, replaces)?;
        file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
        file.finish()
    }

    /// Removes everything that was written.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        self.to.flush()?;
        self.to.rewind()?;
        self.to.get_ref().as_file().set_len(0)
    }

    /// Renames the file to its final name, and flushes it so that it survives a crash of the machine.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let Self { path, replaces, to } = self;
        let failed = || format!("cannot write {}", path.display());
        let file = to.into_inner().map_err(io::IntoInnerError::into_error).with_context(failed)?;
        file.as_file().sync_all().with_context(failed)?;
        let named = if replaces { file.persist(&path) } else { file.persist_noclobber(&path) };
        if let Err(error) = named {
            ensure!(replaces || error.error.kind() != io::ErrorKind::AlreadyExists, "{}", already(&path));
            return Err(error.error).with_context(failed);
        }
        File::open(folder(&path)).and_then(|folder| folder.sync_all()).with_context(failed)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Checks that no file exists at a path, unless it may be replaced.
pub(crate) fn check_free(path: &Path, replaces: bool) -> anyhow::Result<()> {
    ensure!(replaces || path.symlink_metadata().is_err(), "{}", already(path));
    Ok(())
}

fn already(path: &Path) -> String {
    format!("{} is there already; --force replaces it", path.display())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_and_replaces_nothing_unless_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let names = || std::fs::read_dir(folder.path()).unwrap().count();
        let mut file = NewFile::create(&path, false).unwrap();
        file.write_all(b"to be forgotten").unwrap();
        file.restart().unwrap();
        file.write_all(b"one").unwrap();
        assert!(!path.exists());
        file.finish().unwrap();
        assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), names()), ("one", 1));

        assert!(NewFile::create(&path, false).unwrap_err().to_string().contains("--force"));
        NewFile::write(&path, true, "two").unwrap();
        assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), names()), ("two", 1));

        let other = folder.path().join("b.txt");
        let file = NewFile::create(&other, false).unwrap();
        std::fs::write(&other, "somebody else's").unwrap();
        assert!(file.finish().unwrap_err().to_string().contains("--force"));
        drop(NewFile::create(&folder.path().join("c.txt"), false).unwrap());
        assert_eq!((std::fs::read_to_string(&other).unwrap().as_str(), names()), ("somebody else's", 2));
    }
}
