//! The programme's smaller documents: the caller, the members, the reasons for feedback, and the feedback
//! itself.

use super::page::{Member, Reason};
use super::read;
use super::write;
use super::xml::{self, Element};
use crate::programme::Fault;

/// Writes the answer to `status`: the caller's address, name and member.
#[must_use]
pub fn status(address: &str, user: &str, member: &Member) -> Vec<u8> {
    let texts = [Element::of_text("ipAddress", address), Element::of_text("username", user)];
    Element::root("status").holding(texts).holding([write::member(member)]).document()
}

/// Writes the answer to `members`.
#[must_use]
pub fn members(members: &[Member]) -> Vec<u8> {
    Element::root("members").holding(members.iter().map(write::member)).document()
}

/// Reads the answer to `status`, and returns the calling member.
pub fn parse_status(bytes: &[u8]) -> Result<Member, Fault> {
    let root = xml::parse(bytes)?;
    let member = root.child("member").and_then(read::member);
    member.ok_or(Fault::Field { syntax: "XML", field: "member" })
}

/// Writes the answer to `feedback/{TYPE}/reasons`, with the documented root.
#[must_use]
pub fn reasons(kind: &str, reasons: &[Reason]) -> Vec<u8> {
    let reasons = reasons.iter().map(|reason| write::reason(reason, kind));
    Element::root("availableFeedbackReasons").holding(reasons).document()
}

/// The feedback of a member on a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedbackGiven {
    /// The fingerprint is right.
    Affirmative,
    /// The fingerprint is wrong, for the reasons of these ids.
    Negative(Vec<String>),
}

/// Reads the body of a `PUT` of feedback.
pub fn parse_feedback(bytes: &[u8]) -> Result<FeedbackGiven, Fault> {
    let root = xml::parse(bytes)?;
    let fault = Fault::Field { syntax: "XML", field: "feedbackSubmission" };
    if &*root.name != "feedbackSubmission" {
        return Err(fault);
    }
    match (root.child("affirmative"), root.child("negative")) {
        (Some(_), None) => Ok(FeedbackGiven::Affirmative),
        (None, Some(negative)) => {
            let ids = negative.child("reasonIds").ok_or(fault)?;
            Ok(FeedbackGiven::Negative(
                ids.children.iter().filter_map(Element::trimmed).map(str::to_owned).collect(),
            ))
        }
        (Some(_), Some(_)) | (None, None) => Err(fault),
    }
}

/// Writes the body of a `PUT` of feedback.
#[must_use]
pub fn feedback(feedback: &FeedbackGiven) -> Vec<u8> {
    let statement = match feedback {
        FeedbackGiven::Affirmative => Element::new("affirmative"),
        FeedbackGiven::Negative(ids) => {
            let ids = ids.iter().map(|id| Element::of_text("guid", id));
            Element::new("negative").holding([Element::new("reasonIds").holding(ids)])
        }
    };
    Element::root("feedbackSubmission").holding([statement]).document()
}
