//! Compares signatures with NEON: the ones of bytes are counted, then added in pairs.

#![expect(unsafe_code, reason = "vector instructions, which every 64-bit ARM processor has")]

use std::arch::aarch64::*;

use super::{Kernel, Line};

/// The kernel of 64-bit ARM, whose baseline has NEON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neon(());

impl Neon {
    pub(crate) const fn detect() -> Self {
        Self(())
    }
}

impl Kernel for Neon {
    #[inline(always)]
    fn near(self, line: &Line, sought: u16, limit: u8) -> u32 {
        const LANE_BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
        let signatures = line.as_ptr();
        // SAFETY: NEON is part of the baseline. `line` holds 32 signatures, so four loads of 8 stay within
        // it, and `LANE_BITS` holds the 16 bytes that are loaded; the other instructions work on registers.
        unsafe {
            let (sought, limit) = (vdupq_n_u16(sought), vdupq_n_u16(u16::from(limit)));
            let near = |first: usize| {
                let differing = veorq_u16(vld1q_u16(signatures.add(first)), sought);
                vmovn_u16(vcleq_u16(vpaddlq_u8(vcntq_u8(vreinterpretq_u8_u16(differing))), limit))
            };
            let bits = vld1q_u8(LANE_BITS.as_ptr());
            let first = vandq_u8(vcombine_u8(near(0), near(8)), bits);
            let second = vandq_u8(vcombine_u8(near(16), near(24)), bits);
            // Each step adds neighbours; after three steps, each 8 bytes have become one byte of the mask.
            let pairs = vpaddq_u8(first, second);
            let quads = vpaddq_u8(pairs, pairs);
            let octets = vpaddq_u8(quads, quads);
            vgetq_lane_u32::<0>(vreinterpretq_u32_u8(octets))
        }
    }
}
