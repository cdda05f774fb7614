//! Runs the decoder stand-in under the limits of a container of the restricted level: without new privileges,
//! with a read-only root, and without the system calls that the default profiles of container runtimes
//! refuse. Landlock and seccomp enforce this here, so no privilege is needed.

fn main() -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    return linux::run();
    #[cfg(not(target_os = "linux"))]
    anyhow::bail!("such containers are of Linux")
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use anyhow::{Context as _, ensure};
    use landlock::{
        ABI, Access as _, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
        RulesetStatus,
    };
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, TargetArch,
    };

    /// System calls that return an error, as in those profiles.
    const REFUSED: [libc::c_long; 12] = [
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_ptrace,
        libc::SYS_bpf,
        libc::SYS_keyctl,
        libc::SYS_userfaultfd,
        libc::SYS_perf_event_open,
        libc::SYS_process_vm_readv,
        libc::SYS_io_uring_setup,
    ];

    pub(crate) fn run() -> anyhow::Result<()> {
        read_only_root()?;
        runtime_default()?;
        let own = std::env::current_exe()?;
        let error =
            Command::new(own.with_file_name("decoder-stand-in")).args(std::env::args_os().skip(1)).exec();
        Err(error).context("cannot run the stand-in")
    }

    fn read_only_root() -> anyhow::Result<()> {
        let status = Ruleset::default()
            .handle_access(AccessFs::from_all(ABI::V3))?
            .create()?
            .add_rule(PathBeneath::new(PathFd::new("/")?, AccessFs::from_read(ABI::V3)))?
            .restrict_self()?;
        ensure!(status.ruleset != RulesetStatus::NotEnforced, "the kernel has no Landlock");
        ensure!(std::fs::write("written", b"1").is_err(), "the root can be written");
        Ok(())
    }

    fn runtime_default() -> anyhow::Result<()> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            REFUSED.into_iter().map(|call| (call, Vec::new())).collect();
        // `clone` with the flag of a new user namespace. `clone3` has its flags in memory, where a filter
        // cannot read them, and is refused as a missing system call.
        let namespaces = u64::from(libc::CLONE_NEWUSER.unsigned_abs());
        let flags = SeccompCondition::new(
            0,
            SeccompCmpArgLen::Qword,
            SeccompCmpOp::MaskedEq(namespaces),
            namespaces,
        )?;
        rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![flags])?]);
        let arch = TargetArch::try_from(std::env::consts::ARCH)?;
        let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let program: BpfProgram =
            SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?.try_into()?;
        seccompiler::apply_filter(&program)?;
        Ok(())
    }
}
