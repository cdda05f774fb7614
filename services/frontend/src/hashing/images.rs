//! Images: the hashes of every frame, in all ways that are switched on.

use std::time::Instant;

use vigie_clients::decoder::{DecoderError, Hasher, Hashing};
use vigie_media::{Limits, Ways};
use vigie_model::{DecodeFailureKind, PictureFingerprint};

use super::pool::{Hashed, Media, Names};

/// The hashes of one image file.
pub(crate) type HashedImage = Hashed<PictureFingerprint>;

/// How images are hashed.
#[derive(Debug, Clone)]
pub(crate) struct Images {
    pub(crate) hashing: Hashing,
    pub(crate) limits: Limits,
    pub(crate) ways: Ways,
}

impl Media for Images {
    type Hashes = PictureFingerprint;
    type Order = ();
    type Hasher = Hasher;

    const NAMES: Names = Names {
        file: "image",
        span: "hash an image",
        hashed: ("vigie_images_hashed", "Images that were decoded and hashed"),
        failures: (
            "vigie_image_decode_failures",
            "Images that could not be decoded, or not beyond their first frames, by what was wrong; panicked, crashed and \
             refused_call are a decoder's faults, and unavailable is a lack of decoders",
        ),
        queued: ("vigie_images_queued", "Images that wait for a thread to hash them"),
    };

    fn hasher(&self) -> Hasher {
        self.hashing.hasher()
    }

    fn hash(
        &self,
        hasher: &mut Hasher,
        file: &[u8],
        (): &(),
        decode_by: Instant,
    ) -> Result<PictureFingerprint, DecoderError> {
        hasher.hash(file, &self.limits, self.ways, decode_by)
    }

    fn later_fault(picture: &PictureFingerprint) -> Option<DecodeFailureKind> {
        picture.later_fault
    }
}
