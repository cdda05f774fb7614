//! Questions and their right answers.
//!
//! Questions are drawn before the run, and each is compared with every known hash by a linear scan, which
//! does not use an index. A run asks the questions of this pool repeatedly, in an order drawn from the seed.

use std::num::NonZero;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use vigie_media::Limits;
use vigie_model::Quality;
use vigie_pictures::Alteration;

use crate::Hash;
use crate::data::draw::{Draw, Stream};
use crate::data::rows::{Rows, picture_seed};
use crate::data::scan::{Found, distance, scan};
use crate::judge::oracle::Profile;
use crate::judge::videos::{VideoQuestion, VideoTruth};
use crate::run::scenario::{Questions, Scenario};

/// Rows that a thread draws at a time: 2 MiB.
const CHUNK: usize = 65_536;
/// Rows that are compared with all questions before the next ones: 32 KiB, the size of the first-level cache.
const TILE: usize = 1_024;
/// Listed matches per question and thread. The distance of a row that is not listed is computed again when an
/// answer contains it.
const LISTED_MAX: usize = 1_000;

/// The content of a question.
#[derive(Clone)]
pub(crate) enum Ask {
    Hash(Hash),
    Image {
        file: Bytes,
        /// The hashes of the file, in each variant; empty where its quality is too low to be searched.
        hashes: Vec<Hash>,
    },
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hash(_) => f.write_str("Hash"),
            Self::Image { file, .. } => write!(f, "Image({} bytes)", file.len()),
        }
    }
}

impl Ask {
    fn hashes(&self) -> &[Hash] {
        match self {
            Self::Hash(hash) => std::slice::from_ref(hash),
            Self::Image { hashes, .. } => hashes,
        }
    }

    fn distance_to(&self, row: &Hash) -> Option<u16> {
        self.hashes().iter().map(|hash| distance(hash, row)).min()
    }
}

/// A question and its right answer.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) ask: Ask,
    pub(crate) profile: Profile,
    /// Some of the matching rows, sorted by number, with their distances in bits.
    listed: Vec<(u32, u16)>,
}

/// All questions of a run, and the rows that they search.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) rows: Arc<Rows>,
    planted: Vec<Question>,
    clean: Vec<Question>,
    images_planted: Vec<Question>,
    images_clean: Vec<Question>,
    videos: VideoTruth,
}

impl Truth {
    /// Draws the questions and computes their right answers. `progress` gets the number of rows compared so
    /// far, from several threads.
    pub(crate) fn establish(scenario: &Scenario, progress: impl Fn(u32) + Sync) -> anyhow::Result<Self> {
        let rows = Rows::new(scenario)?;
        let plan = &scenario.questions;
        let mut asks = lookups(&rows, plan, scenario.seed);
        let (planted, clean) = (asks.len().div_ceil(2), asks.len() / 2);
        let images = if scenario.mix.image > 0 { plan.images } else { 0 };
        asks.extend(draw_images(scenario, images)?);
        let mut questions = answer(&rows, asks, plan.max_distance, &progress);
        let compared = rows.count();
        let videos =
            VideoTruth::establish(scenario, &rows.videos, |done| progress(compared.saturating_add(done)));
        let mut images = questions.split_off(planted + clean);
        let clean = questions.split_off(planted);
        let images_clean = images.split_off(images.len().div_ceil(2));
        let (images_planted, rows) = (images, Arc::new(rows));
        Ok(Self { rows, planted: questions, clean, images_planted, images_clean, videos })
    }

    /// Picks the hash lookup of a request.
    pub(crate) fn lookup(&self, draw: &mut Draw, matching: bool) -> &Question {
        pick(if matching { &self.planted } else { &self.clean }, draw)
    }

    /// Picks the image of a request.
    pub(crate) fn image(&self, draw: &mut Draw, matching: bool) -> &Question {
        pick(if matching { &self.images_planted } else { &self.images_clean }, draw)
    }

    /// Picks the video of a request.
    pub(crate) fn video(&self, draw: &mut Draw, matching: bool) -> &VideoQuestion {
        self.videos.question(draw, matching)
    }

    /// Returns the questions about videos, with their right answers.
    pub(crate) const fn videos(&self) -> &VideoTruth {
        &self.videos
    }

    /// Returns the distance of a row from a question, in bits; `None` if there is no such row.
    pub(crate) fn distance(&self, question: &Question, row: u32) -> Option<u16> {
        match question.listed.binary_search_by_key(&row, |listed| listed.0) {
            Ok(at) => Some(question.listed[at].1),
            Err(_) => question.ask.distance_to(&self.rows.row(row)?),
        }
    }

