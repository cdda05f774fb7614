//! A track: an image sequence, sample by sample (ISO/IEC 14496-12).

use std::time::Duration;

use super::cicp::Cicp;
use crate::decode::boxes::{Box, Reader, boxes, find, find_path};

/// The length of a sample entry for pictures, without the boxes in it.
const VISUAL_SAMPLE_ENTRY_BYTES: usize = 78;

/// An image sequence.
#[derive(Debug)]
pub(super) struct Track<'a> {
    /// The time at which each sample is shown, and its AV1 data: the samples that were asked for and are
    /// complete.
    pub(super) samples: Vec<(Duration, &'a [u8])>,
    /// The number of samples of the track.
    pub(super) sample_count: u32,
    pub(super) colour: Option<Cicp>,
    /// Whether the file also has an auxiliary track, for alpha or depth.
    pub(super) has_alpha: bool,
    /// Whether the colours are multiplied by that alpha.
    pub(super) premultiplied: bool,
}

/// Reads the first `samples_max` samples of the first AV1 track that is not the alpha of another track.
pub(super) fn read(content: &[u8], samples_max: u32) -> Option<Track<'_>> {
    let movie = find(content, *b"moov")?;
    let is_auxiliary = |track: &Box<'_>| find_path(track.body, &[*b"tref", *b"auxl"]).is_some();
    let tracks = || boxes(movie).filter(|part| part.kind == *b"trak");
    let mut shown = tracks().filter(|track| !is_auxiliary(track));
    let track = shown.find_map(|track| read_track(content, track.body, samples_max))?;
    let has_alpha = tracks().any(|track| is_auxiliary(&track));
    Some(Track { has_alpha, ..track })
}

fn read_track<'a>(content: &'a [u8], track: &'a [u8], samples_max: u32) -> Option<Track<'a>> {
    let media = find(track, *b"mdia")?;
    let mut header = Reader(find(media, *b"mdhd")?);
    let wide = header.version()?.0 > 0;
    header.bytes(if wide { 16 } else { 8 })?;
    let ticks_per_s = header.u32().filter(|&ticks| ticks > 0)?;
    let table = find_path(media, &[*b"minf", *b"stbl"])?;

    // The version, and the number of entries.
    let entries = find(table, *b"stsd")?.get(8..)?;
    let entry = boxes(entries).find(|entry| entry.kind == *b"av01")?.body;
    let properties = boxes(entry.get(VISUAL_SAMPLE_ENTRY_BYTES..)?);
    let colour = properties.filter_map(|part| Cicp::of_property(part.kind, part.body)).next();

    let mut sizes = Reader(find(table, *b"stsz")?);
    sizes.version()?;
    let (one_size, sample_count) = (sizes.u32()?, sizes.u32()?);
    let mut chunks = Chunks::of(table)?;
    let mut durations = Durations::of(table)?;
    let (mut samples, mut ticks) = (Vec::new(), 0_u64);
    while samples.len() < samples_max.min(sample_count) as usize {
        let mut next = || {
            let bytes = if one_size == 0 { sizes.u32()? } else { one_size };
            let from = usize::try_from(chunks.place(bytes)?).ok()?;
            content.get(from..from.checked_add(bytes as usize)?)
        };
        let Some(sample) = next() else { break };
        samples.push((time(ticks, ticks_per_s), sample));
        ticks = ticks.saturating_add(durations.next().into());
    }
    let premultiplied = find_path(track, &[*b"tref", *b"prem"]).is_some();
    Some(Track { samples, sample_count, colour, has_alpha: false, premultiplied })
}

fn time(ticks: u64, ticks_per_s: u32) -> Duration {
    let (seconds, rest) = (ticks / u64::from(ticks_per_s), ticks % u64::from(ticks_per_s));
    Duration::new(seconds, 0) + Duration::from_nanos(rest * 1_000_000_000 / u64::from(ticks_per_s))
}

/// The positions of samples: chunks of several samples, one after another.
struct Chunks<'a> {
    /// Runs of chunks with the same number of samples.
    runs: Reader<'a>,
    /// The beginning of each chunk.
    offsets: Reader<'a>,
    wide: bool,
    /// The first chunk of the next run, from 1.
    next_run: u32,
    samples_per_chunk: u32,
    /// The chunk that was read last, and its remaining samples.
    chunk: u32,
    left: u32,
    at: u64,
}

impl<'a> Chunks<'a> {
    fn of(table: &'a [u8]) -> Option<Self> {
        let mut runs = Reader(find(table, *b"stsc")?);
        runs.bytes(8)?;
        let narrow = find(table, *b"stco");
        let mut offsets = Reader(narrow.or_else(|| find(table, *b"co64"))?);
        offsets.bytes(8)?;
        let next_run = runs.u32()?;
        (next_run == 1).then_some(Self {
            runs,
            offsets,
            wide: narrow.is_none(),
            next_run,
            samples_per_chunk: 0,
            chunk: 0,
            left: 0,
            at: 0,
        })
    }

    /// Returns the position of the next sample, which has this many bytes.
    fn place(&mut self, bytes: u32) -> Option<u64> {
        if self.left == 0 {
            self.chunk += 1;
            if self.chunk == self.next_run {
                self.samples_per_chunk = self.runs.u32().filter(|&samples| samples > 0)?;
                let _description = self.runs.u32()?;
                self.next_run = self.runs.u32().unwrap_or(u32::MAX);
            }
            self.left = self.samples_per_chunk;
            self.at = if self.wide { self.offsets.u64()? } else { self.offsets.u32()?.into() };
        }
        let at = self.at;
        self.left -= 1;
        self.at = at.checked_add(bytes.into())?;
        Some(at)
    }
}

/// The durations of samples, in runs.
struct Durations<'a> {
    runs: Reader<'a>,
    left: u32,
    ticks: u32,
}

impl<'a> Durations<'a> {
    fn of(table: &'a [u8]) -> Option<Self> {
        let mut runs = Reader(find(table, *b"stts")?);
        runs.bytes(8)?;
        Some(Self { runs, left: 0, ticks: 0 })
    }

    /// Returns the duration of the next sample; after the end of the list, that of the last one.
    fn next(&mut self) -> u32 {
        while self.left == 0 {
            let (Some(left), Some(ticks)) = (self.runs.u32(), self.runs.u32()) else { return self.ticks };
            (self.left, self.ticks) = (left, ticks);
        }
        self.left -= 1;
        self.ticks
    }
}
