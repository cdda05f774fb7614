//! Commands about reports, referrals and incidents.

pub(crate) mod report;
pub(crate) mod referral;
pub(crate) mod incident;
mod decision;
mod accuracy;
mod fragment;
