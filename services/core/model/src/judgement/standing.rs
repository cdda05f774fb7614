//! The standing of an item among the members: what they say of it, and for whom it is set aside.
//!
//! A shard holds the standing beside an item and answers with the [`Facts`] of it. The index knows nothing of it: an item that is set
//! aside for a member stays in the index and is left out of that member's answers alone.

use crate::labels::Labels;
use crate::member::MemberId;

/// What a member says of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OpinionKind {
    /// A person saw a match and found what the item says.
    Positive,
    /// A person saw a match and found something else.
    Negative,
    /// The item matched there, and nobody has looked.
    Seen,
}

impl OpinionKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Positive, Self::Negative, Self::Seen];

    /// The word for commands, rules and scripts.
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

/// The standing of one item. An item without opinions, classes, new labels and other members' submissions, which is aside for nobody, has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Standing {
    /// The bank's charter asks for more confirmations than the item has: it matches for its contributors alone.
    pub probation: bool,
    /// A member disputes that the item belongs in its bank, and the owner has not answered.
    pub dispute_open: bool,
    /// Members on whose word the item is in its bank, ascending.
    pub contributors: Box<[MemberId]>,
    /// The newest opinion of each member that has one, by member.
    pub opinions: Box<[(MemberId, OpinionKind)]>,
    /// Members for whom the item is held, ascending: it matches too often there.
    pub held_for: Box<[MemberId]>,
    /// The classes of the item as `taxonomy/dimension=value`, sorted.
    pub classes: Box<[Box<str>]>,
    /// The labels that replaced those with which the item was added; `None` where they never changed.
    pub labels: Option<Labels>,
}

impl Standing {
    /// Members that one standing names at most, in each of its lists: as many as a deployment may have.
    pub const MEMBERS_MAX: usize = 1_000;
    /// Classes that one standing names at most.
    pub const CLASSES_MAX: usize = 32;
    /// The longest class, in bytes.
    /// The longest class, in bytes: three words and what stands between them.
    pub const CLASS_LEN_MAX: usize = 200;

    /// Whether nothing is said of the item.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the item is left out of the answers of a member. `None` is a caller whose member is not known: everything that is aside for
    /// anybody is aside for it.
    #[must_use]
    pub fn is_aside_for(&self, member: Option<MemberId>) -> bool {
        let has = |members: &[MemberId]| member.is_some_and(|one| members.binary_search(&one).is_ok());
        let is_held = if member.is_none() { !self.held_for.is_empty() } else { has(&self.held_for) };
        is_held || self.probation && !has(&self.contributors)
    }

    /// Whether the item can be left out of anybody's answers.
    #[must_use]
    pub fn is_aside(&self) -> bool {
        self.probation || !self.held_for.is_empty()
    }

    /// What a member is answered of it.
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

    /// The bytes that a digest of a standing covers: lists behind their lengths, numbers big-endian.
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
        // Only where they changed: the digest of any other standing is that of builds without labels in it.
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

/// What is known of a matched item beside its content, for one member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Members whose newest opinion is positive.
    pub positives: u32,
    /// Members whose newest opinion is negative.
    pub negatives: u32,
    /// Members that have seen it match and have not looked.
    pub seen: u32,
    /// The asking member's own newest opinion.
    pub mine: Option<OpinionKind>,
    /// A dispute about it waits for an answer.
    pub dispute_open: bool,
    /// Members on whose word it is in its bank; 0 where its bank does not say.
    pub contributors: u32,
    /// It is set aside for the asking member: it is in probation there, or held. Only searches that ask for such items find it.
    pub is_aside: bool,
    /// Its bank asks for more confirmations than it has.
    pub probation: bool,
    /// Its classes as `taxonomy/dimension=value`, sorted.
    pub classes: Box<[Box<str>]>,
}

impl Facts {
    /// Both positive and negative opinions are there.
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
