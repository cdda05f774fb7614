//! The encoding of the standings of a shard's items. Each distinct standing is saved once, because a million
//! items have only a few.
//!
//! Numbers are little-endian. The standings come first:
//!
//! | bytes | field |
//! |---|---|
//! | 4 | the number of standings |
//! | 1 each | flags: 1 for probation, plus 2 for an open dispute, plus 4 for new labels |
//! | 2 + 4 each | the contributors: their number, and their ids |
//! | 2 + 4 each | the members for whom it is held: their number, and their ids |
//! | 2 + 5 each | the opinions: their number; of each the member, and 1 positive, 2 negative, 3 seen |
//! | 2 + (2 + length) each | the classes: their number; of each the length and the text |
//! | 2 + (2 + length) each | the new labels, if the flags have them, in the same form |
//!
//! The rest is 12 bytes for each item with a standing: the item's id, and the number of its standing, counted
//! from 0.
//!
//! Reading checks only the form. The content is covered by the digests of the banks, which are saved in the
//! same manifest.

use std::collections::HashMap;
use std::sync::Arc;

use vigie_model::{ItemId, Labels, MemberId, OpinionKind, Standing};

use crate::shard::fields::Fields;

const PROBATION: u8 = 1;
const DISPUTE_OPEN: u8 = 2;
const RELABELLED: u8 = 4;

/// Encodes the standings of items. Returns no bytes if there are none.
pub(crate) fn encode<'a>(standings: impl Iterator<Item = (ItemId, &'a Arc<Standing>)>) -> Vec<u8> {
    // Equal standings share their allocation, unless there are very many. One that does not share it is
    // written twice.
    let mut numbers = HashMap::new();
    let (mut table, mut items) = (vec![0; 4], Vec::new());
    for (item, standing) in standings {
        let next = u32::try_from(numbers.len()).expect("there are fewer items");
        let number = *numbers.entry(Arc::as_ptr(standing)).or_insert_with(|| {
            encode_one(standing, &mut table);
            next
        });
        items.extend(item.0.to_le_bytes());
        items.extend(number.to_le_bytes());
    }
    if numbers.is_empty() {
        return Vec::new();
    }
    table[..4].copy_from_slice(&u32::try_from(numbers.len()).expect("there are fewer items").to_le_bytes());
    table.extend(items);
    table
}

fn encode_one(standing: &Standing, bytes: &mut Vec<u8>) {
    let Standing { probation, dispute_open, contributors, opinions, held_for, classes, labels } = standing;
    let length = |bytes: &mut Vec<u8>, length: usize| {
        bytes.extend(u16::try_from(length).expect("a standing is bounded").to_le_bytes());
    };
    let flags = [(*probation, PROBATION), (*dispute_open, DISPUTE_OPEN), (labels.is_some(), RELABELLED)];
    bytes.push(flags.iter().map(|(is_set, flag)| u8::from(*is_set) * flag).sum());
    for members in [contributors, held_for] {
        length(bytes, members.len());
        members.iter().for_each(|member| bytes.extend(member.0.to_le_bytes()));
    }
    length(bytes, opinions.len());
    for (member, kind) in opinions {
        bytes.extend(member.0.to_le_bytes());
        bytes.push(match kind {
            OpinionKind::Positive => 1,
            OpinionKind::Negative => 2,
            OpinionKind::Seen => 3,
        });
    }
    for texts in [Some(&classes[..]), labels.as_deref()].into_iter().flatten() {
        length(bytes, texts.len());
        for text in texts {
            length(bytes, text.len());
            bytes.extend(text.as_bytes());
        }
    }
}

/// Reads what [`encode`] wrote. Returns `None` for other bytes.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<(ItemId, Arc<Standing>)>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let fields = &mut Fields::of(bytes);
    let count = fields.u32()?;
    let table = (0..count).map(|_| decode_one(fields).map(Arc::new)).collect::<Option<Vec<_>>>()?;
    let mut items = Vec::new();
    while !fields.is_empty() {
        let (item, number) = (ItemId(fields.u64()?), usize::try_from(fields.u32()?).ok()?);
        items.push((item, Arc::clone(table.get(number)?)));
    }
    Some(items)
}

