//! The encoding of an item's content: no field names, and one byte for each short length.
//!
//! A hash is decoded without the table of hash types, so a record survives in a build that does not know a
//! type of it.
//!
//! | bytes | field |
//! |---|---|
//! | 1 | number of hashes |
//! | 1 + 32, 16, 32 | a hash of type `pdq`, `md5` or `sha256`: the type's number (1, 2, 3), and the bytes |
//! | 5 + length | any other hash: 0, the type's number and the length in 2 bytes each, and the bytes |
//! | 7 + length | a longer hash: 255, the type's number in 2 bytes, the length in 4, and the bytes |
//! | 1 | number of labels |
//! | 1 + length each | a label: its length and its text |
//! | 2 + length | the external reference: its length and its text; length 0 for none |
//!
//! Numbers are little-endian. A longer hash has more than 65,535 bytes, and is a long video. A version that
//! does not know this form refuses the file.
//!
//! The time when an item was added is not part of the content. It has its own column ([`super::file`]), which
//! a version that does not know it skips.

use vigie_model::{BankId, Hash, HashType, ItemContent, UnixMillis};

use crate::shard::fields::Fields;

/// The bank and the encoded content of an item.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(super) bank: BankId,
    pub(super) added: AddedAt,
    pub(super) content: &'a [u8],
}

/// The time when an item was added: seconds since 1970, 0 if unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct AddedAt(pub(super) u32);

impl From<UnixMillis> for AddedAt {
    /// Rounds down. A time that does not fit into 32 bits becomes unknown.
    fn from(at: UnixMillis) -> Self {
        Self(u32::try_from(at.0 / 1_000).unwrap_or_default())
    }
}

/// The parts of a record that a match contains, except the bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notes {
    pub(crate) labels: Box<[Box<str>]>,
    pub(crate) external_reference: Option<Box<str>>,
}

/// Omits the content, because it has hashes.
impl std::fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("bank", &self.bank).finish_non_exhaustive()
    }
}

const NO_CONTENT: &str = "content is written here, and checked when a file is opened";

impl Record<'_> {
    pub(crate) const fn bank(&self) -> BankId {
        self.bank
    }

    /// Returns the time when the item was added, rounded to a second; `None` if it is unknown.
    pub(crate) fn added_at(&self) -> Option<UnixMillis> {
        let AddedAt(seconds) = self.added;
        (seconds > 0).then(|| UnixMillis(1_000 * u64::from(seconds)))
    }

    pub(crate) fn hashes(&self) -> Vec<Hash> {
        hashes(&mut Fields::of(self.content)).expect(NO_CONTENT)
    }

    /// Returns the types and bytes of its hashes, without copying the bytes.
    pub(crate) fn bytes_of_hashes(&self) -> impl Iterator<Item = (HashType, &[u8])> {
        let mut fields = Fields::of(self.content);
        let count = fields.byte().expect(NO_CONTENT);
        (0..count).map(move |_| {
            let (number, bytes) = hash(&mut fields).expect(NO_CONTENT);
            (HashType::from_number(number).expect(NO_CONTENT), bytes)
        })
    }

    pub(crate) fn notes(&self) -> Notes {
        let mut fields = Fields::of(self.content);
        pass_hashes(&mut fields).and_then(|()| notes(&mut fields)).expect(NO_CONTENT)
    }

    /// Returns whether the content is valid to its last byte.
    pub(super) fn is_whole(&self) -> bool {
        let mut fields = Fields::of(self.content);
        hashes(&mut fields).is_some() && notes(&mut fields).is_some() && fields.is_empty()
    }
}

pub(super) fn encode(content: &ItemContent) -> Vec<u8> {
    let short = |length: usize| u8::try_from(length).expect("an item's content is bounded");
    let mut bytes = vec![short(content.hashes().len())];
    for hash in content.hashes() {
        let number = hash.hash_type().number();
        match SHORT.iter().find(|(short, _)| u16::from(*short) == number) {
            Some((tag, _)) => bytes.push(*tag),
            None => match u16::try_from(hash.as_bytes().len()) {
                Ok(length) => {
                    bytes.push(LONG);
                    bytes.extend(number.to_le_bytes());
                    bytes.extend(length.to_le_bytes());
                }
                Err(_) => {
                    let length = u32::try_from(hash.as_bytes().len()).expect("a hash is bounded");
                    bytes.push(LONGEST);
                    bytes.extend(number.to_le_bytes());
                    bytes.extend(length.to_le_bytes());
                }
            },
        }
        bytes.extend(hash.as_bytes());
    }
    bytes.push(short(content.labels().len()));
    for label in content.labels() {
        bytes.push(short(label.len()));
        bytes.extend(label.as_bytes());
    }
    let reference = content.external_reference().unwrap_or_default();
    bytes.extend(u16::try_from(reference.len()).expect("an item's content is bounded").to_le_bytes());
    bytes.extend(reference.as_bytes());
    bytes
}

/// The types whose tag is one byte, and the length of their hashes. Never change it: existing files use it.
const SHORT: [(u8, usize); 3] = [(1, 32), (2, 16), (3, 32)];
/// The tag of a hash whose type and 2-byte length follow.
const LONG: u8 = 0;
/// The tag of a hash whose type and 4-byte length follow.
const LONGEST: u8 = 255;

