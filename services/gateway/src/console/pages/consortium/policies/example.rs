//! An example on which a policy is tried: the query, and at most one match.

use std::collections::HashSet;
use std::fmt::Display;
use std::str::FromStr;

use maud::{Markup, html};
use vigie_clients::{TriedQuery, TriedScore};
use vigie_model::{
    BankId, BankRef, Distance, Facts, HashType, ItemId, Match, OpinionKind, Rendition, Variant, Way,
};

use crate::console::parts::{self, Field};
use crate::console::parts::{Entered, Refused};
use crate::console::posted::Posted;
use crate::console::visit::Visit;

/// The most labels, and the most classes, of an example.
const WORDS_MAX: usize = 32;
/// The fields of the members' opinions on the item.
const FACTS: [&str; 9] = [
    "positives",
    "negatives",
    "seen",
    "mine",
    "contributors",
    "classes",
    "dispute_open",
    "is_aside",
    "probation",
];
/// Kinds of queries.
const KINDS: [&str; 4] = ["image", "video", "hashes", "undecoded"];

/// Renders the fields of the example.
pub(super) fn fields(visit: &Visit, entered: Entered<'_>) -> Markup {
    let field = |name: &'static str, kind: &'static str| {
        parts::field(&Field {
            name,
            label: visit.t(&format!("policies.example.label.{name}")),
            hint: visit.t(&format!("policies.example.hint.{name}")),
            value: entered.value(name, ""),
            kind,
            fault: entered.fault(name),
            ..Field::default()
        })
    };
    let choice = |name: &'static str, first: &'static str, options: &[(&str, &str)]| {
        let label = visit.t(&format!("policies.example.label.{name}"));
        parts::choice(&Field { name, label, value: entered.value(name, first), ..Field::default() }, options)
    };
    let tick = |name: &'static str| {
        let label = visit.t(&format!("policies.example.label.{name}"));
        html! { div { (parts::checkbox(name, "yes", label, entered.ticked(name, "yes", false))) } }
    };
    let types: Vec<(&str, &str)> =
        HashType::known().filter_map(HashType::name).map(|name| (name, name)).collect();
    let variants = Variant::ALL.map(|variant| (variant.name(), variant.name()));
    let kinds = KINDS.map(|kind| (kind, visit.t(&format!("policies.example.kind.{kind}"))));
    let mut opinions = vec![("", visit.t("policies.example.opinion.none"))];
    opinions.extend(
        OpinionKind::ALL
            .map(|kind| (kind.name(), visit.t(&format!("policies.example.opinion.{}", kind.name())))),
    );
    html! {
        fieldset {
            legend { (visit.t("policies.example.match")) }
            (field("bank", "text"))
            (choice("hash_type", "pdq", &types))
            (field("distance", "text"))
            (field("labels", "text"))
            (tick("exact"))
            (choice("variant", "original", &variants))
        }
        details open[entered.has_any(&FACTS)] {
            summary { (visit.t("policies.example.facts")) }
            (field("positives", "number")) (field("negatives", "number")) (field("seen", "number"))
            (choice("mine", "", &opinions))
            (field("contributors", "number"))
            (field("classes", "text"))
            (tick("dispute_open")) (tick("is_aside")) (tick("probation"))
        }
        fieldset {
            legend { (visit.t("policies.example.query")) }
            (choice("kind", "image", &kinds))
            (field("surface", "text"))
            (field("quality", "number"))
            (field("size", "number"))
            (field("scores", "text"))
        }
    }
}

/// Parses a field. An empty field has the default value.
fn value<T: FromStr<Err: Display> + Default>(
    visit: &Visit,
    posted: &Posted,
    name: &str,
) -> Result<T, Refused> {
    match posted.field(name) {
        "" => Ok(T::default()),
        text => text.parse().map_err(|_| Refused::field(name, visit.t("policies.example.no_number"))),
    }
}

