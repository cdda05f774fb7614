//! The content of the bank: hashes of a shape, then the hashes of pictures. A row depends only on its number
//! and the seed, so no part of a data set has to be stored, however large it is.

use anyhow::Context as _;
use vigie_media::Limits;

use crate::Hash;
use crate::data::shape::{Shape, shape};
use crate::data::videos::Videos;
use crate::run::scenario::Scenario;

/// Width and height of banked pictures, in pixels.
const PICTURE_SIDE: u32 = 512;

/// The content of the bank: rows of a shape, then the hashes of pictures.
pub(crate) struct Rows {
    pub(crate) shape: Box<dyn Shape>,
    /// Number of rows before the pictures.
    pub(crate) hashes: u32,
    pictures: Vec<Hash>,
    /// Videos, which are items in addition to the rows.
    pub(crate) videos: Videos,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Rows({} hashes, {} pictures, {} videos)",
            self.hashes,
            self.pictures.len(),
            self.videos.count
        )
    }
}

impl Rows {
    pub(crate) fn new(scenario: &Scenario) -> anyhow::Result<Self> {
        let data = &scenario.data;
        let pictures = (0..u64::from(data.pictures)).map(|number| {
            let picture =
                vigie_pictures::draw(picture_seed(scenario.seed, number), PICTURE_SIDE, PICTURE_SIDE);
            let file = vigie_pictures::encode_jpeg(&picture, 90);
            let printed = vigie_media::fingerprint(&file, &Limits::default());
            Ok(printed.context("a drawn picture cannot be hashed")?.picture.first.plain.pdq[0])
        });
        let pictures = pictures.collect::<anyhow::Result<Vec<_>>>()?;
        data.hashes.checked_add(data.pictures).context("there are more than 2^32 rows")?;
        let videos = Videos::new(scenario.seed, data.videos, data.video_frames);
        Ok(Self { shape: shape(data.shape, scenario.seed), hashes: data.hashes, pictures, videos })
    }

    /// Returns the number of items in the bank: rows and videos.
    pub(crate) fn items(&self) -> u64 {
        u64::from(self.count()) + u64::from(self.videos.count)
    }

    pub(crate) fn count(&self) -> u32 {
        self.hashes + u32::try_from(self.pictures.len()).expect("checked when they were made")
    }

    pub(crate) fn row(&self, row: u32) -> Option<Hash> {
        if row < self.hashes {
            return Some(self.shape.draw_row(row.into()));
        }
        self.pictures.get((row - self.hashes) as usize).copied()
    }

    /// Returns rows `first`, `first + 1` and so on, at most `count` of them.
    pub(crate) fn rows(&self, first: u32, count: u32) -> Vec<Hash> {
        let first = first.min(self.count());
        let end = first.saturating_add(count).min(self.count());
        let drawn_end = end.min(self.hashes);
        let mut rows = vec![[0; 32]; drawn_end.saturating_sub(first) as usize];
        self.shape.draw_rows(first.into(), &mut rows);
        let from = first.max(self.hashes) - self.hashes;
        let to = end.max(self.hashes) - self.hashes;
        rows.extend_from_slice(&self.pictures[from as usize..to as usize]);
        rows
    }
}

/// Returns the seed of a picture. Different load tests have different pictures, and none is in the
/// demonstration.
pub(crate) const fn picture_seed(seed: u64, number: u64) -> u64 {
    crate::data::draw::scramble(seed ^ 0x7069_6374_7572_6573).wrapping_add(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_parts_are_the_rows_one_by_one() {
        let mut scenario = Scenario::parse("name = 'x'\n[arrivals]\nrate = 1\n").unwrap();
        (scenario.data.hashes, scenario.data.pictures) = (3_000, 3);
        let rows = Rows::new(&scenario).unwrap();
        let parts: Vec<Hash> = (0..10).flat_map(|part| rows.rows(part * 400, 400)).collect();
        let single: Vec<Hash> = (0..3_003).map(|row| rows.row(row).unwrap()).collect();
        assert_eq!(parts, single);
        assert_eq!(rows.row(3_003), None);
    }
}
