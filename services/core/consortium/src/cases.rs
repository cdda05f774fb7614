//! Cases: reports of members, referrals of authorised bodies, incidents. The bounds of each part, and the words of scripts.
//!
//! A case holds no content and no data of a person: references, fingerprints, bounded texts. A URL is held by referrals alone, and their
//! `Debug` hides it.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$word_doc])* $word,)*
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$word,)*];

            /// The word for commands and scripts.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)*
                }
            }

            /// The one with this word.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

mod report;
mod referral;
mod incident;

pub use incident::{IncidentType, IncidentTypeError, IncidentTypes, IncidentWords};
pub use referral::{
    Ground, IssuingState, Measure, MeasureError, MeasureOutcome, Priority, ReferralTarget, ReferralUrl,
    ReferralWords, RemovalOrder,
};
pub use report::{ReportContents, ReportOutcome, ReportReview, ReviewError};

use crate::text::Text;

/// A short reference: of a report in a third country, a legal basis, a removal order.
pub type CaseReference = Text<64>;
/// A text of a case that a person writes.
pub type CaseNote = Text<512>;
