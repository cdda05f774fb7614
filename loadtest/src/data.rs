//! The `data` command: rows, queries and right answers in one pass.
//!
//! Each thread draws a chunk of rows and compares it with all queries while it is in the cache; then the
//! chunks are written in order, and the next ones are drawn. The memory used is one chunk per thread, and the
//! answers.

pub(crate) mod draw;
pub(crate) mod shape;
pub(crate) mod hash_file;
pub(crate) mod answers;
pub(crate) mod queries;
pub(crate) mod scan;
pub(crate) mod rows;
pub(crate) mod videos;
pub(crate) mod fill;
pub(crate) mod export;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::num::NonZero;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};

use crate::Hash;
use crate::cli::DataArguments;
use crate::data::answers::{Answer, Answers};
use crate::data::scan::{Found, scan};
use crate::data::shape::{Shape, shape};

/// Rows that a thread draws before they are written: 2 MiB.
const CHUNK: usize = 65_536;

/// Rows that are compared with all queries before the next ones: 32 KiB, the size of the first-level cache.
const TILE: usize = 1_024;

/// The largest possible distance between two hashes, in bits.
const RADIUS_MAX: u16 = 256;

pub(crate) fn run(arguments: &DataArguments, out: &mut impl Write) -> anyhow::Result<()> {
    let Some(path) = &arguments.out else { return Ok(()) };
    let begin = Instant::now();
    let radii = &arguments.radius;
    ensure!(
        radii.is_sorted_by(|one, next| one < next) && radii.last().is_some_and(|&last| last <= RADIUS_MAX),
        "--radius takes distances of at most {RADIUS_MAX} in ascending order"
    );
    let shape = shape(arguments.shape, arguments.seed);
    let queries = queries::draw(&*shape, arguments.seed, arguments.hashes, arguments.queries);
    let answered = arguments.answered.unwrap_or(arguments.queries).min(arguments.queries);
    let asked = &queries[..answered as usize];
    let queries_path = hash_file::queries_path(path);
    std::fs::write(&queries_path, queries.as_flattened())
        .with_context(|| format!("cannot write {}", queries_path.display()))?;

    let threads = match arguments.threads {
        Some(threads) => threads.max(1),
        None => std::thread::available_parallelism().map_or(1, NonZero::get),
    };
    let mut sink = Sink::create(path)?;
    let mut workers: Vec<Worker<'_>> = (0..threads).map(|_| Worker::new(&*shape, asked, radii)).collect();
    let rows = arguments.hashes as usize;
    for wave in (0..rows).step_by(CHUNK * threads) {
        std::thread::scope(|scope| {
            for (at, worker) in workers.iter_mut().enumerate() {
                let first = (wave + at * CHUNK).min(rows);
                let end = (first + CHUNK).min(rows);
                scope.spawn(move || worker.work(first, end));
            }
        });
        for worker in &workers {
            sink.write(&worker.rows)?;
        }
    }

    let mut answers = vec![Answer::empty(radii); asked.len()];
    for worker in workers {
        for (answer, part) in answers.iter_mut().zip(worker.answers) {
            answer.merge(part, radii);
        }
    }
    answers.iter_mut().for_each(Answer::finish);
    let matched: u64 =
        answers.iter().filter_map(|answer| answer.totals.last()).map(|total| total.count).sum();
    let answers = Answers {
        rows: u64::from(arguments.hashes),
        rows_digest: sink.finish()?,
        queries_digest: hash_file::digest(asked),
        radii: radii.clone(),
        answers,
    };
    answers.write(&hash_file::answers_path(path))?;
    writeln!(
        out,
        "{}: {rows} hashes, {} queries, {answered} answered within {radii:?} with {matched} rows in all, {:.1} s",
        path.display(),
        queries.len(),
        begin.elapsed().as_secs_f64(),
    )?;
    Ok(())
}

/// The rows of one thread, and the answers that it has found so far.
struct Worker<'a> {
    shape: &'a dyn Shape,
    queries: &'a [Hash],
    radii: &'a [u16],
    rows: Vec<Hash>,
    answers: Vec<Answer>,
    found: Vec<Found>,
}

impl<'a> Worker<'a> {
    fn new(shape: &'a dyn Shape, queries: &'a [Hash], radii: &'a [u16]) -> Self {
        let answers = vec![Answer::empty(radii); queries.len()];
        Self { shape, queries, radii, rows: Vec::new(), answers, found: Vec::new() }
    }

