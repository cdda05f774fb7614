//! What a person has entered in a form that was refused, so that the form comes again with it.

use http::StatusCode;
use maud::{Markup, html};

use crate::console::page::Failed;
use crate::console::parts::fields::Field;
use crate::console::posted::Posted;
use crate::problem::Problem;

/// What was entered, and what is wrong with it. Nothing for a form that is shown for the first time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Entered<'a> {
    sent: Option<(&'a Posted, &'a Problem)>,
}

impl<'a> Entered<'a> {
    /// A form that was refused.
    pub(crate) const fn refused(posted: &'a Posted, why: &'a Problem) -> Self {
        Self { sent: Some((posted, why)) }
    }

    /// Whether the form was refused.
    pub(crate) const fn is_refused(self) -> bool {
        self.sent.is_some()
    }

    /// What was entered in a field.
    pub(crate) fn value(self, name: &str) -> &'a str {
        self.sent.map_or("", |(posted, _)| posted.field(name))
    }

    /// Whether a box was ticked.
    pub(crate) fn is_ticked(self, name: &str, value: &str) -> bool {
        self.sent.is_some_and(|(posted, _)| posted.fields(name).any(|ticked| ticked == value))
    }

    /// What is wrong with a field; empty for nothing.
    pub(crate) fn fault(self, name: &str) -> &'a str {
        let is_it = |why: &&Problem| why.field.as_deref().map(of_form) == Some(name);
        self.sent.map(|(_, why)| why).filter(is_it).map_or("", reason)
    }

    /// A field of the form with what was entered in it.
    pub(crate) fn field(self, name: &'a str, label: &'a str) -> Field<'a> {
        Field { name, label, value: self.value(name), fault: self.fault(name), ..Field::default() }
    }

    /// The sentence that the form was not carried out, and why; nothing for a form that is shown for the first time.
    pub(crate) fn why(self, refused: &str) -> Markup {
        html! {
            @if let Some((_, why)) = self.sent {
                div.notice.bad role="alert" { p { (refused) } p { (reason(why)) } }
            }
        }
    }
}

/// The name of the field of a form for a field of a request: without the object that holds it, the place in a list, and the unit of a moment.
fn of_form(field: &str) -> &str {
    let own = field.rsplit('.').next().unwrap_or(field);
    let own = own.split('[').next().unwrap_or(own);
    own.strip_suffix("_unix_ms").unwrap_or(own)
}

/// The reason without the name of the field before it.
fn reason(why: &Problem) -> &str {
    let field = why.field.as_deref().unwrap_or_default();
    why.message.strip_prefix(field).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&why.message)
}

/// Why a form was refused, where a person can do something about it in the form. Everything else is a page of its own: a thing that is not there, or
/// that the person may not change, and a service that does not answer.
pub(crate) fn refusal(why: impl Into<Problem>) -> Result<Problem, Failed> {
    let why = why.into();
    match why.status {
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Err(Failed::not_there()),
        status if status.is_server_error() => Err(why.into()),
        _ => Ok(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_does_not_repeat_the_name_of_its_field() {
        assert_eq!(reason(&Problem::field("title", "is too long")), "is too long");
        assert_eq!(reason(&Problem::bad("title: is too long")), "title: is too long");
    }

    #[test]
    fn a_field_of_a_request_is_that_of_a_form() {
        for (field, name) in [
            ("title", "title"),
            ("removal_order.received_at_unix_ms", "received_at"),
            ("classification[3]", "classification"),
            ("members[0]", "members"),
        ] {
            assert_eq!(of_form(field), name);
        }
    }

    #[test]
    fn what_a_person_may_not_change_is_not_there() {
        for status in [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN] {
            let failed = refusal(Problem::new(status, "of acme")).unwrap_err();
            assert_eq!(
                (failed.problem.status, failed.problem.message.as_str()),
                (StatusCode::NOT_FOUND, "not there")
            );
        }
        let unreachable = refusal(Problem::busy("the bank cannot be reached")).unwrap_err();
        assert_eq!(unreachable.problem.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refusal(Problem::field("title", "is too long")).unwrap().field.as_deref(), Some("title"));
    }
}
