//! Messages of package `vigie.model.v1` that describe a picture: its hashes, or why it has none.

use std::time::Duration;

use vigie_model::{
    DecodeFailure, DecodeFailureKind, FrameFingerprint, PictureFingerprint, PictureHashes, Quality, Variant,
    Way,
};

use crate::invalid::{Invalid, check_len, each};
use crate::model::way;
use crate::pb::model::v1 as pb;

/// The most frames in one message.
const FRAMES_MAX: usize = 256;

/// The most ways of one frame in a message.
const WAYS_MAX: usize = 8;

impl From<DecodeFailure> for pb::DecodeFailure {
    fn from(failure: DecodeFailure) -> Self {
        Self { kind: failure.kind.name().to_owned(), message: failure.message }
    }
}

/// An unknown kind is read as [`DecodeFailureKind::Unsupported`], because a newer frontend may know more
/// kinds.
impl TryFrom<pb::DecodeFailure> for DecodeFailure {
    type Error = Invalid;

    fn try_from(message: pb::DecodeFailure) -> Result<Self, Invalid> {
        check_len("message", message.message.len(), 0, Self::MESSAGE_BYTES_MAX)?;
        Ok(Self { kind: kind(&message.kind), message: message.message })
    }
}

fn kind(name: &str) -> DecodeFailureKind {
    DecodeFailureKind::from_name(name).unwrap_or(DecodeFailureKind::Unsupported)
}

fn picture_hashes(way: Way, hashes: &PictureHashes) -> pb::PictureHashes {
    pb::PictureHashes {
        way: pb::Way::from(way).into(),
        pdq_quality: hashes.quality.get().into(),
        pdq: hashes.pdq.iter().map(|hash| hash.to_vec()).collect(),
    }
}

impl TryFrom<pb::PictureHashes> for (Way, PictureHashes) {
    type Error = Invalid;

    fn try_from(message: pb::PictureHashes) -> Result<Self, Invalid> {
        check_len("pdq", message.pdq.len(), Variant::ALL.len(), Variant::ALL.len())?;
        let mut pdq = [[0; 32]; Variant::ALL.len()];
        for (slot, hash) in pdq.iter_mut().zip(&message.pdq) {
            *slot = hash
                .as_slice()
                .try_into()
                .map_err(|_| Invalid::new("pdq", format!("has {} bytes; it must have 32", hash.len())))?;
        }
        let quality =
            Quality::new(message.pdq_quality.into()).map_err(|error| Invalid::new("pdq_quality", error))?;
        Ok((way(message.way), PictureHashes { pdq, quality }))
    }
}

impl From<&FrameFingerprint> for pb::FrameHashes {
    fn from(frame: &FrameFingerprint) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            frame: frame.number,
            time_ms: frame.time.map(millis),
            ways: frame.ways().map(|(way, hashes)| picture_hashes(way, hashes)).collect(),
        }
    }
}

impl TryFrom<pb::FrameHashes> for FrameFingerprint {
    type Error = Invalid;

    fn try_from(message: pb::FrameHashes) -> Result<Self, Invalid> {
        check_len("ways", message.ways.len(), 1, WAYS_MAX)?;
        let mut ways = each("ways", message.ways, <(Way, PictureHashes)>::try_from)?.into_iter();
        let Some((Way::Plain, plain)) = ways.next() else {
            return Err(Invalid::new("ways", "do not begin with WAY_PLAIN"));
        };
        let further: Vec<_> = ways.collect();
        let mut names: Vec<Way> = further.iter().map(|(way, _)| *way).chain([Way::Plain]).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Invalid::new("ways", "hold a way twice"));
        }
        Ok(Self { number: message.frame, time: message.time_ms.map(Duration::from_millis), plain, further })
    }
}

impl From<&PictureFingerprint> for pb::PictureFingerprint {
    fn from(picture: &PictureFingerprint) -> Self {
        Self {
            width: picture.width,
            height: picture.height,
            frames: picture.frames().map(Into::into).collect(),
            frames_left_out: picture.frames_left_out,
            later_fault: picture.later_fault.map_or_else(String::new, |kind| kind.name().to_owned()),
        }
    }
}

impl TryFrom<pb::PictureFingerprint> for PictureFingerprint {
    type Error = Invalid;

