//! `/console/review/disputes/{item}`: a member disputes that an item belongs in a bank, and the bank's owner
//! answers.

use axum::extract::Path;
use futures::future::try_join;
use maud::{Markup, html};
use vigie_clients::{DescribedItem, Outcome};
use vigie_consortium::rights::Method;
use vigie_consortium::{Classification, Resolution};
use vigie_model::ItemId;

use super::calls::{fault, item_of, unseen};
use super::facts::of_item;
use super::here::Back;
use super::opinions::{self, class_of};
use super::settings::{self, Settings};
use super::waiting::{disputes, is_own};
use crate::console::page::{Answer, Done, Failed, Page};
use crate::console::parts::{self, Field, Tone};
use crate::console::posted::Posted;
use crate::console::visit::Visit;

/// The entered values of the form, and their faults.
#[derive(Debug, Default)]
struct Entered {
    /// The classes, one per line; `None` for the present classes of the item.
    classes: Option<String>,
    /// The fault of the classes; empty for none.
    classes_fault: &'static str,
    /// The reason for which the bank refuses the form; empty for none.
    fault: String,
}

pub(super) async fn show(visit: Visit, Path(item): Path<String>, settings: Settings) -> Result<Page, Failed> {
    page(&visit, item_of(&item)?, settings, &Entered::default()).await
}

async fn page(visit: &Visit, item: ItemId, settings: Settings, entered: &Entered) -> Result<Page, Failed> {
    let described = opinions::described(visit, item).await?;
    let banks = visit.caller.banks();
    let bank = async { banks.get_bank(&described.bank, visit.deadline()).await.map_err(unseen) };
    let none = opinions::Entered::default();
    let said = opinions::of(visit, &described, &none, Back::Dispute);
    let (bank, said) = try_join(bank, said).await?;
    let own = visit.who.as_ref().map(|who| &who.member.name);
    let is_own = bank.value.owner.as_ref().is_none_or(|owner| Some(owner) == own);
    let main = html! {
        (facts(visit, &described))
        @if described.dispute.is_none() {
            (parts::notice(Tone::Plain, html! { (visit.t("review.dispute.none")) }))
        } @else if !is_own {
            (parts::notice(Tone::Plain, html! { (visit.t("review.dispute.of_another")) }))
        } @else if visit.may(Method::ResolveDispute) {
            section {
                h2 { (visit.t("review.dispute.resolve")) }
                (form(visit, &described, entered))
            }
        }
        p { a href="/console/review?kind=disputes" { (visit.t("review.back")) } }
        (settings::compare(visit, settings))
        (said)
    };
    Ok(Page::new(visit.fill("review.dispute.title", &[("item", &item.0)]), main))
}

fn facts(visit: &Visit, item: &DescribedItem) -> Markup {
    let link = html! { a href={ "/console/items/" (item.id.0) } { (item.id.0) } };
    let mut facts =
        vec![(visit.t("review.column.item"), link), (visit.t("review.column.bank"), html! { (item.bank) })];
    if let Some((opened_at, due_at)) = item.dispute {
        facts.push((visit.t("review.column.opened"), parts::time(visit, opened_at)));
        facts.push((
            visit.t("review.column.due"),
            html! {
                (parts::time(visit, due_at))
                @if due_at < visit.now { " " (parts::badge(Tone::Bad, visit.t("review.overdue"))) }
            },
        ));
    }
    facts.extend(of_item(visit, item));
    let hashes = item.hashes.iter().map(|hash| hash.hash_type().to_string()).collect::<Vec<_>>();
    if !hashes.is_empty() {
        facts.push((visit.t("review.column.hash"), html! { (hashes.join(", ")) }));
    }
    parts::facts(facts)
}

