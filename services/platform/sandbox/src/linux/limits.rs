//! Resource limits of the process.

use rustix::process::{Resource, Rlimit, setrlimit};

use super::Step;

/// The assumed address space of a process whose size cannot be read, in bytes: the program, its libraries and
/// a first heap.
const OWN_BYTES_UNKNOWN: u64 = 512 << 20;

/// The most descriptors of a program: a loader has one or two open at a time.
const PROGRAM_DESCRIPTORS: u64 = 64;

/// Limits the address space to what the process has plus `more` bytes.
///
/// Limits address space and not resident memory, because the kernel enforces no limit on the latter. An
/// allocator that reserves without using has to be configured to reserve little.
pub(super) fn address_space(more: u64) -> Step {
    let own = own_bytes().unwrap_or(OWN_BYTES_UNKNOWN);
    to(Resource::As, own.saturating_add(more))
}

/// Makes this process end before its parent if memory is short all the same, such as at the limit of a
/// container. Raising the score needs no right. If a kernel refuses it, no protection is lost.
///
/// Called before the process is made untraceable, because from then on its files in `/proc` belong to the
/// superuser.
pub(super) fn first_to_go() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// Allows no new descriptor, no byte in a file, no process, no locked memory, no core file, no message queue.
pub(super) fn nothing_new() -> Step {
    // `Nproc` does not bind the superuser; the filter does, because it has no call that starts a process.
    for resource in [
        Resource::Nofile,
        Resource::Fsize,
        Resource::Nproc,
        Resource::Memlock,
        Resource::Core,
        Resource::Msgqueue,
    ] {
        to(resource, 0)?;
    }
    Ok(())
}

/// Limits a program that this process is about to become: its address space, its processor time, few
/// descriptors, no byte in a file. The number of processes is not limited, because all processes and threads
/// of the user would count: the filter has no call to start one.
pub(super) fn of_program(memory_bytes_max: u64, processor_time_s_max: u64) -> Step {
    for (resource, bound) in [
        (Resource::Cpu, processor_time_s_max),
        (Resource::Nofile, PROGRAM_DESCRIPTORS),
        (Resource::Fsize, 0),
        (Resource::Memlock, 0),
        (Resource::Core, 0),
        (Resource::Msgqueue, 0),
        // Last, because this process too may need address space until it has become the program.
        (Resource::As, memory_bytes_max),
    ] {
        to(resource, bound)?;
    }
    Ok(())
}

fn to(resource: Resource, bound: u64) -> Step {
    let before = rustix::process::getrlimit(resource);
    // A lower limit set from outside stays.
    let bound = before.maximum.map_or(bound, |maximum| maximum.min(bound));
    setrlimit(resource, Rlimit { current: Some(bound), maximum: Some(bound) })?;
    Ok(())
}

/// Returns the address space in use, in bytes.
fn own_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().next()?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}
