//! The hash: one fingerprint, made of a hash type and bytes.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use smallvec::SmallVec;
use thiserror::Error;

use crate::declared::Declaration;
use crate::frames::{self, Frame, Frames, FramesError, PdqHash};
use crate::hex;
use crate::table::{Distance, HashType, Lengths, Metric, Row, TextForm};
use crate::vectors::{self, VECTOR_ELEMENTS_MAX, VectorElement, VectorFault};

/// The 16 bytes of an MD5 digest.
pub type Md5Hash = [u8; 16];
/// The 32 bytes of a SHA-256 digest.
pub type Sha256Hash = [u8; 32];

/// A fingerprint: a hash type and bytes. A hash of a known type has one of the lengths of its row; a hash
/// of an unknown type has 1 to [`Hash::LEN_MAX`] bytes.
///
/// Hashes are ordered by type, then by bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash {
    hash_type: HashType,
    /// Up to 32 bytes are stored inline, so the types of most queries need no allocation.
    bytes: SmallVec<[u8; 32]>,
}

/// The reasons why bytes or text are not a hash. No message repeats the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HashError {
    /// This build has no row for the type.
    #[error("hash type {} is not known to this version", .0.number())]
    UnknownType(HashType),
    /// The hash has the wrong number of bytes.
    #[error("a {hash_type} hash has {}, not {actual}{}", expected(*hash_type), unit(*hash_type))]
    Length {
        /// The type that was named.
        hash_type: HashType,
        /// The number of bytes that were given.
        actual: usize,
    },
    /// The frames of a video are not valid.
    #[error(transparent)]
    Frames(#[from] FramesError),
    /// The elements of a vector are not valid.
    #[error(transparent)]
    Vector(#[from] VectorFault),
    /// The text is not written in a form that the type accepts.
    #[error("a {hash_type} hash is written as {}; this text is something else", text_form(*hash_type))]
    Text {
        /// The type that was named.
        hash_type: HashType,
    },
}

impl Hash {
    /// The largest number of bytes of a hash of a type without a row, and of every known type except `vpdq`
    /// and vectors.
    pub const LEN_MAX: usize = 512;
    /// The largest number of bytes of a vector.
    pub const VECTOR_LEN_MAX: usize = 4 * VECTOR_ELEMENTS_MAX;

    /// Creates a PDQ hash.
    #[must_use]
    pub fn pdq(bytes: PdqHash) -> Self {
        Self { hash_type: HashType::PDQ, bytes: SmallVec::from(bytes) }
    }

    /// Creates an MD5 hash.
    #[must_use]
    pub fn md5(bytes: Md5Hash) -> Self {
        Self { hash_type: HashType::MD5, bytes: SmallVec::from_slice(&bytes) }
    }

    /// Creates a SHA-256 hash.
    #[must_use]
    pub fn sha256(bytes: Sha256Hash) -> Self {
        Self { hash_type: HashType::SHA256, bytes: SmallVec::from(bytes) }
    }

    /// Creates a hash from untrusted bytes: checks them against the type's row, and makes the bytes of a
    /// vector canonical. Refuses an unknown type, because nothing enters the system that was not understood.
    pub fn from_bytes(hash_type: HashType, bytes: &[u8]) -> Result<Self, HashError> {
        let row = entry_row(hash_type)?;
        Self::entering(hash_type, row, bytes)
    }

    /// Creates a hash from bytes that another part of the system has accepted. Checks them against the type's
    /// row, but leaves them as they are. Accepts a hash of an unknown type without a check of its form,
    /// because it is only kept and forwarded.
    pub fn from_peer(hash_type: HashType, bytes: &[u8]) -> Result<Self, HashError> {
        match hash_type.row() {
            Some(row) => Self::of_row(hash_type, row, bytes),
            None if (1..=Self::LEN_MAX).contains(&bytes.len()) => {
                Ok(Self { hash_type, bytes: SmallVec::from_slice(bytes) })
            }
            None => Err(HashError::Length { hash_type, actual: bytes.len() }),
        }
    }

    /// Creates a hash from bytes of a client.
    fn entering(hash_type: HashType, row: &Row, bytes: &[u8]) -> Result<Self, HashError> {
        match hash_type.vector_class() {
            Some(class) if row.accepts(bytes.len()) => {
                Ok(Self { hash_type, bytes: SmallVec::from_vec(vectors::canonical(class, bytes)?) })
            }
            Some(_) | None => Self::of_row(hash_type, row, bytes),
        }
    }

    fn of_row(hash_type: HashType, row: &Row, bytes: &[u8]) -> Result<Self, HashError> {
        if !row.accepts(bytes.len()) {
            return Err(HashError::Length { hash_type, actual: bytes.len() });
        }
        match row.metric {
            Metric::Frames => frames::check(bytes)?,
            Metric::Vector => {
                if let Some(class) = hash_type.vector_class() {
                    vectors::check(class, bytes)?;
                }
            }
            Metric::Hamming | Metric::Equality => {}
        }
        Ok(Self { hash_type, bytes: SmallVec::from_slice(bytes) })
    }

    /// Reads the text of a hash of a known type: hexadecimal digits of either case, without prefix or
    /// separators, or base64 where the row allows it. A TLSH hash may have `T1` before the digits. A video is
    /// the text of its frames ([`frames::text`]). A vector may also be a JSON list of its elements.
    pub fn from_text(hash_type: HashType, text: &str) -> Result<Self, HashError> {
        let row = entry_row(hash_type)?;
        let digits = match row.text {
            TextForm::Frames => return Self::of_frames(&frames::text::read(text)?).map_err(Into::into),
            TextForm::Vector => return Self::of_vector_text(hash_type, row, text),
            TextForm::Hex | TextForm::HexOrBase64 => text,
            TextForm::Tlsh => text.strip_prefix("T1").or_else(|| text.strip_prefix("t1")).unwrap_or(text),
        };
        let mut bytes = [0; Self::LEN_MAX];
        let is_base64 = row.text == TextForm::HexOrBase64;
        match hex::decode_into(digits.as_bytes(), &mut bytes) {
            // A base64 text may consist of hexadecimal digits only.
            Some(len) => Self::of_row(hash_type, row, &bytes[..len])
                .or_else(|error| base64_of(row, text).filter(|_| is_base64).ok_or(error)),
            None => base64_of(row, text).filter(|_| is_base64).ok_or(HashError::Text { hash_type }),
        }
    }

    fn of_vector_text(hash_type: HashType, row: &Row, text: &str) -> Result<Self, HashError> {
        let class = hash_type.vector_class().ok_or(HashError::UnknownType(hash_type))?;
        let no_vector = || HashError::Text { hash_type };
        if let Some(list) = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let mut bytes = Vec::new();
            for element in list.split(',').take(VECTOR_ELEMENTS_MAX + 1) {
                let element = element.trim();
                match class.element {
                    VectorElement::F32 => {
                        let number: f32 = element.parse().map_err(|_| no_vector())?;
                        bytes.extend(number.to_le_bytes());
                    }
                    VectorElement::U8 => bytes.push(element.parse().map_err(|_| no_vector())?),
                }
            }
            return Self::entering(hash_type, row, &bytes);
        }
        // Longer text cannot be a vector, and is not worth decoding.
        if text.len() > 2 * Self::VECTOR_LEN_MAX {
            return Err(no_vector());
        }
        let mut digits = vec![0; Self::VECTOR_LEN_MAX];
        let of_digits = hex::decode_into(text.as_bytes(), &mut digits).map(|len| digits[..len].to_vec());
        let of_digits = of_digits.filter(|bytes| row.accepts(bytes.len()));
        let bytes = of_digits.or_else(|| STANDARD.decode(text).ok()).ok_or_else(no_vector)?;
        Self::entering(hash_type, row, &bytes)
    }

    /// Returns the type, which determines how the hash is computed and compared.
    #[must_use]
    pub const fn hash_type(&self) -> HashType {
        self.hash_type
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the distance of two hashes by the metric of their type. `None` if they cannot be compared
    /// (different types or lengths, a type without a row, lists of frames), or if they differ and their
    /// metric is equality.
    #[must_use]
    pub fn distance(&self, other: &Self) -> Option<Distance> {
        if self.hash_type != other.hash_type || self.bytes.len() != other.bytes.len() {
            return None;
        }
        match self.hash_type.row()?.metric {
            Metric::Equality | Metric::Frames => (self.bytes == other.bytes).then_some(Distance(0)),
            Metric::Vector => {
                let class = self.hash_type.vector_class()?;
                Some(vectors::distance(class, &self.bytes, &other.bytes))
            }
            Metric::Hamming => {
                let (words, rest) = self.bytes.as_chunks::<8>();
                let (other_words, other_rest) = other.bytes.as_chunks::<8>();
                let bits = |one: &[u8; 8], other: &[u8; 8]| {
                    (u64::from_ne_bytes(*one) ^ u64::from_ne_bytes(*other)).count_ones()
                };
                let whole: u32 = words.iter().zip(other_words).map(|(one, other)| bits(one, other)).sum();
                let last: u32 =
                    rest.iter().zip(other_rest).map(|(one, other)| (one ^ other).count_ones()).sum();
                Some(Distance(whole + last))
            }
        }
    }

    /// Returns the usual text form: lower-case hexadecimal digits; for TLSH `T1` and upper-case digits; for a
    /// vector base64; for a video one line a frame.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self.hash_type.row().map(|row| row.text) {
            Some(TextForm::Tlsh) => format!("T1{}", hex::encode(&self.bytes).to_ascii_uppercase()),
            Some(TextForm::Frames) => {
                self.frames().map(|frames| frames::text::write(frames.iter())).unwrap_or_default()
            }
            Some(TextForm::Vector) => STANDARD.encode(&self.bytes),
            Some(TextForm::Hex | TextForm::HexOrBase64) | None => hex::encode(&self.bytes),
        }
    }

    /// Returns the text form on one line without spaces: [`Hash::to_text`], but for a video the JSON list of
    /// threatexchange.
    #[must_use]
    pub fn to_line(&self) -> String {
        self.frames().map_or_else(|| self.to_text(), |frames| frames::text::write_list(frames.iter()))
    }

    /// Creates a hash of a known type from a number, a different hash for each number: for tests and
    /// measurements.
    ///
    /// # Panics
    ///
    /// Panics if the type has no row.
    #[must_use]
    pub fn sample(hash_type: HashType, number: u64) -> Self {
        let row = hash_type.row().expect("the type has a row");
        let mut bytes = vec![0; row.lengths.least()];
        let mut state = number.wrapping_add(1);
        for byte in &mut bytes {
            // Steps of SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = ((mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 56) as u8;
        }
        if row.metric == Metric::Frames {
            // The highest quality, so that the frame is searched.
            bytes[frames::QUALITY_AT] = 100;
        }
        if hash_type.vector_class().is_some_and(|class| class.element == VectorElement::F32) {
            // Arbitrary bytes may not be a number (NaN).
            let numbers = bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|chunk| f32::from(i16::from_le_bytes([chunk[0], chunk[1]])));
            bytes = numbers.flat_map(f32::to_le_bytes).collect();
        }
        Self::entering(hash_type, row, &bytes).expect("the bytes are made for the row")
    }

    /// Creates the hash of a video with these frames.
    pub fn of_frames(frames: &[Frame]) -> Result<Self, FramesError> {
        Ok(Self { hash_type: HashType::VPDQ, bytes: SmallVec::from_vec(frames::encode(frames)?) })
    }

    /// Returns the frames of a video; `None` for a hash of another type.
    #[must_use]
    pub fn frames(&self) -> Option<Frames<'_>> {
        (self.hash_type == HashType::VPDQ).then(|| Frames::of_bytes(&self.bytes)).flatten()
    }
}