fn form(visit: &Visit, item: &DescribedItem, entered: &Entered) -> Markup {
    let has: Vec<String> = item.details.classification.iter().map(ToString::to_string).collect();
    let has = has.join("\n");
    let path = format!("/console/review/disputes/{}", item.id.0);
    let button = |value: &str, words: &str, key: &str, class: &str| {
        html! {
            button.(class) type="submit" name="resolution" value=(value) data-key=(key) aria-keyshortcuts=(key) {
                (words) " " kbd aria-hidden="true" { (key) }
            }
        }
    };
    let fields = html! {
        // The Enter key in a field presses the first button of a form. This button decides nothing.
        button type="submit" hidden {}
        p.row.decide {
            (button("kept", visit.t("review.dispute.keep"), "k", ""))
            (button("removed", visit.t("review.dispute.remove"), "x", "danger"))
        }
        details open[!entered.classes_fault.is_empty()] {
            summary { (visit.t("review.dispute.reclassify")) }
            (parts::area(
                &Field {
                    name: "classes",
                    label: visit.t("review.dispute.classes"),
                    hint: visit.t("review.dispute.classes_hint"),
                    value: entered.classes.as_deref().unwrap_or(&has),
                    fault: if entered.classes_fault.is_empty() { "" } else { visit.t(entered.classes_fault) },
                    ..Field::default()
                },
                4,
            ))
            (button("reclassified", visit.t("review.dispute.reclassify_button"), "l", "second"))
        }
    };
    html! {
        @if !entered.fault.is_empty() { (parts::notice(Tone::Bad, html! { (entered.fault) })) }
        (parts::form(visit, &path, fields))
    }
}

/// Returns the outcome, or the entered form with its faults.
fn read(posted: &Posted) -> Result<(Resolution, Outcome), Entered> {
    let classes = posted.field("classes");
    let kept = |entered| Entered { classes: Some(classes.to_owned()), ..entered };
    let resolution = Resolution::ALL.into_iter().find(|one| one.name() == posted.field("resolution"));
    match resolution {
        None => Err(kept(Entered { classes_fault: "review.wrong.resolution", ..Entered::default() })),
        Some(Resolution::Kept) => Ok((Resolution::Kept, Outcome::Kept)),
        Some(Resolution::Removed) => Ok((Resolution::Removed, Outcome::Removed)),
        Some(Resolution::Reclassified) => {
            let read = classification(classes);
            let fault = || kept(Entered { classes_fault: "review.wrong.classes", ..Entered::default() });
            Ok((Resolution::Reclassified, Outcome::Reclassified(read.ok_or_else(fault)?)))
        }
    }
}

/// Parses classes, one per line, at least one.
fn classification(text: &str) -> Option<Classification> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let classes = lines.take(Classification::COUNT_MAX + 1).map(class_of).collect::<Option<Vec<_>>>()?;
    if classes.is_empty() { None } else { Classification::new(classes).ok() }
}

pub(super) async fn resolve(
    visit: Visit,
    Path(item): Path<String>,
    settings: Settings,
    posted: Posted,
) -> Result<Answer, Failed> {
    let item = item_of(&item)?;
    let (resolution, outcome) = match read(&posted) {
        Ok(read) => read,
        Err(entered) => return Ok(Answer::Page(page(&visit, item, settings, &entered).await?)),
    };
    let opinions = visit.caller.opinions();
    match opinions.resolve_dispute(item, &outcome, posted.once(), visit.deadline()).await {
        Ok(resolved) => visit.wrote(resolved.sequence),
        Err(error) => {
            let classes = Some(posted.field("classes").to_owned());
            let entered = Entered { fault: fault(error)?.message, classes, ..Entered::default() };
            return Ok(Answer::Page(page(&visit, item, settings, &entered).await?));
        }
    }
    let key = match resolution {
        Resolution::Kept => "dispute_kept",
        Resolution::Removed => "dispute_removed",
        Resolution::Reclassified => "dispute_reclassified",
    };
    Ok(Answer::Done(match next(&visit, item).await {
        Some(next) => Done::saying(&format!("/console/review/disputes/{}", next.0), key, &[]),
        None => Done::saying("/console/review", key, &[("kind", "disputes")]),
    }))
}

/// Returns the dispute about an item of an own bank with the earliest due date.
async fn next(visit: &Visit, item: ItemId) -> Option<ItemId> {
    let (open, _) = disputes(visit, None, visit.deadline()).await.ok()?;
    open.iter().find(|dispute| dispute.item != item && is_own(visit, dispute)).map(|dispute| dispute.item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_read_one_a_line() {
        let read = classification(" iwf/category=A \n\niwf/category=B").unwrap();
        assert_eq!(
            read.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["iwf/category=A", "iwf/category=B"]
        );
        for wrong in
            ["", "\n", "A", "iwf/category=Z", &"iwf/category=A\n".repeat(Classification::COUNT_MAX + 1)]
        {
            assert!(classification(wrong).is_none(), "{wrong}");
        }
    }
}
