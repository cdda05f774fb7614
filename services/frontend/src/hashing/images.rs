//! Images: the hashes of every frame, in all ways that are enabled.

use std::sync::Arc;
use std::time::Instant;

use vigie_classifiers::PictureForm;
use vigie_clients::decoder::{DecoderError, Hasher, Hashing};
use vigie_media::{HashedPicture, Limits, Ways};
use vigie_model::DecodeFailureKind;

use super::pool::{Hashed, Media, Names};

/// The hashes of one image file, and the pixels of its first frame where a classifier reads them.
pub(crate) type HashedImage = Hashed<HashedPicture>;

/// The settings and limits for hashing images.
#[derive(Debug, Clone)]
pub(crate) struct Images {
    pub(crate) hashing: Hashing,
    pub(crate) limits: Limits,
    pub(crate) ways: Ways,
}

impl Media for Images {
    type Hashes = HashedPicture;
    /// The forms in which classifiers want the pixels of the first frame.
    type Order = Arc<[PictureForm]>;
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
        forms: &Arc<[PictureForm]>,
        decode_by: Instant,
    ) -> Result<HashedPicture, DecoderError> {
        hasher.hash(file, &self.limits, self.ways, forms, decode_by)
    }

    fn later_fault(picture: &HashedPicture) -> Option<DecodeFailureKind> {
        picture.fingerprint.later_fault
    }
}
