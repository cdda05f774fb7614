//! The standing of an item among the members: their opinions of it, and the members for whom it is set aside.
//!
//! A shard stores the standing beside an item and answers with its [`Facts`]. The index does not know it: an
//! item that is set aside for a member stays in the index and is left out of that member's answers only.

use crate::labels::Labels;
use crate::member::MemberId;

/// The opinion of a member on an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OpinionKind {
    /// A person saw a match and found the content that the item describes.
    Positive,
    /// A person saw a match and found different content.
    Negative,
    /// The item matched at the member, and nobody has looked.
    Seen,
}

impl OpinionKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Positive, Self::Negative, Self::Seen];

    /// Returns the word for commands, rules and scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Negative => "negative",
            Self::Seen => "seen",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Positive => 1,
            Self::Negative => 2,
            Self::Seen => 3,
        }
    }
}

/// The standing of one item. The default value means no standing: no opinions, classes, new labels or
/// submissions of other members, and not set aside for anyone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Standing {
    /// Whether the bank's charter requires more confirmations than the item has: it matches only for its
    /// contributors.
    pub probation: bool,
    /// Whether a member disputes that the item belongs in its bank, and the owner has not answered.
    pub dispute_open: bool,
    /// The members whose submissions keep the item in its bank, ascending.
    pub contributors: Box<[MemberId]>,
    /// The newest opinion of each member that has one, ordered by member.
    pub opinions: Box<[(MemberId, OpinionKind)]>,
    /// The members for whom the item is held because it matches too often there, ascending.
    pub held_for: Box<[MemberId]>,
    /// The classes of the item as `taxonomy/dimension=value`, sorted.
    pub classes: Box<[Box<str>]>,
    /// The labels that replaced the original ones; `None` if they never changed.
    pub labels: Option<Labels>,
}

impl Standing {
    /// The largest number of members in each list of a standing: the largest number of members of a
    /// deployment.
    pub const MEMBERS_MAX: usize = 1_000;
    /// The largest number of classes of a standing.
    pub const CLASSES_MAX: usize = 32;
    /// The largest length of a class in bytes: three words and their separators.
    pub const CLASS_LEN_MAX: usize = 200;

    /// Checks whether the standing is the default one.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Checks whether the item is left out of a member's answers. `None` is a caller whose member is not
    /// known: an item that is set aside for anyone is set aside for it.
    #[must_use]
    pub fn is_aside_for(&self, member: Option<MemberId>) -> bool {
        let has = |members: &[MemberId]| member.is_some_and(|one| members.binary_search(&one).is_ok());
        let is_held = if member.is_none() { !self.held_for.is_empty() } else { has(&self.held_for) };
        is_held || self.probation && !has(&self.contributors)
    }

    /// Checks whether the item is set aside for any member.
    #[must_use]
    pub fn is_aside(&self) -> bool {
        self.probation || !self.held_for.is_empty()
    }

    /// Returns the facts that a member's answer contains.
    #[must_use]
    pub fn facts(&self, member: Option<MemberId>) -> Facts {
        let count = |kind| {
            let of_kind = self.opinions.iter().filter(|(_, one)| *one == kind).count();
            u32::try_from(of_kind).unwrap_or(u32::MAX)
        };
        let mine = member.and_then(|member| {
            let at = self.opinions.binary_search_by_key(&member, |(one, _)| *one).ok()?;
            Some(self.opinions[at].1)
        });
        Facts {
            positives: count(OpinionKind::Positive),
            negatives: count(OpinionKind::Negative),
            seen: count(OpinionKind::Seen),
            mine,
            dispute_open: self.dispute_open,
            contributors: u32::try_from(self.contributors.len()).unwrap_or(u32::MAX),
            is_aside: self.is_aside_for(member),
            probation: self.probation,
            classes: self.classes.clone(),
        }
    }

    /// Returns the bytes that a digest of a standing covers: each list after its length, numbers big-endian.
    #[must_use]
    pub fn digest_bytes(&self) -> Vec<u8> {
        let Self { probation, dispute_open, contributors, opinions, held_for, classes, labels } = self;
        let mut bytes = vec![u8::from(*probation), u8::from(*dispute_open)];
        let length = |bytes: &mut Vec<u8>, length: usize| bytes.extend((length as u64).to_be_bytes());
        for members in [contributors, held_for] {
            length(&mut bytes, members.len());
            members.iter().for_each(|member| bytes.extend(member.0.to_be_bytes()));
        }
        length(&mut bytes, opinions.len());
        for (member, kind) in opinions {
            bytes.extend(member.0.to_be_bytes());
            bytes.push(kind.number());
        }
        length(&mut bytes, classes.len());
        for class in classes {
            length(&mut bytes, class.len());
            bytes.extend(class.as_bytes());
        }
        // Labels are included only if they changed, so that the digest of any other standing equals that of
        // builds without labels.
        if let Some(labels) = labels {
            length(&mut bytes, labels.len());
            for label in labels.iter() {
                length(&mut bytes, label.len());
                bytes.extend(label.as_bytes());
            }
        }
        bytes
    }
}

/// The facts about a matched item besides its content, for one member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The number of members whose newest opinion is positive.
    pub positives: u32,
    /// The number of members whose newest opinion is negative.
    pub negatives: u32,
    /// The number of members where the item matched and nobody has looked.
    pub seen: u32,
    /// The newest opinion of the searching member.
    pub mine: Option<OpinionKind>,
    /// Whether a dispute about the item waits for an answer.
    pub dispute_open: bool,
    /// The number of members whose submissions keep the item in its bank; 0 if its bank does not reveal it.
    pub contributors: u32,
    /// Whether the item is set aside for the searching member: it is in probation there, or held. Only
    /// searches that ask for such items find it.
    pub is_aside: bool,
    /// Whether the item's bank requires more confirmations than the item has.
    pub probation: bool,
    /// The item's classes as `taxonomy/dimension=value`, sorted.
    pub classes: Box<[Box<str>]>,
}

impl Facts {
    /// Checks whether there are both positive and negative opinions.
    #[must_use]
    pub const fn is_disputed(&self) -> bool {
        self.positives > 0 && self.negatives > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_digest_are_fixed_and_labels_only_add_to_them() {
        let standing = Standing {
            probation: true,
            dispute_open: false,
            contributors: [MemberId(7)].into(),
            opinions: [(MemberId(2), OpinionKind::Seen)].into(),
            held_for: [].into(),
            classes: ["ab".into()].into(),
            labels: None,
        };
        let mut bytes = vec![1, 0];
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7]);
        bytes.extend([0; 8]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 3]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
        bytes.extend(b"ab");
        assert_eq!(standing.digest_bytes(), bytes);
        let labelled = |labels: &[&str]| {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>();
            Standing { labels: Some(labels.try_into().unwrap()), ..standing.clone() }.digest_bytes()
        };
        assert_eq!(labelled(&[]), [&bytes[..], &[0; 8]].concat());
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, b'c']);
        assert_eq!(labelled(&["c"]), bytes);
    }
}
