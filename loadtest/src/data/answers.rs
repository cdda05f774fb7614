//! Files of right answers.
//!
//! For each query the file holds the number of rows within each radius, a digest of those rows, and a list of
//! the nearest. The lists are bounded, because in skewed data one query finds a tenth of all rows; counts and
//! digests are complete, so equality is always checked.
//!
//! Layout, little-endian:
//!
//! ```text
//! 8   "VIGANS01"
//! 8   rows of FILE
//! 8   queries answered: the first so many of FILE.queries
//! 32  BLAKE3 of FILE
//! 32  BLAKE3 of the answered part of FILE.queries
//! 4   number of radii
//! 4   each radius, ascending
//! then for each query
//!     16  for each radius: count of rows (8), digest (8)
//!     4   listed radii: the rows within so many of the radii, from the least, are listed
//!     4   number of rows listed
//!     8   each row listed: its number (4), its distance (4), by distance, then by number
//! 32  BLAKE3 of everything before
//! ```
//!
//! The digest of a set of rows is the sum modulo 2^64 of SplitMix64's output function of
//! `row * 65,536 + distance`, so it does not depend on their order.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use crate::data::draw::scramble;
use crate::data::scan::Found;

const MAGIC: &[u8; 8] = b"VIGANS01";

/// The most rows that are listed for a query. The rows of a larger radius are only counted.
pub(crate) const LISTED_MAX: usize = 1_000;

/// The number of rows within a radius, and a digest of which they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Total {
    pub(crate) count: u64,
    pub(crate) digest: u64,
}

impl Total {
    pub(crate) fn add(&mut self, found: Found) {
        self.count += 1;
        let place = (u64::from(found.row) << 16) + u64::from(found.distance);
        self.digest = self.digest.wrapping_add(scramble(place));
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.digest = self.digest.wrapping_add(other.digest);
    }
}

/// The answer to one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The totals, in the order of the radii.
    pub(crate) totals: Vec<Total>,
    /// How many of the radii, from the smallest, have their rows in `listed`.
    pub(crate) listed_radii: usize,
    /// The listed rows; sorted by distance, then by row, once the answer is finished.
    pub(crate) listed: Vec<Found>,
}

impl Answer {
    /// Returns an answer without rows.
    pub(crate) fn empty(radii: &[u16]) -> Self {
        Self { totals: vec![Total::default(); radii.len()], listed_radii: radii.len(), listed: Vec::new() }
    }

    /// Adds a row that lies within the largest radius.
    pub(crate) fn add(&mut self, found: Found, radii: &[u16]) {
        let within = radii.partition_point(|&radius| radius < found.distance);
        for total in &mut self.totals[within..] {
            total.add(found);
        }
        if within < self.listed_radii {
            self.listed.push(found);
            self.shorten(radii);
        }
    }

    /// Adds the answer that was found in other rows.
    pub(crate) fn merge(&mut self, other: Self, radii: &[u16]) {
        for (total, other) in self.totals.iter_mut().zip(other.totals) {
            total.merge(other);
        }
        self.listed.extend(other.listed);
        self.list_within(other.listed_radii.min(self.listed_radii), radii);
        self.shorten(radii);
    }

    /// Sorts the list by distance, then by row.
    pub(crate) fn finish(&mut self) {
        self.listed.sort_unstable_by_key(|found| (found.distance, found.row));
    }

    fn shorten(&mut self, radii: &[u16]) {
        while self.listed.len() > LISTED_MAX {
            self.list_within(self.listed_radii - 1, radii);
        }
    }

    fn list_within(&mut self, listed_radii: usize, radii: &[u16]) {
        self.listed_radii = listed_radii;
        let end = radii[..listed_radii].last().map_or(0, |&radius| radius + 1);
        self.listed.retain(|found| found.distance < end);
    }
}

/// The content of an answers file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) rows: u64,
    pub(crate) rows_digest: [u8; 32],
    pub(crate) queries_digest: [u8; 32],
    /// Radii in bits, ascending.
    pub(crate) radii: Vec<u16>,
    /// The finished answers, in the order of the answered queries.
    pub(crate) answers: Vec<Answer>,
}

