//! The measures: everything that is counted.

/// Defines [`Measure`] and its table: the permanent number, the name, and a line of description.
macro_rules! measures {
    ($($variant:ident = $number:literal, $name:literal, $about:literal;)*) => {
        /// A measure: a kind of event that Vigie counts. Its number is part of stored keys and never changes;
        /// its name is part of published files.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Measure {
            $(#[doc = $about] $variant = $number,)*
        }

        impl Measure {
            /// All measures, ordered by number.
            pub const ALL: [Self; [$($number),*].len()] = [$(Self::$variant),*];

            /// Returns the permanent number.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self { $(Self::$variant => $number,)* }
            }

            /// Returns the measure with a number.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }

            /// Returns the name in files: lower-case words joined by `_`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns one line that describes what is counted.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }
    };
}

measures! {
    ItemsAdded = 1, "items_added", "Items added to a bank.";
    HashesAdded = 2, "hashes_added", "Hashes of the items that were added.";
    ItemsRemoved = 3, "items_removed", "Items removed by a member.";
    ItemsExpired = 4, "items_expired", "Items whose last submission expired.";
    ItemsHeld = 5, "items_held", "Items put on hold.";
    MatchesExact = 6, "matches_exact", "Matches at distance 0.";
    MatchesNear = 7, "matches_near", "Matches at a distance above 0.";
    Lookups = 8, "lookups", "Queries answered.";
    Decisions = 9, "decisions", "Verdicts that a policy gave.";
    OpinionsPositive = 10, "opinions_positive", "Opinions that confirm an item.";
    OpinionsNegative = 11, "opinions_negative", "Opinions that reject an item.";
    OpinionsSeen = 12, "opinions_seen", "Opinions that say a member has seen an item.";
    DisputesOpened = 13, "disputes_opened", "Disputes opened about an item.";
    DisputesKept = 14, "disputes_kept", "Disputes that ended with the item kept.";
    DisputesRemoved = 15, "disputes_removed", "Disputes that ended with the item removed.";
    DisputesReclassified = 16, "disputes_reclassified", "Disputes that ended with the item reclassified.";
    AppealsUpheld = 17, "appeals_upheld", "Appeals of users that a member upheld.";
    CallsRefused = 18, "calls_refused", "Calls refused for want of a right or a quota.";
    ReportsSubmitted = 19, "reports_submitted", "Reports that members sent to reviewers.";
    ReportsFounded = 20, "reports_founded", "Reports that a reviewer found founded.";
    ReportsUnfounded = 21, "reports_unfounded", "Reports that a reviewer found unfounded.";
    ReportsForwarded = 22, "reports_forwarded", "Reports forwarded to an authority.";
    ReferralsReceived = 23, "referrals_received", "Referrals received from authorised bodies.";
    ReferralsActedOn = 24, "referrals_acted_on", "Referrals that a member acted on.";
    ReferralsDeclined = 25, "referrals_declined", "Referrals that a member declined.";
    ComplaintsReceived = 26, "complaints_received", "Complaints of users that a member reported.";
    ComplaintsUpheld = 27, "complaints_upheld", "Complaints after which the content was reinstated.";
    OrdersReceived = 28, "orders_received", "Removal orders received.";
    OrdersExecuted = 29, "orders_executed", "Removal orders executed.";
    OrdersNotExecuted = 30, "orders_not_executed", "Removal orders not executed.";
    DecisionsFullyAutomated = 31, "decisions_fully_automated", "Decisions acted on without a person.";
    DecisionsPartlyAutomated = 32, "decisions_partly_automated", "Decisions acted on by a verdict, which a person looked at too.";
    DecisionsNotAutomated = 33, "decisions_not_automated", "Decisions that a person took after a match.";
    DecisionsConfirmed = 34, "decisions_confirmed", "Decisions that a later review confirmed.";
    DecisionsOverturned = 35, "decisions_overturned", "Decisions that a later review overturned.";
    ActionsRemoved = 36, "actions_removed", "Content that a member reported as removed.";
    ActionsDisabled = 37, "actions_disabled", "Content whose access a member reported as disabled.";
    ActionsDemoted = 38, "actions_demoted", "Content that a member reported as demoted.";
    ActionsAgeRestricted = 39, "actions_age_restricted", "Content that a member reported as restricted by age.";
    ActionsInteractionRestricted = 40, "actions_interaction_restricted", "Content whose interaction a member reported as restricted.";
    ActionsLabelled = 41, "actions_labelled", "Content that a member reported as labelled.";
    ActionsOther = 42, "actions_other", "Content on which a member reported another restriction.";
    IncidentsOpened = 43, "incidents_opened", "Incidents opened.";
    Scored = 44, "scored", "Contents that a model scored, in shadow or not.";
    ScoresAbove = 45, "above", "Contents whose score was at least the card's threshold.";
    ScoreReviews = 46, "reviews", "Contents sent to review because of the score alone.";
    ScoresUnavailable = 47, "unavailable", "Contents of which the model gave no score.";
}

impl Measure {
    /// The measures that are counted for each class of a classifier. The class of such a counter is
    /// [`ScoredClass::text`](super::ScoredClass::text).
    pub const OF_CLASSIFIERS: [Self; 4] =
        [Self::Scored, Self::ScoresAbove, Self::ScoreReviews, Self::ScoresUnavailable];

    /// Checks whether the measure is counted for each class of a classifier.
    #[must_use]
    pub const fn is_of_classifiers(self) -> bool {
        matches!(self, Self::Scored | Self::ScoresAbove | Self::ScoreReviews | Self::ScoresUnavailable)
    }

    /// Returns the measures that do not concern classifiers, by number.
    pub fn general() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|measure| !measure.is_of_classifiers())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_numbers_are_read_back() {
        let names: BTreeSet<&str> = Measure::ALL.iter().map(|measure| measure.name()).collect();
        assert_eq!(names.len(), Measure::ALL.len());
        for number in 0..=u8::MAX {
            let found = Measure::ALL.into_iter().find(|measure| measure.number() == number);
            assert_eq!(Measure::from_number(number), found);
        }
        for measure in Measure::ALL {
            assert!(measure.about().ends_with('.') && !measure.about().contains('\n'));
            assert!(measure.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        }
    }
}
