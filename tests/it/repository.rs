//! Rules of the repository, and checks of files that have to agree with the code.

pub(crate) mod source;
mod rules;
mod layout;
mod circles;
mod chart;
mod chart_routes;
mod chart_values;
mod compose;
