//! The charter of a bank, with each term explained. The form sets it as a whole, so that an omitted field
//! cannot lift a term.

use std::collections::BTreeMap;

use maud::{Markup, html};
use vigie_clients::Code;
use vigie_consortium::rights::Method;
use vigie_consortium::{Charter, CharterDraft};
use vigie_model::{BankId, BankRef, Distance, HashType};

use super::bank_path;
use crate::console::page::Failed;
use crate::console::parts::{self, Field};
use crate::console::parts::{Entered, Refused};
use crate::console::posted::Posted;
use crate::console::visit::Visit;

/// A numeric term: its name, getter and setter.
type Term = (&'static str, fn(&CharterDraft) -> u32, fn(&mut CharterDraft) -> &mut u32);
/// A boolean term: its name, getter and setter.
type Switch = (&'static str, fn(&CharterDraft) -> bool, fn(&mut CharterDraft) -> &mut bool);

/// The numeric terms, by field name.
const TERMS: [Term; 6] = [
    ("confirmations_min", |draft| draft.confirmations_min, |draft| &mut draft.confirmations_min),
    ("hold_on_negatives", |draft| draft.hold_on_negatives, |draft| &mut draft.hold_on_negatives),
    ("dispute_days", |draft| draft.dispute_days, |draft| &mut draft.dispute_days),
    ("two_person_items", |draft| draft.two_person_items, |draft| &mut draft.two_person_items),
    ("purge_hours", |draft| draft.purge_hours, |draft| &mut draft.purge_hours),
    ("match_record_days", |draft| draft.match_record_days, |draft| &mut draft.match_record_days),
];
/// The boolean terms.
const SWITCHES: [Switch; 3] = [
    ("shadow", |draft| draft.shadow, |draft| &mut draft.shadow),
    ("frames_answer_images", |draft| draft.frames_answer_images, |draft| &mut draft.frames_answer_images),
    ("images_answer_videos", |draft| draft.images_answer_videos, |draft| &mut draft.images_answer_videos),
];
const TAXONOMIES: &str = "taxonomies";
const SUPPRESSES: &str = "suppresses";
const DISTANCES: &str = "vector_distances";

/// The person's names for banks.
type Names = BTreeMap<BankId, BankRef>;

fn label(visit: &Visit, name: &str) -> &'static str {
    visit.t(&format!("sharing.charter.label.{name}"))
}

/// The charter: a form for persons who may set it, text for others.
pub(super) fn part(
    visit: &Visit,
    bank: &BankRef,
    charter: &Charter,
    names: &Names,
    is_own: bool,
    entered: Entered<'_>,
) -> Markup {
    let draft = charter.draft();
    let suppressed = draft.suppresses.iter().map(|id| match names.get(id) {
        Some(name) => name.to_string(),
        None => format!("#{id}"),
    });
    let suppressed: Vec<String> = suppressed.collect();
    if is_own && visit.may(Method::SetCharter) {
        let action = format!("{}/charter", bank_path(bank));
        return html! {
            p { (visit.t("sharing.charter.what")) }
            (entered.notice(visit.t("members.refused")))
            (parts::form(visit, &action, form(visit, &draft, &suppressed.join("\n"), entered)))
        };
    }
    let none = |text: String| if text.is_empty() { visit.t("sharing.charter.none").to_owned() } else { text };
    let mut facts = vec![(label(visit, TAXONOMIES), html! { (none(draft.taxonomies.join(", "))) })];
    facts.extend(TERMS.iter().map(|(name, get, _)| {
        let number = get(&draft);
        let shown = if number == 0 { none(String::new()) } else { visit.language.number(number.into()) };
        (label(visit, name), html! { (shown) })
    }));
    facts.extend(SWITCHES.iter().map(|(name, get, _)| {
        let word = if get(&draft) { "sharing.charter.yes" } else { "sharing.charter.no" };
        (label(visit, name), html! { (visit.t(word)) })
    }));
    facts.push((label(visit, SUPPRESSES), html! { (none(suppressed.join(", "))) }));
    facts.push((label(visit, DISTANCES), html! { (none(distances(&draft).join(", "))) }));
    parts::facts(facts)
}

fn form(visit: &Visit, draft: &CharterDraft, suppressed: &str, entered: Entered<'_>) -> Markup {
    let hint = |name: &str| visit.t(&format!("sharing.charter.hint.{name}"));
    let number = |name: &str, present: u32| {
        let present = if present == 0 { String::new() } else { present.to_string() };
        parts::field(&Field {
            name,
            label: label(visit, name),
            hint: hint(name),
            value: entered.value(name, &present),
            kind: "number",
            fault: entered.fault(name),
            ..Field::default()
        })
    };
    let text = |name: &'static str, present: &str| {
        let field = Field {
            name,
            label: label(visit, name),
            hint: hint(name),
            value: entered.value(name, present),
            fault: entered.fault(name),
            ..Field::default()
        };
        let is_list = [SUPPRESSES, DISTANCES].contains(&name);
        if is_list { parts::area(&field, 3) } else { parts::field(&field) }
    };
    html! {
        (text(TAXONOMIES, &draft.taxonomies.join(", ")))
        @for (name, get, _) in TERMS { (number(name, get(draft))) }
        @for (name, get, _) in SWITCHES {
            div.field {
                (parts::checkbox(name, "yes", label(visit, name), entered.ticked(name, "yes", get(draft))))
                p.hint { (hint(name)) }
            }
        }
        (text(SUPPRESSES, suppressed))
        (text(DISTANCES, &distances(draft).join("\n")))
        (parts::button(visit.t("sharing.charter.submit"), None))
    }
}

