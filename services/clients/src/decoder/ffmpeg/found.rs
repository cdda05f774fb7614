//! The search for the program.

use std::path::{Path, PathBuf};

use super::failure::FfmpegAbsence;

/// Folders of programs that may be missing in a service's `PATH`.
const FOLDERS: [&str; 4] = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/opt/local/bin"];

/// Finds the program of this name: a path as it is, a bare name in `PATH` and in the usual folders.
pub(super) fn find(name: &Path) -> Result<PathBuf, FfmpegAbsence> {
    if name.as_os_str().is_empty() {
        return Err(FfmpegAbsence::Off);
    }
    if name.components().nth(1).is_some() {
        return if is_program(name) { Ok(name.to_owned()) } else { Err(FfmpegAbsence::NotFound) };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(FOLDERS.iter().map(PathBuf::from));
    // A relative folder would depend on the current folder, which others may control.
    let programs = folders.filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    programs.into_iter().find(|program| is_program(program)).ok_or(FfmpegAbsence::NotFound)
}

/// Returns whether the path is a file that this process may execute.
#[must_use]
pub fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_and_a_path_is_taken_as_it_is() {
        assert_eq!(find(Path::new("")), Err(FfmpegAbsence::Off));
        assert!(find(Path::new("true")).unwrap().is_absolute());
        assert_eq!(find(Path::new("/bin/true")), Ok(PathBuf::from("/bin/true")));
        for absent in ["no-such-program", "/no/such/program", "/etc/passwd", "/bin"] {
            assert_eq!(find(Path::new(absent)), Err(FfmpegAbsence::NotFound), "{absent}");
        }
    }
}
