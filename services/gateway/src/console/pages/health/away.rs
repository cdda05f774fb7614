//! The words for a service that does not answer.

use maud::{Markup, html};

use crate::console::parts::{self, Tone};
use crate::console::visit::Visit;
use crate::problem::Problem;

/// That a service does not answer, and why. `key`: the text that says what this means.
pub(super) fn away(visit: &Visit, key: &str, problem: &Problem) -> Markup {
    parts::notice(Tone::Warn, html! { p { (visit.t(key)) } p.detail { (problem.message) } })
}