/// The distances of vectors, each as a line of the form.
fn distances(draft: &CharterDraft) -> Vec<String> {
    let line = |(hash_type, distance): &(HashType, Distance)| {
        format!("{hash_type} {}", hash_type.distance_text(*distance))
    };
    draft.vector_distances.iter().map(line).collect()
}

/// Parses the form, except for the banks that it names.
fn read(visit: &Visit, posted: &Posted) -> Result<CharterDraft, Refused> {
    let mut draft = CharterDraft::default();
    let words = posted.field(TAXONOMIES).split(|between: char| between.is_whitespace() || between == ',');
    draft.taxonomies = words.filter(|word| !word.is_empty()).map(str::to_owned).collect();
    for (name, _, set) in TERMS {
        // A form without the field does not come from this page. Accepting it would lift the term.
        let text = posted.fields(name).next();
        let text = text.ok_or_else(|| Refused::field(name, visit.t("sharing.charter.missing")))?;
        let number = if text.is_empty() { Ok(0) } else { text.parse() };
        *set(&mut draft) = number.map_err(|_| Refused::field(name, visit.t("sharing.charter.no_number")))?;
    }
    for (name, _, set) in SWITCHES {
        *set(&mut draft) = posted.field(name) == "yes";
    }
    let missing = || Refused::field(DISTANCES, visit.t("sharing.charter.missing"));
    let lines = posted.fields(DISTANCES).next().ok_or_else(missing)?.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, distance) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let read = Charter::read_vector_distance(name, distance.trim());
        draft.vector_distances.push(read.map_err(|why| Refused::field(DISTANCES, why))?);
    }
    Ok(draft)
}

/// The banks of the form, one a line, by name or by `#` and the id.
async fn banks(visit: &Visit, posted: &Posted) -> Result<Result<Vec<BankId>, Refused>, Failed> {
    let unknown =
        |line: &str| Refused::field(SUPPRESSES, visit.fill("sharing.charter.no_bank", &[("bank", &line)]));
    let lines: Vec<&str> =
        posted.field(SUPPRESSES).lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() > Charter::SUPPRESSES_MAX {
        return Ok(Err(Refused::field(SUPPRESSES, visit.t("sharing.charter.too_many_banks"))));
    }
    if lines.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let known = super::names(visit, None).await?;
    let mut banks = Vec::new();
    for line in lines {
        let by_id = line.strip_prefix('#').and_then(|id| id.parse().ok()).map(BankId);
        let by_name = || known.iter().find(|(_, name)| name.to_string() == line).map(|(id, _)| *id);
        let found = match by_id.or_else(by_name) {
            Some(id) => Some(id),
            None => match line.parse::<BankRef>() {
                Ok(name) => asked(visit, &name).await?,
                Err(_) => None,
            },
        };
        match found {
            Some(id) => banks.push(id),
            None => return Ok(Err(unknown(line))),
        }
    }
    Ok(Ok(banks))
}

/// The id of a bank that is beyond the person's first page of banks, or has another name there.
async fn asked(visit: &Visit, name: &BankRef) -> Result<Option<BankId>, Failed> {
    match visit.caller.banks().get_bank(name, visit.deadline()).await {
        Ok(found) => Ok(Some(found.value.id)),
        Err(error) if matches!(error.code(), Code::NotFound | Code::PermissionDenied) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Parses the form of the charter.
pub(super) async fn checked(visit: &Visit, posted: &Posted) -> Result<Result<Charter, Refused>, Failed> {
    let mut draft = match read(visit, posted) {
        Ok(draft) => draft,
        Err(refused) => return Ok(Err(refused)),
    };
    draft.suppresses = match banks(visit, posted).await? {
        Ok(banks) => banks,
        Err(refused) => return Ok(Err(refused)),
    };
    Ok(Charter::try_from(draft).map_err(|why| Refused::field(why.field(), why.to_string())))
}
