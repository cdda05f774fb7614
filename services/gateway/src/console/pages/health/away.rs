//! The notice for a service that does not answer.

use maud::{Markup, html};

use crate::console::parts::{self, Tone};
use crate::console::visit::Visit;
use crate::problem::Problem;

/// Renders the notice that a service does not answer, with the reason. `key`: the text that explains the
/// effect.
pub(super) fn away(visit: &Visit, key: &str, problem: &Problem) -> Markup {
    parts::notice(Tone::Warn, html! { p { (visit.t(key)) } p.detail { (problem.message) } })
}
