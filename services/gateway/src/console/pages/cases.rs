//! Cases: incidents, referrals and reports, statistics, and the audit.

pub(crate) mod reports;
pub(crate) mod audit;

use crate::console::routes::Route;

pub(crate) fn routes() -> Vec<Route> {
    Vec::new()
}
