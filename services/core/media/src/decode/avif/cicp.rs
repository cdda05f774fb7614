//! The colour description of samples, as a file or its AV1 data declare it.

use crate::decode::boxes::Reader;

/// The colour description of samples, in the numbers of ITU-T H.273.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::decode) struct Cicp {
    pub(in crate::decode) primaries: u16,
    pub(in crate::decode) matrix: u16,
    pub(in crate::decode) full_range: bool,
}

impl Cicp {
    /// Reads the colour description from a property of an item or a track; `None` if the property is not of
    /// this kind.
    pub(in crate::decode) fn of_property(kind: [u8; 4], body: &[u8]) -> Option<Self> {
        let mut body = Reader(body);
        if kind != *b"colr" || body.array()? != *b"nclx" {
            return None;
        }
        let (primaries, _transfer, matrix) = (body.u16()?, body.u16()?, body.u16()?);
        Some(Self { primaries, matrix, full_range: body.u8()? & 0x80 != 0 })
    }
}
