//! Conversions of pictures that an external program decodes.

use super::{Coding, Invalid, Meaning, Mosaic, Outside, Part, pb};

impl From<&Outside> for pb::OutsidePicture {
    fn from(outside: &Outside) -> Self {
        let coding = match outside.coding {
            Coding::Jpeg2000 => pb::Coding::Jpeg2000,
            Coding::Hevc => pb::Coding::Hevc,
            Coding::JpegXl => pb::Coding::JpegXl,
        };
        let number = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let part = |part: &Part| pb::FilePart {
            offset: number(part.offset),
            bytes: number(part.bytes),
            is_unit: part.is_unit,
        };
        let meaning = |meaning: Meaning| pb::SampleMeaning {
            matrix: meaning.matrix.into(),
            full_range: meaning.full_range,
        };
        Self {
            coding: coding.into(),
            parts: outside.parts.iter().map(part).collect(),
            meaning: outside.meaning.map(meaning),
            mosaic: Some(outside.mosaic.into()),
        }
    }
}

impl TryFrom<pb::OutsidePicture> for Outside {
    type Error = Invalid;

    fn try_from(message: pb::OutsidePicture) -> Result<Self, Invalid> {
        let coding = match pb::Coding::try_from(message.coding) {
            Ok(pb::Coding::Jpeg2000) => Coding::Jpeg2000,
            Ok(pb::Coding::Hevc) => Coding::Hevc,
            Ok(pb::Coding::JpegXl) => Coding::JpegXl,
            Ok(pb::Coding::Unspecified) | Err(_) => return Err(Invalid::missing("coding")),
        };
        if !(1..=Part::COUNT_MAX).contains(&message.parts.len()) {
            return Err(Invalid::new("parts", "are none or too many"));
        }
        let size = |bytes: u64| {
            usize::try_from(bytes)
                .map_err(|_| Invalid::new("parts", "are more than this machine can address"))
        };
        let part = |part: pb::FilePart| {
            Ok(Part { offset: size(part.offset)?, bytes: size(part.bytes)?, is_unit: part.is_unit })
        };
        let meaning = |meaning: pb::SampleMeaning| {
            let matrix =
                u16::try_from(meaning.matrix).map_err(|_| Invalid::new("matrix", "is no such number"))?;
            Ok(Meaning { matrix, full_range: meaning.full_range })
        };
        Ok(Self {
            coding,
            parts: message.parts.into_iter().map(part).collect::<Result<_, Invalid>>()?,
            meaning: message.meaning.map(meaning).transpose()?,
            mosaic: message.mosaic.ok_or_else(|| Invalid::missing("mosaic"))?.try_into()?,
        })
    }
}

impl From<Mosaic> for pb::Mosaic {
    fn from(mosaic: Mosaic) -> Self {
        Self {
            columns: mosaic.columns,
            rows: mosaic.rows,
            tile_width: mosaic.tile_width,
            tile_height: mosaic.tile_height,
            left: mosaic.left,
            top: mosaic.top,
            width: mosaic.width,
            height: mosaic.height,
            orientation: mosaic.orientation.into(),
            frames_left_out: mosaic.frames_left_out,
        }
    }
}

impl TryFrom<pb::Mosaic> for Mosaic {
    type Error = Invalid;

    fn try_from(message: pb::Mosaic) -> Result<Self, Invalid> {
        let orientation = u16::try_from(message.orientation)
            .map_err(|_| Invalid::new("orientation", "is no value of the tag"))?;
        Ok(Self {
            columns: message.columns,
            rows: message.rows,
            tile_width: message.tile_width,
            tile_height: message.tile_height,
            left: message.left,
            top: message.top,
            width: message.width,
            height: message.height,
            orientation,
            frames_left_out: message.frames_left_out,
        })
    }
}
