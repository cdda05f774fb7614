//! Tests of the whole console: every page and every form, found by links and by the route table.

mod site;
mod matrix;
mod security;
mod speed;
