//! Combines the opinions of a programme's members on a record into one opinion.
//!
//! All members together count as one voice: nobody in this deployment knows who they are, and anyone who can
//! join a programme could be many of them.

use vigie_consortium::{ForeignOpinion, OpinionWords, Text};
use vigie_model::OpinionKind;

use super::record::{Opinion, Record, View};

impl Record {
    /// Returns the opinion of the programme's members on the record; `None` if there is none. `own` is the
    /// name by which the programme knows the caller's member, whose own opinion must not come back as that of
    /// others.
    ///
    /// Sharing a record already means that its sharer considers it right, so a positive opinion of the sharer
    /// does not count. Positive and negative opinions of different members are a dispute. Either outweighs a
    /// report that the content was seen.
    #[must_use]
    pub fn said(&self, own: Option<&str>) -> Option<ForeignOpinion> {
        let counts = |opinion: &&Opinion| {
            let is_of = |name: Option<&str>| name.is_some() && opinion.by.as_deref() == name;
            let is_claim = opinion.view == View::Positive && is_of(self.owner.as_deref());
            !is_claim && !own.is_some_and(|own| is_named(opinion.by.as_deref(), own))
        };
        let said: Vec<ForeignOpinion> =
            self.opinions.iter().filter(counts).filter_map(foreign_opinion).collect();
        ForeignOpinion::together(&said)
    }
}

/// Checks whether a programme's word for a member names this one: by its whole name, or by the number before
/// it.
fn is_named(by: Option<&str>, own: &str) -> bool {
    by.is_some_and(|by| by == own || by.strip_prefix(own).is_some_and(|rest| rest.starts_with(' ')))
}

/// Returns an opinion with the word that determines it; `None` if it states nothing yet.
fn foreign_opinion(opinion: &Opinion) -> Option<ForeignOpinion> {
    let kind = match opinion.view {
        View::Positive => OpinionKind::Positive,
        View::Negative => OpinionKind::Negative,
        View::Seen => OpinionKind::Seen,
        View::Seed => return None,
    };
    let word = opinion.words.first().map(|word| cut(word)).unwrap_or_default();
    Some(ForeignOpinion {
        kind: Some(kind),
        reason: opinion.reason,
        word: Text::new(&word).unwrap_or_default(),
    })
}

/// Returns the first bytes of a programme's word, up to the length that is kept, without control characters.
fn cut(word: &str) -> String {
    let mut text: String = word.chars().filter(|one| !one.is_control()).collect();
    let mut end = text.len().min(OpinionWords::FOREIGN_LEN_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programme::Key;

    fn opinion(by: &str, view: View, word: &str) -> Opinion {
        let (by, words) = (Some(by.to_owned()), vec![word.to_owned(), "tag".to_owned()]);
        Opinion { by, about: None, view, reason: None, words, at: None }
    }

    fn record(opinions: &[(&str, View, &str)]) -> Record {
        Record {
            owner: Some("7 Sharer".to_owned()),
            opinions: opinions.iter().map(|(by, view, word)| opinion(by, *view, word)).collect(),
            ..Record::new(Key::new("k").unwrap())
        }
    }

    fn said(opinions: &[(&str, View, &str)], own: Option<&str>) -> Option<(Option<OpinionKind>, String)> {
        record(opinions).said(own).map(|said| (said.kind, said.word.to_string()))
    }

    #[test]
    fn who_shares_a_record_confirms_nothing_by_that() {
        let sharer = "7 Sharer";
        assert_eq!(said(&[(sharer, View::Positive, "MALICIOUS"), ("8", View::Seed, "x")], None), None);
        let negative = Some((Some(OpinionKind::Negative), "NON_MALICIOUS".to_owned()));
        assert_eq!(said(&[(sharer, View::Negative, "NON_MALICIOUS")], None), negative);
        // Another member says that it is right, against the sharer's negative opinion.
        let both = [(sharer, View::Negative, "x"), ("8", View::Positive, "HELPFUL")];
        assert_eq!(said(&both, None), Some((None, String::new())));
    }

    #[test]
    fn the_own_word_does_not_come_back() {
        let ours = [("12 Acme", View::Negative, "a"), ("120 Other", View::Seen, "SAW")];
        let seen = Some((Some(OpinionKind::Seen), "SAW".to_owned()));
        for own in ["12 Acme", "12"] {
            assert_eq!(said(&ours, Some(own)), seen, "{own}");
        }
        assert_eq!(said(&ours, Some("1")).unwrap().0, Some(OpinionKind::Negative));
        assert_eq!(said(&ours, None).unwrap().0, Some(OpinionKind::Negative));
    }

    #[test]
    fn a_long_word_is_cut_and_one_that_is_no_text_is_none() {
        let long = format!("\u{7}{}", "é".repeat(100));
        let (_, word) = said(&[("8", View::Positive, &long)], None).unwrap();
        assert_eq!(word, "é".repeat(32));
        assert_eq!(said(&[("8", View::Positive, "\n")], None).unwrap().1, "");
        let silent = Record {
            opinions: vec![Opinion { words: Vec::new(), ..opinion("8", View::Seen, "") }],
            ..record(&[])
        };
        assert_eq!(silent.said(None).unwrap().word.as_str(), "");
    }
}
