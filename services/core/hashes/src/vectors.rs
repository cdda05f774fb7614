//! Hash types that are vectors: embeddings, which a model computes elsewhere, and which a numeric metric
//! compares.
//!
//! A deployment declares such types ([`crate::declared`]), and their numbers describe themselves. Vector
//! types have the numbers 1,024 to 2,047: 256 numbers for each [`VectorClass`]. A process without the
//! declaration of a type therefore still knows its elements and its metric. The first number of each class is
//! not a type: a replica lists it to announce that it searches the class.
//!
//! The bytes of a vector are its elements one after the other; an `f32` is little-endian. Canonical bytes are
//! finite, of moderate size and without a negative zero, and have length 1 if the metric is the cosine. Equal
//! vectors therefore have equal bytes. A client's vector is made canonical once, when it enters the system
//! ([`canonical`]); from then on its bytes do not change.

use thiserror::Error;

use crate::table::{Distance, HashType, Lengths, Metric, Row, TextForm};

/// The largest number of elements of a vector.
pub const VECTOR_ELEMENTS_MAX: usize = 4_096;

/// The largest magnitude of an element. The squared differences of [`VECTOR_ELEMENTS_MAX`] elements still add
/// up to a finite `f32`.
pub const MAGNITUDE_MAX: f32 = 1e15;

/// The number of parts into which 1 is divided: distances of vectors are counted in millionths.
pub const PARTS_OF_ONE: u32 = 1_000_000;

/// The largest difference from 1 at which a vector's length counts as 1. Scaling a vector to length 1 rounds
/// each element to 24 bits, so the length of a vector that was scaled once is nearer to 1 than this.
const LENGTH_TOLERANCE: f64 = 1e-6;

/// The first number of a vector type, and the count of numbers of each class.
const FIRST: u16 = 1_024;
const NUMBERS_OF_CLASS: u16 = 256;

/// The form of the elements of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VectorElement {
    /// IEEE 754 binary32, little-endian.
    F32,
    /// An unsigned byte, 0 to 255.
    U8,
}

/// The way in which two vectors are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VectorMetric {
    /// One minus the cosine of the angle between the vectors: 0 to 2. This is half the squared Euclidean
    /// distance of the vectors scaled to length 1.
    Cosine,
    /// The Euclidean distance.
    L2,
}

/// The elements and the metric of a vector type, both determined by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VectorClass {
    /// The form of each element.
    pub element: VectorElement,
    /// The way in which two vectors are compared.
    pub metric: VectorMetric,
}

/// The reasons why bytes are not a vector. No message repeats the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VectorFault {
    /// An element is NaN, infinite, or beyond [`MAGNITUDE_MAX`].
    #[error("an element of the vector is not a number of at most 1e15")]
    Magnitude,
    /// All elements are zero, and the metric is the cosine.
    #[error("all elements of the vector are zero, so it has no angle to others")]
    NoDirection,
}

impl VectorElement {
    /// Returns the size of one element, in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::U8 => 1,
        }
    }

    /// Returns the name used in declarations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::U8 => "u8",
        }
    }
}

impl VectorMetric {
    /// Returns the name used in declarations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::L2 => "l2",
        }
    }

    /// Returns the largest distance of two vectors; `None` if the metric has none.
    #[must_use]
    pub const fn distance_max(self) -> Option<Distance> {
        match self {
            Self::Cosine => Some(Distance(2 * PARTS_OF_ONE)),
            Self::L2 => None,
        }
    }
}

impl VectorClass {
    /// All classes, in the order of their numbers.
    pub const ALL: [Self; 4] = [
        Self { element: VectorElement::F32, metric: VectorMetric::Cosine },
        Self { element: VectorElement::F32, metric: VectorMetric::L2 },
        Self { element: VectorElement::U8, metric: VectorMetric::Cosine },
        Self { element: VectorElement::U8, metric: VectorMetric::L2 },
    ];

