//! The fields that the platform adds to a report.

/// A field for which Vigie has no source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// The report: `cybertipline` or `com_2022_209`.
    pub report: &'static str,
    /// The element or section.
    pub field: &'static str,
    /// The reason why Vigie does not fill it.
    pub reason: &'static str,
}

const fn cybertipline(field: &'static str, reason: &'static str) -> Missing {
    Missing { report: "cybertipline", field, reason }
}

const fn com(field: &'static str, reason: &'static str) -> Missing {
    Missing { report: "com_2022_209", field, reason }
}

const PERSONS: &str = "Vigie holds no data of persons";
const CONTENT: &str = "Vigie holds fingerprints and no content";
const CIRCUMSTANCES: &str = "the platform knows the circumstances of the upload";
const REVIEWER: &str = "a person who looks at the file decides it";
const RECEIVER: &str = "the receiver assigns it to a report or a file that it gets";

/// The CyberTipline's report, in the order of its elements.
pub(super) const CYBERTIPLINE: &[Missing] = &[
    cybertipline("incidentSummary/incidentType", REVIEWER),
    cybertipline("incidentSummary/platform", CIRCUMSTANCES),
    cybertipline("incidentSummary/escalateToHighPriority", REVIEWER),
    cybertipline("incidentSummary/reportAnnotations", REVIEWER),
    cybertipline("incidentSummary/incidentDateTime", CIRCUMSTANCES),
    cybertipline("incidentSummary/incidentDateTimeDescription", CIRCUMSTANCES),
    cybertipline("internetDetails", CIRCUMSTANCES),
    cybertipline("reporter/reportingPerson/email", PERSONS),
    cybertipline("personOrUserReported", PERSONS),
    cybertipline("intendedRecipient", PERSONS),
    cybertipline("victim", PERSONS),
    cybertipline("fileDetails/reportId", RECEIVER),
    cybertipline("fileDetails/fileId", RECEIVER),
    cybertipline("fileDetails/fileName", CIRCUMSTANCES),
    cybertipline("fileDetails/originalFileName", CIRCUMSTANCES),
    cybertipline("fileDetails/uploadedToEspTimestamp", CIRCUMSTANCES),
    cybertipline("fileDetails/locationOfFile", CIRCUMSTANCES),
    cybertipline("fileDetails/exifViewedByEsp", REVIEWER),
    cybertipline("fileDetails/publiclyAvailable", CIRCUMSTANCES),
    cybertipline("fileDetails/fileRelevance", REVIEWER),
    cybertipline("fileDetails/fileAnnotations", REVIEWER),
];

/// Article 13(1) and Annex III of the proposed regulation COM(2022) 209, in the order of the letters.
pub(super) const COM_2022_209: &[Missing] = &[
    com("13(1)(a) provider and contact; annex III, section 1", CIRCUMSTANCES),
    com("13(1)(b) date, time stamp, signature; section 3", CIRCUMSTANCES),
    com("13(1)(c) and (d) content data and other data; sections 3 and 4", CONTENT),
    com("13(1)(e) whether the material is new or a solicitation; section 2", REVIEWER),
    com("13(1)(f) location; section 5", PERSONS),
    com("13(1)(g) identity of users, apparent victims; sections 6 and 12", PERSONS),
    com(
        "13(1)(h) report in a third country and its reference number; section 9",
        "the platform keeps the ids of its reports",
    ),
    com("13(1)(i) decision about the user; section 11", PERSONS),
    com("13(1)(j) urgency", REVIEWER),
    com("13(1)(k) legal basis", "the platform names its legal basis"),
    com("section 7 kind of service", CIRCUMSTANCES),
];
