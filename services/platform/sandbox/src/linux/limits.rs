//! Resource limits of the process.

use rustix::process::{Resource, Rlimit, setrlimit};

use super::Step;

/// Address space of a process whose size cannot be read, in bytes: the program, its libraries and a first heap.
const OWN_BYTES_UNKNOWN: u64 = 512 << 20;

/// Descriptors of a program: a loader has one or two open at a time.
const PROGRAM_DESCRIPTORS: u64 = 64;

/// Limits the address space to what the process has and `more` bytes.
///
/// Address space and not resident memory, since the kernel enforces nothing on the latter. An allocator that reserves without
/// using needs to be told to reserve little.
pub(super) fn address_space(more: u64) -> Step {
    let own = own_bytes().unwrap_or(OWN_BYTES_UNKNOWN);
    to(Resource::As, own.saturating_add(more))
}

/// When memory is short all the same, such as at the limit of a container, this process ends before its parent: so says the
/// score, which needs no right to be raised. A kernel that refuses it takes no protection away.
///
/// This comes before the process is made untraceable, since from then on its files in `/proc` belong to the superuser.
pub(super) fn first_to_go() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// Allows no new descriptor, no byte in a file, no process, no locked memory, no core file, no message queue.
pub(super) fn nothing_new() -> Step {
    // `Nproc` does not bind the superuser: the filter, which has no call to start one, does.
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

/// Limits a program that this process is about to become: its address space, its processor time, few descriptors, no byte in a file.
/// There is no bound on processes, since those of the user count, threads among them: the filter has no call to start one.
pub(super) fn of_program(memory_bytes_max: u64, processor_time_s_max: u64) -> Step {
    for (resource, bound) in [
        (Resource::Cpu, processor_time_s_max),
        (Resource::Nofile, PROGRAM_DESCRIPTORS),
        (Resource::Fsize, 0),
        (Resource::Memlock, 0),
        (Resource::Core, 0),
        (Resource::Msgqueue, 0),
        // The last: this process too may need some until it has become the program.
        (Resource::As, memory_bytes_max),
    ] {
        to(resource, bound)?;
    }
    Ok(())
}

fn to(resource: Resource, bound: u64) -> Step {
    let before = rustix::process::getrlimit(resource);
    // A lower limit from outside stays.
    let bound = before.maximum.map_or(bound, |maximum| maximum.min(bound));
    setrlimit(resource, Rlimit { current: Some(bound), maximum: Some(bound) })?;
    Ok(())
}

/// Address space in use now, in bytes.
fn own_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().next()?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}
