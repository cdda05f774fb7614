//! The details of items: read from the arguments of `vigie item`, and printed.

use anyhow::Context as _;
use vigie_clients::{DescribedItem, ItemUpdate};
use vigie_consortium::{
    Class, Classification, Details, ForeignOpinion, Hold, Jurisdictions, Metadata, OpinionReason, Origin,
    Submission, Text,
};
use vigie_model::{Facts, ItemContent, Labels, OpinionKind};
use vigie_proto::bank::ContributedItem;

use crate::cli::{DetailsArgs, OriginArgs, class};
use crate::commands::date::date;
use crate::output::{Output, Printed};

/// The origin and details that a command gives to each of its items.
#[derive(Debug, Clone)]
pub(super) struct Said {
    /// Programme and case of the items; `None` if the bank should not look for existing items with the same
    /// origin.
    origin: Option<(String, String)>,
    details: Details,
}

impl Said {
    /// Reads the origin and details from the arguments.
    pub(super) fn of(origin: OriginArgs, details: &DetailsArgs) -> anyhow::Result<Self> {
        let OriginArgs { sync, programme, case } = origin;
        let is_from = sync || programme.is_some() || case.is_some();
        let origin = is_from.then(|| (programme.unwrap_or_default(), case.unwrap_or_default()));
        if let Some((programme, case)) = &origin {
            Origin::new(programme, "", case)
                .map_err(|error| anyhow::anyhow!("--{}: {error}", error.field))?;
        }
        Ok(Self { origin, details: details_of(details)? })
    }

    /// Returns an item with this origin and these details.
    pub(super) fn with(&self, content: ItemContent) -> ContributedItem {
        let origin = self.origin.as_ref().and_then(|(programme, case)| {
            let key = content.external_reference().unwrap_or_default();
            // Programme and case were checked before, and a key has the same bounds as an external reference.
            Origin::new(programme, key, case).ok().filter(|origin| !origin.is_empty())
        });
        ContributedItem { content, origin, details: self.details.clone() }
    }
}

/// Reads the details from the arguments.
pub(crate) fn details_of(args: &DetailsArgs) -> anyhow::Result<Details> {
    let class = |text: &String| class(text).map_err(|why| anyhow::anyhow!("--class {text}: {why}"));
    let classes = args.classes.iter().map(class).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Details {
        classification: Classification::new(classes).context("--class")?,
        jurisdictions: Jurisdictions::new(&args.countries).context("--country")?,
        note: Text::new(args.note.as_deref().unwrap_or_default()).context("--note")?,
        metadata: Metadata::new(args.metadata.as_deref().unwrap_or_default()).context("--metadata")?,
    })
}

/// Reads the changes of an item from the arguments. If only labels are given, the details are unchanged; if
/// no labels are given, the labels are unchanged.
pub(super) fn update_of(
    details: &DetailsArgs,
    labels: Vec<String>,
    no_labels: bool,
) -> anyhow::Result<ItemUpdate> {
    let labels = if no_labels || !labels.is_empty() {
        Some(Labels::try_from(labels).context("--label")?)
    } else {
        None
    };
    let DetailsArgs { classes, countries, note, metadata } = details;
    let says_nothing = classes.is_empty() && countries.is_empty() && note.is_none() && metadata.is_none();
    let details = if says_nothing && labels.is_some() { None } else { Some(details_of(details)?) };
    Ok(ItemUpdate { details, labels })
}

/// Prints the details of an item, one line for each kind.
pub(super) fn show(item: &DescribedItem, output: &mut Output) -> Printed {
    let Details { classification, jurisdictions, note, metadata } = &item.details;
    let classes: Vec<String> = classification.iter().map(ToString::to_string).collect();
    let countries: Vec<&str> = jurisdictions.iter().collect();
    let lines = [
        ("class", classes.join(", ")),
        ("for", countries.join(", ")),
        ("note", note.to_string()),
        ("metadata", metadata.as_str().to_owned()),
    ];
    for (name, text) in lines.iter().filter(|(_, text)| !text.is_empty()) {
        output.say(format!("  {name:<9} {text}"))?;
    }
    for (member, Submission { origin, at, foreign, .. }) in &item.submissions {
        let words = [("programme", origin.programme()), ("key", origin.key()), ("case", origin.case())];
        let words = words.iter().filter(|(_, text)| !text.is_empty());
        let words: Vec<String> = words.map(|(name, text)| format!("{name} {text}")).collect();
        let words = if words.is_empty() { "no origin".to_owned() } else { words.join(", ") };
        output.say(format!("  submitted by {member}, {words}, {} UTC", date(*at)))?;
        if let Some(foreign) = foreign {
            output.say(format!("    its members say: {}", foreign_words(foreign)))?;
        }
    }
    for Hold { holder, since, until } in item.holds.iter() {
        let (by, since) = (holder.name(), date(since));
        let end = until.moment().map_or_else(|| "lifted".to_owned(), |end| format!("{} UTC", date(end)));
        output.say(format!("  held by the {by} since {since} UTC, until {end}: it matches for nobody"))?;
    }
    if let Some(facts) = &item.facts {
        output.say(format!("  opinions  {}", describe(facts)))?;
    }
    if let Some((opened_at, due_at)) = item.dispute {
        output.say(format!(
            "  disputed since {} UTC, to be resolved until {} UTC",
            date(opened_at),
            date(due_at)
        ))?;
    }
    Ok(())
}

/// Describes the opinions of members about an item, in one line.
fn describe(facts: &Facts) -> String {
    let mut words =
        vec![format!("{} positive, {} negative, {} seen", facts.positives, facts.negatives, facts.seen)];
    words.extend(facts.mine.map(|mine| format!("yours is {}", mine.name())));
    if facts.probation {
        words.push("in probation: it matches for its contributors alone".to_owned());
    }
    if facts.is_aside && !facts.probation {
        words.push("set aside for your member".to_owned());
    }
    words.join("; ")
}

