//! Why a change of a case is refused.

use thiserror::Error;
use tonic::Code;
use vigie_consortium::cases::{IncidentWords, ReportReview};

/// Why a change of a report, a referral or an incident is refused. Never repeats a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum CaseError {
    /// There is no such report for the caller.
    #[error("there is no report {0}")]
    NoReport(u64),
    /// There is no record of such a decision for the caller.
    #[error("nothing is recorded of this decision of your member, or no longer")]
    NoDecision,
    /// Somebody else has set the outcome since.
    #[error("the outcome of the decision was set since it was read; read it again")]
    OutcomeChanged,
    /// There is no such referral for the caller.
    #[error("there is no referral {0}")]
    NoReferral(u64),
    /// There is no such incident, or it is closed.
    #[error("there is no open incident {0}")]
    NoOpenIncident(u64),
    /// A demand on the member lasts too long.
    #[error("{0}: a demand on the member ends at most {days} days from now", days = ReportReview::DEMAND_MS_MAX / 86_400_000)]
    DemandTooLong(&'static str),
    /// A moment is not over yet.
    #[error("{0}: is in the future")]
    InFuture(&'static str),
    /// An order is binding.
    #[error(
        "referral {0} is a removal order, which cannot be declined; not-possible has the grounds that there are"
    )]
    OrderDeclined(u64),
    /// Too many incidents are open.
    #[error("{max} incidents are open already; close one first", max = IncidentWords::OPEN_MAX)]
    TooManyIncidents,
}

impl CaseError {
    /// The code that tells the caller what to do.
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
