//! Landlock: the kernel's own check of files, ports and signals, below every system call.

use landlock::{ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetStatus, Scope};

/// The newest version whose rights were looked at when this was written. An older kernel enforces what it knows of them.
const VERSION: ABI = ABI::V6;

/// Forbids every file, every TCP port, and signals and abstract sockets of other processes. Returns whether the kernel
/// enforces it; one that knows only a part of these rights, but files among them, does.
pub(super) fn nothing() -> bool {
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(VERSION))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(VERSION)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(VERSION)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    restricted.is_ok_and(|status| match status.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => status.no_new_privs,
        RulesetStatus::NotEnforced => false,
    })
}