    fn work(&mut self, first: usize, end: usize) {
        self.rows.resize(end - first, [0; 32]);
        self.shape.draw_rows(first as u64, &mut self.rows);
        let radius = self.radii[self.radii.len() - 1];
        for (tile, rows) in self.rows.chunks(TILE).enumerate() {
            let base = u32::try_from(first + tile * TILE).expect("there are fewer than 2^32 rows");
            for (query, answer) in self.queries.iter().zip(&mut self.answers) {
                scan(rows, query, radius, &mut self.found);
                for Found { row, distance } in self.found.drain(..) {
                    answer.add(Found { row: base + row, distance }, self.radii);
                }
            }
        }
    }
}

/// The file of rows, and the digest of the rows written so far.
struct Sink {
    file: BufWriter<File>,
    digest: blake3::Hasher,
    name: String,
}

impl Sink {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let file = File::create(path).with_context(|| format!("cannot create {name}"))?;
        Ok(Self { file: BufWriter::new(file), digest: blake3::Hasher::new(), name })
    }

    fn write(&mut self, rows: &[Hash]) -> anyhow::Result<()> {
        self.digest.update(rows.as_flattened());
        self.file.write_all(rows.as_flattened()).with_context(|| format!("cannot write {}", self.name))
    }

    fn finish(mut self) -> anyhow::Result<[u8; 32]> {
        self.file.flush().with_context(|| format!("cannot write {}", self.name))?;
        Ok(*self.digest.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use vigie_index::oracle::LinearScan;
    use vigie_index::{BankFilter, Entry};
    use vigie_model::{BankId, Distance, ItemId};
    use vigie_net::TlsArgs;

    use super::*;
    use crate::cli::ShapeName;

    fn make(folder: &Path, shape: ShapeName, threads: usize) -> (Vec<Hash>, Vec<Hash>, Answers) {
        let path = folder.join(format!("{shape:?}-{threads}"));
        let arguments = DataArguments {
            shape,
            hashes: 3_000,
            queries: 60,
            answered: Some(50),
            seed: 4,
            radius: vec![0, 31, 64],
            threads: Some(threads),
            out: Some(path.clone()),
            csv: None,
            bank_url: None,
            bank: None,
            ids: None,
            tls: TlsArgs::default(),
        };
        run(&arguments, &mut Vec::new()).unwrap();
        let rows = hash_file::read(&path, None).unwrap();
        let queries = hash_file::read(&hash_file::queries_path(&path), None).unwrap();
        (rows, queries, Answers::read(&hash_file::answers_path(&path)).unwrap())
    }

    #[test]
    fn answers_equal_those_of_the_oracle() {
        let folder = tempfile::tempdir().unwrap();
        for shape in [ShapeName::Uniform, ShapeName::Pdq, ShapeName::Adversarial] {
            let (rows, queries, answers) = make(folder.path(), shape, 2);
            assert_eq!((rows.len(), queries.len(), answers.answers.len()), (3_000, 60, 50));
            assert_eq!(answers.rows_digest, hash_file::digest(&rows));
            let oracle = LinearScan::<32>::new();
            let edits =
                (0..).zip(&rows).map(|(row, hash)| (hash, Entry { item: ItemId(row), bank: BankId(1) }));
            edits.for_each(|(hash, entry)| assert!(oracle.insert(hash, entry)));
            for (level, &radius) in answers.radii.iter().enumerate() {
                let expected = oracle.search(&queries[..50], Distance(radius.into()), &BankFilter::all());
                for (answer, hits) in answers.answers.iter().zip(expected) {
                    let found: Vec<Found> = hits
                        .iter()
                        .map(|hit| Found {
                            row: u32::try_from(hit.entry.item.0).unwrap(),
                            distance: hit.distance.bits(),
                        })
                        .collect();
                    let mut total = crate::data::answers::Total::default();
                    found.iter().for_each(|&one| total.add(one));
                    assert_eq!(answer.totals[level], total, "{shape:?} within {radius}");
                    if level < answer.listed_radii {
                        let listed = answer.listed.iter().filter(|one| one.distance <= radius);
                        assert!(listed.eq(&found), "{shape:?} within {radius}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for shape in [ShapeName::Pdq, ShapeName::Adversarial] {
            assert_eq!(make(folder.path(), shape, 1), make(folder.path(), shape, 3));
        }
    }
}
