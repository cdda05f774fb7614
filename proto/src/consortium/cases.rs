//! Reports, referrals, incidents, and records of decisions.

mod report;
mod referral;
mod incident;
mod decision;

pub use decision::{decision_id, query_digests};
pub use incident::keep_days;

use vigie_consortium::Text;
use vigie_model::UnixMillis;

use crate::invalid::Invalid;

/// The most entries of a page of cases, and the number if the caller gives no size.
pub const CASE_PAGE_MAX: u16 = 100;

/// Reads the size of a page of cases.
pub fn case_page_size(size: i32) -> Result<u16, Invalid> {
    match u16::try_from(size) {
        Ok(0) => Ok(CASE_PAGE_MAX),
        Ok(size @ 1..=CASE_PAGE_MAX) => Ok(size),
        _ => Err(Invalid::new(
            "page_size",
            format!("is {size}; it must be 1 to {CASE_PAGE_MAX}, or 0 for that"),
        )),
    }
}

/// Reads a text. `field`: its field, for errors.
fn text<const MAX: usize>(field: &str, text: &str) -> Result<Text<MAX>, Invalid> {
    Text::new(text).map_err(|error| Invalid::new(field, error))
}

/// Reads a time; `None` for 0.
fn moment(unix_ms: u64) -> Option<UnixMillis> {
    (unix_ms != 0).then_some(UnixMillis(unix_ms))
}

/// Returns a time for the wire; 0 for `None`.
fn moment_to_wire(moment: Option<UnixMillis>) -> u64 {
    moment.map_or(0, |at| at.0)
}
