//! Tests of every opinion in the words of each programme.

use url::Url;
use vigie_consortium::OpinionReason;
use vigie_formats::ncmec::about::{FeedbackGiven, parse_feedback as parse_ncmec};
use vigie_formats::stop_ncii::submission::parse_feedback;
use vigie_model::OpinionKind::{self, Negative, Positive, Seen};
use vigie_model::{Hash, HashType, ItemId};

use crate::asking::request::{Method, Request, Response, Target};
use crate::credentials::Credentials;
use crate::sources::settings::Settings;
use crate::targets::feedback::{Hearer, Saying, open};

fn hearer(api: &str, config: &str) -> Box<dyn Hearer> {
    let (settings, common) = Settings::parse(api.parse().unwrap(), config).unwrap();
    let credentials = Credentials::of([("token", "111|secret".to_owned()), ("user", "u".to_owned())]);
    open(&settings, &common.feedback.unwrap(), &credentials).unwrap()
}

fn saying(
    key: &str,
    hash: Hash,
    kind: Option<OpinionKind>,
    reason: Option<OpinionReason>,
    word: &str,
) -> Saying {
    Saying { item: ItemId(1), key: key.to_owned(), hash, kind, reason, word: word.to_owned() }
}

fn url(request: &Request) -> &Url {
    let Target::Url(url) = &request.target else { panic!("no URL") };
    url
}

