//! The form of a decision: its outcome, and the opinion of the person's member on the item that follows from
//! it.

use maud::{Markup, html};
use vigie_consortium::cases::{Action, Basis, Complaint, DecisionListing, DecisionOutcome, Review};
use vigie_consortium::{OpinionReason, OpinionWords};
use vigie_hashes::hex;
use vigie_model::{ItemId, OpinionKind, UnixMillis};

use super::said::reason_text;
use crate::console::parts::{self, Field, Tone};
use crate::console::posted::Posted;
use crate::console::visit::Visit;

/// The entered values of the form.
#[derive(Debug, Clone)]
pub(super) struct Entered {
    action: String,
    complaint: String,
    basis: String,
    reason: String,
    looked: bool,
    opine: bool,
    disputes: bool,
}

/// The opinion on the item that the person's member gives by deciding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Saying {
    pub(super) kind: OpinionKind,
    pub(super) words: OpinionWords,
}

impl Entered {
    /// Returns the initial values of the form, from the earlier outcome and the member's present opinion on
    /// the item. A decision does not withdraw a dispute that the member has opened.
    pub(super) fn before(
        outcome: Option<&(DecisionOutcome, UnixMillis)>,
        own: Option<&OpinionWords>,
    ) -> Self {
        let outcome = outcome.map(|(outcome, _)| *outcome).unwrap_or_default();
        let reason = own.and_then(|own| own.reason).unwrap_or(OpinionReason::DifferentContent);
        Self {
            action: outcome.action.map(Action::name).unwrap_or_default().to_owned(),
            complaint: outcome.complaint.map(Complaint::name).unwrap_or_default().to_owned(),
            basis: outcome.basis.map(Basis::name).unwrap_or_default().to_owned(),
            reason: reason.name().to_owned(),
            looked: outcome.person_looked == Some(true),
            opine: true,
            disputes: own.is_some_and(|own| own.disputes),
        }
    }

    pub(super) fn of(posted: &Posted) -> Self {
        let text = |name: &str| posted.field(name).to_owned();
        let is_ticked = |name: &str| posted.field(name) == "1";
        Self {
            action: text("action"),
            complaint: text("complaint"),
            basis: text("basis"),
            reason: text("reason"),
            looked: is_ticked("looked"),
            opine: is_ticked("opine"),
            disputes: is_ticked("disputes"),
        }
    }

    /// Returns the outcome for the pressed button, and the opinion on the item that follows from it. Values
    /// that the form does not ask for stay unchanged.
    ///
    /// # Errors
    ///
    /// Returns the key of the text that describes the fault.
    pub(super) fn read(
        &self,
        button: &str,
        before: Option<DecisionOutcome>,
    ) -> Result<(DecisionOutcome, Option<Saying>), &'static str> {
        let chosen = optional(&self.action, Action::from_name).ok_or("review.wrong.action")?;
        let (review, action) = match button {
            "removed" => (Review::Confirmed, Some(Action::Removed)),
            "right" => (Review::Confirmed, chosen),
            "wrong" => (Review::Overturned, None),
            _ => return Err("review.wrong.button"),
        };
        let outcome = DecisionOutcome {
            action,
            person_looked: self.looked.then_some(true),
            review: Some(review),
            complaint: optional(&self.complaint, Complaint::from_name).ok_or("review.wrong.complaint")?,
            basis: optional(&self.basis, Basis::from_name).ok_or("review.wrong.basis")?,
            acted_at: None,
            ..before.unwrap_or_default()
        };
        let reason =
            optional(&self.reason, |name| OpinionReason::ALL.into_iter().find(|one| one.name() == name));
        let saying = match review {
            Review::Confirmed => Saying { kind: OpinionKind::Positive, words: OpinionWords::default() },
            Review::Overturned => {
                let reason = reason.ok_or("opinions.wrong.reason")?;
                let words = OpinionWords { reason, disputes: self.disputes, ..OpinionWords::default() };
                Saying { kind: OpinionKind::Negative, words }
            }
        };
        Ok((outcome, self.opine.then_some(saying)))
    }
}

/// Parses a field that may be empty: `Some(None)` if it is empty, `None` if its value is unknown.
fn optional<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { read(text).map(Some) }
}

/// Renders the form. `item`: the item on which the person's member may give an opinion.
pub(super) fn form(
    visit: &Visit,
    listing: &DecisionListing,
    item: Option<ItemId>,
    entered: &Entered,
    fault: &str,
) -> Markup {
    let id = hex::encode(&listing.record.id);
    let set_at = listing.outcome.map_or(0, |(_, set_at)| set_at.0);
    let actions = with_none(visit.t("review.no_action"), Action::ALL.iter().map(|one| one.name()), |name| {
        visit.t(&format!("review.action.{name}"))
    });
    let fields = html! {
        input type="hidden" name="set_at" value=(set_at);
        // The Enter key in a field presses the first button of a form. This button decides nothing.
        button type="submit" hidden {}
        p.row.decide {
            (decides("removed", visit.t("review.button.removed"), "r", ""))
            (decides("right", visit.t("review.button.right"), "c", "second"))
            (decides("wrong", visit.t("review.button.wrong"), "f", "danger"))
        }
        p { (parts::checkbox("looked", "1", visit.t("review.looked"), entered.looked)) }
        (chosen("action", visit.t("review.action_label"), visit.t("review.action_hint"), &entered.action, &actions))
        @if let Some(item) = item { (opinion(visit, item, entered)) }
        (more(visit, entered))
    };
    html! {
        @if !fault.is_empty() { (parts::notice(Tone::Bad, html! { (fault) })) }
        (parts::form(visit, &format!("/console/review/decisions/{id}"), fields))
    }
}

