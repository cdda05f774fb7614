//! Landlock: the kernel's own check of files, ports and signals, below every system call.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, RestrictionStatus, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

/// The newest version whose rights were looked at when this was written. An older kernel enforces what it knows of them.
const VERSION: ABI = ABI::V6;

/// Forbids every file, every TCP port, and signals and abstract sockets of other processes. Returns whether the kernel
/// enforces it; one that knows only a part of these rights, but files among them, does.
pub(super) fn nothing() -> bool {
    is_enforced(&handled().and_then(RulesetCreated::restrict_self))
}

/// Where a system keeps its libraries, what its loader reads, and devices without content that libraries open at their start. What is not there needs no rule.
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

/// The same, but the program and the system's libraries may be read and executed.
pub(super) fn program(program: &Path) -> bool {
    let restricted = handled().and_then(|mut ruleset| {
        for path in READABLE.iter().map(PathBuf::from).chain(own_paths(program)) {
            // One that is not there, or that this process may not open.
            let (Ok(opened), Ok(metadata)) = (PathFd::new(&path), path.metadata()) else { continue };
            let files: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::Execute;
            let allowed = if metadata.is_dir() { files | AccessFs::ReadDir } else { files };
            ruleset = ruleset.add_rule(PathBeneath::new(opened, allowed))?;
        }
        ruleset.restrict_self()
    });
    is_enforced(&restricted)
}

/// The program, and libraries that were installed with it: `lib` beside the `bin` that it lies in.
fn own_paths(program: &Path) -> Vec<PathBuf> {
    let program = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let folder = program.parent().filter(|folder| folder.ends_with("bin"));
    let libraries = folder.and_then(Path::parent).map(|prefix| prefix.join("lib"));
    [Some(program.clone()), libraries].into_iter().flatten().collect()
}

/// A set of rules that forbids every file, every TCP port, and signals and abstract sockets of other processes.
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
