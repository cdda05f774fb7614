//! Compares signatures with AVX2: the ones of each nibble are looked up in a register (Muła, Kurz, Lemire,
//! "Faster population counts using AVX2 instructions", The Computer Journal 2018).

#![expect(unsafe_code, reason = "vector instructions, which the token says the processor has")]

use std::arch::x86_64::*;

use super::{Kernel, Line};

/// The kernel for processors with AVX2, which have `popcnt` too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        let has_it = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt");
        has_it.then_some(Self(()))
    }
}

impl Kernel for Avx2 {
    #[inline(always)]
    #[expect(clippy::cast_sign_loss, reason = "the mask's uppermost bit is a lane like the others")]
    fn near(self, line: &Line, sought: u16, limit: u8) -> u32 {
        let halves = line.as_ptr().cast::<__m256i>();
        // SAFETY: the processor has AVX2, or there would be no `self`. `line` is 64 bytes, so two unaligned
        // loads of 32 stay within it; the other instructions work on registers.
        unsafe {
            let sought = _mm256_set1_epi16(sought.cast_signed());
            let limit = _mm256_set1_epi16(i16::from(limit));
            let first = far(_mm256_xor_si256(_mm256_loadu_si256(halves), sought), limit);
            let second = far(_mm256_xor_si256(_mm256_loadu_si256(halves.add(1)), sought), limit);
            // Packing works on each half of the registers separately, so their quarters have to change
            // positions.
            let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(first, second));
            !(_mm256_movemask_epi8(packed) as u32)
        }
    }
}

/// Returns all ones in the 16 bits of each signature that differs in more than `limit` bits.
///
/// # Safety
///
/// The processor must have AVX2.
#[inline(always)]
unsafe fn far(differing: __m256i, limit: __m256i) -> __m256i {
    // SAFETY: the caller says that the processor has AVX2; all of these work on registers.
    unsafe {
        let ones = _mm256_setr_epi8(
            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, //
            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
        );
        let nibble = _mm256_set1_epi8(15);
        let low = _mm256_shuffle_epi8(ones, _mm256_and_si256(differing, nibble));
        let high = _mm256_shuffle_epi8(ones, _mm256_and_si256(_mm256_srli_epi16::<4>(differing), nibble));
        let of_bytes = _mm256_add_epi8(low, high);
        _mm256_cmpgt_epi16(_mm256_maddubs_epi16(of_bytes, _mm256_set1_epi8(1)), limit)
    }
}