    /// Returns the type of this class with a serial number; serial numbers begin at 1.
    #[must_use]
    pub const fn hash_type(self, serial: u8) -> HashType {
        HashType::new(FIRST + NUMBERS_OF_CLASS * self.place() + serial as u16)
    }

    /// Checks whether a vector of the class may have this many bytes.
    #[must_use]
    pub fn accepts(self, bytes: usize) -> bool {
        self.row().accepts(bytes)
    }

    /// Returns the number with which a replica announces that it searches the class. No hash has this number.
    #[must_use]
    pub const fn marker(self) -> HashType {
        self.hash_type(0)
    }

    /// Returns the row of the types of this class that are not declared in this process.
    pub(crate) const fn row(self) -> &'static Row {
        &CLASS_ROWS[self.place() as usize]
    }

    const fn place(self) -> u16 {
        let of_metric = match self.metric {
            VectorMetric::Cosine => 0,
            VectorMetric::L2 => 1,
        };
        match self.element {
            VectorElement::F32 => of_metric,
            VectorElement::U8 => 2 + of_metric,
        }
    }
}

impl HashType {
    /// Returns the class of a vector type; `None` for every other type.
    #[must_use]
    pub fn vector_class(self) -> Option<VectorClass> {
        let place = self.number().checked_sub(FIRST)? / NUMBERS_OF_CLASS;
        VectorClass::ALL.get(usize::from(place)).copied()
    }

    /// Checks whether the number is the marker of a class, which no hash has.
    #[must_use]
    pub fn is_marker(self) -> bool {
        self.vector_class().is_some_and(|class| class.marker() == self)
    }

    /// Returns the class and the serial number of a vector type; `None` for other types and for the marker of
    /// a class.
    #[must_use]
    pub fn vector_serial(self) -> Option<(VectorClass, u8)> {
        let class = self.vector_class()?;
        let serial = u8::try_from(self.number() - class.marker().number()).ok()?;
        (serial > 0).then_some((class, serial))
    }
}

/// The rows of types without a declaration, in the order of the classes.
static CLASS_ROWS: [Row; 4] = [
    class_row(VectorClass::ALL[0]),
    class_row(VectorClass::ALL[1]),
    class_row(VectorClass::ALL[2]),
    class_row(VectorClass::ALL[3]),
];

const fn class_row(class: VectorClass) -> Row {
    Row {
        hash_type: class.marker(),
        name: "",
        aliases: &[],
        lengths: Lengths::Parts { bytes: class.element.bytes(), count_max: VECTOR_ELEMENTS_MAX },
        text: TextForm::Vector,
        metric: Metric::Vector,
        distance_default: Distance(0),
        distance_max: match class.metric.distance_max() {
            Some(distance) => distance,
            None => Distance(u32::MAX),
        },
        has_variants: false,
        has_quality_floor: false,
    }
}

/// Checks that the vector has a distance to every other vector of its type, whether or not its bytes are
/// canonical.
pub fn check(class: VectorClass, bytes: &[u8]) -> Result<(), VectorFault> {
    let is_zero = match class.element {
        VectorElement::U8 => bytes.iter().all(|byte| *byte == 0),
        VectorElement::F32 => {
            let numbers = || bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            if !numbers().all(|number| number.abs() <= MAGNITUDE_MAX) {
                return Err(VectorFault::Magnitude);
            }
            numbers().all(|number| number == 0.0)
        }
    };
    if is_zero && class.metric == VectorMetric::Cosine { Err(VectorFault::NoDirection) } else { Ok(()) }
}

/// Returns the canonical bytes of a vector. Canonical bytes are returned unchanged.
pub fn canonical(class: VectorClass, bytes: &[u8]) -> Result<Vec<u8>, VectorFault> {
    check(class, bytes)?;
    match class.element {
        VectorElement::U8 => Ok(bytes.to_vec()),
        VectorElement::F32 => {
            let numbers = numbers_of(bytes);
            let scaled = match class.metric {
                VectorMetric::Cosine => of_length_one(&numbers).ok_or(VectorFault::NoDirection)?,
                VectorMetric::L2 => numbers,
            };
            // Adding zero turns a negative zero into a positive one.
            Ok(scaled.iter().flat_map(|number| (number + 0.0).to_le_bytes()).collect())
        }
    }
}