fn decode_one(fields: &mut Fields<'_>) -> Option<Standing> {
    let flags = fields.byte().filter(|flags| *flags <= PROBATION + DISPUTE_OPEN + RELABELLED)?;
    let contributors = each(fields, |fields| fields.u32().map(MemberId))?;
    let held_for = each(fields, |fields| fields.u32().map(MemberId))?;
    let opinions = each(fields, |fields| {
        let member = MemberId(fields.u32()?);
        let kind = match fields.byte()? {
            1 => OpinionKind::Positive,
            2 => OpinionKind::Negative,
            3 => OpinionKind::Seen,
            _ => return None,
        };
        Some((member, kind))
    })?;
    let text = |fields: &mut Fields<'_>| {
        let length = fields.u16()?;
        fields.text(length.into())
    };
    let classes = each(fields, text)?;
    let labels = if flags & RELABELLED == 0 {
        None
    } else {
        let labels: Box<[Box<str>]> = each(fields, text)?;
        Some(Labels::try_from(labels.into_iter().map(String::from).collect::<Vec<_>>()).ok()?)
    };
    let (probation, dispute_open) = (flags & PROBATION != 0, flags & DISPUTE_OPEN != 0);
    Some(Standing { probation, dispute_open, contributors, opinions, held_for, classes, labels })
}

/// Reads a list that is preceded by its length.
fn each<T>(fields: &mut Fields<'_>, read: impl Fn(&mut Fields<'_>) -> Option<T>) -> Option<Box<[T]>> {
    let count = fields.u16()?;
    (0..count).map(|_| read(fields)).collect()
}

#[cfg(test)]
mod tests {
    use vigie_model::ItemContent;

    use super::*;

    fn some() -> Vec<(ItemId, Arc<Standing>)> {
        let full = Arc::new(Standing {
            probation: true,
            dispute_open: true,
            contributors: [MemberId(1), MemberId(u32::MAX)].into(),
            opinions: [
                (MemberId(2), OpinionKind::Negative),
                (MemberId(3), OpinionKind::Positive),
                (MemberId(9), OpinionKind::Seen),
            ]
            .into(),
            held_for: (0..1_000).map(MemberId).collect(),
            classes: vec!["é".repeat(Standing::CLASS_LEN_MAX / 2).into(); Standing::CLASSES_MAX].into(),
            labels: Labels::try_from(vec!["l".repeat(ItemContent::LABEL_LEN_MAX); ItemContent::LABELS_MAX])
                .ok(),
        });
        let disputed = Arc::new(Standing { dispute_open: true, ..Standing::default() });
        vec![
            (ItemId(7), Arc::clone(&full)),
            (ItemId(3), Arc::clone(&disputed)),
            (ItemId(u64::MAX), full),
            // This one is equal to another, but not shared.
            (ItemId(9), Arc::new(Standing::clone(&disputed))),
            (ItemId(11), Arc::new(Standing { labels: Some(Labels::default()), ..Standing::default() })),
        ]
    }

    fn encoded(standings: &[(ItemId, Arc<Standing>)]) -> Vec<u8> {
        encode(standings.iter().map(|(item, standing)| (*item, standing)))
    }

    #[test]
    fn standings_are_read_as_they_were_saved_and_share_what_they_shared() {
        let read = decode(&encoded(&some())).unwrap();
        assert_eq!(read, some());
        assert!(Arc::ptr_eq(&read[0].1, &read[2].1));
        assert!(encoded(&[]).is_empty());
        assert_eq!(decode(&[]), Some(vec![]));
        let shared = &some()[1].1;
        let many: Vec<_> = (0..1_000).map(|item| (ItemId(item), Arc::clone(shared))).collect();
        assert_eq!(encoded(&many).len(), 4 + 9 + 12 * many.len());
    }

    #[test]
    fn files_from_before_labels_changed_are_read() {
        // One standing with an open dispute, of item 3.
        let bytes = [&[1, 0, 0, 0, 2][..], &[0; 8], &[3, 0, 0, 0, 0, 0, 0, 0], &[0; 4]].concat();
        let disputed = Arc::new(Standing { dispute_open: true, ..Standing::default() });
        assert_eq!(decode(&bytes), Some(vec![(ItemId(3), disputed)]));
    }

    #[test]
    fn other_bytes_are_refused() {
        let bytes = encoded(&some());
        let items = bytes.len() - some().len() * 12;
        let is_cut_between_items = |length: usize| length >= items && (length - items).is_multiple_of(12);
        for length in (1..bytes.len()).filter(|length| !is_cut_between_items(*length)) {
            assert_eq!(decode(&bytes[..length]), None, "{length}");
        }
        for (at, byte) in [(4, 8), (bytes.len() - 4, 9)] {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            assert_eq!(decode(&bytes), None, "{at}");
        }
    }
}
