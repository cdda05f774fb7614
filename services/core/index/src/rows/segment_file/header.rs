//! The header of a segment file: the positions of its sections, and the checksums.
//!
//! The format is described in [`crate::rows::segment_file`]. Decoding accepts any bytes: nothing here panics,
//! and no number is used before it was compared with the length of the file.

use std::ops::Range;

use super::checksum;
use super::error::Fault;

pub(crate) const MAGIC: [u8; 8] = *b"VIGIESEG";
pub(crate) const VERSION: u32 = 1;

/// The size of a huge page, and of a checksummed block, in bytes.
pub(crate) const PAGE_BYTES: usize = 2 << 20;

/// The largest length of the writer's note, in bytes. Writers need a few hundred; the limit is reserved,
/// because the header is laid out before the note is known.
pub(crate) const META_BYTES_MAX: usize = 1_024;

/// The alignment of every section: a cache line, and the widest vector register.
const ALIGNMENT: usize = 64;

const PREAMBLE_BYTES: usize = 32;
const FIXED_BYTES: usize = 48;
const ENTRY_BYTES: usize = 24;
const CHECKSUM_BYTES: usize = 8;
/// The length of a header without sections.
const HEADER_BYTES_MIN: usize = (FIXED_BYTES + CHECKSUM_BYTES).next_multiple_of(ALIGNMENT);

/// The number that identifies a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SectionId(pub(crate) u32);

/// The positions of all parts of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) header_bytes: usize,
    pub(crate) file_bytes: usize,
    /// The ids and positions of the sections, ordered by position.
    pub(crate) sections: Vec<(SectionId, Range<usize>)>,
}

/// The decoded content of a header.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) layout: Layout,
    pub(super) checksums: Vec<u64>,
    pub(super) meta: Vec<u8>,
}

impl Layout {
    /// Lays out sections of these lengths. `None` if an id occurs twice or the lengths are too large.
    ///
    /// Small sections come first, so that they share the blocks at the beginning. Large sections also follow
    /// each other closely, because gaps between sections waste memory.
    pub(crate) fn place(lengths: &[(SectionId, usize)]) -> Option<Self> {
        if has_duplicates(lengths.iter().map(|(id, _)| *id)) {
            return None;
        }
        // Sections share blocks, so there are at most as many as if each had its own blocks, and one for the
        // header.
        let mut blocks_max = 1_usize;
        for (_, bytes) in lengths {
            blocks_max = blocks_max.checked_add(bytes / PAGE_BYTES + 2)?;
        }
        let table_bytes = lengths.len().checked_mul(ENTRY_BYTES)?;
        let header_bytes = blocks_max
            .checked_mul(CHECKSUM_BYTES)?
            .checked_add(table_bytes + FIXED_BYTES + META_BYTES_MAX + CHECKSUM_BYTES)?
            .checked_next_multiple_of(ALIGNMENT)?;
        u32::try_from(header_bytes).ok()?;
        let (small, large): (Vec<_>, Vec<_>) = lengths.iter().partition(|(_, bytes)| *bytes < PAGE_BYTES);
        let mut sections = Vec::with_capacity(lengths.len());
        let mut end = header_bytes;
        for (id, bytes) in small.into_iter().chain(large) {
            let start = end.checked_next_multiple_of(ALIGNMENT)?;
            end = start.checked_add(bytes)?;
            sections.push((id, start..end));
        }
        Some(Self { header_bytes, file_bytes: end, sections })
    }

    /// Returns the blocks between multiples of 2 MiB, each of which has a checksum in the header.
    pub(crate) fn blocks(&self) -> Vec<Range<usize>> {
        let mut blocks = Vec::with_capacity(self.file_bytes / PAGE_BYTES + 1);
        let mut start = self.header_bytes;
        while start < self.file_bytes {
            let end = (start / PAGE_BYTES + 1).saturating_mul(PAGE_BYTES).min(self.file_bytes);
            blocks.push(start..end);
            start = end;
        }
        blocks
    }

    /// Returns the ids of the sections that overlap `block`.
    pub(super) fn sections_within(&self, block: &Range<usize>) -> Vec<u32> {
        let touches = |range: &Range<usize>| range.start < block.end && block.start < range.end;
        self.sections.iter().filter(|(_, range)| touches(range)).map(|(id, _)| id.0).collect()
    }
}