/// Returns the elements of a vector of `f32`.
#[must_use]
pub fn numbers_of(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Returns the vector scaled to length 1, unchanged if it has that length; `None` for zero.
#[expect(clippy::cast_possible_truncation, reason = "an element of a vector of length 1")]
#[must_use]
pub fn of_length_one(numbers: &[f32]) -> Option<Vec<f32>> {
    // Squares of small numbers underflow to zero, so all elements are divided by the largest one first.
    let largest = numbers.iter().fold(0.0_f64, |most, number| most.max(f64::from(number.abs())));
    if largest == 0.0 {
        return None;
    }
    let squares: f64 = numbers.iter().map(|number| (f64::from(*number) / largest).powi(2)).sum();
    let length = largest * squares.sqrt();
    if (length - 1.0).abs() <= LENGTH_TOLERANCE {
        return Some(numbers.to_vec());
    }
    Some(numbers.iter().map(|number| (f64::from(*number) / length) as f32).collect())
}

/// Returns the distance of two canonical vectors of `f32` with the same number of elements.
#[must_use]
pub fn distance_of_numbers(metric: VectorMetric, one: &[f32], other: &[f32]) -> Distance {
    let pairs = || one.iter().zip(other).map(|(one, other)| (f64::from(*one), f64::from(*other)));
    match metric {
        // Their lengths are 1.
        VectorMetric::Cosine => {
            if one == other {
                return Distance(0);
            }
            in_parts(1.0 - pairs().map(|(one, other)| one * other).sum::<f64>())
        }
        VectorMetric::L2 => in_parts(pairs().map(|(one, other)| (one - other).powi(2)).sum::<f64>().sqrt()),
    }
}

/// Returns the distance of two vectors of bytes with the same number of elements.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "sums of 4,096 products of bytes are below 2^53")]
pub fn distance_of_bytes(metric: VectorMetric, one: &[u8], other: &[u8]) -> Distance {
    let product = |one: &[u8], other: &[u8]| -> u64 {
        one.iter().zip(other).map(|(one, other)| u64::from(*one) * u64::from(*other)).sum()
    };
    match metric {
        VectorMetric::Cosine => {
            let squares = product(one, one) as f64 * product(other, other) as f64;
            // By the Cauchy-Schwarz inequality the quotient is at most 1; it is 1 for equal directions.
            in_parts(1.0 - product(one, other) as f64 / squares.sqrt())
        }
        VectorMetric::L2 => {
            let squares: u64 =
                one.iter().zip(other).map(|(one, other)| u64::from(one.abs_diff(*other)).pow(2)).sum();
            in_parts((squares as f64).sqrt())
        }
    }
}

/// Rounds to the nearest part. A value above the largest number of parts becomes that number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and NaN cannot be"
)]
fn in_parts(distance: f64) -> Distance {
    Distance((distance * f64::from(PARTS_OF_ONE)).round() as u32)
}