    /// Returns every hash of the pool, with the rows that match it.
    #[cfg(test)]
    pub(crate) fn listed(&self) -> Vec<(Hash, Vec<(u32, u16)>)> {
        let all = self.planted.iter().chain(&self.clean);
        let listed = all.filter_map(|question| match question.ask {
            Ask::Hash(hash) => Some((hash, question.listed.clone())),
            Ask::Image { .. } => None,
        });
        listed.collect()
    }

    /// Returns the mean number of matches of the pool's questions.
    pub(crate) fn matches_mean(&self) -> f64 {
        let all = self.planted.iter().chain(&self.clean);
        let (count, total) =
            all.fold((0_u64, 0), |(count, total), question| (count + 1, total + question.profile.total()));
        total as f64 / count.max(1) as f64
    }
}

fn pick<'a>(questions: &'a [Question], draw: &mut Draw) -> &'a Question {
    let at = draw.below(questions.len().max(1) as u64);
    &questions[usize::try_from(at).expect("below a length")]
}

/// Draws the planted hashes, then as many fresh ones, one less if the number is odd.
fn lookups(rows: &Rows, plan: &Questions, seed: u64) -> Vec<Ask> {
    let planted = u64::from(plan.pool.div_ceil(2));
    let planted_asks = (0..planted).map(|number| {
        let mut draw = Draw::new(seed, Stream::Query, number);
        let row = u32::try_from(draw.below(rows.hashes.into())).expect("below a number of 32 bits");
        let mut hash = rows.shape.draw_row(row.into());
        let distances = &plan.distances;
        let at = usize::try_from(draw.below(distances.len().max(1) as u64)).expect("below a length");
        rows.shape.alter(&mut draw, &mut hash, distances.get(at).copied().unwrap_or_default());
        Ask::Hash(hash)
    });
    let fresh = (0..u64::from(plan.pool) - planted).map(|number| Ask::Hash(rows.shape.draw_fresh(number)));
    planted_asks.chain(fresh).collect()
}

/// Draws all images on all cores; a large one takes a second.
fn draw_images(scenario: &Scenario, count: u32) -> anyhow::Result<Vec<Ask>> {
    let threads = cores();
    let draw = |from: u64| -> anyhow::Result<Vec<Ask>> {
        let mine = (from..u64::from(count)).step_by(threads);
        mine.map(|number| image(scenario, number)).collect()
    };
    let drawn: Vec<Vec<Ask>> = std::thread::scope(|scope| {
        let drawing: Vec<_> = (0..threads as u64).map(|from| scope.spawn(move || draw(from))).collect();
        let drawn = drawing.into_iter().map(|one| one.join().expect("a picture is drawn without a panic"));
        drawn.collect::<anyhow::Result<_>>()
    })?;
    // Puts the images back in their order.
    let mut parts: Vec<_> = drawn.into_iter().map(Vec::into_iter).collect();
    let turns = 0..count as usize;
    Ok(turns.filter_map(|number| parts[number % threads].next()).collect())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Draws an image. The first half are altered copies of banked pictures, the others of pictures that are not
/// banked.
fn image(scenario: &Scenario, number: u64) -> anyhow::Result<Ask> {
    const ALTERATIONS: [Alteration; 5] = [
        Alteration::Recompressed { quality: 60 },
        Alteration::Watermarked,
        Alteration::Greyed,
        Alteration::Rotated90,
        Alteration::MirroredHorizontally,
    ];
    let plan = &scenario.questions;
    let planted = u64::from(plan.images.div_ceil(2));
    let pictures = u64::from(scenario.data.pictures);
    let picture = if number < planted { number % pictures.max(1) } else { pictures + number };
    let at = usize::try_from(number)?;
    let side = plan.image_sides[at % plan.image_sides.len()];
    let drawn = vigie_pictures::draw(picture_seed(scenario.seed, picture), side, side);
    let file = Bytes::from(ALTERATIONS[at % ALTERATIONS.len()].apply(&drawn));
    let printed = vigie_media::fingerprint(&file, &Limits::default());
    let printed = printed.context("a drawn picture cannot be hashed")?;
    // A frontend searches the hashes of every way (see the glossary) with enough detail.
    let ways = printed.picture.first.ways().filter(|(_, hashes)| hashes.quality >= Quality::FLOOR_DEFAULT);
    let hashes = ways.flat_map(|(_, hashes)| hashes.pdq).collect();
    Ok(Ask::Image { file, hashes })
}

/// The matches that one thread has found for one question.
#[derive(Clone)]
struct Findings {
    profile: Vec<u32>,
    listed: Vec<(u32, u16)>,
}

/// Compares every question with every row, on all cores.
fn answer(rows: &Rows, asks: Vec<Ask>, max_distance: u16, progress: &(impl Fn(u32) + Sync)) -> Vec<Question> {
    let threads = cores();
    let empty = Findings { profile: vec![0; usize::from(max_distance) + 1], listed: Vec::new() };
    let next = std::sync::atomic::AtomicU32::new(0);
    let work = || {
        let mut findings = vec![empty.clone(); asks.len()];
        let mut scratch = Vec::new();
        loop {
            let chunk = u32::try_from(CHUNK).expect("a chunk is small");
            let first = next.fetch_add(chunk, std::sync::atomic::Ordering::Relaxed);
            if first >= rows.count() {
                return findings;
            }
            progress(first);
            let drawn = rows.rows(first, chunk);
            for (tile, part) in (first..).step_by(TILE).zip(drawn.chunks(TILE)) {
                for (ask, findings) in asks.iter().zip(&mut findings) {
                    compare(tile, part, ask, max_distance, &mut scratch, findings);
                }
            }
        }
    };
    let parts: Vec<Vec<Findings>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a scan does not panic")).collect()
    });
    let mut sums = vec![empty; asks.len()];
    for part in parts {
        for (sum, findings) in sums.iter_mut().zip(part) {
            for (sum, count) in sum.profile.iter_mut().zip(findings.profile) {
                *sum += count;
            }
            sum.listed.extend(findings.listed);
        }
    }
    let question = |(ask, mut found): (Ask, Findings)| {
        found.listed.sort_unstable();
        Question { ask, profile: Profile(found.profile), listed: found.listed }
    };
    asks.into_iter().zip(sums).map(question).collect()
}

