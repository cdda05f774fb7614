//! Checks every kernel against the definition.

use proptest::prelude::*;

use super::*;

struct Compare<'a> {
    line: &'a Line,
    sought: u16,
    limit: u8,
}

impl Task for Compare<'_> {
    type Output = u32;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> u32 {
        kernel.near(self.line, self.sought, self.limit)
    }
}

fn check(line: &Line, sought: u16, limit: u8) {
    let near = |lane: usize| u32::from((line[lane] ^ sought).count_ones() <= u32::from(limit)) << lane;
    let expected = (0..LANES).fold(0, |mask, lane| mask | near(lane));
    for instructions in Instructions::ALL {
        let found = dispatch_to(instructions, Compare { line, sought, limit });
        assert!(found.is_none_or(|found| found == expected), "{instructions:?}, limit {limit}");
    }
    assert_eq!(dispatch(Compare { line, sought, limit }), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 2_000 }))]

    #[test]
    fn every_kernel_equals_the_definition(line in any::<Line>(), sought in any::<u16>(), limit in 0_u8..=17) {
        check(&line, sought, limit);
    }
}

#[test]
fn every_kernel_counts_right_at_every_lane_and_distance() {
    for lane in 0..LANES {
        for ones in 0..=16 {
            let mut line = [0x5555_u16; LANES];
            line[lane] ^= u16::try_from((1_u32 << ones) - 1).unwrap();
            for limit in (0..=16).step_by(if cfg!(miri) { 5 } else { 1 }) {
                check(&line, 0x5555, limit);
                check(&line, !0x5555, limit);
            }
        }
        if cfg!(miri) && lane > 1 {
            return;
        }
    }
}

/// Prints the kernels of this machine.
#[test]
fn the_portable_kernel_is_always_there() {
    let line = [7; LANES];
    for instructions in Instructions::ALL {
        let there = dispatch_to(instructions, Compare { line: &line, sought: 7, limit: 0 }).is_some();
        println!("{instructions:?}: {}", if there { "tested" } else { "not on this processor" });
        assert!(there || instructions != Instructions::Portable);
    }
}
