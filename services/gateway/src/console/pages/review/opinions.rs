//! Opinions on an item: those of the members, that of the person's own member, and whether the item matches
//! for that member.

use axum::extract::Path;
use axum::routing::{get, post};
use futures::future::try_join;
use maud::{Markup, html};
use vigie_clients::{DescribedItem, ListedOpinion, MemberHeldItem, NewOpinion};
use vigie_consortium::rights::Method;
use vigie_consortium::{Class, OpinionReason, OpinionWords};
use vigie_model::{ItemId, OpinionKind};

use super::calls::{fault, item_of, unseen};
use super::here::{self, Back};
use super::said;
use crate::console::page::{Answer, Done, Failed, Page};
use crate::console::parts::{self, Field, Tone};
use crate::console::posted::Posted;
use crate::console::route::Route;
use crate::console::visit::Visit;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::form(
            "/console/items/{item}/opinion",
            &[Method::ListOpinions],
            &[Method::PutOpinions],
            get(show).post(put),
        ),
        Route::form(
            "/console/items/{item}/opinion/withdraw",
            &[],
            &[Method::WithdrawOpinions],
            post(withdraw),
        ),
        Route::form("/console/items/{item}/hold-here", &[], &[Method::SetMemberHold], post(here::hold)),
        Route::form("/console/items/{item}/lift-here", &[], &[Method::SetMemberHold], post(here::lift)),
    ]
}

/// The entered values of the form, and their fault.
#[derive(Debug, Clone, Default)]
pub(super) struct Entered {
    opinion: String,
    reason: String,
    proposed: String,
    /// The field at fault, and the reason. The field is empty for a general fault.
    fault: Option<(&'static str, String)>,
}

impl Entered {
    fn of(posted: &Posted) -> Self {
        let text = |name: &str| posted.field(name).to_owned();
        Self {
            opinion: text("opinion"),
            reason: text("opinion_reason"),
            proposed: text("opinion_proposed"),
            fault: None,
        }
    }

    /// Returns the opinion, or the field at fault with the key of its text.
    fn read(&self, item: ItemId) -> Result<NewOpinion, (&'static str, &'static str)> {
        let (kind, disputes) = match self.opinion.as_str() {
            "positive" => (OpinionKind::Positive, false),
            "negative" => (OpinionKind::Negative, false),
            "dispute" => (OpinionKind::Negative, true),
            "seen" => (OpinionKind::Seen, false),
            _ => return Err(("opinion", "opinions.wrong.kind")),
        };
        let reason = OpinionReason::ALL.into_iter().find(|one| one.name() == self.reason);
        if reason.is_none() && !self.reason.is_empty() {
            return Err(("opinion_reason", "opinions.wrong.reason"));
        }
        if reason.is_some() && kind != OpinionKind::Negative {
            return Err(("opinion_reason", "opinions.wrong.reason_alone"));
        }
        let proposed = (!self.proposed.is_empty()).then(|| class_of(&self.proposed));
        let proposed = match proposed {
            Some(None) => return Err(("opinion_proposed", "opinions.wrong.class")),
            other => other.flatten(),
        };
        let words = OpinionWords { reason, disputes, proposed, ..OpinionWords::default() };
        Ok(NewOpinion { item, hash: None, kind, words })
    }

