//! The page and its entries, as the programme has them.

use vigie_model::UnixMillis;

use crate::programme::{HashText, Media, Tally};

/// One page of entries. Images come before videos.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The entries, in the page's order.
    pub entries: Vec<Entry>,
    /// The link of the next page, which follows the base URL as it is; `None` on the last page.
    pub next: Option<String>,
    /// The counts of what was left out when the page was read.
    pub tally: Tally,
}

/// One entry, or the tombstone of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The element: `image` and `deletedImage`, or `video` and `deletedVideo`.
    pub media: Media,
    /// Whether this is a tombstone, which has a member, an id and a timestamp only.
    pub deleted: bool,
    /// The member that shared it.
    pub member: Member,
    /// The id, which is unique among the entries of a member.
    pub id: String,
    /// When the entry was last changed, to the second.
    pub timestamp: Option<UnixMillis>,
    /// The programme's classification, such as `A1`.
    pub classification: Option<String>,
    /// The fingerprints, large ones by their links.
    pub fingerprints: Vec<Fingerprint>,
    /// What members say of the entry's fingerprints.
    pub feedback: Vec<Feedback>,
}

/// A member of the programme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The number.
    pub id: u64,
    /// The name.
    pub name: String,
}

/// One fingerprint of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The element's name, such as `md5` or `pdna`.
    pub kind: String,
    /// The text; `None` for a large fingerprint, which has a link of its own that must not be stored.
    pub value: Option<HashText>,
}

/// What members say of one fingerprint of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// The fingerprint's type in the programme's mixed case, such as `Md5`.
    pub kind: String,
    /// What is said.
    pub statement: Statement,
    /// When these members said so.
    pub at: Option<UnixMillis>,
    /// The members.
    pub members: Vec<Member>,
}

/// What is said of a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// It is right.
    Affirmative,
    /// It is wrong, for a reason from the programme's list.
    Negative(Reason),
}

/// A reason for negative feedback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The id, stable within an environment.
    pub guid: String,
    /// The reason in words.
    pub name: String,
}
