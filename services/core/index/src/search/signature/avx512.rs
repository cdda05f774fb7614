//! Compares signatures with AVX-512: a line fits into one register, and BITALG counts the ones of each 16
//! bits.

#![expect(unsafe_code, reason = "vector instructions, which the token says the processor has")]

use std::arch::x86_64::*;

use super::{Kernel, Line};

/// The kernel for processors with AVX-512 BW, VL, BITALG and VPOPCNTDQ: Intel since Ice Lake, AMD since Zen
/// 4.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        let has_it = super::Avx2::detect().is_some()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bitalg")
            && is_x86_feature_detected!("avx512vpopcntdq");
        has_it.then_some(Self(()))
    }
}

impl Kernel for Avx512 {
    #[inline(always)]
    fn near(self, line: &Line, sought: u16, limit: u8) -> u32 {
        // SAFETY: the processor has these parts of AVX-512, or there would be no `self`. `line` is 64 bytes,
        // so an unaligned load of 64 stays within it; the other instructions work on registers.
        unsafe {
            let line = _mm512_loadu_si512(line.as_ptr().cast());
            let differing = _mm512_xor_si512(line, _mm512_set1_epi16(sought.cast_signed()));
            _mm512_cmple_epu16_mask(_mm512_popcnt_epi16(differing), _mm512_set1_epi16(i16::from(limit)))
        }
    }
}