/// Describes the opinions of a programme's members, in one line.
fn foreign_words(foreign: &ForeignOpinion) -> String {
    let mut words = vec![foreign_kind(foreign).to_owned()];
    words.extend(foreign.reason.map(|reason| reason.name().to_owned()));
    words.extend((!foreign.word.as_str().is_empty()).then(|| foreign.word.to_string()));
    words.join(", ")
}

/// Returns the opinions of a programme's members, as JSON.
fn foreign_object(foreign: &ForeignOpinion) -> serde_json::Value {
    serde_json::json!({
        "kind": foreign_kind(foreign), "reason": foreign.reason.map(OpinionReason::name),
        "foreign_value": foreign.word.as_str()
    })
}

/// Returns the word for the opinion of a programme's members; `disputed` if they disagree.
fn foreign_kind(foreign: &ForeignOpinion) -> &'static str {
    foreign.kind.map_or("disputed", OpinionKind::name)
}

/// Returns the opinions of members about an item, as JSON.
fn facts_object(facts: &Facts) -> serde_json::Value {
    serde_json::json!({
        "positives": facts.positives, "negatives": facts.negatives, "seen": facts.seen,
        "mine": facts.mine.map(OpinionKind::name), "dispute_open": facts.dispute_open,
        "contributors": facts.contributors, "is_aside": facts.is_aside, "probation": facts.probation
    })
}

/// Returns the details of an item, as JSON.
pub(super) fn object(item: &DescribedItem) -> serde_json::Value {
    let Details { classification, jurisdictions, note, metadata } = &item.details;
    let class = |class: &Class| {
        serde_json::json!({
            "taxonomy": class.taxonomy(), "dimension": class.dimension(), "value": class.value()
        })
    };
    let submission = |(member, one): &(String, Submission)| {
        let Submission { origin, at, foreign, .. } = one;
        serde_json::json!({
            "member": member, "programme": origin.programme(), "key": origin.key(), "case": origin.case(),
            "at_unix_ms": at.0, "foreign_opinion": foreign.as_ref().map(foreign_object)
        })
    };
    let hold = |Hold { holder, since, until }: Hold| {
        serde_json::json!({
            "by": holder.name(), "since_unix_ms": since.0, "until_unix_ms": until.moment().map(|end| end.0)
        })
    };
    serde_json::json!({
        "contributor": item.contributor,
        "classification": classification.iter().map(class).collect::<Vec<_>>(),
        "jurisdictions": jurisdictions.iter().collect::<Vec<_>>(),
        "note": note.as_str(),
        "metadata": metadata.as_str(),
        "submissions": item.submissions.iter().map(submission).collect::<Vec<_>>(),
        "holds": item.holds.iter().map(hold).collect::<Vec<_>>(),
        "facts": item.facts.as_ref().map(facts_object),
        "dispute": item.dispute.map(|(opened_at, due_at)| {
            serde_json::json!({ "opened_at_unix_ms": opened_at.0, "due_at_unix_ms": due_at.0 })
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_say_where_items_are_from_and_what_they_are() {
        let said = |sync, case: Option<&str>| {
            let origin = OriginArgs { sync, programme: None, case: case.map(str::to_owned) };
            Said::of(origin, &DetailsArgs::default()).unwrap()
        };
        let content = |reference: &str| {
            let hashes = vec![vigie_model::Hash::md5([1; 16])];
            let external_reference = reference.to_owned();
            let draft = vigie_model::ItemDraft { hashes, external_reference, ..Default::default() };
            ItemContent::try_from(draft).unwrap()
        };
        assert_eq!(said(false, None).with(content("r")).origin, None);
        assert_eq!(said(true, None).with(content("r")).origin, Origin::new("", "r", "").ok());
        assert_eq!(said(true, None).with(content("")).origin, None);
        assert_eq!(said(false, Some("c")).with(content("")).origin, Origin::new("", "", "c").ok());
    }

    #[test]
    fn a_class_is_read_in_its_three_parts() {
        let args = |class: &str| DetailsArgs { classes: vec![class.to_owned()], ..DetailsArgs::default() };
        let details = details_of(&args("iwf/category=A")).unwrap();
        assert_eq!(details.classification.iter().next().unwrap().to_string(), "iwf/category=A");
        for bad in ["iwf", "iwf/category", "category=A", "iwf/category=Z"] {
            assert!(details_of(&args(bad)).unwrap_err().to_string().contains(bad));
        }
    }

    #[test]
    fn labels_and_details_that_are_not_given_stay_where_the_others_are() {
        let args = |note: Option<&str>| DetailsArgs {
            classes: Vec::new(),
            countries: Vec::new(),
            note: note.map(str::to_owned),
            metadata: None,
        };
        let check = |note: Option<&str>, labels: &[&str], no_labels: bool| {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            let ItemUpdate { details, labels } = update_of(&args(note), labels, no_labels).unwrap();
            (details.map(|details| details.note.to_string()), labels.map(|labels| labels.join(" ")))
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(check(None, &["a", "b"], false), (None, text("a b")));
        assert_eq!(check(None, &[], true), (None, text("")));
        assert_eq!(check(Some("n"), &[], false), (text("n"), None));
        assert_eq!(check(Some("n"), &["a"], false), (text("n"), text("a")));
        // Without any arguments, the details are cleared and the labels stay.
        assert_eq!(check(None, &[], false), (text(""), None));
        assert!(update_of(&args(None), vec![String::new()], false).is_err());
    }
}
