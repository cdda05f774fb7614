//! The rows of the table of hash types.
//!
//! The numbers are those of `vigie.model.v1.HashType`. That enumeration also has the numbers of types that
//! other systems exchange and that have no row here. A test in `vigie-proto` compares the two.

use crate::frames::{FRAME_BYTES, FRAMES_MAX};
use crate::table::{Distance, HashType, Lengths, Metric, Row, TextForm};

/// Declares each type as a constant of [`HashType`] and as a row.
macro_rules! rows {
    ($($(#[$doc:meta])* $constant:ident = $number:literal { $($field:ident: $value:expr),* $(,)? })*) => {
        impl HashType {
            $($(#[$doc])* pub const $constant: Self = Self::new($number);)*
        }

        /// The table, in ascending order of number.
        pub static ROWS: &[Row] = &[$(Row { hash_type: HashType::$constant, $($field: $value),* }),*];
    };
}

rows! {
    /// PDQ, a perceptual hash of pictures.
    ///
    /// The default distance of 31 bits is the reference implementation's threshold. 64 bits is twice that:
    /// beyond it unrelated pictures begin to match.
    PDQ = 1 {
        name: "pdq",
        aliases: &["HASH_PDQ"],
        lengths: Lengths::Of(&[32]),
        text: TextForm::Hex,
        metric: Metric::Hamming,
        distance_default: Distance(31),
        distance_max: Distance(64),
        has_variants: true,
        has_quality_floor: true,
    }
    /// MD5 of the content's bytes, of a picture or of a video.
    MD5 = 2 {
        name: "md5",
        aliases: &["HASH_MD5", "HASH_VIDEO_MD5", "video_md5"],
        lengths: Lengths::Of(&[16]),
        text: TextForm::HexOrBase64,
        metric: Metric::Equality,
        distance_default: Distance(0),
        distance_max: Distance(0),
        has_variants: false,
        has_quality_floor: false,
    }
    /// SHA-256 of the content's bytes.
    SHA256 = 3 {
        name: "sha256",
        aliases: &["HASH_SHA256", "HASH_VIDEO_SHA256", "sha-256"],
        lengths: Lengths::Of(&[32]),
        text: TextForm::HexOrBase64,
        metric: Metric::Equality,
        distance_default: Distance(0),
        distance_max: Distance(0),
        has_variants: false,
        has_quality_floor: false,
    }
    /// SHA-1 of the content's bytes.
    SHA1 = 4 {
        name: "sha1",
        aliases: &["HASH_SHA1", "sha-1"],
        lengths: Lengths::Of(&[20]),
        text: TextForm::HexOrBase64,
        metric: Metric::Equality,
        distance_default: Distance(0),
        distance_max: Distance(0),
        has_variants: false,
        has_quality_floor: false,
    }
    /// SHA-512 of the content's bytes.
    SHA512 = 5 {
        name: "sha512",
        aliases: &["HASH_SHA512", "sha-512"],
        lengths: Lengths::Of(&[64]),
        text: TextForm::HexOrBase64,
        metric: Metric::Equality,
        distance_default: Distance(0),
        distance_max: Distance(0),
        has_variants: false,
        has_quality_floor: false,
    }
    /// PhotoDNA, a perceptual hash that only its licensees compute.
    ///
    /// The hash is opaque here: two hashes match if they are equal, because the distance is known only to
    /// licensees.
    PHOTODNA = 6 {
        name: "photodna",
        aliases: &["HASH_PDNA", "HASH_PHOTODNA", "pdna"],
        lengths: Lengths::Of(&[144]),
        text: TextForm::HexOrBase64,
        metric: Metric::Equality,
        distance_default: Distance(0),
        distance_max: Distance(0),
        has_variants: false,
        has_quality_floor: false,
    }
    /// TLSH, a locality-sensitive hash of bytes or of text: version 1 with 128 buckets and a checksum of one
    /// byte.
    ///
    /// Two hashes match if they are equal; TLSH's own distance is not computed.
    TLSH = 7 {
        name: "tlsh",
        aliases: &["HASH_TLSH", "HASH_TEXT_TLSH", "text_tlsh"],
        lengths: Lengths::Of(&[35]),
        text: TextForm::Tlsh,
        metric: Metric::Equality,
        distance_default: Distance(0),
        distance_max: Distance(0),
        has_variants: false,
        has_quality_floor: false,
    }
    /// MD5 of a normalised URL.
    URL_MD5 = 8 {
        name: "url_md5",
        aliases: &["HASH_URL_MD5", "url-md5"],
        lengths: Lengths::Of(&[16]),
        text: TextForm::HexOrBase64,
        metric: Metric::Equality,
        distance_default: Distance(0),
        distance_max: Distance(0),
        has_variants: false,
        has_quality_floor: false,
    }
    /// SHA-256 of a normalised text.
    TEXT_SHA256 = 9 {
        name: "text_sha256",
        aliases: &["HASH_TEXT_SHA256", "text-sha256"],
        lengths: Lengths::Of(&[32]),
        text: TextForm::HexOrBase64,
        metric: Metric::Equality,
        distance_default: Distance(0),
        distance_max: Distance(0),
        has_variants: false,
        has_quality_floor: false,
    }
    /// vPDQ: the frames of a video, each with its PDQ hash, its quality and its time.
    ///
    /// The distance is the distance of two frames. `VideoRules` says how many frames have to be within that
    /// distance.
    VPDQ = 10 {
        name: "vpdq",
        aliases: &["HASH_VPDQ", "video_vpdq"],
        lengths: Lengths::Parts { bytes: FRAME_BYTES, count_max: FRAMES_MAX },
        text: TextForm::Frames,
        metric: Metric::Frames,
        distance_default: Distance(31),
        distance_max: Distance(64),
        has_variants: true,
        has_quality_floor: false,
    }
}