/// Parses words separated by commas.
fn words(visit: &Visit, posted: &Posted, name: &str) -> Result<Box<[Box<str>]>, Refused> {
    let words = posted.field(name).split(',').map(str::trim).filter(|word| !word.is_empty());
    let words: Vec<Box<str>> = words.map(Into::into).collect();
    if words.len() > WORDS_MAX {
        return Err(Refused::field(name, visit.fill("policies.example.too_many", &[("max", &WORDS_MAX)])));
    }
    Ok(words.into())
}

/// Returns the match of the example; `None` if the form names no bank.
pub(super) fn found(visit: &Visit, posted: &Posted) -> Result<Option<Match>, Refused> {
    let bank = posted.field("bank");
    if bank.is_empty() {
        return Ok(None);
    }
    let bank_name: Result<BankRef, _> = bank.parse();
    let hash_type: Result<HashType, _> = posted.field("hash_type").parse();
    let hash_type = hash_type.map_err(|why| Refused::field("hash_type", why.to_string()))?;
    let distance = match posted.field("distance") {
        "" => Some(Distance(0)),
        text => hash_type.distance_of_text(text),
    };
    let variant = Variant::ALL.into_iter().find(|variant| variant.name() == posted.field("variant"));
    Ok(Some(Match {
        item: ItemId(1),
        bank: BankId(1),
        bank_name: bank_name.map_err(|why| Refused::field("bank", why.to_string()))?,
        external_reference: None,
        labels: words(visit, posted, "labels")?.into_vec().into_iter().collect(),
        hash_type,
        distance: distance
            .ok_or_else(|| Refused::field("distance", visit.t("policies.example.no_number")))?,
        variant: variant.unwrap_or(Variant::Original),
        exact: posted.field("exact") == "yes",
        other_matches: 0,
        // Policies cannot see the rendition.
        rendition: Rendition { frame: 0, way: Way::Plain },
        added_at: Some(visit.now),
        facts: Some(Box::new(facts(visit, posted)?)),
        video: None,
        item_time_ms: None,
    }))
}

fn facts(visit: &Visit, posted: &Posted) -> Result<Facts, Refused> {
    let is = |name: &str| posted.field(name) == "yes";
    Ok(Facts {
        positives: value(visit, posted, "positives")?,
        negatives: value(visit, posted, "negatives")?,
        seen: value(visit, posted, "seen")?,
        mine: OpinionKind::ALL.into_iter().find(|kind| kind.name() == posted.field("mine")),
        dispute_open: is("dispute_open"),
        contributors: value(visit, posted, "contributors")?,
        is_aside: is("is_aside"),
        probation: is("probation"),
        classes: words(visit, posted, "classes")?.into_vec().into_iter().collect(),
    })
}

/// Returns the scores of the example.
pub(super) fn scores(visit: &Visit, posted: &Posted) -> Result<Vec<TriedScore>, Refused> {
    let mut known = HashSet::new();
    let read = words(visit, posted, "scores")?.into_iter().map(|word| {
        let (of, score) = word.split_once('=')?;
        let (model, class) = of.split_once('/')?;
        let name = |text: &str| text.trim().parse::<vigie_classifiers::Name>().ok();
        let (model, class) = (name(model)?, name(class)?);
        let score = score.trim().parse().ok().filter(|score| (0.0..=1.0).contains(score))?;
        known.insert((model.clone(), class.clone())).then(|| TriedScore {
            model: model.into(),
            class: class.into(),
            score,
            version: 0,
        })
    });
    let read: Option<Vec<_>> = read.collect();
    read.ok_or_else(|| Refused::field("scores", visit.t("policies.example.no_score")))
}

/// Returns the query of the example.
pub(super) fn query(visit: &Visit, posted: &Posted) -> Result<TriedQuery, Refused> {
    let quality = match posted.field("quality") {
        "" => None,
        _ => Some(value(visit, posted, "quality")?),
    };
    let kind = KINDS.into_iter().find(|kind| *kind == posted.field("kind")).unwrap_or_default();
    Ok(TriedQuery {
        quality,
        kind: kind.to_owned(),
        surface: posted.field("surface").to_owned(),
        size: value(visit, posted, "size")?,
    })
}