    fn fault_of(&self, field: &str) -> &str {
        self.fault.as_ref().filter(|(at, _)| *at == field).map_or("", |(_, why)| why)
    }
}

/// Parses a class of the form `taxonomy/dimension=value`.
pub(super) fn class_of(text: &str) -> Option<Class> {
    let (taxonomy, rest) = text.trim().split_once('/')?;
    let (dimension, value) = rest.split_once('=')?;
    Class::new(taxonomy, dimension, value).ok()
}

/// Renders the members' opinions on an item, and the forms of the person's own member: a section of the
/// item's page.
///
/// # Errors
///
/// The item does not exist for the person, or the bank does not answer.
pub(crate) async fn section(visit: &Visit, item: ItemId) -> Result<Markup, Failed> {
    of(visit, &described(visit, item).await?, &Entered::default(), Back::Item).await
}

/// Reads the item, with the fields that the person may see.
pub(super) async fn described(visit: &Visit, item: ItemId) -> Result<DescribedItem, Failed> {
    let described = visit.caller.banks().describe_item(item, visit.deadline()).await;
    Ok(described.map_err(unseen)?.value)
}

/// Renders the section of an item that was already read. `back`: the page that shows the section.
pub(super) async fn of(
    visit: &Visit,
    item: &DescribedItem,
    entered: &Entered,
    back: Back,
) -> Result<Markup, Failed> {
    let (said, held) = try_join(said_of(visit, item), held_here(visit, item.id)).await?;
    let has_own = said::own(visit, &said).is_some();
    let mine = item.facts.as_ref().and_then(|facts| facts.mine);
    let withdraw_path = format!("/console/items/{}/opinion/withdraw", item.id.0);
    Ok(html! {
        section #opinions {
            h2 { (visit.t("opinions.title")) }
            (said::counted(visit, item.facts.as_ref()))
            (said::list(visit, &said))
            @if visit.may(Method::PutOpinions) {
                h3 { (visit.t("opinions.own")) }
                @if let Some(mine) = mine {
                    @let name = mine.name();
                    p { (visit.t("opinions.own_is")) " " (parts::badge(Tone::Plain, visit.t(&format!("opinions.said.{name}")))) }
                }
                @if has_own && visit.may(Method::WithdrawOpinions) {
                    @let back = [("back", back.name())];
                    div.apart { (parts::action(visit, &withdraw_path, &back, visit.t("opinions.withdraw"), None)) }
                }
                (form(visit, item.id, entered, back))
            }
            @if visit.may(Method::ListMemberHolds) { (here::section(visit, item.id, held.as_ref(), back)) }
        }
    })
}

async fn said_of(visit: &Visit, item: &DescribedItem) -> Result<Vec<ListedOpinion>, Failed> {
    if !visit.may(Method::ListOpinions) {
        return Ok(Vec::new());
    }
    let opinions = visit.caller.opinions();
    opinions.list_opinions_on(&item.bank, item.id, visit.deadline()).await.map_err(unseen)
}

/// Returns the hold of the item for the person's member, if there is one.
async fn held_here(visit: &Visit, item: ItemId) -> Result<Option<MemberHeldItem>, Failed> {
    if !visit.may(Method::ListMemberHolds) {
        return Ok(None);
    }
    let before = item.0.checked_sub(1).map(ItemId);
    let held = visit.caller.opinions().list_member_holds(before, 1, visit.deadline()).await?;
    Ok(held.into_iter().find(|held| held.item == item))
}

fn form(visit: &Visit, item: ItemId, entered: &Entered, back: Back) -> Markup {
    let kinds = [
        ("", visit.t("opinions.choose")),
        ("positive", visit.t("opinions.kind.positive")),
        ("negative", visit.t("opinions.kind.negative")),
        ("dispute", visit.t("opinions.kind.dispute")),
        ("seen", visit.t("opinions.kind.seen")),
    ];
    let fields = html! {
        input type="hidden" name="back" value=(back.name());
        (chosen(visit, "opinion", "opinions.kind_label", "opinions.kind_hint", &entered.opinion, &kinds, entered))
        (chosen(
            visit, "opinion_reason", "opinions.reason_label", "opinions.reason_hint", &entered.reason,
            &reasons(visit), entered,
        ))
        (parts::field(&Field {
            name: "opinion_proposed",
            label: visit.t("opinions.proposed_label"),
            hint: visit.t("opinions.proposed_hint"),
            value: &entered.proposed,
            fault: entered.fault_of("opinion_proposed"),
            ..Field::default()
        }))
        (parts::button(visit.t("opinions.put"), None))
    };
    html! {
        @if let Some(("", why)) = entered.fault.as_ref().map(|(field, why)| (*field, why)) {
            (parts::notice(Tone::Bad, html! { (why) }))
        }
        (parts::form(visit, &format!("/console/items/{}/opinion", item.0), fields))
    }
}

