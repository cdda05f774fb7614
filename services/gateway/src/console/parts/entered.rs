//! Forms that are shown again, with the entered values and their faults.

use http::StatusCode;
use maud::{Markup, html};

use crate::console::page::Failed;
use crate::console::parts::fields::Field;
use crate::console::posted::Posted;
use crate::problem::Problem;

/// The reason for which a form was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The field at fault; `None` if the fault is not of one field.
    field: Option<String>,
    why: String,
    status: StatusCode,
}

impl Refused {
    /// Returns the fault of one field. `why`: the reason.
    pub(crate) fn field(field: &str, why: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), why: why.into(), status: StatusCode::BAD_REQUEST }
    }

    /// Converts a failure that the person can correct in the form. Other failures get a page of their own: a
    /// thing that does not exist or that the person may not change, and a service that does not answer.
    ///
    /// # Errors
    ///
    /// Returns the failure if the person cannot correct it in the form.
    pub(crate) fn of(problem: impl Into<Problem>) -> Result<Self, Failed> {
        refusal(problem).map(Self::from)
    }

    /// Like [`Self::of`], but treats "not found" and "forbidden" as faults of the value in `field`.
    ///
    /// # Errors
    ///
    /// Returns the failure if the person cannot correct it in the form.
    pub(crate) fn of_field(field: &str, problem: impl Into<Problem>) -> Result<Self, Failed> {
        let problem = problem.into();
        match problem.status {
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => {
                Ok(Self { field: Some(field.to_owned()), ..Self::from(problem) })
            }
            _ => Self::of(problem),
        }
    }

    /// Returns the status of the page that shows the form again.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }
}

/// The field is the one that the problem names, or the one that a service names at the start of its message.
impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let Problem { status, message, field, .. } = problem;
        let (field, why) = match field {
            Some(field) => {
                let why = message.strip_prefix(&field).and_then(|rest| rest.strip_prefix(": "));
                let why = why.unwrap_or(&message).to_owned();
                (Some(of_form(&field).to_owned()), why)
            }
            None => match message.split_once(": ") {
                Some((path, why)) if is_field(path) => (Some(path.to_owned()), why.to_owned()),
                _ => (None, message),
            },
        };
        Self { field, why, status }
    }
}

/// Returns the problem if the person can correct it in the form.
///
/// # Errors
///
/// Returns the failure if it gets a page of its own.
pub(crate) fn refusal(problem: impl Into<Problem>) -> Result<Problem, Failed> {
    let problem = problem.into();
    match problem.status {
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Err(Failed::not_there()),
        status if status.is_server_error() => Err(problem.into()),
        _ => Ok(problem),
    }
}

/// Returns the form field for a field of a request: without the parent object, the list index, and the unit
/// of a timestamp.
fn of_form(field: &str) -> &str {
    let own = field.rsplit('.').next().unwrap_or(field);
    let own = own.split('[').next().unwrap_or(own);
    own.strip_suffix("_unix_ms").unwrap_or(own)
}

/// Returns whether a text is a field name, as services put it at the start of an error message.
fn is_field(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// The entered values of a form, with its fault. The default is a form that is shown for the first time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Entered<'a> {
    posted: Option<&'a Posted>,
    refused: Option<&'a Refused>,
}

impl<'a> Entered<'a> {
    /// The entered values, with the reason for which the form was refused.
    pub(crate) const fn again(posted: &'a Posted, refused: &'a Refused) -> Self {
        Self { posted: Some(posted), refused: Some(refused) }
    }

    /// The entered values, without a fault.
    pub(crate) const fn kept(posted: &'a Posted) -> Self {
        Self { posted: Some(posted), refused: None }
    }

    /// Returns whether the form was refused.
    pub(crate) const fn is_refused(self) -> bool {
        self.refused.is_some()
    }

    /// Returns whether one of these fields has an entered value.
    pub(crate) fn has_any(self, names: &[&str]) -> bool {
        self.posted.is_some_and(|posted| names.iter().any(|name| !posted.field(name).is_empty()))
    }

    /// Returns the text of a field: the entered value, or `first` for a new form.
    pub(crate) fn value(self, name: &str, first: &'a str) -> &'a str {
        self.posted.map_or(first, |posted| posted.field(name))
    }

    /// Returns whether a box is ticked: as sent, or `first` for a new form.
    pub(crate) fn ticked(self, name: &str, value: &str, first: bool) -> bool {
        self.posted.map_or(first, |posted| posted.fields(name).any(|sent| sent == value))
    }

    /// Returns the fault of a field; empty for none.
    pub(crate) fn fault(self, name: &str) -> &'a str {
        match self.refused {
            Some(refused) if refused.field.as_deref() == Some(name) => &refused.why,
            _ => "",
        }
    }

    /// Returns a field of the form with the entered value; empty in a new form.
    pub(crate) fn field(self, name: &'a str, label: &'a str) -> Field<'a> {
        Field { name, label, value: self.value(name, ""), fault: self.fault(name), ..Field::default() }
    }

    /// Renders the notice above a refused form: this sentence, and the reason.
    pub(crate) fn notice(self, sentence: &str) -> Markup {
        html! {
            @if let Some(refused) = self.refused {
                div.notice.bad role="alert" { p { (sentence) } p { (refused.why) } }
            }
        }
    }
}

/// Renders a group of boxes with its heading and its fault. `fault`: empty for none.
pub(crate) fn boxes(legend: &str, fault: &str, boxes: &Markup) -> Markup {
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

    #[track_caller]
    fn check(problem: Problem, field: Option<&str>, why: &str) {
        let refused = Refused::of(problem).unwrap();
        assert_eq!((refused.field.as_deref(), refused.why.as_str()), (field, why));
    }

    #[test]
    fn what_a_person_can_mend_is_a_fault_of_its_field() {
        let long = "a text has at most 128 bytes here, not 130";
        check(Problem::bad(format!("display_name: {long}")), Some("display_name"), long);
        check(Problem::field("name", "is no name"), Some("name"), "is no name");
        let whole = Problem::new(StatusCode::CONFLICT, "the bank acme/known: is taken");
        check(whole, None, "the bank acme/known: is taken");
    }

    #[test]
    fn a_field_of_a_request_is_that_of_a_form() {
        for (field, name) in [
            ("title", "title"),
            ("removal_order.received_at_unix_ms", "received_at"),
            ("classification[3]", "classification"),
            ("members[0]", "members"),
        ] {
            check(Problem::field(field, "is too long"), Some(name), "is too long");
        }
    }

    #[test]
    fn what_is_hidden_is_not_there_unless_it_was_entered() {
        for status in [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN] {
            let failed = Refused::of(Problem::new(status, "of acme")).unwrap_err();
            assert_eq!(
                (failed.problem.status, failed.problem.message.as_str()),
                (StatusCode::NOT_FOUND, "not there")
            );
        }
        let gone = Problem::not_found("there is no member called umbra");
        let entered = Refused::of_field("member", gone).unwrap();
        assert_eq!((entered.field.as_deref(), entered.status), (Some("member"), StatusCode::NOT_FOUND));
        let unreachable = Refused::of(Problem::busy("the bank cannot be reached")).unwrap_err();
        assert_eq!(unreachable.problem.status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
