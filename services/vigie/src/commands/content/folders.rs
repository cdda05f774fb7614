//! Finds the files that a person names, and those in the folders that they name.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::output::{Output, counted};

/// A file that a command processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundFile {
    /// Path of the file, as it was typed or found.
    pub(crate) path: PathBuf,
    /// Whether the file was found in a folder rather than named. It may be something other than an image.
    pub(crate) in_folder: bool,
}

/// Describes how many files were left out; `None` if none were.
pub(crate) fn left_out(count: u64) -> Option<String> {
    let verb = if count == 1 { "is no image" } else { "are no images" };
    (count > 0).then(|| format!("{} in folders {verb}, and left out", counted(count, "file")))
}

/// Returns the named files, and the files in named folders, in the order of their names.
///
/// Within a folder, links to files are followed. Links to folders are reported and not followed, so a walk
/// cannot loop or leave the folder. Anything that is neither a file nor a folder is left out.
pub(crate) fn find_files(paths: &[PathBuf], output: &Output) -> anyhow::Result<Vec<FoundFile>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            walk(path, &mut files, output)?;
            if files.len() == before {
                output.note(format!("{}: holds no files", path.display()));
            }
        } else {
            files.push(FoundFile { path: path.clone(), in_folder: false });
        }
    }
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<FoundFile>, output: &Output) -> anyhow::Result<()> {
    let cannot = || format!("cannot list {}", folder.display());
    let listed = std::fs::read_dir(folder).with_context(cannot)?;
    let mut entries = listed.collect::<Result<Vec<_>, _>>().with_context(cannot)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            walk(&path, files, output)?;
        } else if kind.is_symlink() && path.is_dir() {
            output.note(format!("{}: a link to a folder is not followed", path.display()));
        } else if kind.is_symlink() && !path.exists() || path.is_file() {
            // A broken link is included: reading it reports the error.
            files.push(FoundFile { path, in_folder: true });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_to_files_are_followed_and_links_to_folders_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("deep/empty")).unwrap();
        std::fs::write(at("deep/a"), "a").unwrap();
        std::fs::write(at("z"), "z").unwrap();
        symlink(at("z"), at("deep/link")).unwrap();
        symlink(folder.path(), at("deep/circle")).unwrap();
        symlink(at("nowhere"), at("broken")).unwrap();

        let output = Output::new(false);
        let found =
            find_files(&[folder.path().to_owned(), at("missing"), at("deep/empty")], &output).unwrap();
        let paths: Vec<_> = found.iter().map(|file| file.path.clone()).collect();
        assert_eq!(paths, ["broken", "deep/a", "deep/link", "z", "missing"].map(at));
        let in_folder: Vec<_> = found.iter().map(|file| file.in_folder).collect();
        assert_eq!(in_folder, [true, true, true, true, false]);
        // A folder that is named on the command line is walked, even if it is a link.
        assert_eq!(find_files(&[at("deep/circle/deep")], &output).unwrap().len(), 2);
    }
}
