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
        self.sent.map_or("", |(_, why)| if why.field.as_deref() == Some(name) { reason(why) } else { "" })
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

/// The reason without the name of the field before it.
fn reason(why: &Problem) -> &str {
    let field = why.field.as_deref().unwrap_or_default();
    why.message.strip_prefix(field).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&why.message)
}

/// The options of a choice: the words of a list, each with its text, which `text` finds.
pub(crate) fn choices<'a>(
    words: impl IntoIterator<Item = &'a str>,
    text: impl Fn(&'a str) -> &'a str,
) -> Vec<(&'a str, &'a str)> {
    words.into_iter().map(|word| (word, text(word))).collect()
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
    fn what_a_person_may_not_change_is_not_there() {
        for status in [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN] {
            let failed = refusal(Problem::new(status, "of acme")).unwrap_err();
            assert_eq!((failed.problem.status, failed.problem.message.as_str()), (StatusCode::NOT_FOUND, "not there"));
        }
        let unreachable = refusal(Problem::busy("the bank cannot be reached")).unwrap_err();
        assert_eq!(unreachable.problem.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refusal(Problem::field("title", "is too long")).unwrap().field.as_deref(), Some("title"));
    }
}
