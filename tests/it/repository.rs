//! Rules of the repository, and files beside the code that have to agree with it.

pub(crate) mod source;
mod rules;
mod layout;
mod circles;
mod chart;
mod chart_routes;
mod chart_values;
mod compose;
