//! Segments made of arbitrary bytes, for tests and fuzzing: the content of hostile or broken files.

use std::path::Path;

use super::header::{MAGIC, VERSION};
use super::{Layout, SectionId, SegmentError, SegmentFile, checksum, encode};

/// Opens bytes as if they were a file.
pub(crate) fn open(bytes: &[u8]) -> Result<SegmentFile, SegmentError> {
    SegmentFile::read(bytes.len(), Path::new("(forged)"), &|into, at| {
        let at = usize::try_from(at).map_err(std::io::Error::other)?;
        let found = bytes.get(at..at + into.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(found);
        Ok(())
    })
}

/// Reads everything that a segment returns, and checks what its methods promise.
pub(crate) fn read_all(segment: &SegmentFile) {
    let mut bytes = segment.meta().len();
    for section in &segment.sections {
        let content = segment.section(section.id).expect("a section that is listed is there");
        assert!(content.as_ptr().addr().is_multiple_of(64), "a section is aligned");
        std::hint::black_box(checksum::of(content));
        bytes += content.len();
    }
    assert!(bytes <= segment.len(), "sections do not overlap");
}

/// Returns the bytes of a file with these sections.
pub(crate) fn image(sections: &[(SectionId, &[u8])], meta: &[u8]) -> Vec<u8> {
    let lengths: Vec<_> = sections.iter().map(|(id, bytes)| (*id, bytes.len())).collect();
    let layout = Layout::place(&lengths).expect("forged sections have different ids");
    let mut image = vec![0; layout.file_bytes];
    for (id, range) in &layout.sections {
        let content = sections.iter().find(|(other, _)| other == id).map(|(_, bytes)| *bytes);
        image[range.clone()].copy_from_slice(content.unwrap_or_default());
    }
    let checksums: Vec<_> = layout.blocks().into_iter().map(|block| checksum::of(&image[block])).collect();
    image[..layout.header_bytes].copy_from_slice(&encode(&layout, &checksums, meta));
    image
}

/// Corrects every checksum, as far as the header can be parsed, so that the checks after the checksums are
/// reached.
pub(crate) fn sign(file: &mut [u8]) {
    let file_bytes = file.len();
    if file_bytes < 64 {
        return;
    }
    file[..8].copy_from_slice(&MAGIC);
    file[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let header_bytes = (u32_at(file, 12) as usize).clamp(64, file_bytes) / 64 * 64;
    file[12..16].copy_from_slice(&u32::try_from(header_bytes).unwrap_or(u32::MAX).to_le_bytes());
    file[16..24].copy_from_slice(&(file_bytes as u64).to_le_bytes());
    sign_part(file, 0..24, 24);
    let layout = Layout { header_bytes, file_bytes, sections: Vec::new() };
    let checksums_start = (u32_at(file, 32) as usize).saturating_mul(24).saturating_add(48);
    for (number, block) in layout.blocks().into_iter().enumerate() {
        let at = checksums_start.saturating_add(number * 8);
        if at.saturating_add(16) <= header_bytes {
            sign_part(file, block, at);
        }
    }
    sign_part(file, 0..header_bytes - 8, header_bytes - 8);
}

fn u32_at(file: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]])
}

fn sign_part(file: &mut [u8], part: std::ops::Range<usize>, at: usize) {
    let checksum = checksum::of(&file[part]);
    file[at..at + 8].copy_from_slice(&checksum.to_le_bytes());
}