fn chosen(
    visit: &Visit,
    name: &str,
    label: &str,
    hint: &str,
    value: &str,
    options: &[(&str, &str)],
    entered: &Entered,
) -> Markup {
    let field = Field {
        name,
        label: visit.t(label),
        hint: visit.t(hint),
        value,
        fault: entered.fault_of(name),
        ..Field::default()
    };
    parts::choice(&field, options)
}

/// Returns the reasons of negative opinions, and the choice of no reason.
fn reasons(visit: &Visit) -> Vec<(&'static str, &'static str)> {
    let reasons = OpinionReason::ALL.map(|reason| (reason.name(), said::reason_text(visit, reason)));
    [("", visit.t("opinions.no_reason"))].into_iter().chain(reasons).collect()
}

async fn show(visit: Visit, Path(item): Path<String>) -> Result<Page, Failed> {
    let item = item_of(&item)?;
    Ok(page(&visit, item, section(&visit, item).await?))
}

/// Renders the opinions on an item as a page of their own.
fn page(visit: &Visit, item: ItemId, section: Markup) -> Page {
    let main = html! {
        p { a href={ "/console/items/" (item.0) } { (visit.t("opinions.to_item")) } }
        (section)
    };
    Page::new(visit.fill("opinions.of_item", &[("item", &item.0)]), main)
}

/// Renders the form again, with its fault.
async fn again(visit: &Visit, item: ItemId, entered: &Entered, back: Back) -> Result<Answer, Failed> {
    let section = of(visit, &described(visit, item).await?, entered, back).await?;
    Ok(Answer::Page(page(visit, item, section)))
}

async fn put(visit: Visit, Path(item): Path<String>, posted: Posted) -> Result<Answer, Failed> {
    let (item, back, mut entered) = (item_of(&item)?, Back::of(&posted), Entered::of(&posted));
    let opinion = match entered.read(item) {
        Ok(opinion) => opinion,
        Err((field, key)) => {
            entered.fault = Some((field, visit.t(key).to_owned()));
            return again(&visit, item, &entered, back).await;
        }
    };
    let opinions = visit.caller.opinions();
    match opinions.put_opinions(vec![opinion], posted.once(), visit.deadline()).await {
        Ok(put) => visit.wrote(put.sequence),
        Err(error) => {
            let problem = fault(error)?;
            entered.fault = Some(("", problem.message));
            return again(&visit, item, &entered, back).await;
        }
    }
    Ok(Answer::Done(back.saying(item, "opinion")))
}

async fn withdraw(visit: Visit, Path(item): Path<String>, posted: Posted) -> Result<Done, Failed> {
    let item = item_of(&item)?;
    let opinions = visit.caller.opinions();
    let withdrawn = opinions.withdraw_opinions(&[item], posted.once(), visit.deadline()).await;
    visit.wrote(withdrawn.map_err(unseen)?.sequence);
    Ok(Back::of(&posted).saying(item, "opinion_withdrawn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(opinion: &str, reason: &str, proposed: &str) -> Result<NewOpinion, &'static str> {
        let [opinion, reason, proposed] = [opinion, reason, proposed].map(str::to_owned);
        let entered = Entered { opinion, reason, proposed, fault: None };
        entered.read(ItemId(7)).map_err(|(field, _)| field)
    }

    #[test]
    fn an_opinion_is_read_with_its_reason_or_the_field_at_fault_is_named() {
        let dispute = read("dispute", "poor-hash", "iwf/category=A").unwrap();
        assert_eq!((dispute.kind, dispute.words.disputes), (OpinionKind::Negative, true));
        assert_eq!(dispute.words.reason, Some(OpinionReason::PoorHash));
        assert_eq!(dispute.words.proposed.unwrap().to_string(), "iwf/category=A");
        assert_eq!(read("seen", "", "").unwrap().kind, OpinionKind::Seen);
        for (opinion, reason, proposed, field) in [
            ("", "", "", "opinion"),
            ("perhaps", "", "", "opinion"),
            ("negative", "ugly", "", "opinion_reason"),
            ("positive", "other", "", "opinion_reason"),
            ("positive", "", "A", "opinion_proposed"),
            ("positive", "", "iwf/category=Z", "opinion_proposed"),
        ] {
            assert_eq!(read(opinion, reason, proposed), Err(field));
        }
    }
}
