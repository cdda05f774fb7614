//! The transformations after decoding that a HEIC file asks for: a crop, then rotations and mirrorings
//! (ISO/IEC 23008-12, 6.5).

use crate::decode::boxes::Reader;
use crate::orientation::Orientation;

/// A part of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// Returns the shown area of a picture and its orientation. `None` if the properties ask for something that
/// cannot be done: an area beyond the picture, or a crop after a rotation, which no known writer asks for.
pub(super) fn of(properties: &[([u8; 4], &[u8])], width: u32, height: u32) -> Option<(Area, Orientation)> {
    let mut area = Area { left: 0, top: 0, width, height };
    let mut orientation = Orientation::UPRIGHT;
    let mut is_cropped = false;
    for &(kind, body) in properties {
        // The TIFF orientation tags with the same effect.
        let tag = match (&kind, body.first()) {
            (b"clap", _) => {
                if is_cropped || orientation != Orientation::UPRIGHT {
                    return None;
                }
                is_cropped = true;
                area = cropped(body, width, height)?;
                continue;
            }
            (b"irot", Some(quarters)) => [1, 8, 3, 6][usize::from(quarters & 3)],
            (b"imir", Some(axis)) => [4, 2][usize::from(axis & 1)],
            _ => continue,
        };
        orientation = orientation.then(Orientation::from_tag(tag));
    }
    Some((area, orientation))
}

/// Returns the area of a `clap` box, which has the area's sides and the distance of its centre from that of
/// the picture.
fn cropped(body: &[u8], width: u32, height: u32) -> Option<Area> {
    let mut body = Reader(body);
    let mut fraction = || {
        let over = i64::from(i32::from_be_bytes(body.array()?));
        let under = i64::from(i32::from_be_bytes(body.array()?));
        (under > 0).then_some((over, under))
    };
    let (area_width, area_height, across, down) = (fraction()?, fraction()?, fraction()?, fraction()?);
    let (left, width) = span(area_width, across, width)?;
    let (top, height) = span(area_height, down, height)?;
    Some(Area { left, top, width, height })
}

/// Returns the beginning and the length of a span with this distance of its centre from that of a side. The
/// beginning is rounded down, as libheif does it.
fn span((length, length_under): (i64, i64), (over, under): (i64, i64), side: u32) -> Option<(u32, u32)> {
    let length = length / length_under;
    let from = (2 * over).checked_add((i64::from(side) - length).checked_mul(under)?)?.div_euclid(2 * under);
    let (from, length) = (u32::try_from(from).ok()?, u32::try_from(length).ok()?);
    (length > 0 && from.checked_add(length)? <= side).then_some((from, length))
}