    fn try_from(message: pb::PictureFingerprint) -> Result<Self, Invalid> {
        check_len("frames", message.frames.len(), 1, FRAMES_MAX)?;
        let mut frames = each("frames", message.frames, FrameFingerprint::try_from)?.into_iter();
        let first = frames.next().ok_or_else(|| Invalid::missing("frames"))?;
        let later: Vec<_> = frames.collect();
        let numbers = std::iter::once(first.number).chain(later.iter().map(|frame| frame.number));
        if first.number != 0 || !numbers.is_sorted_by(|one, next| one < next) {
            return Err(Invalid::new("frames", "are not numbered from 0 in ascending order"));
        }
        let later_fault = (!message.later_fault.is_empty()).then(|| kind(&message.later_fault));
        if later_fault.is_some() && message.frames_left_out == 0 {
            return Err(Invalid::new("frames_left_out", "is 0 although a decoder failed on a later frame"));
        }
        Ok(Self {
            width: message.width,
            height: message.height,
            first,
            later,
            frames_left_out: message.frames_left_out,
            later_fault,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(byte: u8) -> PictureHashes {
        let pdq = std::array::from_fn(|at| [byte + u8::try_from(at).unwrap(); 32]);
        PictureHashes { pdq, quality: Quality::new(80).unwrap() }
    }

    fn frame(number: u32) -> FrameFingerprint {
        FrameFingerprint {
            number,
            time: Some(Duration::from_millis(40 * u64::from(number))),
            plain: hashes(1),
            further: vec![(Way::Scaled, hashes(20)), (Way::Unbordered, hashes(40))],
        }
    }

    fn picture() -> PictureFingerprint {
        PictureFingerprint {
            width: 3,
            height: 4,
            first: frame(0),
            later: vec![frame(2), frame(3)],
            frames_left_out: 1,
            later_fault: Some(DecodeFailureKind::Panicked),
        }
    }

    #[test]
    fn pictures_survive_the_wire() {
        assert_eq!(
            PictureFingerprint::try_from(pb::PictureFingerprint::from(&picture())).unwrap(),
            picture()
        );
        for kind in DecodeFailureKind::ALL {
            let failure = DecodeFailure { kind, message: "some words".to_owned() };
            assert_eq!(DecodeFailure::try_from(pb::DecodeFailure::from(failure.clone())).unwrap(), failure);
        }
    }

    #[test]
    fn a_picture_that_breaks_a_rule_is_refused() {
        type Fault = fn(&mut pb::PictureFingerprint);
        let faults: [(&str, Fault); 9] = [
            ("frames_left_out: is 0", |wire| wire.frames_left_out = 0),
            ("frames: has 0 entries", |wire| wire.frames.clear()),
            ("frames: are not numbered", |wire| wire.frames.swap(1, 2)),
            ("frames: are not numbered", |wire| wire.frames[0].frame = 1),
            ("frames[1].ways: has 0 entries", |wire| wire.frames[1].ways.clear()),
            ("frames[0].ways: do not begin", |wire| wire.frames[0].ways.swap(0, 1)),
            ("frames[0].ways: hold a way twice", |wire| wire.frames[0].ways[1].way = 3),
            ("frames[0].ways[0].pdq: has 7 entries", |wire| drop(wire.frames[0].ways[0].pdq.pop())),
            ("frames[0].ways[0].pdq: has 31 bytes", |wire| {
                wire.frames[0].ways[0].pdq[3].pop();
            }),
        ];
        for (expected, break_it) in faults {
            let mut wire = pb::PictureFingerprint::from(&picture());
            break_it(&mut wire);
            let refusal = PictureFingerprint::try_from(wire).unwrap_err().to_string();
            assert!(refusal.starts_with(expected), "{refusal}");
        }
    }

    #[test]
    fn a_kind_of_failure_that_is_newer_than_this_version_is_kept_with_its_message() {
        let wire = pb::DecodeFailure { kind: "on_strike".to_owned(), message: "later".to_owned() };
        let failure = DecodeFailure::try_from(wire).unwrap();
        assert_eq!((failure.kind, failure.message.as_str()), (DecodeFailureKind::Unsupported, "later"));
    }
}
