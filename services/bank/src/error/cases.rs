//! The reasons why a change of a case is refused.

use thiserror::Error;
use tonic::Code;
use vigie_consortium::cases::{IncidentWords, ReportReview};

/// The reasons why a change of a report, a referral or an incident is refused. The messages never repeat a
/// URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum CaseError {
    /// The caller may see no report with this number.
    #[error("there is no report {0}")]
    NoReport(u64),
    /// The caller may see no record of this decision.
    #[error("nothing is recorded of this decision of your member, or no longer")]
    NoDecision,
    /// Another caller has set the outcome since it was read.
    #[error("the outcome of the decision was set since it was read; read it again")]
    OutcomeChanged,
    /// The caller may see no referral with this number.
    #[error("there is no referral {0}")]
    NoReferral(u64),
    /// There is no such incident, or it is closed.
    #[error("there is no open incident {0}")]
    NoOpenIncident(u64),
    /// A demand on the member ends too late.
    #[error("{0}: a demand on the member ends at most {days} days from now", days = ReportReview::DEMAND_MS_MAX / 86_400_000)]
    DemandTooLong(&'static str),
    /// A time is in the future.
    #[error("{0}: is in the future")]
    InFuture(&'static str),
    /// A removal order is binding and cannot be declined.
    #[error(
        "referral {0} is a removal order, which cannot be declined; not-possible has the grounds that there are"
    )]
    OrderDeclined(u64),
    /// Too many incidents are open.
    #[error("{max} incidents are open already; close one first", max = IncidentWords::OPEN_MAX)]
    TooManyIncidents,
}

impl CaseError {
    /// Returns the gRPC code of the refusal.
    pub(crate) const fn code(self) -> Code {
        match self {
            Self::NoReport(_) | Self::NoDecision | Self::NoReferral(_) | Self::NoOpenIncident(_) => {
                Code::NotFound
            }
            Self::DemandTooLong(_) | Self::InFuture(_) => Code::InvalidArgument,
            Self::OrderDeclined(_) | Self::TooManyIncidents | Self::OutcomeChanged => {
                Code::FailedPrecondition
            }
        }
    }
}
