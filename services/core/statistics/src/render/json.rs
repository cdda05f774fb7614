//! Statistics as JSON.
//!
//! Field names are stable: within one `version`, fields are added and none is renamed or removed.
//!
//! | field | value |
//! |---|---|
//! | `version` | [`JSON_VERSION`] |
//! | `months` | the months, as `2026-11`; every `by_month` follows them |
//! | `threshold`, `members_min` | the thresholds of suppression |
//! | `members`, `members_silent` | the number of members, and of those without any count |
//! | `numbers` | for each: `measure`, `about`, `total`, `cumulative`, `by_month`, and two more rows |
//! | ... | `by_member` (`member`, `total`, `by_month`) |
//! | ... | `by_bank`, `by_class`, `by_verdict` (`name`, `count`) |
//! | `own_member` | the reading member; null for a public reader |
//! | `own` | the reading member's numbers, in the same form; empty for a public reader |
//! | `classifiers` | the uses of classifiers across members: `model`, `version`, `class`, `measures` |
//! | ... | in `measures`: `measure` (`scored`, `above`, `reviews`, `unavailable`), and the next row |
//! | ... | `total`, `by_month`, `by_member` |
//! | `own_classifiers` | the reading member's own uses, in the same form; empty for a public reader |
//! | `latencies` | `latency`, `about`, `month` (null for the period), `p50_ms`, `p99_ms` (null for too few) |
//! | `precisions` | `of` (`reports`, `decisions`), `scope` (`all`, `member`, `bank`), and the next row |
//! | ... | `name`, `confirmed`, `reviewed`, `precision` |
//! | `reports` | `report`, `title`, `fields` (`field`, `about`, `status`, `value`) |
//!
//! The `status` of a field is `count`, `share`, `sentence`, `suppressed` or `left_out`.
//!
//! A suppressed number is null.

use serde_json::{Value, json};

use crate::report::Statistics;

/// The version of the field names.
pub const JSON_VERSION: u32 = 1;

/// Returns the statistics as JSON.
pub fn to_json(statistics: &Statistics) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(statistics)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("version".to_owned(), json!(JSON_VERSION));
    }
    Ok(value)
}
