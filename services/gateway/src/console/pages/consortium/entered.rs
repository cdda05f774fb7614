//! Forms that are shown again: with what was entered, and with what was refused of it.

use http::StatusCode;
use maud::{Markup, html};

use crate::console::page::Failed;
use crate::console::parts::{self, Tone};
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::problem::Problem;

/// Why a form was refused.
#[derive(Debug)]
pub(super) struct Refused {
    /// The field at fault; `None` where it is the form as a whole.
    field: Option<String>,
    why: String,
    status: StatusCode,
}

impl Refused {
    /// A field of the form that does not fit, and why.
    pub(super) fn field(field: &str, why: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), why: why.into(), status: StatusCode::BAD_REQUEST }
    }

    /// Sorts a failure out: what a person can mend in the form is shown there. A thing that the person may not see is not there.
    ///
    /// # Errors
    ///
    /// The failure is none of what was entered.
    pub(super) fn of(problem: impl Into<Problem>) -> Result<Self, Failed> {
        let problem = problem.into();
        match problem.status {
            StatusCode::BAD_REQUEST | StatusCode::CONFLICT => Ok(Self::whatever(problem)),
            StatusCode::NOT_FOUND => Err(Failed::not_there()),
            _ => Err(problem.into()),
        }
    }

    /// The same, where a refusal for want of a right or of a thing is about what was entered in a field.
    ///
    /// # Errors
    ///
    /// The failure is none of what was entered.
    pub(super) fn of_field(field: &str, problem: impl Into<Problem>) -> Result<Self, Failed> {
        let problem = problem.into();
        match problem.status {
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => {
                Ok(Self { field: Some(field.to_owned()), ..Self::whatever(problem) })
            }
            _ => Self::of(problem),
        }
    }

    /// The status of the page that shows the form again.
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    fn whatever(problem: Problem) -> Self {
        let Problem { status, message, field, .. } = problem;
        let (named, why) = match message.split_once(": ") {
            Some((path, why)) if is_field(path) => (Some(path.to_owned()), why.to_owned()),
            _ => (None, message),
        };
        Self { field: field.or(named), why, status }
    }
}

/// Whether a text is the name of a field, as services begin a refusal of it.
fn is_field(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::whatever(problem)
    }
}

/// What a form holds when it is shown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entered<'a> {
    posted: Option<&'a Posted>,
    refused: Option<&'a Refused>,
}

impl<'a> Entered<'a> {
    /// What was sent, and why it was refused.
    pub(super) const fn again(posted: &'a Posted, refused: &'a Refused) -> Self {
        Self { posted: Some(posted), refused: Some(refused) }
    }

    /// What was sent, with nothing wrong in it.
    pub(super) const fn kept(posted: &'a Posted) -> Self {
        Self { posted: Some(posted), refused: None }
    }

    /// Whether something was entered in one of these fields.
    pub(super) fn has_any(self, names: &[&str]) -> bool {
        self.posted.is_some_and(|posted| names.iter().any(|name| !posted.field(name).is_empty()))
    }

    /// The text of a field: what was entered, or else what it holds at first.
    pub(super) fn value(self, name: &str, first: &'a str) -> &'a str {
        self.posted.map_or(first, |posted| posted.field(name))
    }

    /// Whether a box is ticked: as it was sent, or else as it is at first.
    pub(super) fn ticked(self, name: &str, value: &str, first: bool) -> bool {
        self.posted.map_or(first, |posted| posted.fields(name).any(|sent| sent == value))
    }

    /// What is wrong with a field; empty where nothing is.
    pub(super) fn fault(self, name: &str) -> &'a str {
        match self.refused {
            Some(refused) if refused.field.as_deref() == Some(name) => &refused.why,
            _ => "",
        }
    }

    /// The sentence above the form, where it was refused.
    pub(super) fn notice(self, visit: &Visit) -> Markup {
        html! {
            @if let Some(refused) = self.refused {
                (parts::notice(Tone::Bad, html! { (visit.t("members.refused")) " " (refused.why) }))
            }
        }
    }
}

/// A group of boxes with its heading, and with what is wrong with it; empty where nothing is.
pub(super) fn boxes(legend: &str, fault: &str, boxes: &Markup) -> Markup {
    html! {
        fieldset.boxes {
            legend { (legend) }
            @if !fault.is_empty() { p.fault { (fault) } }
            (boxes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_can_mend_is_a_fault_of_its_field() {
        let of = |problem: Problem| Refused::of(problem).map(|refused| (refused.field, refused.why));
        let service = Problem::bad("display_name: a text has at most 128 bytes here, not 130");
        let (field, why) = of(service).unwrap();
        assert_eq!(
            (field.as_deref(), &*why),
            (Some("display_name"), "a text has at most 128 bytes here, not 130")
        );
        let own = Problem::field("name", "is no name");
        assert_eq!(of(own).unwrap(), (Some("name".to_owned()), "is no name".to_owned()));
        let whole = Problem::new(StatusCode::CONFLICT, "the bank acme/known: is taken");
        assert_eq!(of(whole).unwrap(), (None, "the bank acme/known: is taken".to_owned()));
    }

    #[test]
    fn what_is_hidden_is_not_there_unless_it_was_entered() {
        let gone = || Problem::not_found("there is no member called umbra");
        assert_eq!(Refused::of(gone()).unwrap_err().problem.message, "not there");
        let entered = Refused::of_field("member", gone()).unwrap();
        assert_eq!((entered.field.as_deref(), entered.status), (Some("member"), StatusCode::NOT_FOUND));
        assert!(Refused::of(Problem::busy("later")).is_err());
        assert!(Refused::of(Problem::new(StatusCode::FORBIDDEN, "no")).is_err());
    }
}