#[test]
fn stop_ncii_hears_its_own_words() {
    let hearer = hearer("stop_ncii", r#"{"feedback": {"tags": ["a"]}}"#);
    for (kind, word) in [
        (Some(Positive), "Blocked"),
        (Some(Negative), "NotBlocked"),
        (Some(Seen), "PendingReview"),
        (None, "Withdrawn"),
    ] {
        let saying = saying("ImagePDQ:x", Hash::pdq([7; 32]), kind, None, "");
        assert!(hearer.hears(&saying));
        let request = hearer.say(&[saying]).unwrap();
        let Method::Json(body) = &request.method else { panic!("no document") };
        let (feedback, _) = parse_feedback(body.reveal().as_bytes()).unwrap();
        assert_eq!((feedback[0].feedback_value.as_str(), feedback.len()), (word, 1));
        assert_eq!(feedback[0].tags.len(), usize::from(kind.is_some()));
    }
    // A record of a type without a name, and a key that the programme does not have.
    for key in ["VideoTMK:x", "7-image", ""] {
        assert!(!hearer.hears(&saying(key, Hash::pdq([7; 32]), Some(Positive), None, "")), "{key}");
    }
}

#[test]
fn threat_exchange_hears_reactions_and_forgets_former_ones() {
    let hearer = hearer("fb_threatexchange", r#"{"privacy_group": 7, "feedback": {}}"#);
    let hash = Hash::md5([0xab; 16]);
    let text = hash.to_text();
    let requests = |kind, reason, word: &str, reactions: &str| -> Vec<String> {
        let saying = saying("HASH_MD5:x", hash.clone(), kind, reason, word);
        assert!(hearer.hears(&saying));
        let search = hearer.say(std::slice::from_ref(&saying)).unwrap();
        assert!(
            url(&search).query().unwrap().contains(&format!("text={text}&strict_text=true&type=HASH_MD5"))
        );
        let answer = format!(
            r#"{{"data": [{{"id": "12", "raw_indicator": "{text}", "type": "HASH_MD5", "owner": {{"id": "5"}}, "reactions": [{reactions}]}}]}}"#
        );
        let follow = hearer.said(&[saying], &Response::ok(answer)).unwrap();
        follow
            .iter()
            .map(|request| url(request).query().unwrap().split_once("secret&").unwrap().1.to_owned())
            .collect()
    };
    let other = OpinionReason::Other;
    for (kind, reason, word, expected) in [
        (Some(Positive), None, "", "HELPFUL"),
        (Some(Negative), None, "", "NOT_HELPFUL"),
        (Some(Negative), Some(other), "", "NOT_HELPFUL"),
        (Some(Negative), Some(OpinionReason::WrongClassification), "", "DISAGREE_WITH_TAGS"),
        // The word that the member chose is used if it fits such an opinion; otherwise it is translated.
        (Some(Negative), Some(other), "DISAGREE_WITH_TAGS", "DISAGREE_WITH_TAGS"),
        (Some(Negative), Some(OpinionReason::WrongClassification), "NOT_HELPFUL", "NOT_HELPFUL"),
        (Some(Positive), None, "NOT_HELPFUL", "HELPFUL"),
        (Some(Positive), None, "Blocked", "HELPFUL"),
        (Some(Seen), None, "", "SAW_THIS_TOO"),
    ] {
        assert_eq!(requests(kind, reason, word, ""), [format!("reactions={expected}")]);
        let there = format!(r#"{{"key": "{expected}", "value": "5,111"}}"#);
        assert!(requests(kind, reason, word, &there).is_empty());
    }
    let former = r#"{"key": "HELPFUL", "value": "111"}, {"key": "OUTDATED", "value": "111"}, {"key": "SAW_THIS_TOO", "value": "1"}"#;
    assert_eq!(
        requests(Some(Negative), None, "", former),
        ["reactions_to_remove=HELPFUL", "reactions=NOT_HELPFUL"]
    );
    assert_eq!(requests(None, None, "", former), ["reactions_to_remove=HELPFUL"]);
    // An id that leads elsewhere is refused.
    let odd = format!(
        r#"{{"data": [{{"id": "12/x", "raw_indicator": "{text}", "type": "HASH_MD5", "owner": {{"id": "5"}}}}]}}"#
    );
    let of = saying("HASH_MD5:x", hash.clone(), Some(Positive), None, "");
    assert!(hearer.said(&[of], &Response::ok(odd)).is_err());
}

#[test]
fn ncmec_hears_what_it_has_a_word_for() {
    let hearer = hearer(
        "ncmec",
        r#"{"environment": "NGO", "feedback": {"reasons": {"MD5": {"other": "g-1", "poor-hash": "g-2"}, "PDQ": {"poor-hash": "g-3"}}}}"#,
    );
    let md5 = || Hash::md5([1; 16]);
    let sha1 = || Hash::from_text(HashType::SHA1, &"01".repeat(20)).unwrap();
    let given = |saying: Saying| {
        let request = hearer.say(&[saying]).unwrap();
        let Method::PutXml(body) = &request.method else { panic!("no document") };
        (url(&request).path().to_owned(), parse_ncmec(body.reveal().as_bytes()).unwrap())
    };
    let (path, said) = given(saying("7-im/age 1", md5(), Some(Positive), None, ""));
    assert_eq!(path, "/npo/v2/entries/7/im%2Fage%201/MD5/feedback");
    assert_eq!(said, FeedbackGiven::Affirmative);
    let reason = |reason, word: &str| given(saying("7-a-b", md5(), Some(Negative), reason, word)).1;
    let of = |id: &str| FeedbackGiven::Negative(vec![id.to_owned()]);
    assert_eq!(reason(None, ""), of("g-1"));
    assert_eq!(reason(Some(OpinionReason::PoorHash), ""), of("g-2"));
    assert_eq!(reason(Some(OpinionReason::Duplicate), ""), of("g-1"));
    assert_eq!(reason(None, "g-2"), of("g-2"));
    assert_eq!(reason(None, "g-9"), of("g-1"));
    // The settings have one reason for PDQ only, and none for SHA-1. Seen and withdrawn opinions have no
    // word.
    let hears = |hash: Hash, kind, reason| hearer.hears(&saying("7-a", hash, kind, reason, ""));
    assert!(hears(Hash::pdq([1; 32]), Some(Negative), Some(OpinionReason::PoorHash)));
    assert!(!hears(Hash::pdq([1; 32]), Some(Negative), None));
    assert!(hears(Hash::pdq([1; 32]), Some(Positive), None));
    assert!(!hears(sha1(), Some(Negative), None) && hears(sha1(), Some(Positive), None));
    assert!(!hears(Hash::sha256([1; 32]), Some(Positive), None));
    assert!(!hears(md5(), Some(Seen), None) && !hears(md5(), None, None));
    for key in ["", "a-b", "-b", "7", "7-", "7-..", "7-."] {
        assert!(!hearer.hears(&saying(key, md5(), Some(Positive), None, "")), "{key}");
    }
}
