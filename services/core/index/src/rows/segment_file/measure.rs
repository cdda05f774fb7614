//! Measures how long a segment of ten million 32-byte hashes takes to write, to open, and to read at random;
//! and how long it would take to map the file instead of reading it.
//!
//! `cargo test --release -p vigie-index segment_file::measure -- --ignored --nocapture`. With
//! `VIGIE_DROP_CACHES=1` (as root), opening with a cold page cache is measured too.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::rows::segment_writer::SegmentWriter;

/// The approximate sizes of the sections for ten million hashes: rows, directory, signatures, ids, items,
/// banks.
const LENGTHS: [(SectionId, usize); 6] = [
    (SectionId(1), 320_000_000),
    (SectionId(2), 4 * 16 * 65_537),
    (SectionId(3), 320_000_000),
    (SectionId(4), 640_000_000),
    (SectionId(5), 40_000_000),
    (SectionId(6), 10_000_000),
];
const READS: u32 = 1_000_000;
const OPENS: usize = 15;

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = work();
    println!("{what:>36}: {:>7.1} ms", began.elapsed().as_secs_f64() * 1e3);
    result
}

/// Fills all sections with varying bytes: two threads, in pieces of 64 KiB.
fn fill(writer: &SegmentWriter) {
    std::thread::scope(|scope| {
        for half in 0..2_u8 {
            scope.spawn(move || {
                let piece: Vec<u8> =
                    (0..65_536_u32).map(|at| at.to_le_bytes()[usize::from(half)] ^ 7).collect();
                for (id, bytes) in LENGTHS {
                    for start in (0..bytes).step_by(piece.len()).skip(usize::from(half)).step_by(2) {
                        writer.write_at(id, start, &piece[..piece.len().min(bytes - start)]).unwrap();
                    }
                }
            });
        }
    });
}

/// Returns the time of a read of 64 bytes at a random position of the largest section, the best of several
/// rounds.
///
/// If reads are `CHAINED`, the position of each depends on the result of the previous one.
fn random_read<const CHAINED: bool>(segment: &SegmentFile) -> Duration {
    let section = segment.section(SectionId(4)).unwrap();
    let lines = section.as_chunks::<64>().0;
    let mut state = 88_172_645_463_325_252_u64;
    let mut round = || {
        let began = Instant::now();
        let mut read = 0_u64;
        for _ in 0..READS {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let place = if CHAINED { state ^ read } else { state };
            let line = usize::try_from((u128::from(place) * lines.len() as u128) >> 64).unwrap();
            read = u64::from(lines[line][0]) ^ if CHAINED { 0 } else { read };
        }
        black_box(read);
        began.elapsed() / READS
    };
    (0..4).map(|_| round()).min().unwrap()
}

/// Returns the bytes of the segment's mappings that are in huge pages, according to `/proc/self/smaps`.
fn huge_bytes(segment: &SegmentFile) -> usize {
    let Ok(maps) = fs::read_to_string("/proc/self/smaps") else { return 0 };
    let range = |map: &Filled| map.as_ptr().addr()..map.as_ptr().addr() + map.len();
    let ranges: Vec<_> = segment.maps.iter().map(range).collect();
    let mut inside = false;
    let mut kib = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some((start, _)) = first.split_once('-') {
            let start = usize::from_str_radix(start, 16).unwrap_or(0);
            inside = ranges.iter().any(|range| range.contains(&start));
        } else if inside && (first == "FilePmdMapped:" || first == "AnonHugePages:") {
            kib += words.next().and_then(|kib| kib.parse::<usize>().ok()).unwrap_or(0);
        }
    }
    kib << 10
}

fn open_time(path: &Path) -> Duration {
    let began = Instant::now();
    let segment = SegmentFile::open(path).unwrap();
    let took = began.elapsed();
    drop(segment);
    took
}

fn report(segment: &SegmentFile) {
    let (independent, dependent) = (random_read::<false>(segment), random_read::<true>(segment));
    let (huge, all) = (huge_bytes(segment) >> 20, segment.len() >> 20);
    println!("{:>36}  {huge} of {all} MiB in huge pages; reads {independent:?}, dependent {dependent:?}", "");
}

/// Maps a file and compares its checksums, as this crate did before it copied files to memory.
#[expect(unsafe_code, reason = "nothing changes the file while this test runs")]
fn open_mapped(path: &Path) -> memmap2::Mmap {
    let file = File::open(path).unwrap();
    // SAFETY: the file is this test's own, and nothing writes to it while it is mapped.
    let map = unsafe { memmap2::Mmap::map(&file).unwrap() };
    let _advice = map.advise(memmap2::Advice::HugePage);
    let header = header::decode(&map).unwrap();
    let found = of_blocks(&header.layout.blocks(), |block| {
        let _advice = map.advise_range(memmap2::Advice::PopulateRead, block.start, block.len());
        Ok(checksum::of(&map[block.clone()]))
    });
    assert_eq!(found.unwrap(), header.checksums);
    map
}

/// Returns the memory of the process in MiB: anonymous memory, which only swapping frees, and file pages,
/// which the system may drop.
fn resident() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or(0) >> 10
    };
    format!("{} MiB anonymous, {} MiB of files", mib("RssAnon:"), mib("RssFile:"))
}

#[test]
#[ignore = "writes 1.3 GB and measures"]
fn what_reading_a_segment_costs_beside_mapping_it() {
    let folder = TempDir::new_in(".").unwrap();
    let path = folder.path().join("segment");
    let writer = SegmentWriter::create(&path, &LENGTHS).unwrap();
    fill(&writer);
    drop(writer.finish(b"").unwrap());
    for round in 0..3 {
        println!("round {round}: {}", resident());
        let mapped = timed("map and compare, warm", || open_mapped(&path));
        println!("{:>36}: {}", "mapped", resident());
        drop(mapped);
        let read = timed("read and compare, warm", || SegmentFile::open(&path).unwrap());
        println!("{:>36}: {}", "read", resident());
        let blocks = read.block_count();
        timed("scrub memory and file", || (0..blocks).map(|at| read.verify(at).unwrap()).sum::<usize>());
        timed("read and compare, cold", || drop(SegmentFile::open(&path).unwrap()));
    }
}

#[test]
#[ignore = "writes 1.3 GB and measures"]
fn a_segment_of_ten_million() {
    let folder = TempDir::new_in(".").unwrap();
    let path = folder.path().join("segment");
    for round in 0..3 {
        println!("round {round}");
        let writer = SegmentWriter::in_memory(&LENGTHS).unwrap();
        timed("write to memory", || fill(&writer));
        report(&timed("finish in memory", || writer.finish(b"").unwrap()));
        let writer = SegmentWriter::create(&path, &LENGTHS).unwrap();
        timed("write to a file", || fill(&writer));
        let segment = timed("finish the file", || writer.finish(b"").unwrap());
        report(&segment);
        drop(segment);
        let mut opens: Vec<_> = (0..OPENS).map(|_| open_time(&path)).collect();
        opens.sort();
        println!("{:>36}: {:?}, best {:?}", "open, warm, median", opens[OPENS / 2], opens[0]);
        if std::env::var_os("VIGIE_DROP_CACHES").is_some() {
            fs::write("/proc/sys/vm/drop_caches", "3").unwrap();
            report(&timed("open, cold", || SegmentFile::open(&path).unwrap()));
            report(&timed("open, warm", || SegmentFile::open(&path).unwrap()));
        }
    }
}
