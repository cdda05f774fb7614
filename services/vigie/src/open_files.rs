//! The limit of open files, which bounds the connections of a server.

use vigie_telemetry::OpenFiles;

/// Raises the soft limit of open files of this process to the hard limit, and logs the result.
pub fn raise_open_files() {
    let before = OpenFiles::now();
    let raised = OpenFiles::raise();
    let OpenFiles { soft, hard } = OpenFiles::now();
    match raised {
        Ok(()) => tracing::info!(open_files_max = soft, was = before.soft, "files that may be open"),
        Err(error) => {
            tracing::warn!(open_files_max = soft, hard, %error, "cannot raise the limit of open files")
        }
    }
}