fn opinion(visit: &Visit, item: ItemId, entered: &Entered) -> Markup {
    let reasons =
        with_none(visit.t("opinions.no_reason"), OpinionReason::ALL.iter().map(|one| one.name()), |name| {
            let reason = OpinionReason::ALL.into_iter().find(|one| one.name() == name);
            reason.map_or("", |reason| reason_text(visit, reason))
        });
    let say = visit.fill("review.opine", &[("item", &item.0)]);
    html! {
        fieldset {
            legend { (visit.t("review.opinion")) }
            p { (parts::checkbox("opine", "1", &say, entered.opine)) }
            (chosen("reason", visit.t("review.reason_label"), "", &entered.reason, &reasons))
            p { (parts::checkbox("disputes", "1", visit.t("review.disputes"), entered.disputes)) }
        }
    }
}

/// Renders the fields that are seldom needed.
fn more(visit: &Visit, entered: &Entered) -> Markup {
    let bases = with_none(visit.t("review.no_basis"), Basis::ALL.iter().map(|one| one.name()), |name| {
        visit.t(&format!("review.basis.{name}"))
    });
    let complaints = Complaint::ALL.iter().map(|one| one.name());
    let complaints = with_none(visit.t("review.no_complaint"), complaints, |name| {
        visit.t(&format!("review.complaint.{name}"))
    });
    html! {
        details {
            summary { (visit.t("review.more")) }
            (chosen("basis", visit.t("review.basis_label"), "", &entered.basis, &bases))
            (chosen("complaint", visit.t("review.complaint_label"), visit.t("review.complaint_hint"), &entered.complaint, &complaints))
        }
    }
}

fn with_none(
    none: &'static str,
    names: impl Iterator<Item = &'static str>,
    words: impl Fn(&'static str) -> &'static str,
) -> Vec<(&'static str, &'static str)> {
    [("", none)].into_iter().chain(names.map(|name| (name, words(name)))).collect()
}

fn chosen(name: &str, label: &str, hint: &str, value: &str, options: &[(&str, &str)]) -> Markup {
    parts::choice(&Field { name, label, hint, value, ..Field::default() }, options)
}

/// Renders a button that decides. `key`: its keyboard shortcut.
fn decides(value: &str, words: &str, key: &str, class: &str) -> Markup {
    html! {
        button.(class) type="submit" name="outcome" value=(value) data-key=(key) aria-keyshortcuts=(key) {
            (words) " " kbd aria-hidden="true" { (key) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered() -> Entered {
        Entered { looked: true, ..Entered::before(None, None) }
    }

    #[test]
    fn a_button_says_what_became_of_a_decision_and_of_the_item() {
        let (outcome, saying) = entered().read("wrong", None).unwrap();
        assert_eq!((outcome.review, outcome.action), (Some(Review::Overturned), None));
        assert_eq!(outcome.person_looked, Some(true));
        let saying = saying.unwrap();
        assert_eq!(
            (saying.kind, saying.words.reason),
            (OpinionKind::Negative, Some(OpinionReason::DifferentContent))
        );
        let labelled = Entered { action: "labelled".into(), opine: false, looked: false, ..entered() };
        let (outcome, saying) = labelled.read("right", None).unwrap();
        assert_eq!((outcome.review, outcome.action), (Some(Review::Confirmed), Some(Action::Labelled)));
        assert_eq!((outcome.person_looked, saying), (None, None));
        let (outcome, saying) = labelled.read("removed", None).unwrap();
        assert_eq!((outcome.action, saying), (Some(Action::Removed), None));
        assert_eq!(entered().read("right", None).unwrap().1.unwrap().kind, OpinionKind::Positive);
    }

    #[test]
    fn what_the_form_does_not_ask_for_stays() {
        let before = DecisionOutcome {
            hosted_since: Some(UnixMillis(7)),
            acted_at: Some(UnixMillis(8)),
            basis: Some(Basis::Notice),
            ..DecisionOutcome::default()
        };
        let disputing =
            OpinionWords { reason: Some(OpinionReason::PoorHash), disputes: true, ..OpinionWords::default() };
        let again = Entered::before(Some(&(before, UnixMillis(9))), Some(&disputing));
        let (outcome, saying) = again.read("wrong", Some(before)).unwrap();
        assert_eq!(saying.unwrap().words, disputing);
        assert_eq!((outcome.hosted_since, outcome.basis), (before.hosted_since, before.basis));
        assert_eq!(outcome.acted_at, None);
    }

    #[test]
    fn a_word_that_is_none_is_named() {
        let wrong = |change: fn(&mut Entered), button: &str| {
            let mut entered = entered();
            change(&mut entered);
            entered.read(button, None).unwrap_err()
        };
        assert_eq!(wrong(|_| (), ""), "review.wrong.button");
        assert_eq!(wrong(|one| one.action = "eaten".into(), "right"), "review.wrong.action");
        assert_eq!(wrong(|one| one.basis = "hearsay".into(), "right"), "review.wrong.basis");
        assert_eq!(wrong(|one| one.complaint = "x".into(), "right"), "review.wrong.complaint");
        assert_eq!(wrong(|one| one.reason = "ugly".into(), "wrong"), "opinions.wrong.reason");
    }
}
