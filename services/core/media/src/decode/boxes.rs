//! Boxes and numbers of the ISO base media file format (ISO/IEC 14496-12), read with every length checked.

/// A box: its kind, and its content after the header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Box<'a> {
    pub(super) kind: [u8; 4],
    pub(super) body: &'a [u8],
}

/// Returns the boxes of `data`, up to the first that is damaged or does not end within it.
pub(super) fn boxes(data: &[u8]) -> impl Iterator<Item = Box<'_>> {
    let mut rest = Reader(data);
    std::iter::from_fn(move || {
        let before = rest.0.len();
        let size = rest.u32()?;
        let kind = rest.array()?;
        let bytes = match size {
            0 => before,
            1 => usize::try_from(rest.u64()?).ok()?,
            size => size as usize,
        };
        let header_bytes = before - rest.0.len();
        Some(Box { kind, body: rest.bytes(bytes.checked_sub(header_bytes)?)? })
    })
}

/// Checks whether boxes cover all of `data`, so that none is cut off.
pub(super) fn cover(data: &[u8]) -> bool {
    let mut end = data;
    for found in boxes(data) {
        let until = found.body.as_ptr().addr() - data.as_ptr().addr() + found.body.len();
        end = data.get(until..).unwrap_or_default();
    }
    end.is_empty()
}

/// Returns the body of the first box of this kind.
pub(super) fn find(data: &[u8], kind: [u8; 4]) -> Option<&[u8]> {
    boxes(data).find(|found| found.kind == kind).map(|found| found.body)
}

/// Returns the body of the box at the end of a path of kinds.
pub(super) fn find_path<'a>(data: &'a [u8], path: &[[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(data, |data, &kind| find(data, kind))
}

/// Reads big-endian numbers from the front of the remaining bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads a number of 16 bits, or of 32 if `wide`.
    pub(super) fn u16_or_u32(&mut self, wide: bool) -> Option<u32> {
        if wide { self.u32() } else { self.u16().map(u32::from) }
    }

    /// Reads a number of 0, 4 or 8 bytes.
    pub(super) fn sized(&mut self, bytes: u8) -> Option<u64> {
        match bytes {
            0 => Some(0),
            4 => self.u32().map(u64::from),
            8 => self.u64(),
            _ => None,
        }
    }

    /// Reads the version of a full box, and its flags.
    pub(super) fn version(&mut self) -> Option<(u8, u32)> {
        let [version, f2, f1, f0] = self.array()?;
        Some((version, u32::from_be_bytes([0, f2, f1, f0])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_end_where_one_does_not_fit() {
        let data = b"\0\0\0\x09free-\0\0\0\x01wide\0\0\0\0\0\0\0\x12ab\0\0\0\x0cmore";
        let found: Vec<_> = boxes(data).map(|found| (found.kind, found.body)).collect();
        assert_eq!(found, [(*b"free", &b"-"[..]), (*b"wide", &b"ab"[..])]);
        assert_eq!(boxes(b"\0\0\0\0rest of it").next().unwrap().body, b" of it");
        assert!(boxes(b"\0\0\0\x07tiny").next().is_none());
        assert!(boxes(b"\0\0\0\x01tiny\xff\xff\xff\xff\xff\xff\xff\xff").next().is_none());
    }
}
