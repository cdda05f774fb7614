//! Writes a page of entries in the form that the programme's clients read.

use vigie_model::UnixMillis;

use super::page::{Entry, Feedback, Member, Page, Reason, Statement};
use super::xml::Element;
use crate::programme::Media;
use crate::utc;

/// Writes a page. Each group has its `count`, and the `maxTimestamp` of its entries if it has any, because
/// clients fail without these.
#[must_use]
pub fn render(page: &Page) -> Vec<u8> {
    let group = |name: &str, media| {
        let entries: Vec<&Entry> = page.entries.iter().filter(|entry| entry.media == media).collect();
        let mut group = Element::new(name).with("count", &entries.len().to_string());
        if !entries.is_empty() {
            let newest = entries.iter().filter_map(|entry| entry.timestamp).max();
            group = group.with("maxTimestamp", &utc::to_text(newest.unwrap_or(UnixMillis(0))));
        }
        group.holding(entries.into_iter().map(entry))
    };
    let paging =
        page.next.as_deref().map(|next| Element::new("paging").holding([Element::of_text("next", next)]));
    Element::root("queryResult")
        .holding([group("images", Media::Image), group("videos", Media::Video)])
        .holding(paging)
        .document()
}

fn entry(entry: &Entry) -> Element {
    let name = match (entry.media, entry.deleted) {
        (Media::Image, false) => "image",
        (Media::Image, true) => "deletedImage",
        (Media::Video, false) => "video",
        (Media::Video, true) => "deletedVideo",
    };
    let timestamp = entry.timestamp.map(|at| Element::of_text("timestamp", &utc::to_text(at)));
    let mut element = Element::new(name).holding([member(&entry.member)]).holding(timestamp);
    element.children.push(Element::of_text("id", &entry.id));
    if entry.deleted {
        return element;
    }
    element
        .children
        .extend(entry.classification.as_deref().map(|class| Element::of_text("classification", class)));
    let fingerprints = entry.fingerprints.iter().map(|one| match &one.value {
        Some(value) => Element::of_text(&one.kind, value.as_str()),
        None => Element::new(&one.kind).with("rel", "self"),
    });
    element.children.push(Element::new("fingerprints").holding(fingerprints));
    if !entry.feedback.is_empty() {
        element.children.push(Element::new("feedback").holding(entry.feedback.iter().map(feedback)));
    }
    element
}

pub(crate) fn member(member: &Member) -> Element {
    Element::of_text("member", &member.name).with("id", &member.id.to_string())
}

fn feedback(feedback: &Feedback) -> Element {
    let mut members = Element::new("members");
    if let Some(at) = feedback.at {
        members = members.with("timestamp", &utc::to_text(at));
    }
    let members = members.holding(feedback.members.iter().map(member));
    match &feedback.statement {
        Statement::Affirmative => {
            Element::new("affirmativeFeedback").with("type", &feedback.kind).holding([members])
        }
        Statement::Negative(reason) => {
            let reasons = Element::new("reasons").holding([self::reason(reason, &feedback.kind), members]);
            Element::new("negativeFeedback").with("type", &feedback.kind).holding([reasons])
        }
    }
}

pub(crate) fn reason(reason: &Reason, kind: &str) -> Element {
    Element::new("reason").with("guid", &reason.guid).with("name", &reason.name).with("type", kind)
}