/// Returns the distance of two canonical vectors, given by their bytes, which have the same length.
#[must_use]
pub fn distance(class: VectorClass, one: &[u8], other: &[u8]) -> Distance {
    match class.element {
        VectorElement::F32 => distance_of_numbers(class.metric, &numbers_of(one), &numbers_of(other)),
        VectorElement::U8 => distance_of_bytes(class.metric, one, other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes_of(numbers: &[f32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    const COSINE: VectorClass = VectorClass::ALL[0];
    const L2: VectorClass = VectorClass::ALL[1];

    #[test]
    fn numbers_describe_their_class() {
        for (at, class) in VectorClass::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(class.marker().number()), 1_024 + 256 * at);
            for serial in [1, 2, 255] {
                let hash_type = class.hash_type(serial);
                assert_eq!(hash_type.vector_serial(), Some((class, serial)));
                assert!(!hash_type.is_marker());
            }
            assert!(class.marker().is_marker() && class.marker().vector_serial().is_none());
        }
        for number in [1, 10, 1_023, 2_048, 54_321] {
            assert_eq!(HashType::from_number(number).unwrap().vector_class(), None);
        }
    }

    #[test]
    fn distances_are_those_of_the_metric() {
        let check = |class, one: &[f32], other: &[f32], expected| {
            let [one, other] = [one, other].map(|numbers| canonical(class, &bytes_of(numbers)).unwrap());
            assert_eq!(distance(class, &one, &other), Distance(expected), "{class:?}");
        };
        check(COSINE, &[3.0, 4.0], &[6.0, 8.0], 0);
        check(COSINE, &[1.0, 0.0], &[0.0, 5.0], 1_000_000);
        check(COSINE, &[1.0, 0.0], &[-2.0, 0.0], 2_000_000);
        check(COSINE, &[1.0, 1.0], &[1.0, 0.0], 292_893);
        check(L2, &[0.0, 0.0], &[3.0, 4.0], 5_000_000);
        check(L2, &[1e9], &[-1e9], u32::MAX);
        let bytes = |metric, one: &[u8], other: &[u8]| distance_of_bytes(metric, one, other).0;
        assert_eq!(bytes(VectorMetric::Cosine, &[1, 0], &[0, 9]), 1_000_000);
        assert_eq!(bytes(VectorMetric::Cosine, &[3, 4], &[6, 8]), 0);
        assert_eq!(bytes(VectorMetric::L2, &[255; 4_096], &[0; 4_096]), u32::MAX);
        assert_eq!(bytes(VectorMetric::L2, &[1, 2], &[4, 6]), 5_000_000);
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        for number in [f32::NAN, f32::INFINITY, -f32::INFINITY, 2e15] {
            assert_eq!(canonical(L2, &bytes_of(&[1.0, number])), Err(VectorFault::Magnitude));
        }
        assert_eq!(canonical(COSINE, &bytes_of(&[0.0, -0.0])), Err(VectorFault::NoDirection));
        assert_eq!(canonical(VectorClass::ALL[2], &[0, 0]), Err(VectorFault::NoDirection));
        assert_eq!(canonical(L2, &bytes_of(&[0.0, -0.0])), Ok(bytes_of(&[0.0, 0.0])));
        assert_eq!(canonical(VectorClass::ALL[3], &[0, 0]), Ok(vec![0, 0]));
    }

    proptest! {
        #[test]
        fn canonical_bytes_stay_as_they_are(numbers in prop::collection::vec(-1e15_f32..1e15, 1..64), small in any::<bool>()) {
            let numbers: Vec<f32> = numbers.iter().map(|number| if small { number * 1e-40 } else { *number }).collect();
            for class in [COSINE, L2] {
                if let Ok(once) = canonical(class, &bytes_of(&numbers)) {
                    prop_assert_eq!(canonical(class, &once), Ok(once.clone()));
                    prop_assert_eq!(distance(class, &once, &once), Distance(0));
                }
            }
        }

        #[test]
        fn the_distance_is_the_same_both_ways_and_near_the_formula(
            pairs in prop::collection::vec((-100.0_f32..100.0, -100.0_f32..100.0), 1..64),
        ) {
            let (one, other): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
            let wide = |numbers: &[f32]| numbers.iter().map(|number| f64::from(*number)).collect::<Vec<_>>();
            let dot = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(one, other)| one * other).sum::<f64>();
            let (a, b) = (wide(&one), wide(&other));
            for class in [COSINE, L2] {
                let (Ok(one), Ok(other)) = (canonical(class, &bytes_of(&one)), canonical(class, &bytes_of(&other)))
                else { return Ok(()) };
                let found = distance(class, &one, &other);
                prop_assert_eq!(found, distance(class, &other, &one));
                let expected = match class.metric {
                    VectorMetric::Cosine => 1.0 - dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt(),
                    VectorMetric::L2 => a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt(),
                };
                prop_assert!((f64::from(found.0) / 1e6 - expected).abs() <= 2e-6, "{} {expected}", found.0);
            }
        }
    }
}
