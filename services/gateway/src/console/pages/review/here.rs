//! Items that are held for the person's member alone.

use axum::extract::Path;
use maud::{Markup, html};
use vigie_clients::MemberHeldItem;
use vigie_consortium::rights::Method;
use vigie_model::ItemId;

use super::calls::{item_of, unseen};
use crate::console::page::{Done, Failed};
use crate::console::parts::{self, Tone};
use crate::console::posted::Posted;
use crate::console::visit::Visit;

/// The page to which a form leads back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back {
    /// The page of the item.
    Item,
    /// The page of the dispute about the item.
    Dispute,
    /// The queue of held items.
    Queue,
}

impl Back {
    /// Returns the name of the page in forms.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::Dispute => "dispute",
            Self::Queue => "queue",
        }
    }

    /// Returns the page that a form names; the item's page if it names none.
    pub(super) fn of(posted: &Posted) -> Self {
        let name = posted.field("back");
        [Self::Dispute, Self::Queue].into_iter().find(|one| one.name() == name).unwrap_or(Self::Item)
    }

    /// Redirects to the page, which shows the text `done.<key>`.
    pub(super) fn saying(self, item: ItemId, key: &str) -> Done {
        match self {
            Self::Item => Done::saying(&format!("/console/items/{}", item.0), key, &[]),
            Self::Dispute => Done::saying(&format!("/console/review/disputes/{}", item.0), key, &[]),
            Self::Queue => Done::saying("/console/review", key, &[("kind", "held")]),
        }
    }
}

/// Renders the button that lifts the hold, so that the item matches again.
pub(super) fn lift_button(visit: &Visit, item: ItemId, back: Back) -> Markup {
    let path = format!("/console/items/{}/lift-here", item.0);
    html! {
        @if visit.may(Method::SetMemberHold) {
            (parts::action(visit, &path, &[("back", back.name())], visit.t("opinions.here.lift"), None))
        }
    }
}

/// Renders whether an item is held for the person's member, with the button that changes it.
pub(super) fn section(visit: &Visit, item: ItemId, held: Option<&MemberHeldItem>, back: Back) -> Markup {
    let path = format!("/console/items/{}/hold-here", item.0);
    html! {
        h3 { (visit.t("opinions.here.title")) }
        @match held {
            Some(held) => {
                p {
                    (parts::badge(Tone::Warn, visit.t("opinions.here.held"))) " "
                    (why(visit, held)) " " (parts::time(visit, held.since))
                }
                (lift_button(visit, item, back))
            }
            None => {
                p { (visit.t("opinions.here.not_held")) }
                @if visit.may(Method::SetMemberHold) {
                    (parts::action(visit, &path, &[("back", back.name())], visit.t("opinions.here.hold"), None))
                }
            }
        }
    }
}

/// Returns the reason of a hold: flood control, or the member.
pub(super) fn why(visit: &Visit, held: &MemberHeldItem) -> &'static str {
    visit.t(if held.flooded { "opinions.here.flooded" } else { "opinions.here.by_member" })
}

pub(super) async fn hold(visit: Visit, Path(item): Path<String>, posted: Posted) -> Result<Done, Failed> {
    set(&visit, &item, &posted, true).await
}

pub(super) async fn lift(visit: Visit, Path(item): Path<String>, posted: Posted) -> Result<Done, Failed> {
    set(&visit, &item, &posted, false).await
}

async fn set(visit: &Visit, item: &str, posted: &Posted, held: bool) -> Result<Done, Failed> {
    let item = item_of(item)?;
    let opinions = visit.caller.opinions();
    let set = opinions.set_member_hold(&[item], held, posted.once(), visit.deadline()).await;
    visit.wrote(set.map_err(unseen)?.sequence);
    Ok(Back::of(posted).saying(item, if held { "held_here" } else { "lifted_here" }))
}
