//! The comparisons of a search: 32 signatures at a time, and whole hashes, on the best instructions of the
//! processor.
//!
//! A search spends its time comparing the signatures of a bucket with the query's. One cache line holds 32 of
//! them, and a processor's vector instructions compare them at once. Each instruction set has a [`Kernel`].
//! The whole search is compiled once for each of them, so that the kernel is part of the loop, and the best
//! one is chosen when a search begins. All kernels give the same answers.
//!
//! A kernel is a token: it is created only after checking that the processor has its instructions, which
//! makes using them sound. Its methods are `inline(always)`, because vector instructions are generated only
//! inside a function that is compiled for them: [`dispatch`] calls such a function, and everything else is
//! inlined into it.

#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "calls functions compiled for more instructions after asking the processor for them"
    )
)]

mod portable;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod prefetch;

pub(crate) use prefetch::prefetch;

#[cfg(target_arch = "x86_64")]
pub(crate) use self::{avx2::Avx2, avx512::Avx512};
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use portable::Portable;

/// The number of signatures compared at a time: an aligned cache line of 64 bytes.
pub(crate) const LANES: usize = 32;

/// The signatures of one cache line.
pub(crate) type Line = [u16; LANES];

/// The comparisons for one instruction set.
pub(crate) trait Kernel: Copy {
    /// Returns a mask in which bit n is set if signature n differs from `sought` in at most `limit` bits.
    fn near(self, line: &Line, sought: u16, limit: u8) -> u32;

    /// Returns the number of bits in which two hashes differ.
    #[inline(always)]
    fn distance<const BYTES: usize>(self, one: &[u8; BYTES], other: &[u8; BYTES]) -> u32 {
        distance(one, other)
    }
}

/// Returns the number of bits in which two hashes differ.
#[inline(always)]
pub(crate) fn distance<const BYTES: usize>(one: &[u8; BYTES], other: &[u8; BYTES]) -> u32 {
    let (words, rest) = one.as_chunks::<8>();
    let (other_words, other_rest) = other.as_chunks::<8>();
    let mut ones = 0;
    for (word, other) in words.iter().zip(other_words) {
        ones += (u64::from_le_bytes(*word) ^ u64::from_le_bytes(*other)).count_ones();
    }
    for (byte, other) in rest.iter().zip(other_rest) {
        ones += (byte ^ other).count_ones();
    }
    ones
}

/// A task to run on the best kernel of the processor.
pub(crate) trait Task {
    type Output;

    /// Must be `inline(always)`, like everything in it that compares.
    fn run<K: Kernel>(self, kernel: K) -> Self::Output;
}

/// The instruction set to use, for tests and measurements; otherwise [`dispatch`] chooses the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instructions {
    Portable,
    Avx2,
    Avx512,
    Neon,
}

impl Instructions {
    pub(crate) const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];
}

/// Runs the task on the best instructions that this processor has.
#[inline]
pub(crate) fn dispatch<T: Task>(task: T) -> T::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(kernel) = Avx512::detect() {
            // SAFETY: the token says that the processor has every feature that `with_avx512` is compiled for.
            return unsafe { with_avx512(task, kernel) };
        }
        if let Some(kernel) = Avx2::detect() {
            // SAFETY: the token says that the processor has every feature that `with_avx2` is compiled for.
            return unsafe { with_avx2(task, kernel) };
        }
    }
    #[cfg(target_arch = "aarch64")]
    let always_there = Neon::detect();
    #[cfg(not(target_arch = "aarch64"))]
    let always_there = Portable;
    task.run(always_there)
}

/// Runs the task on these instructions; `None` if the processor does not have them.
pub(crate) fn dispatch_to<T: Task>(instructions: Instructions, task: T) -> Option<T::Output> {
    match instructions {
        Instructions::Portable => Some(task.run(Portable)),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => {
            let kernel = Avx2::detect()?;
            // SAFETY: the token says that the processor has every feature that `with_avx2` is compiled for.
            Some(unsafe { with_avx2(task, kernel) })
        }
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => {
            let kernel = Avx512::detect()?;
            // SAFETY: the token says that the processor has every feature that `with_avx512` is compiled for.
            Some(unsafe { with_avx512(task, kernel) })
        }
        #[cfg(target_arch = "aarch64")]
        Instructions::Neon => Some(task.run(Neon::detect())),
        #[cfg(target_arch = "x86_64")]
        Instructions::Neon => None,
        #[cfg(not(target_arch = "x86_64"))]
        Instructions::Avx2 | Instructions::Avx512 => None,
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        Instructions::Neon => None,
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt,bmi1,bmi2,lzcnt")]
fn with_avx2<T: Task>(task: T, kernel: Avx2) -> T::Output {
    task.run(kernel)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(
    enable = "avx512f,avx512bw,avx512vl,avx512bitalg,avx512vpopcntdq,avx2,popcnt,bmi1,bmi2,lzcnt"
)]
fn with_avx512<T: Task>(task: T, kernel: Avx512) -> T::Output {
    task.run(kernel)
}

#[cfg(test)]
mod tests;
