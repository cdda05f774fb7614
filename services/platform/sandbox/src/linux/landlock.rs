//! Landlock: the kernel's own check of files, ports and signals, below every system call.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, RestrictionStatus, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

/// The newest version whose rights were reviewed. An older kernel enforces the rights that it knows.
const VERSION: ABI = ABI::V6;

/// Forbids every file, every TCP port, and signals and abstract sockets of other processes. Returns whether
/// the kernel enforces it. A kernel that knows only a part of these rights, including files, counts as
/// enforcing it.
pub(super) fn nothing() -> bool {
    is_enforced(&handled().and_then(RulesetCreated::restrict_self))
}

/// The folders of a system's libraries, the files that its loader reads, and devices without content that
/// libraries open at their start. A missing one needs no rule.
const READABLE: [&str; 10] = [
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/nix/store",
    "/dev/null",
    "/dev/urandom",
];

/// Forbids the same as [`nothing`], but allows reading and executing the program and the system's libraries.
pub(super) fn program(program: &Path) -> bool {
    let restricted = handled().and_then(|mut ruleset| {
        for path in READABLE.iter().map(PathBuf::from).chain(own_paths(program)) {
            // The path is missing, or this process may not open it.
            let (Ok(opened), Ok(metadata)) = (PathFd::new(&path), path.metadata()) else { continue };
            let files: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::Execute;
            let allowed = if metadata.is_dir() { files | AccessFs::ReadDir } else { files };
            ruleset = ruleset.add_rule(PathBeneath::new(opened, allowed))?;
        }
        ruleset.restrict_self()
    });
    is_enforced(&restricted)
}

/// Returns the program, and the libraries that were installed with it: `lib` beside the program's `bin`.
fn own_paths(program: &Path) -> Vec<PathBuf> {
    let program = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let folder = program.parent().filter(|folder| folder.ends_with("bin"));
    let libraries = folder.and_then(Path::parent).map(|prefix| prefix.join("lib"));
    [Some(program.clone()), libraries].into_iter().flatten().collect()
}

/// Returns a set of rules that forbids every file, every TCP port, and signals and abstract sockets of other
/// processes.
fn handled() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(VERSION))?
        .handle_access(AccessNet::from_all(VERSION))?
        .scope(Scope::from_all(VERSION))?
        .create()
}

fn is_enforced(restricted: &Result<RestrictionStatus, RulesetError>) -> bool {
    restricted.as_ref().is_ok_and(|status| match status.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => status.no_new_privs,
        RulesetStatus::NotEnforced => false,
    })
}
