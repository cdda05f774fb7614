//! How an item's content is written down: no field names, and lengths of one byte.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | number of hashes |
//! | 1 + 16 or 32 each | a hash: its type (1 `pdq`, 2 `md5`, 3 `sha256`) and its bytes |
//! | 1 | number of labels |
//! | 1 + length each | a label: its length and its text |
//! | 2 + length | the external reference: its length, little-endian, and its text; 0 for none |

use vigie_model::{BankId, Hash, ItemContent};

/// An item's bank and content, as they are written down.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(super) bank: BankId,
    pub(super) content: &'a [u8],
}

/// What a match is answered with, beside the bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notes {
    pub(crate) labels: Box<[Box<str>]>,
    pub(crate) external_reference: Option<Box<str>>,
}

/// Without content: it holds hashes.
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

    pub(crate) fn hashes(&self) -> Vec<Hash> {
        hashes(&mut Fields(self.content)).expect(NO_CONTENT)
    }

    pub(crate) fn notes(&self) -> Notes {
        let mut fields = Fields(self.content);
        pass_hashes(&mut fields).and_then(|()| notes(&mut fields)).expect(NO_CONTENT)
    }

    /// Whether the content is of this form, to its end.
    pub(super) fn is_whole(&self) -> bool {
        let mut fields = Fields(self.content);
        hashes(&mut fields).is_some() && notes(&mut fields).is_some() && fields.0.is_empty()
    }
}

pub(super) fn encode(content: &ItemContent) -> Vec<u8> {
    let short = |length: usize| u8::try_from(length).expect("an item's content is bounded");
    let mut bytes = vec![short(content.hashes().len())];
    for hash in content.hashes() {
        bytes.push(match hash {
            Hash::Pdq(_) => PDQ,
            Hash::Md5(_) => MD5,
            Hash::Sha256(_) => SHA256,
        });
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

const PDQ: u8 = 1;
const MD5: u8 = 2;
const SHA256: u8 = 3;

/// Takes fields off the front; `None` where there are too few bytes, or they mean nothing.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const BYTES: usize>(&mut self) -> Option<[u8; BYTES]> {
        self.take(BYTES)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn text(&mut self, bytes: usize) -> Option<Box<str>> {
        std::str::from_utf8(self.take(bytes)?).ok().map(Into::into)
    }
}

fn hashes(fields: &mut Fields<'_>) -> Option<Vec<Hash>> {
    let count = fields.byte()?;
    let hash = |_| match fields.byte()? {
        PDQ => fields.array().map(Hash::Pdq),
        MD5 => fields.array().map(Hash::Md5),
        SHA256 => fields.array().map(Hash::Sha256),
        _ => None,
    };
    (0..count).map(hash).collect()
}

fn pass_hashes(fields: &mut Fields<'_>) -> Option<()> {
    for _ in 0..fields.byte()? {
        let bytes = if fields.byte()? == MD5 { 16 } else { 32 };
        fields.take(bytes)?;
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
    let length = u16::from_le_bytes(fields.array()?);
    let reference = fields.text(length.into())?;
    Some(Notes { labels, external_reference: (length > 0).then_some(reference) })
}

#[cfg(test)]
mod tests {
    use vigie_model::ItemDraft;

    use super::*;

    fn check(draft: ItemDraft) {
        let content = ItemContent::try_from(draft).unwrap();
        let bytes = encode(&content);
        let record = Record { bank: BankId(7), content: &bytes };
        assert_eq!(record.hashes(), content.hashes());
        let notes = record.notes();
        let read = (&*notes.labels, notes.external_reference.as_deref());
        assert_eq!(read, (content.labels(), content.external_reference()));
        assert!(record.is_whole());
        for length in 0..bytes.len() {
            assert!(!Record { bank: BankId(7), content: &bytes[..length] }.is_whole(), "{length}");
        }
        assert!(!Record { bank: BankId(7), content: &[&bytes[..], &[0]].concat() }.is_whole());
    }

    #[test]
    fn content_is_read_as_it_was_written() {
        check(ItemDraft { hashes: vec![Hash::Md5([3; 16])], ..ItemDraft::default() });
        let every = (0..ItemContent::HASHES_MAX).map(|at| {
            let at = u8::try_from(at).unwrap();
            [Hash::Pdq([at; 32]), Hash::Md5([at; 16]), Hash::Sha256([at; 32])][usize::from(at % 3)]
        });
        check(ItemDraft {
            hashes: every.collect(),
            labels: vec!["é".repeat(ItemContent::LABEL_LEN_MAX / 2); ItemContent::LABELS_MAX],
            external_reference: "x".repeat(ItemContent::EXTERNAL_REFERENCE_LEN_MAX),
        });
    }

    #[test]
    fn other_bytes_are_no_content() {
        for bytes in [&[1, 9, 0, 0][..], &[0, 1, 1, 0xff, 0, 0], &[]] {
            assert!(!Record { bank: BankId(1), content: bytes }.is_whole(), "{bytes:?}");
        }
    }
}