impl Answers {
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        std::fs::write(path, self.encode()?).with_context(|| format!("cannot write {}", path.display()))
    }

    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::decode(&bytes).with_context(|| format!("{} is damaged", path.display()))
    }

    fn encode(&self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.rows.to_le_bytes());
        bytes.extend((self.answers.len() as u64).to_le_bytes());
        bytes.extend(self.rows_digest);
        bytes.extend(self.queries_digest);
        bytes.extend(u32::try_from(self.radii.len())?.to_le_bytes());
        for &radius in &self.radii {
            bytes.extend(u32::from(radius).to_le_bytes());
        }
        for answer in &self.answers {
            for total in &answer.totals {
                bytes.extend(total.count.to_le_bytes());
                bytes.extend(total.digest.to_le_bytes());
            }
            bytes.extend(u32::try_from(answer.listed_radii)?.to_le_bytes());
            bytes.extend(u32::try_from(answer.listed.len())?.to_le_bytes());
            for found in &answer.listed {
                bytes.extend(found.row.to_le_bytes());
                bytes.extend(u32::from(found.distance).to_le_bytes());
            }
        }
        let checksum = blake3::hash(&bytes);
        bytes.extend(checksum.as_bytes());
        Ok(bytes)
    }

    fn decode(bytes: &[u8]) -> anyhow::Result<Self> {
        let (bytes, checksum) = bytes.split_last_chunk::<32>().context("it is too short")?;
        let mut rest = bytes.strip_prefix(MAGIC).context("it is not a file of answers of this version")?;
        ensure!(blake3::hash(bytes).as_bytes() == checksum, "its checksum is wrong");
        let rest = &mut rest;
        let rows = u64::from_le_bytes(take(rest)?);
        let answered = u64::from_le_bytes(take(rest)?);
        let (rows_digest, queries_digest) = (take(rest)?, take(rest)?);
        let radii = take_number(rest)?;
        let radii: Vec<u16> = (0..radii)
            .map(|_| Ok(u16::try_from(take_number(rest)?)?))
            .collect::<anyhow::Result<_>>()
            .context("a radius is wrong")?;
        ensure!(radii.is_sorted_by(|one, next| one < next), "its radii are not ascending");
        let answers = (0..answered).map(|_| take_answer(rest, radii.len())).collect::<anyhow::Result<_>>()?;
        if !rest.is_empty() {
            bail!("{} bytes follow the last answer", rest.len());
        }
        Ok(Self { rows, rows_digest, queries_digest, radii, answers })
    }
}

fn take_answer(rest: &mut &[u8], radii: usize) -> anyhow::Result<Answer> {
    let total = |rest: &mut &[u8]| -> anyhow::Result<Total> {
        Ok(Total { count: u64::from_le_bytes(take(rest)?), digest: u64::from_le_bytes(take(rest)?) })
    };
    let totals = (0..radii).map(|_| total(rest)).collect::<anyhow::Result<_>>()?;
    let listed_radii = take_number(rest)? as usize;
    ensure!(listed_radii <= radii, "a list reaches beyond the last radius");
    let listed = (0..take_number(rest)?)
        .map(|_| Ok(Found { row: take_number(rest)?, distance: u16::try_from(take_number(rest)?)? }))
        .collect::<anyhow::Result<_>>()?;
    Ok(Answer { totals, listed_radii, listed })
}

fn take_number(rest: &mut &[u8]) -> anyhow::Result<u32> {
    Ok(u32::from_le_bytes(take(rest)?))
}

fn take<const BYTES: usize>(rest: &mut &[u8]) -> anyhow::Result<[u8; BYTES]> {
    let (taken, left) = rest.split_first_chunk().context("it ends too early")?;
    *rest = left;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(radii: &[u16], distances: impl Iterator<Item = u16>) -> Answer {
        let mut answer = Answer::empty(radii);
        for (row, distance) in (0..).zip(distances) {
            answer.add(Found { row, distance }, radii);
        }
        answer.finish();
        answer
    }

    fn answers() -> Answers {
        let radii = vec![0, 31, 64];
        let some = |distances: &[u16]| answer(&radii, distances.iter().copied());
        let answers = vec![some(&[]), some(&[0, 31, 64]), some(&[40; LISTED_MAX + 1])];
        Answers { rows: 5, rows_digest: [1; 32], queries_digest: [2; 32], radii, answers }
    }

    #[test]
    fn answers_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.answers");
        answers().write(&path).unwrap();
        assert_eq!(Answers::read(&path).unwrap(), answers());
    }

    #[test]
    fn any_damage_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.answers");
        let bytes = answers().encode().unwrap();
        let refusal = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            format!("{:#}", Answers::read(&path).expect_err("the file is damaged"))
        };
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert!(refusal(&damaged).contains("rows.answers is damaged: "), "at byte {at}");
            assert!(refusal(&bytes[..at]).contains("rows.answers is damaged: "), "cut at byte {at}");
        }
        assert!(refusal(&[&bytes[..], &[0]].concat()).ends_with("its checksum is wrong"));
    }

    #[test]
    fn a_long_list_keeps_whole_radii_only() {
        let radii = [0, 31, 64];
        let long = answer(&radii, [0, 0, 20].into_iter().chain([40; LISTED_MAX]).chain([0, 64]));
        assert_eq!(long.totals.iter().map(|total| total.count).collect::<Vec<_>>(), [3, 4, 1_005]);
        assert_eq!(long.listed_radii, 2);
        assert_eq!(long.listed.iter().map(|found| found.distance).collect::<Vec<_>>(), [0, 0, 0, 20]);
        let copies = answer(&radii, [0; LISTED_MAX + 1].into_iter());
        assert_eq!((copies.listed_radii, copies.listed.len()), (0, 0));
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let radii = [5, 31];
        let distances: Vec<u16> = (0..3_000).map(|at| at * 7 % 32).collect();
        let whole = answer(&radii, distances.iter().copied());
        let mut merged = Answer::empty(&radii);
        for (first, part) in (0..).step_by(700).zip(distances.chunks(700)) {
            let mut one = Answer::empty(&radii);
            for (row, &distance) in (first..).zip(part) {
                one.add(Found { row, distance }, &radii);
            }
            merged.merge(one, &radii);
        }
        merged.finish();
        assert_eq!(merged, whole);
    }
}
