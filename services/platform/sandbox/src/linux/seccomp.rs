//! The filter of system calls: what a computation on two pipes needs, and nothing else.
//!
//! A refused call ends the process at once, so that nobody can try one after the other.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::{Failed, Step};

/// Allowed with any arguments: memory, time, randomness, the process's own signals and its end. Both processors have all of
/// them; `getcpu` is what an allocator asks on machines with several memory nodes.
const ALLOWED: [libc::c_long; 18] = [
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getcpu,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
];

/// Names a range of memory, which shows in `/proc`: allocators do it. From `linux/prctl.h`; any other `prctl` is refused.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Standard input, standard output, standard error.
const STDIN: u64 = 0;
const STDOUT: u64 = 1;
const STDERR: u64 = 2;

#[cfg(target_arch = "x86_64")]
const ARCH: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCH: TargetArch = TargetArch::aarch64;

/// Applies the filter to this thread.
pub(super) fn computation_on_pipes() -> Step {
    let own = u64::try_from(rustix::process::getpid().as_raw_nonzero().get()).map_err(|_| Failed)?;
    let program = program(own).map_err(|_| Failed)?;
    seccompiler::apply_filter(&program).map_err(|_| Failed)
}

/// The filter of the process `own`.
fn program(own: u64) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.into_iter().map(|call| (call, Vec::new())).collect();
    // Descriptors that the process inherited, by whatever fault, are of no use to it.
    rules.insert(libc::SYS_read, vec![equal(0, STDIN)?]);
    rules.insert(libc::SYS_write, vec![equal(0, STDOUT)?, equal(0, STDERR)?]);
    // Signals to itself, as `abort` sends one; never to its parent, which has the same user.
    rules.insert(libc::SYS_tgkill, vec![equal(0, own)?]);
    rules.insert(libc::SYS_prctl, vec![equal(0, PR_SET_VMA)?]);
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    let anonymous = u64::from(libc::MAP_ANONYMOUS.unsigned_abs());
    let not_executable = masked(2, executable, 0)?;
    rules.insert(libc::SYS_mprotect, vec![SeccompRule::new(vec![not_executable.clone()])?]);
    rules.insert(
        libc::SYS_mmap,
        vec![SeccompRule::new(vec![not_executable, masked(3, anonymous, anonymous)?])?],
    );
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, ARCH)?.try_into()
}

/// Argument `number` equals `value`, in the 32 bits that the kernel looks at.
fn equal(number: u8, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = SeccompCondition::new(number, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?;
    SeccompRule::new(vec![condition])
}

/// Argument `number` has the bits of `mask` as in `value`.
fn masked(number: u8, mask: u64, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(number, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
}
