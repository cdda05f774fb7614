//! The details of items other than their hashes: form fields, and their parsing.

use maud::{Markup, html};
use vigie_consortium::{Classification, Details, Jurisdictions, Metadata, Origin, Text};
use vigie_model::ItemContent;
use vigie_proto::bank::ContributedItem;

use crate::console::pages::known::links::fault;
use crate::console::parts::{self, Field};
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::problem::Problem;
use crate::v1::items::objects::class_of_text;

/// The fields of [`Details`] in a form.
pub(super) const DETAILS: [&str; 4] = ["classes", "countries", "note", "metadata"];

/// The details of an item as text: one class a line; countries separated by commas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EnteredDetails {
    classes: String,
    countries: String,
    note: String,
    metadata: String,
}

/// The labels, case and details of each item that a form adds.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    /// The labels of each item.
    pub(super) labels: Vec<String>,
    /// The case that the items belong to; empty for none.
    case: String,
    details: Details,
}

impl EnteredDetails {
    /// Returns the entered text.
    pub(super) fn of(posted: &Posted) -> Self {
        let text = |name| posted.field(name).to_owned();
        Self {
            classes: text("classes"),
            countries: text("countries"),
            note: text("note"),
            metadata: text("metadata"),
        }
    }

    /// Parses the details.
    ///
    /// # Errors
    ///
    /// A field is invalid; the error names it.
    pub(super) fn read(&self) -> Result<Details, Problem> {
        let classes = self.classes.lines().map(str::trim).filter(|line| !line.is_empty());
        let classes = classes.map(|line| class_of_text("classes", line)).collect::<Result<Vec<_>, _>>()?;
        let countries: Vec<String> = words(&self.countries).map(str::to_ascii_uppercase).collect();
        Ok(Details {
            classification: Classification::new(classes).map_err(|why| Problem::field("classes", why))?,
            jurisdictions: Jurisdictions::new(&countries).map_err(|why| Problem::field("countries", why))?,
            note: Text::new(&self.note).map_err(|why| Problem::field("note", why))?,
            metadata: Metadata::new(&self.metadata).map_err(|why| Problem::field("metadata", why))?,
        })
    }

    /// The form fields, with the fault of the invalid one.
    pub(super) fn fields(&self, visit: &Visit, problem: Option<&Problem>) -> Markup {
        let Self { classes, countries, note, metadata } = self;
        let field = |name: &'static str, label, hint, value| Field {
            name,
            label,
            hint,
            value,
            fault: fault(problem, name),
            ..Field::default()
        };
        let (classes_label, classes_hint) = (visit.t("items.classes"), visit.t("items.classes_hint"));
        let (countries_label, countries_hint) = (visit.t("items.countries"), visit.t("items.countries_hint"));
        html! {
            (parts::area(&field("classes", classes_label, classes_hint, classes), 2))
            (parts::field(&field("countries", countries_label, countries_hint, countries)))
            (parts::field(&field("note", visit.t("items.note"), "", note)))
            (parts::field(&field("metadata", visit.t("items.metadata"), visit.t("items.metadata_hint"), metadata)))
        }
    }
}

impl From<&Details> for EnteredDetails {
    fn from(details: &Details) -> Self {
        let classes: Vec<String> = details.classification.iter().map(ToString::to_string).collect();
        let countries: Vec<&str> = details.jurisdictions.iter().collect();
        Self {
            classes: classes.join("\n"),
            countries: countries.join(", "),
            note: details.note.to_string(),
            metadata: details.metadata.as_str().to_owned(),
        }
    }
}

/// Words separated by commas or spaces.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\n']).map(str::trim).filter(|word| !word.is_empty())
}

impl Said {
    /// Parses the labels, the case and the details of a form.
    ///
    /// # Errors
    ///
    /// A field is invalid; the error names it.
    pub(super) fn of(posted: &Posted) -> Result<Self, Problem> {
        let labels =
            posted.field("labels").split([',', '\n']).map(str::trim).filter(|label| !label.is_empty());
        let labels: Vec<String> = labels.map(str::to_owned).collect();
        let is_long = |label: &String| label.len() > ItemContent::LABEL_LEN_MAX;
        if labels.len() > ItemContent::LABELS_MAX || labels.iter().any(is_long) {
            let (count, bytes) = (ItemContent::LABELS_MAX, ItemContent::LABEL_LEN_MAX);
            return Err(Problem::field(
                "labels",
                format!("are at most {count}, each of at most {bytes} bytes"),
            ));
        }
        let case = posted.field("case").to_owned();
        Origin::new("", "", &case).map_err(|why| Problem::field("case", why.reason))?;
        Ok(Self { labels, case, details: EnteredDetails::of(posted).read()? })
    }

    /// Returns an item with these details. The reference is also the key of its origin, so that repeated
    /// adding makes one item.
    pub(super) fn with(&self, content: ItemContent) -> ContributedItem {
        let key = content.external_reference().unwrap_or_default();
        let origin = Origin::new("", key, &self.case).ok().filter(|origin| !origin.is_empty());
        ContributedItem { content, origin, details: self.details.clone() }
    }
}

/// The form fields for the details of added items.
pub(super) fn fields(visit: &Visit, posted: Option<&Posted>, problem: Option<&Problem>) -> Markup {
    let entered = |name| posted.map_or("", |posted| posted.field(name));
    let details = posted.map(EnteredDetails::of).unwrap_or_default();
    let is_faulty =
        problem.and_then(|problem| problem.field.as_deref()).is_some_and(|name| DETAILS.contains(&name));
    html! {
        (parts::field(&Field {
            name: "labels",
            label: visit.t("adding.labels"),
            hint: visit.t("adding.labels_hint"),
            value: entered("labels"),
            fault: fault(problem, "labels"),
            ..Field::default()
        }))
        details open[is_faulty || details != EnteredDetails::default() || !entered("case").is_empty()] {
            summary { (visit.t("adding.more")) }
            (parts::field(&Field {
                name: "case",
                label: visit.t("adding.case"),
                hint: visit.t("adding.case_hint"),
                value: entered("case"),
                fault: fault(problem, "case"),
                ..Field::default()
            }))
            (details.fields(visit, problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_read_as_they_are_shown() {
        let entered = EnteredDetails {
            classes: " iwf/category=A\n\n".into(),
            countries: "fr, be".into(),
            note: "n".into(),
            metadata: "{\"k\":1}".into(),
        };
        let details = entered.read().unwrap();
        let shown = EnteredDetails::from(&details);
        assert_eq!((&*shown.classes, &*shown.countries), ("iwf/category=A", "BE, FR"));
        assert_eq!(shown.read().unwrap(), details);
        for (field, wrong) in [
            ("classes", EnteredDetails { classes: "iwf".into(), ..EnteredDetails::default() }),
            ("countries", EnteredDetails { countries: "France".into(), ..EnteredDetails::default() }),
            ("note", EnteredDetails { note: "\u{7}".into(), ..EnteredDetails::default() }),
            ("metadata", EnteredDetails { metadata: "[1]".into(), ..EnteredDetails::default() }),
        ] {
            assert_eq!(wrong.read().unwrap_err().field.as_deref(), Some(field));
        }
    }
}