fn hashes(fields: &mut Fields<'_>) -> Option<Vec<Hash>> {
    let count = fields.byte()?;
    let hash = |_| {
        let (number, bytes) = hash(fields)?;
        Hash::from_peer(HashType::from_number(number)?, bytes).ok()
    };
    (0..count).map(hash).collect()
}

/// Returns the number of the next hash's type, and its bytes.
fn hash<'a>(fields: &mut Fields<'a>) -> Option<(u16, &'a [u8])> {
    let tag = fields.byte()?;
    if tag == LONG {
        let (number, length) = (fields.u16()?, fields.u16()?);
        return Some((number, fields.take(length.into())?));
    }
    if tag == LONGEST {
        let (number, length) = (fields.u16()?, fields.u32()?);
        return Some((number, fields.take(usize::try_from(length).ok()?)?));
    }
    let (tag, length) = *SHORT.iter().find(|(short, _)| *short == tag)?;
    Some((tag.into(), fields.take(length)?))
}

fn pass_hashes(fields: &mut Fields<'_>) -> Option<()> {
    for _ in 0..fields.byte()? {
        hash(fields)?;
    }
    Some(())
}

fn notes(fields: &mut Fields<'_>) -> Option<Notes> {
    let count = fields.byte()?;
    let mut label = |_| {
        let length = fields.byte()?;
        fields.text(length.into())
    };
    let labels = (0..count).map(&mut label).collect::<Option<_>>()?;
    let length = fields.u16()?;
    let reference = fields.text(length.into())?;
    Some(Notes { labels, external_reference: (length > 0).then_some(reference) })
}

#[cfg(test)]
mod tests {
    use vigie_model::{Frame, ItemDraft};

    use super::*;

    const fn record(content: &[u8]) -> Record<'_> {
        Record { bank: BankId(7), added: AddedAt(0), content }
    }

    #[test]
    fn a_time_is_kept_to_the_second() {
        let read = |ms| Record { added: UnixMillis(ms).into(), ..record(&[]) }.added_at();
        assert_eq!(read(1_700_000_000_999), Some(UnixMillis(1_700_000_000_000)));
        assert_eq!((read(0), read(1_000 << 32)), (None, None));
    }

    fn check(draft: ItemDraft) {
        let content = ItemContent::try_from(draft).unwrap();
        let bytes = encode(&content);
        let written = record(&bytes);
        assert_eq!(written.hashes(), content.hashes());
        let bytes_of = content.hashes().iter().map(|hash| (hash.hash_type(), hash.as_bytes()));
        assert!(written.bytes_of_hashes().eq(bytes_of));
        let notes = written.notes();
        let read = (&*notes.labels, notes.external_reference.as_deref());
        assert_eq!(read, (content.labels(), content.external_reference()));
        assert!(written.is_whole());
        for length in 0..bytes.len() {
            assert!(!record(&bytes[..length]).is_whole(), "{length}");
        }
        assert!(!record(&[&bytes[..], &[0]].concat()).is_whole());
    }

    #[test]
    fn content_is_read_as_it_was_written() {
        check(ItemDraft { hashes: vec![Hash::md5([3; 16])], ..ItemDraft::default() });
        let every = (0..ItemContent::HASHES_MAX).map(|at| {
            let at = u8::try_from(at).unwrap();
            match at % 4 {
                0 => Hash::pdq([at; 32]),
                1 => Hash::md5([at; 16]),
                2 => Hash::sha256([at; 32]),
                _ => {
                    let unknown = HashType::from_number(60_000 + u16::from(at)).unwrap();
                    Hash::from_peer(unknown, &vec![at; 1 + usize::from(at) * 8]).unwrap()
                }
            }
        });
        check(ItemDraft {
            hashes: every.collect(),
            labels: vec!["é".repeat(ItemContent::LABEL_LEN_MAX / 2); ItemContent::LABELS_MAX],
            external_reference: "x".repeat(ItemContent::EXTERNAL_REFERENCE_LEN_MAX),
        });
    }

    #[test]
    fn videos_of_every_length_are_kept() {
        // 65,520 bytes, and one frame more.
        for count in [1, 1_820, 1_821, ItemContent::FRAMES_MAX] {
            let frame = |at: usize| Frame { pdq: [at.to_le_bytes()[0]; 32], quality: 50, time_ms: 0 };
            let frames: Vec<Frame> = (0..count).map(frame).collect();
            let hashes = vec![Hash::md5([1; 16]), Hash::of_frames(&frames).unwrap()];
            let content = ItemContent::try_from(ItemDraft { hashes, ..ItemDraft::default() }).unwrap();
            let bytes = encode(&content);
            assert_eq!(record(&bytes).hashes(), content.hashes());
            assert!(record(&bytes).is_whole());
            let cut = [1, 2, 17, 20, 24, bytes.len() - 3];
            assert!(cut.iter().all(|length| !record(&bytes[..*length]).is_whole()), "{count}");
            // A short video has the form that versions before videos know.
            assert_eq!(bytes[18], if count <= 1_820 { LONG } else { LONGEST });
        }
    }

    #[test]
    fn other_bytes_are_no_content() {
        for bytes in [&[1, 9, 0, 0][..], &[0, 1, 1, 0xff, 0, 0], &[]] {
            assert!(!record(bytes).is_whole(), "{bytes:?}");
        }
    }
}
