//! Reports that hash-sharing programmes publish.

use super::field::{Field, PublishedReport, Source};
use crate::cell::Measure;

const fn field(name: &'static str, about: &'static str, source: Source) -> Field {
    Field { name, about, source }
}

const NO_URL: &str = "Vigie keeps fingerprints and no URLs.";

/// The Global Internet Forum to Counter Terrorism: its hash-sharing database.
pub(super) const GIFCT: PublishedReport = PublishedReport {
    name: "gifct",
    title: "GIFCT: hash-sharing database",
    fields: &[
        field(
            "items_distinct",
            "Items to date. An item that several banks hold counts in each.",
            Source::Cumulative(&[Measure::ItemsAdded]),
        ),
        field(
            "hashes_distinct",
            "Hashes to date. A hash of several items counts for each.",
            Source::Cumulative(&[Measure::HashesAdded]),
        ),
        field("items_added", "Items added in the period.", Source::Counted(&[Measure::ItemsAdded])),
        field("hashes_added", "Hashes added in the period.", Source::Counted(&[Measure::HashesAdded])),
        field(
            "items_withdrawn",
            "Items removed or expired in the period.",
            Source::Counted(&[Measure::ItemsRemoved, Measure::ItemsExpired]),
        ),
        field(
            "items_by_media",
            "Items that are images, videos and documents.",
            Source::LeftOut("Counters do not separate kinds of media."),
        ),
        field(
            "events_communicated",
            "Incidents opened in the period.",
            Source::Counted(&[Measure::IncidentsOpened]),
        ),
    ],
};

/// The Tech Coalition's programme for sharing signals.
pub(super) const LANTERN: PublishedReport = PublishedReport {
    name: "lantern",
    title: "Lantern: signals",
    fields: &[
        field("signals_uploaded", "Items added in the period.", Source::Counted(&[Measure::ItemsAdded])),
        field("signals_removed", "Items removed in the period.", Source::Counted(&[Measure::ItemsRemoved])),
        field(
            "accounts_acted_on",
            "Accounts on which members acted.",
            Source::LeftOut("Vigie knows no accounts."),
        ),
        field(
            "uploads_removed",
            "Uploads that members reported as removed.",
            Source::Counted(&[Measure::ActionsRemoved]),
        ),
        field("urls", "URLs and bulk uploads acted on.", Source::LeftOut(NO_URL)),
        field("members", "Members of the deployment.", Source::Members),
        field("members_silent", "Members without any count in the period.", Source::MembersSilent),
    ],
};

/// The Terrorist Content Analytics Platform of Tech Against Terrorism.
pub(super) const TCAP: PublishedReport = PublishedReport {
    name: "tcap",
    title: "TCAP: alerts",
    fields: &[
        field("urls_submitted", "URLs submitted.", Source::LeftOut(NO_URL)),
        field("alerts", "Referrals that members received.", Source::Counted(&[Measure::ReferralsReceived])),
        field("companies", "Members of the deployment.", Source::Members),
        field(
            "share_offline",
            "Referrals that members acted on. The share is this number over the alerts.",
            Source::Counted(&[Measure::ReferralsActedOn]),
        ),
        field(
            "by_ideology",
            "Numbers by ideology.",
            Source::Sentence(
                "The numbers by class of the taxonomy are in the tables by class, where a bank's taxonomy has such a dimension.",
            ),
        ),
    ],
};

/// The National Center for Missing & Exploited Children.
pub(super) const NCMEC: PublishedReport = PublishedReport {
    name: "ncmec",
    title: "NCMEC: hash sharing and reports",
    fields: &[
        field("hashes_added", "Hashes added in the period.", Source::Counted(&[Measure::HashesAdded])),
        field(
            "files_reported",
            "Reports that members forwarded to an authority. A report may hold several files.",
            Source::Counted(&[Measure::ReportsForwarded]),
        ),
        field(
            "attachments_unique",
            "Attachments that differ by MD5.",
            Source::LeftOut("Vigie keeps no digests of queries to count distinct ones."),
        ),
        field(
            "attachments_similar",
            "Attachments that are similar by a perceptual hash.",
            Source::LeftOut("Vigie keeps no hashes of queries to count similar ones."),
        ),
        field(
            "referrals_and_informational",
            "Reports by usefulness: referrals and informational reports.",
            Source::LeftOut("The receiver of a report judges its usefulness."),
        ),
    ],
};

/// StopNCII of SWGfL.
pub(super) const STOP_NCII: PublishedReport = PublishedReport {
    name: "stopncii",
    title: "StopNCII: cases and hashes",
    fields: &[
        field(
            "cases",
            "Cases to date.",
            Source::LeftOut("Cases belong to the programme; Vigie counts items."),
        ),
        field("hashes", "Hashes to date.", Source::Cumulative(&[Measure::HashesAdded])),
        field(
            "removals",
            "Content that members reported as removed.",
            Source::Counted(&[Measure::ActionsRemoved]),
        ),
    ],
};
