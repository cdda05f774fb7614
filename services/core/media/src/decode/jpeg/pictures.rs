//! The further pictures of a multi-picture file: stereo pairs, bursts, large previews.
//!
//! Source: CIPA DC-007 (Multi-Picture Format). An index in an application segment, in the form of a TIFF
//! directory, has the position of each picture relative to the index. As in Pillow, the pictures of the index
//! are the frames of the file, and the first one is at the beginning of the file, whatever the index says.

/// The tag of the number of pictures.
const NUMBER: u16 = 0xb001;

/// The tag of a list with 16 bytes for each picture.
const ENTRIES: u16 = 0xb002;

/// Returns the positions of the pictures after the first, according to the index at `index`. `None` if the
/// index is damaged.
pub(super) fn further(content: &[u8], index: usize) -> Option<Vec<usize>> {
    Index::new(content, index)?.starts()
}

/// The bytes of the index, beginning with its byte order.
struct Index<'a> {
    bytes: &'a [u8],
    begins: usize,
    is_big_endian: bool,
}

impl<'a> Index<'a> {
    fn new(content: &'a [u8], begins: usize) -> Option<Self> {
        let bytes = content.get(begins..)?;
        Some(Self { bytes, begins, is_big_endian: bytes.starts_with(b"MM\0*") })
    }

    fn starts(&self) -> Option<Vec<usize>> {
        let directory = self.long(4)?;
        let (mut number, mut entries) = (None, None);
        for field in 0..usize::from(self.short(directory)?) {
            let at = directory.checked_add(2 + field * 12)?;
            match self.short(at)? {
                NUMBER => number = Some(self.long(at + 8)?),
                ENTRIES => entries = Some((self.long(at + 8)?, self.long(at + 4)? / 16)),
                _ => {}
            }
        }
        let (number, (entries, listed)) = (number?, entries?);
        if number > listed {
            return None;
        }
        (1..number).map(|picture| Some(self.begins + self.long(entries + picture * 16 + 8)?)).collect()
    }

    fn short(&self, at: usize) -> Option<u16> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn long(&self, at: usize) -> Option<usize> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        let long = if self.is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        usize::try_from(long).ok()
    }
}
