//! The rights and limits of the member of one request.

use std::sync::Arc;
use std::time::Duration;

use vigie_consortium::quotas::{Near, NearLimits};
use vigie_consortium::{PrincipalId, Quota, View};
use vigie_model::{MemberId, UnixMillis};

use crate::request::meters::Meters;

/// The rights and limits of a member.
#[derive(Debug)]
pub(super) struct OfMember {
    pub(super) view: Arc<View>,
    pub(super) member: MemberId,
    pub(super) principal: Option<PrincipalId>,
    pub(super) now: UnixMillis,
    pub(super) quota: Quota,
    pub(super) meters: Meters,
    pub(super) protection: Protection,
}

/// The near queries of the member of one request.
#[derive(Debug)]
pub(super) struct Protection {
    pub(super) near: Arc<Near>,
    pub(super) limits: NearLimits,
    pub(super) now: Duration,
}
