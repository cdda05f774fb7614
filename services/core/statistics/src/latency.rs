//! Histograms of latencies that can be merged and stored.

use std::collections::BTreeMap;

use thiserror::Error;

/// A latency that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LatencyKind {
    /// From the commit of a change that adds an item until a replica of its shard searches the item.
    AddToMatchable,
    /// From the commit of a change that removes an item until a replica of its shard no longer finds the
    /// item.
    RemovalToGone,
}

impl LatencyKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::AddToMatchable, Self::RemovalToGone];

    /// Returns the name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddToMatchable => "add_to_matchable",
            Self::RemovalToGone => "removal_to_gone",
        }
    }

    /// Returns one line that describes what is measured.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::AddToMatchable => {
                "Time from the commit of an addition until a matcher that answers searches finds the item, of each matcher and item, by the clocks of bank and matcher; at most, where changes came together."
            }
            Self::RemovalToGone => {
                "Time from the commit of a removal until a matcher that answers searches finds the item no more, of each matcher and item, by the clocks of bank and matcher; at most, where changes came together."
            }
        }
    }
}

/// A histogram of latencies in milliseconds.
///
/// Each power of two is divided into eight buckets of equal width; numbers below 16 have a bucket each. A
/// quantile is the middle of its bucket, so it differs from the true one by at most 1/16 (6.25 %).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram(BTreeMap<u16, u64>);

/// The bytes are not a valid [`Histogram`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the bytes of a histogram are damaged or of an unknown version")]
pub struct HistogramError;

/// The number of buckets of one power of two, as a power of two.
const SUB_BITS: u32 = 3;
/// The bucket of the largest number.
const BUCKET_MAX: u16 = 495;

impl Histogram {
    /// The version of the encoding.
    pub const VERSION: u8 = 1;

    /// The largest length of an encoding, in bytes: each bucket with the largest count.
    pub const ENCODED_LEN_MAX: usize = 1 + 496 * 12;

    /// Counts one latency.
    pub fn record(&mut self, latency_ms: u64) {
        self.record_many(latency_ms, 1);
    }

    /// Counts a latency several times.
    pub fn record_many(&mut self, latency_ms: u64, count: u64) {
        if count > 0 {
            self.add(bucket(latency_ms), count);
        }
    }

    /// Checks whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            self.add(*bucket, *count);
        }
    }

    /// Returns the number of latencies.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Returns the latency in milliseconds that `percent` of all do not exceed; `None` if nothing was
    /// counted.
    #[must_use]
    pub fn percentile(&self, percent: u8) -> Option<u64> {
        let total = u128::from(self.count());
        let rank = (total * u128::from(percent.min(100))).div_ceil(100).max(1);
        let mut sum = 0_u128;
        self.0.iter().find_map(|(bucket, count)| {
            sum += u128::from(*count);
            (sum >= rank).then(|| middle(*bucket))
        })
    }

    /// Returns the median in milliseconds.
    #[must_use]
    pub fn p50(&self) -> Option<u64> {
        self.percentile(50)
    }

    /// Returns the 99th percentile in milliseconds.
    #[must_use]
    pub fn p99(&self) -> Option<u64> {
        self.percentile(99)
    }

    /// Encodes the version, and for each bucket its distance from the previous one and its count, as LEB128.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![Self::VERSION];
        let mut before = 0;
        for (bucket, count) in &self.0 {
            write_number(&mut bytes, u64::from(bucket - before));
            write_number(&mut bytes, *count);
            before = *bucket;
        }
        bytes
    }

    /// Decodes the bytes of [`Histogram::encode`] and refuses any others.
    pub fn decode(bytes: &[u8]) -> Result<Self, HistogramError> {
        let [Self::VERSION, rest @ ..] = bytes else { return Err(HistogramError) };
        let (mut rest, mut buckets, mut before) = (rest, BTreeMap::new(), 0_u16);
        while !rest.is_empty() {
            let step = u16::try_from(read_number(&mut rest)?).map_err(|_| HistogramError)?;
            let count = read_number(&mut rest)?;
            let bucket = before.checked_add(step).ok_or(HistogramError)?;
            if bucket > BUCKET_MAX || count == 0 || buckets.insert(bucket, count).is_some() {
                return Err(HistogramError);
            }
            before = bucket;
        }
        Ok(Self(buckets))
    }

    fn add(&mut self, bucket: u16, amount: u64) {
        let count = self.0.entry(bucket).or_default();
        *count = count.saturating_add(amount);
    }
}

fn bucket(value: u64) -> u16 {
    let octave = value.max(1).ilog2().saturating_sub(SUB_BITS);
    // The top four bits of the number, plus 8 for each power of two above 16.
    let bucket = u64::from(octave) * 8 + (value >> octave);
    u16::try_from(bucket).unwrap_or(BUCKET_MAX)
}

fn middle(bucket: u16) -> u64 {
    let octave = u32::from(bucket / 8).saturating_sub(1);
    let low = (u64::from(bucket) - u64::from(octave) * 8) << octave;
    low + (1_u64 << octave) / 2
}

fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

fn read_number(rest: &mut &[u8]) -> Result<u64, HistogramError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first().ok_or(HistogramError)?;
        *rest = tail;
        let part = u64::from(byte & 0x7f);
        if (part << shift) >> shift != part || (*byte == 0 && shift > 0) {
            return Err(HistogramError);
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(HistogramError)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|value| histogram.record(*value));
        histogram
    }

    fn latencies() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec((0_u32..64, any::<u64>()).prop_map(|(shift, value)| value >> shift), 0..60)
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_list_within_a_tenth(mut values in latencies(), percent in 0_u8..=100) {
            let found = of(&values).percentile(percent);
            values.sort_unstable();
            let rank = (values.len() * usize::from(percent)).div_ceil(100).max(1);
            let expected = values.get(rank - 1).copied();
            prop_assert_eq!(found.is_some(), expected.is_some());
            let off = found.zip(expected).map_or(0, |(found, expected)| found.abs_diff(expected));
            prop_assert!(off <= expected.unwrap_or(0) / 10, "{:?} for {:?}", found, expected);
        }

        #[test]
        fn merged_parts_are_the_whole_and_survive_their_bytes(one in latencies(), other in latencies()) {
            let mut merged = of(&one);
            merged.merge(&of(&other));
            let whole = of(&[one, other].concat());
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(Histogram::decode(&whole.encode()), Ok(whole));
        }

        #[test]
        fn any_bytes_are_refused_or_are_an_encoding(mut bytes in prop::collection::vec(any::<u8>(), 1..20)) {
            bytes[0] = 1;
            if let Ok(histogram) = Histogram::decode(&bytes) {
                prop_assert_eq!(histogram.encode(), bytes);
            }
        }
    }

    #[test]
    fn buckets_are_ascending_and_the_last_holds_the_largest_number() {
        assert_eq!((bucket(0), bucket(15), bucket(16), bucket(17), bucket(18)), (0, 15, 16, 16, 17));
        assert_eq!(bucket(u64::MAX), BUCKET_MAX);
        for number in 0..=BUCKET_MAX {
            assert_eq!(bucket(middle(number)), number);
        }
        assert_eq!(Histogram::default().p50(), None);
        let mut all = Histogram::default();
        all.record_many(9, 0);
        assert!(all.is_empty());
        (0..=BUCKET_MAX).for_each(|number| all.record_many(middle(number), u64::MAX));
        let encoded = all.encode();
        assert!(encoded.len() <= Histogram::ENCODED_LEN_MAX, "{}", encoded.len());
        assert_eq!(Histogram::decode(&encoded), Ok(all));
    }
}
