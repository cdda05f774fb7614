//! The steps of a lock-down on Linux.

mod limits;
mod landlock;
mod calls;
mod seccomp;

use rustix::process::{DumpableBehavior, Signal};

use crate::{Posture, Profile};

/// The failed step is not named: the process that asks has no log, and its parent needs only the posture.
type Step = Result<(), Failed>;

/// A step that the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("the kernel refused a step of the lock-down")]
struct Failed;

impl From<rustix::io::Errno> for Failed {
    fn from(_: rustix::io::Errno) -> Self {
        Self
    }
}

pub(crate) fn lock_down(profile: Profile) -> Posture {
    match steps(profile) {
        Err(Failed) => Posture::None,
        Ok(false) => Posture::SeccompOnly,
        Ok(true) => Posture::Full,
    }
}

/// Takes every step. Returns whether Landlock is enforced.
fn steps(profile: Profile) -> Result<bool, Failed> {
    limits::first_to_go();
    give_up_privileges()?;
    match profile {
        Profile::Decoder { memory_bytes_max } => {
            limits::address_space(memory_bytes_max)?;
            let has_landlock = landlock::nothing();
            limits::nothing_new()?;
            seccomp::computation_on_pipes()?;
            Ok(has_landlock)
        }
        Profile::Classifier { memory_bytes_max } => {
            // Landlock and the filter apply to one thread.
            if crate::thread_count() != Some(1) {
                return Err(Failed);
            }
            limits::address_space(memory_bytes_max)?;
            let has_landlock = landlock::nothing();
            limits::nothing_new()?;
            seccomp::computation_on_pipes()?;
            Ok(has_landlock)
        }
        Profile::Ffmpeg { program, memory_bytes_max, processor_time_s_max } => {
            let has_landlock = landlock::program(&program);
            limits::of_program(memory_bytes_max, processor_time_s_max)?;
            seccomp::program_on_descriptors()?;
            Ok(has_landlock)
        }
    }
}

fn give_up_privileges() -> Step {
    rustix::thread::set_no_new_privs(true)?;
    // Prevents a core file, or a debugger of the same user, from reading the content.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // The signal is sent when the thread that started this process ends. A parent that has ended before is
    // noticed by the end of standard input.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(())
}