fn base64_of(row: &Row, text: &str) -> Option<Hash> {
    // Longer text cannot be a hash, and is not worth decoding.
    let fits = text.len() <= Hash::LEN_MAX.div_ceil(3) * 4;
    let bytes = fits.then(|| STANDARD.decode(text).ok()).flatten()?;
    Hash::of_row(row.hash_type, row, &bytes).ok()
}

/// Returns the row of a type whose hashes clients may send. A vector type must be declared.
fn entry_row(hash_type: HashType) -> Result<&'static Row, HashError> {
    let is_declared = |row: &&Row| row.hash_type == hash_type && !row.name.is_empty();
    hash_type.row().filter(is_declared).ok_or(HashError::UnknownType(hash_type))
}

/// Returns the lengths of a type in words: "32 bytes (64 hexadecimal digits)".
fn expected(hash_type: HashType) -> String {
    if let Some(Declaration { elements, .. }) = Declaration::of(hash_type) {
        let class = hash_type.vector_class().map_or(1, |class| class.element.bytes());
        return format!("{elements} elements ({} bytes)", usize::from(elements) * class);
    }
    match hash_type.row().map(|row| row.lengths) {
        Some(Lengths::Parts { bytes, count_max }) if hash_type.vector_class().is_some() => {
            format!("1 to {count_max} elements of {bytes} bytes")
        }
        Some(Lengths::Of(&[only])) => format!("{only} bytes ({} hexadecimal digits)", only * 2),
        Some(Lengths::Parts { bytes, count_max }) => format!("1 to {count_max} frames of {bytes} bytes"),
        Some(Lengths::Of(lengths)) => {
            let lengths: Vec<String> = lengths.iter().map(ToString::to_string).collect();
            format!("{} bytes", lengths.join(" or "))
        }
        None => format!("1 to {} bytes", Hash::LEN_MAX),
    }
}