/// Encodes a header. `meta` has at most [`META_BYTES_MAX`] bytes, and there is a checksum for each block.
pub(crate) fn encode(layout: &Layout, checksums: &[u64], meta: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(layout.header_bytes);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(fit(layout.header_bytes).to_le_bytes());
    bytes.extend((layout.file_bytes as u64).to_le_bytes());
    bytes.extend(checksum::of(&bytes).to_le_bytes());
    bytes.extend(fit(layout.sections.len()).to_le_bytes());
    bytes.extend(fit(checksums.len()).to_le_bytes());
    bytes.extend(fit(meta.len()).to_le_bytes());
    bytes.extend([0; 4]);
    for (id, range) in &layout.sections {
        bytes.extend(id.0.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend((range.start as u64).to_le_bytes());
        bytes.extend((range.len() as u64).to_le_bytes());
    }
    checksums.iter().for_each(|checksum| bytes.extend(checksum.to_le_bytes()));
    bytes.extend(meta);
    bytes.resize(layout.header_bytes - CHECKSUM_BYTES, 0);
    bytes.extend(checksum::of(&bytes).to_le_bytes());
    bytes
}

/// Returns the checksum at the end of a file's header, without checking anything else.
pub(super) fn checksum_in(file: &[u8]) -> Option<u64> {
    let length = u32::from_le_bytes(*file.get(12..)?.first_chunk::<4>()?);
    let header = file.get(..usize::try_from(length).ok()?)?;
    header.last_chunk::<8>().map(|sum| u64::from_le_bytes(*sum))
}

/// Reads the header of a file, given all of its bytes.
pub(super) fn decode(file: &[u8]) -> Result<Header, Fault> {
    let found = file.len() as u64;
    let Some((preamble, sum)) = file.get(..PREAMBLE_BYTES).and_then(<[u8]>::split_last_chunk::<8>) else {
        return Err(Fault::Truncated { expected: PREAMBLE_BYTES as u64, found });
    };
    let mut fields = Reader(preamble);
    if fields.take(MAGIC.len())? != MAGIC {
        return Err(Fault::NotASegment);
    }
    if checksum::of(preamble) != u64::from_le_bytes(*sum) {
        return Err(Fault::Header);
    }
    let version = fields.u32()?;
    if version != VERSION {
        return Err(Fault::Version { found: version, known: VERSION });
    }
    let header_bytes = fields.size32()?;
    let expected = fields.u64()?;
    if found < expected {
        return Err(Fault::Truncated { expected, found });
    }
    if found > expected {
        return Err(Fault::TooLong { expected, found });
    }
    if header_bytes < HEADER_BYTES_MIN || !header_bytes.is_multiple_of(ALIGNMENT) {
        return Err(Fault::Contradiction("no header has such a length"));
    }
    let Some((header, sum)) = file.get(..header_bytes).and_then(<[u8]>::split_last_chunk::<8>) else {
        return Err(Fault::Contradiction("the header ends after the file"));
    };
    if checksum::of(header) != u64::from_le_bytes(*sum) {
        return Err(Fault::Header);
    }
    decode_fields(&header[PREAMBLE_BYTES..], header_bytes, file.len())
}

/// Reads the fields between the first 32 bytes and the last checksum.
fn decode_fields(fields: &[u8], header_bytes: usize, file_bytes: usize) -> Result<Header, Fault> {
    let mut fields = Reader(fields);
    let section_count = fields.size32()?;
    let block_count = fields.size32()?;
    let meta_bytes = fields.size32()?;
    let mut are_zero = fields.u32()? == 0;

    // The table's bytes are taken before anything is allocated, so a count cannot promise more than the file
    // holds.
    let mut table = Reader(fields.take_each(section_count, ENTRY_BYTES)?);
    let mut sections = Vec::with_capacity(section_count);
    let mut end = header_bytes;
    for _ in 0..section_count {
        let id = SectionId(table.u32()?);
        are_zero &= table.u32()? == 0;
        let (start, bytes) = (table.size64()?, table.size64()?);
        if start < end {
            return Err(Fault::Contradiction("sections overlap or are out of order"));
        }
        if !start.is_multiple_of(ALIGNMENT) {
            return Err(Fault::Contradiction("a section is not aligned"));
        }
        end = match start.checked_add(bytes) {
            Some(end) if end <= file_bytes => end,
            _ => return Err(Fault::Contradiction("a section ends after the file")),
        };
        sections.push((id, start..end));
    }
    if has_duplicates(sections.iter().map(|(id, _)| *id)) {
        return Err(Fault::Contradiction("two sections have one id"));
    }
    let layout = Layout { header_bytes, file_bytes, sections };
    if block_count != layout.blocks().len() {
        return Err(Fault::Contradiction("the number of checksums is wrong"));
    }
    let (checksums, _) = fields.take_each(block_count, CHECKSUM_BYTES)?.as_chunks();
    let checksums = checksums.iter().map(|checksum| u64::from_le_bytes(*checksum)).collect();
    let meta = fields.take(meta_bytes)?.to_vec();
    are_zero &= fields.0.iter().all(|byte| *byte == 0);
    if !are_zero {
        return Err(Fault::Contradiction("bytes that mean nothing are not zero"));
    }
    Ok(Header { layout, checksums, meta })
}

fn has_duplicates(ids: impl Iterator<Item = SectionId>) -> bool {
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    ids.windows(2).any(|pair| pair[0] == pair[1])
}

/// Converts a number that [`Layout::place`] has limited.
fn fit(number: usize) -> u32 {
    u32::try_from(number).expect("a header has less than 4 GiB")
}

/// Takes fields from the front of the bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Fault> {
        let short = Fault::Contradiction("the header is too short for what it holds");
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn take_each(&mut self, count: usize, bytes: usize) -> Result<&'a [u8], Fault> {
        self.take(count.saturating_mul(bytes))
    }

    fn array<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], Fault> {
        let mut array = [0; BYTES];
        array.copy_from_slice(self.take(BYTES)?);
        Ok(array)
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_le_bytes)
    }

    fn size32(&mut self) -> Result<usize, Fault> {
        Ok(self.u32()? as usize)
    }

    fn size64(&mut self) -> Result<usize, Fault> {
        usize::try_from(self.u64()?).map_err(|_| Fault::Contradiction("a section ends after the file"))
    }
}
