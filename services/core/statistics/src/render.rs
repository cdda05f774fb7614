//! Statistics as files: Markdown for a person, CSV for a table, JSON for a program.

mod markdown;
mod csv;
mod json;
#[cfg(test)]
mod tests;

pub use csv::{CSV_COLUMNS, to_csv};
pub use json::{JSON_VERSION, to_json};
pub use markdown::to_markdown;