/// Returns the unit of the given length, in bytes, where the expected length is given in another unit.
fn unit(hash_type: HashType) -> &'static str {
    if hash_type.vector_class().is_some() { " bytes" } else { "" }
}

/// Returns the text forms of a type in words: "64 hexadecimal digits".
fn text_form(hash_type: HashType) -> String {
    let Some(row) = hash_type.row() else { return "hexadecimal digits".to_owned() };
    let lengths = row.lengths.listed().unwrap_or_default();
    let digits: Vec<String> = lengths.iter().map(|len| (2 * len).to_string()).collect();
    let hex = format!("{} hexadecimal digits", digits.join(" or "));
    match row.text {
        TextForm::Hex => hex,
        TextForm::HexOrBase64 => format!("{hex} or as base64"),
        TextForm::Tlsh => format!("T1 and {hex}"),
        TextForm::Frames => frames::text::FORM.to_owned(),
        TextForm::Vector => "base64, hexadecimal digits or a JSON list of its elements".to_owned(),
    }
}

/// Shows only the type: hashes are sensitive and must not reach a log through a derived `Debug`.
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({})", self.hash_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::ROWS;

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|at| u8::try_from(at * 37 % 256).unwrap()).collect()
    }

    #[test]
    fn every_type_reads_back_what_it_wrote() {
        for row in ROWS {
            let listed = row.lengths.listed().unwrap_or_default().iter();
            let hashes = listed.map(|&len| Hash::from_bytes(row.hash_type, &bytes(len)).unwrap());
            for hash in hashes.chain([Hash::sample(row.hash_type, 7)]) {
                assert_eq!(Hash::from_text(row.hash_type, &hash.to_text()), Ok(hash.clone()));
                assert_eq!(Hash::from_text(row.hash_type, &hash.to_text().to_uppercase()), Ok(hash.clone()));
                assert_eq!(Hash::from_text(row.hash_type, &hash.to_line()), Ok(hash.clone()));
                assert!(!hash.to_line().contains(char::is_whitespace), "{}", row.name);
                let base64 = Hash::from_text(row.hash_type, &STANDARD.encode(hash.as_bytes()));
                assert_eq!(base64.is_ok(), row.text == TextForm::HexOrBase64, "{}", row.name);
            }
        }
    }

    #[test]
    fn tlsh_is_written_with_its_version_and_read_with_or_without_it() {
        let digits = "AB".repeat(35);
        let hash = Hash::from_text(HashType::TLSH, &digits).unwrap();
        assert_eq!(hash.to_text(), format!("T1{digits}"));
        assert_eq!(Hash::from_text(HashType::TLSH, &hash.to_text().to_lowercase()), Ok(hash));
        let error = Hash::from_text(HashType::TLSH, &format!("T2{digits}")).unwrap_err();
        assert!(error.to_string().contains("T1 and 70 hexadecimal digits"), "{error}");
    }

    #[test]
    fn photodna_is_read_from_either_text() {
        let hash = Hash::from_bytes(HashType::PHOTODNA, &bytes(144)).unwrap();
        assert_eq!((STANDARD.encode(hash.as_bytes()).len(), hash.to_text().len()), (192, 288));
        assert_eq!(Hash::from_text(HashType::PHOTODNA, &STANDARD.encode(hash.as_bytes())), Ok(hash));
    }

    #[test]
    fn a_wrong_length_is_answered_with_the_right_one() {
        let error = Hash::from_bytes(HashType::PDQ, &[0; 31]).unwrap_err();
        assert_eq!(error.to_string(), "a pdq hash has 32 bytes (64 hexadecimal digits), not 31");
        let error = Hash::from_text(HashType::SHA256, &"ab".repeat(16)).unwrap_err();
        assert_eq!(error.to_string(), "a sha256 hash has 32 bytes (64 hexadecimal digits), not 16");
    }

    #[test]
    fn text_of_another_form_is_refused() {
        for text in ["abc", "zz", "+1", "é", "AAAA", &"A".repeat(100_000)] {
            assert!(Hash::from_text(HashType::MD5, text).is_err(), "{}", text.len());
        }
        let error = Hash::from_text(HashType::PDQ, "zz").unwrap_err();
        assert_eq!(
            error.to_string(),
            "a pdq hash is written as 64 hexadecimal digits; this text is something else"
        );
    }

    #[test]
    fn a_hash_of_an_unknown_type_is_kept_from_peers_and_refused_from_clients() {
        let unknown = HashType::from_number(40_000).unwrap();
        assert_eq!(Hash::from_bytes(unknown, &[1; 5]), Err(HashError::UnknownType(unknown)));
        let hash = Hash::from_peer(unknown, &[1; 5]).unwrap();
        assert_eq!((hash.hash_type(), hash.as_bytes()), (unknown, &[1; 5][..]));
        assert!(Hash::from_peer(unknown, &[1; 512]).is_ok());
        for len in [0, 513] {
            assert!(Hash::from_peer(unknown, &vec![1; len]).is_err(), "{len}");
        }
        assert!(Hash::from_peer(HashType::PDQ, &[0; 31]).is_err());
    }

    #[test]
    fn distances_are_those_of_the_metric() {
        let (mut one, other) = ([0_u8; 32], [0_u8; 32]);
        (one[0], one[31]) = (0b101, 0x80);
        assert_eq!(Hash::pdq(one).distance(&Hash::pdq(other)), Some(Distance(3)));
        assert_eq!(Hash::sha256(one).distance(&Hash::sha256(other)), None);
        assert_eq!(Hash::sha256(one).distance(&Hash::sha256(one)), Some(Distance(0)));
        assert_eq!(Hash::sha256(one).distance(&Hash::pdq(one)), None);
    }

    #[test]
    fn debug_never_shows_the_digits() {
        assert_eq!(format!("{:?}", Hash::md5([0xab; 16])), "Hash(md5)");
    }

    #[test]
    fn a_hash_is_small() {
        assert!(size_of::<Hash>() <= 48, "{}", size_of::<Hash>());
    }
}
