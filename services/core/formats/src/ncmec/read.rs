//! Reads a page of entries.

use vigie_model::UnixMillis;

use super::page::{Entry, Feedback, Fingerprint, Member, Page, Reason, Statement};
use super::xml::{self, Element};
use crate::programme::{Fault, HashText, Media, Tally};
use crate::utc;

/// Reads a page. An entry without a member or an id is counted and left out, because nothing can identify it.
pub fn parse(bytes: &[u8]) -> Result<Page, Fault> {
    let root = xml::parse(bytes)?;
    if &*root.name != "queryResult" {
        return Err(Fault::Field { syntax: "XML", field: "root queryResult" });
    }
    let mut page = Page::default();
    let mut videos = Vec::new();
    for child in &root.children {
        match &*child.name {
            "images" => group(child, Media::Image, &mut page.entries, &mut page.tally),
            "videos" => group(child, Media::Video, &mut videos, &mut page.tally),
            "paging" => page.next = child.child("next").and_then(Element::trimmed).map(str::to_owned),
            _ => page.tally.unknown_parts += 1,
        }
    }
    page.entries.append(&mut videos);
    Ok(page)
}

fn group(group: &Element, media: Media, entries: &mut Vec<Entry>, tally: &mut Tally) {
    let (living, tombstone) = match media {
        Media::Image => ("image", "deletedImage"),
        Media::Video => ("video", "deletedVideo"),
    };
    for child in &group.children {
        let deleted = match &*child.name {
            name if name == living => false,
            name if name == tombstone => true,
            _ => {
                tally.unknown_parts += 1;
                continue;
            }
        };
        match entry(child, media, deleted, tally) {
            Some(entry) => entries.push(entry),
            None => tally.bad_records += 1,
        }
    }
}

fn entry(element: &Element, media: Media, deleted: bool, tally: &mut Tally) -> Option<Entry> {
    let text = |name| element.child(name).and_then(Element::trimmed);
    let member = member(element.child("member")?)?;
    let id = text("id")?.to_owned();
    let list = |name| element.child(name).map(|list| list.children.as_slice()).unwrap_or_default();
    let fingerprint = |element: &Element| Fingerprint {
        kind: element.name.to_string(),
        value: element.trimmed().map(HashText::new),
    };
    Some(Entry {
        media,
        deleted,
        member,
        id,
        timestamp: text("timestamp").and_then(utc::from_text),
        classification: text("classification").map(str::to_owned),
        fingerprints: list("fingerprints").iter().map(fingerprint).collect(),
        feedback: list("feedback").iter().flat_map(|element| feedback(element, tally)).collect(),
    })
}

pub(crate) fn member(element: &Element) -> Option<Member> {
    let id = element.attribute("id")?.trim().parse().ok()?;
    Some(Member { id, name: element.trimmed().unwrap_or_default().to_owned() })
}

/// Reads the statements of one `affirmativeFeedback` or `negativeFeedback`; none for other elements.
fn feedback(element: &Element, tally: &mut Tally) -> Vec<Feedback> {
    let Some(kind) = element.attribute("type") else {
        tally.unknown_parts += 1;
        return Vec::new();
    };
    let said = |statement: Statement, members: &Element| Feedback {
        kind: kind.to_owned(),
        statement,
        at: timestamp(members),
        members: members.children.iter().filter_map(member).collect(),
    };
    match &*element.name {
        "affirmativeFeedback" => {
            let members = element.children.iter().filter(|child| &*child.name == "members");
            members.map(|members| said(Statement::Affirmative, members)).collect()
        }
        "negativeFeedback" => {
            let mut statements = Vec::new();
            // A reason is followed by the members that gave it, as a sibling element.
            let mut reason = None;
            for child in element.child("reasons").iter().flat_map(|reasons| &reasons.children) {
                match (&*child.name, reason.take()) {
                    ("reason", _) => reason = Some(self::reason(child)),
                    ("members", Some(reason)) => statements.push(said(Statement::Negative(reason), child)),
                    _ => tally.unknown_parts += 1,
                }
            }
            statements
        }
        _ => {
            tally.unknown_parts += 1;
            Vec::new()
        }
    }
}

pub(crate) fn reason(element: &Element) -> Reason {
    let text = |name| element.attribute(name).unwrap_or_default().to_owned();
    Reason { guid: text("guid"), name: text("name") }
}

fn timestamp(element: &Element) -> Option<UnixMillis> {
    element.attribute("timestamp").and_then(utc::from_text)
}
