//! The page and its entries, in the programme's structure.

use vigie_model::UnixMillis;

use crate::programme::{HashText, Media, Tally};

/// A page of entries. Images come before videos.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The entries, in the page's order.
    pub entries: Vec<Entry>,
    /// The link of the next page, to be appended to the base URL unchanged; `None` on the last page.
    pub next: Option<String>,
    /// The counts of what was left out when the page was read.
    pub tally: Tally,
}

/// An entry, or the tombstone of one.
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
    /// The time at which the entry was last changed, to the second.
    pub timestamp: Option<UnixMillis>,
    /// The programme's classification, such as `A1`.
    pub classification: Option<String>,
    /// The fingerprints; large ones as links.
    pub fingerprints: Vec<Fingerprint>,
    /// The members' feedback on the entry's fingerprints.
    pub feedback: Vec<Feedback>,
}

/// A member of the programme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The member's number.
    pub id: u64,
    /// The member's name.
    pub name: String,
}

/// A fingerprint of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The element's name, such as `md5` or `pdna`.
    pub kind: String,
    /// The hash as text; `None` for a large fingerprint, which has a link that must not be stored.
    pub value: Option<HashText>,
}

/// The feedback of members on one fingerprint of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// The fingerprint's type in the programme's mixed case, such as `Md5`.
    pub kind: String,
    /// The statement of the feedback.
    pub statement: Statement,
    /// The time of the feedback.
    pub at: Option<UnixMillis>,
    /// The members that gave the feedback.
    pub members: Vec<Member>,
}

/// A statement on a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// The fingerprint is right.
    Affirmative,
    /// The fingerprint is wrong, for a reason from the programme's list.
    Negative(Reason),
}

/// A reason for negative feedback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The reason's id, stable within an environment.
    pub guid: String,
    /// The reason in words.
    pub name: String,
}
