//! The console as a whole: every page and every form, found by links and by the table of routes.

mod site;
mod matrix;
mod security;
mod speed;
