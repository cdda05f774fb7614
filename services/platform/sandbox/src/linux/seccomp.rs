//! The filters of system calls: they allow what a computation on two pipes, or a foreign program, needs, and
//! nothing else.
//!
//! In a decoder process a refused call ends the process at once, so that hostile code cannot try one call
//! after the other. A foreign program and its libraries try calls and can do without them: there a refused
//! call fails as on a kernel that does not have it.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::calls::{PROGRAM, PROGRAM_FCNTL, PROGRAM_IOCTL, PROGRAM_PRCTL};
use super::{Failed, Step};

/// The calls that are allowed with any arguments: memory, time, randomness, the process's own signals and its
/// end. Both processors have all of them; an allocator uses `getcpu` on machines with several memory nodes.
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

/// Names a range of memory, which `/proc` then shows: allocators do that. From `linux/prctl.h`; any other
/// `prctl` is refused.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Standard input, standard output, standard error.
const STDIN: u64 = 0;
const STDOUT: u64 = 1;
const STDERR: u64 = 2;

#[cfg(target_arch = "x86_64")]
const ARCH: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCH: TargetArch = TargetArch::aarch64;

/// Applies the filter of a decoder process to this thread.
pub(super) fn computation_on_pipes() -> Step {
    let program = program(own_number()?).map_err(|_| Failed)?;
    seccompiler::apply_filter(&program).map_err(|_| Failed)
}

/// Applies the filter of a foreign program to this thread, which is about to become that program.
pub(super) fn program_on_descriptors() -> Step {
    let program = outside_program(own_number()?).map_err(|_| Failed)?;
    seccompiler::apply_filter(&program).map_err(|_| Failed)
}

/// Returns the id of this process, which stays the same when it becomes another program.
fn own_number() -> Result<u64, Failed> {
    u64::try_from(rustix::process::getpid().as_raw_nonzero().get()).map_err(|_| Failed)
}

/// Returns the filter of a foreign program in the process `own`.
fn outside_program(own: u64) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = PROGRAM.iter().map(|&call| (call, Vec::new())).collect();
    // Threads are allowed, processes are not. `clone3` hides its flags behind a pointer, so it is refused,
    // and libraries fall back to `clone`.
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![masked(0, thread, thread)?])?]);
    // Allows signals to itself, as `abort` sends one; never to its parent, which has the same user. Also its
    // own limits.
    rules.insert(libc::SYS_tgkill, vec![equal(0, own)?]);
    rules.insert(libc::SYS_prlimit64, vec![equal(0, 0)?, equal(0, own)?]);
    for (call, argument, values) in [
        (libc::SYS_prctl, 0, PROGRAM_PRCTL.as_slice()),
        (libc::SYS_fcntl, 1, PROGRAM_FCNTL.as_slice()),
        (libc::SYS_ioctl, 1, PROGRAM_IOCTL.as_slice()),
    ] {
        let allowed = values.iter().map(|&value| equal(argument, value)).collect::<Result<_, _>>()?;
        rules.insert(call, allowed);
    }
    let missing = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    SeccompFilter::new(rules, missing, SeccompAction::Allow, ARCH)?.try_into()
}

/// Returns the filter of a decoder process with the id `own`.
fn program(own: u64) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.into_iter().map(|call| (call, Vec::new())).collect();
    // Inherited descriptors, whatever the fault that left them open, cannot be used.
    rules.insert(libc::SYS_read, vec![equal(0, STDIN)?]);
    rules.insert(libc::SYS_write, vec![equal(0, STDOUT)?, equal(0, STDERR)?]);
    // Allows signals to itself, as `abort` sends one; never to its parent, which has the same user.
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

/// Matches if argument `number` equals `value`, in the 32 bits that the kernel reads.
fn equal(number: u8, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = SeccompCondition::new(number, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?;
    SeccompRule::new(vec![condition])
}

/// Matches if the bits of `mask` in argument `number` equal those of `value`.
fn masked(number: u8, mask: u64, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(number, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
}
