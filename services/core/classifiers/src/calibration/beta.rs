//! The regularised incomplete beta function and its inverse, for whole parameters up to ten million.
//!
//! Both use the continued fraction of DLMF 8.17.22 with the modified Lentz method. The number of steps is
//! about the square root of the larger parameter. The crate `statrs` 0.19.1 was tried: it stops after a fixed
//! number of steps, so `beta_reg(5e6, 5e6, 0.50001)` is 0.4979 and not 0.5252, and its inverse did not end
//! for (1, 1e7).

/// The largest number of steps of the continued fraction; with ten million for both parameters it takes fewer
/// than 10,000.
const STEPS_MAX: u32 = 100_000;

/// The iteration ends when a factor of the continued fraction differs from 1 by at most this.
const PRECISION: f64 = 1e-15;

/// The replacement for a zero divisor.
const TINY: f64 = 1e-300;

/// Returns I_x(a, b), for a and b of at least 1: the probability that a variable with the distribution
/// Beta(a, b) is at most x.
pub(super) fn regularised(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // The fraction converges fast below the mean; above it, the other tail is computed.
    if x <= (a + 1.0) / (a + b + 2.0) {
        density(a, b, x) * x * (1.0 - x) * fraction(a, b, x) / a
    } else {
        1.0 - density(a, b, x) * x * (1.0 - x) * fraction(b, a, 1.0 - x) / b
    }
}

/// Returns the x at which I_x(a, b) is p, for p between 0 and 1. Uses Newton's method, with bisection where a
/// step leaves the bracket.
pub(super) fn quantile(a: f64, b: f64, p: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    let mut x = a / (a + b);
    for _ in 0..200 {
        let excess = regularised(a, b, x) - p;
        if excess > 0.0 {
            high = x;
        } else {
            low = x;
        }
        let step = excess / density(a, b, x);
        let next = x - step;
        let next = if next > low && next < high { next } else { f64::midpoint(low, high) };
        if (next - x).abs() <= 1e-14 * x {
            return next;
        }
        x = next;
    }
    x
}

/// Returns the density of Beta(a, b) at an x between 0 and 1.
fn density(a: f64, b: f64, x: f64) -> f64 {
    let ln_beta = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    ((a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p() - ln_beta).exp()
}

/// Returns the continued fraction, without the factor before it.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let divisor = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / divisor(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for step in 1..=STEPS_MAX {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / divisor(1.0 + even * d);
        c = divisor(1.0 + even / c);
        result *= c * d;
        d = 1.0 / divisor(1.0 + odd * d);
        c = divisor(1.0 + odd / c);
        let factor = c * d;
        result *= factor;
        if (factor - 1.0).abs() <= PRECISION {
            break;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Compares with values of mpmath 1.4.1 with 30 to 40 digits: `betainc(a, b, 0, x, regularized=True)`,
    /// and for parameters above 99,900 the quadrature of the density.
    #[test]
    fn the_function_is_that_of_mpmath() {
        let cases = [
            (1, 1, 0.3, 0.3),
            (2, 5, 0.25, 0.466_064_453_125),
            (1, 29_956, 0.0001, 0.950_000_875_813_934),
            (3, 9_998, 0.0005, 0.875_411_155_964_504_1),
            (101, 99_900, 0.0011, 0.816_919_980_155_946_1),
            (11, 90, 0.17, 0.964_432_407_778_831_7),
            (90, 11, 0.9, 0.583_155_512_266_492_1),
            (500_000, 1_500_000, 0.2501, 0.628_106_201_971_094_9),
            (1_000_000, 1_000_000, 0.5001, 0.611_351_282_137_678),
            (1, 10_000_000, 3e-7, 0.950_212_954_036_316_2),
            (5_000_000, 5_000_000, 0.50001, 0.525_214_513_797_328_1),
        ];
        for (a, b, x, expected) in cases {
            let got = regularised(f64::from(a), f64::from(b), x);
            // The logarithm of the gamma function of ten million is 1.5e8, so a difference of two has about
            // eight correct digits.
            assert!((got - expected).abs() <= 1e-7 * expected, "{a} {b} {x}: {got} for {expected}");
        }
    }

    /// Compares with values of mpmath 1.4.1 with 30 digits: the root of the quadrature of the density; for a
    /// = 1, `1 - (1 - p)^(1/b)`.
    #[test]
    fn the_inverse_is_that_of_mpmath() {
        let cases = [
            (1, 29_956, 0.95, 9.999_941_531_978_722e-5),
            (4, 9_997, 0.95, 0.000_775_181_379_010_099_7),
            (11, 90, 0.975, 0.176_222_597_740_022_66),
            (10, 91, 0.025, 0.049_004_689_221_485_96),
            (1, 1_000_000, 0.975, 3.688_872_650_206_488e-6),
            (1_000_000, 1_000_000, 0.975, 0.500_692_951_666_050_5),
            (1_234, 998_766, 0.025, 0.001_166_141_902_819_966_2),
            (1, 10_000_000, 0.95, 2.995_731_824_833_442_4e-7),
            (2, 10_000_000, 0.025, 2.422_092_635_002_355e-8),
            (5_000_000, 5_000_001, 0.975, 0.500_309_847_478_657_8),
        ];
        for (a, b, p, expected) in cases {
            let got = quantile(f64::from(a), f64::from(b), p);
            assert!((got - expected).abs() <= 1e-8 * expected, "{a} {b} {p}: {got} for {expected}");
        }
    }

    /// Returns the probability of at most `count` successes in `of` trials with the success probability
    /// `share`, by definition.
    fn binomial(count: u32, of: u32, share: f64) -> f64 {
        let mut coefficient = 1.0;
        let mut sum = 0.0;
        for k in 0..=count {
            if k > 0 {
                coefficient *= f64::from(of - k + 1) / f64::from(k);
            }
            sum += coefficient * share.powi(k.cast_signed()) * (1.0 - share).powi((of - k).cast_signed());
        }
        sum
    }

    proptest! {
        #[test]
        fn the_function_is_a_tail_of_the_binomial_distribution(of in 1_u32..40, part in 0.0..1.0_f64, share in 0.001..0.999_f64) {
            let count = (0..of).find(|count| f64::from(count + 1) > part * f64::from(of)).unwrap();
            let got = regularised(f64::from(count + 1), f64::from(of - count), share);
            prop_assert!((got - (1.0 - binomial(count, of, share))).abs() < 1e-10);
        }

        #[test]
        fn the_inverse_is_the_inverse(a in 1_u32..100_000, b in 1_u32..100_000, p in 0.001..0.999_f64) {
            let (a, b) = (f64::from(a), f64::from(b));
            prop_assert!((regularised(a, b, quantile(a, b, p)) - p).abs() < 1e-8);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn the_inverse_of_a_large_sample_is_the_inverse(a in 1_u32..10_000_000, is_rare: bool, p in prop::sample::select(vec![0.025, 0.95, 0.975])) {
            let a = if is_rare { a.isqrt() } else { a };
            let (a, b) = (f64::from(a), f64::from(10_000_001 - a));
            let x = quantile(a, b, p);
            prop_assert!((regularised(a, b, x) - p).abs() < 1e-7);
            // The other tail uses the other fraction.
            prop_assert!((regularised(b, a, 1.0 - x) - (1.0 - p)).abs() < 1e-6);
        }
    }

    #[test]
    fn the_ends_are_0_and_1() {
        assert_eq!([regularised(2.0, 3.0, 0.0), regularised(2.0, 3.0, 1.0)], [0.0, 1.0]);
    }
}