fn compare(
    first: u32,
    rows: &[Hash],
    ask: &Ask,
    max_distance: u16,
    scratch: &mut Vec<Found>,
    findings: &mut Findings,
) {
    for hash in ask.hashes() {
        scan(rows, hash, max_distance, scratch);
    }
    if ask.hashes().len() > 1 {
        // A row may match in several variants; its smallest distance counts.
        scratch.sort_unstable_by_key(|found| (found.row, found.distance));
        scratch.dedup_by_key(|found| found.row);
    }
    for Found { row, distance } in scratch.drain(..) {
        findings.profile[usize::from(distance)] += 1;
        if findings.listed.len() < LISTED_MAX {
            findings.listed.push((first + row, distance));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ShapeName;

    fn scenario(shape: ShapeName) -> Scenario {
        let mut scenario = Scenario::parse("name = 'x'\n[arrivals]\nrate = 1\n").unwrap();
        scenario.data.shape = shape;
        scenario.data.hashes = 3_000;
        scenario.data.pictures = 3;
        scenario.questions.pool = 61;
        scenario.questions.images = 4;
        scenario.questions.image_sides = vec![256];
        scenario.mix.image = 1;
        scenario
    }

    #[test]
    fn what_is_held_true_of_a_question_is_what_each_row_says() {
        for shape in [ShapeName::Uniform, ShapeName::Pdq, ShapeName::Adversarial] {
            let truth = Truth::establish(&scenario(shape), |_| {}).unwrap();
            assert_eq!(truth.rows.count(), 3_003);
            let questions = [&truth.planted, &truth.clean, &truth.images_planted, &truth.images_clean]
                .into_iter()
                .flatten();
            let mut seen = 0;
            for question in questions {
                let mut profile = vec![0; 32];
                for row in 0..truth.rows.count() {
                    let direct = question.ask.distance_to(&truth.rows.row(row).unwrap()).unwrap_or(256);
                    assert_eq!(truth.distance(question, row).unwrap_or(256), direct);
                    if direct <= 31 {
                        profile[usize::from(direct)] += 1;
                    }
                }
                assert_eq!(question.profile, Profile(profile), "{shape:?}");
                seen += 1;
            }
            assert_eq!(seen, 65);
        }
    }

    #[test]
    fn planted_questions_match_and_fresh_ones_do_not() {
        let truth = Truth::establish(&scenario(ShapeName::Uniform), |_| {}).unwrap();
        assert_eq!((truth.planted.len(), truth.clean.len()), (31, 30));
        assert!(truth.planted.iter().all(|question| question.profile.total() == 1));
        assert!(truth.clean.iter().all(|question| question.profile.total() == 0));
        assert!(truth.images_planted.iter().any(|question| question.profile.total() == 1));
        assert!(truth.images_clean.iter().all(|question| question.profile.total() == 0));
        assert!((truth.matches_mean() - 31.0 / 61.0).abs() < 1e-9);
    }
}
