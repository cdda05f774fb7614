//! Random parts of pauses and ages: uniform, and reproducible in a simulation.

/// Returns a number from 0 to 1 for each value of a counter: SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) fn splitmix(count: u64) -> f64 {
    let mut z = count.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    f64::from(u32::try_from(z >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}
