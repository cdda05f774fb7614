//! Compares signatures without any instruction that a processor may lack.
//!
//! The ones of each 16 bits are counted by adding neighbours, twice as wide at each step (Warren, "Hacker's
//! Delight", section 5-1).

use super::{Kernel, LANES, Line};

/// The kernel that works on every processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

impl Kernel for Portable {
    #[inline(always)]
    fn near(self, line: &Line, sought: u16, limit: u8) -> u32 {
        // Most lines have no near signature; the compiler vectorises this test for several signatures at
        // once.
        let mut any = 0_u16;
        for &signature in line {
            // The uppermost bit of `limit - ones` is set if there are more ones than the limit.
            any |= !u16::from(limit).wrapping_sub(ones(signature ^ sought));
        }
        if any >> 15 == 0 {
            return 0;
        }
        (0..LANES)
            .fold(0, |near, lane| near | u32::from(ones(line[lane] ^ sought) <= u16::from(limit)) << lane)
    }
}

/// Returns the number of ones, as a `u16` so that no lane has to be widened.
#[inline(always)]
fn ones(mut bits: u16) -> u16 {
    bits -= (bits >> 1) & 0x5555;
    bits = (bits & 0x3333) + ((bits >> 2) & 0x3333);
    bits = (bits + (bits >> 4)) & 0x0f0f;
    (bits + (bits >> 8)) & 0x1f
}
