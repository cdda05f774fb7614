//! Simulated programmes that accept opinions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::json;
use url::Url;
use vigie_formats::ncmec::about::{FeedbackGiven, parse_feedback as parse_ncmec};
use vigie_formats::stop_ncii::submission::parse_feedback;
use vigie_model::OpinionKind;

use super::said::Says;
use crate::asking::fetch::{Fetch, FetchError};
use crate::asking::request::{Method, Request, Response, Target};
use crate::bank::Lease;
use crate::credentials::Credentials;
use crate::cursor::{Cursor, SaidPlace};
use crate::following::alarm::{Alarm, Failure};
use crate::following::feedback::FeedbackRound;
use crate::following::round::Done;
use crate::secret::Secret;
use crate::sources::settings::Settings;
use crate::targets::feedback;
use crate::tests::memory::MemoryBank;
use crate::tests::model::Model;
use crate::tests::playing::patience;
use crate::tests::servers::Programme;

pub(super) const HEARERS: [Programme; 3] = [Programme::Ncmec, Programme::ThreatExchange, Programme::StopNcii];

/// The opinions that a programme has received from this deployment's member.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The words, by the numbers of hashes.
    pub(super) words: BTreeMap<u8, String>,
    /// The numbers whose opinions it refuses.
    pub(super) refuses: BTreeSet<u8>,
    /// The numbers that it no longer has.
    pub(super) gone: BTreeSet<u8>,
    pub(super) requests: u64,
}

/// A fault in place of an answer. With `After`, the programme accepts the opinion, and its answer is lost.
pub(super) enum Spoiled {
    Before(Result<Response, FetchError>),
    After,
}

type Script = Box<dyn FnMut(u64, &Request) -> Option<Spoiled> + Send>;

/// A bank, and a simulated programme that accepts opinions.
pub(super) struct Bed {
    pub(super) programme: Programme,
    pub(super) bank: MemoryBank,
    pub(super) heard: Arc<Mutex<Heard>>,
    script: Mutex<Script>,
}

fn number_of(text: &str) -> u8 {
    (0..=u8::MAX).find(|number| Model::hash(*number).to_text() == text).unwrap()
}

/// Returns the opinion of a programme's word.
pub(super) fn kind_of(word: &str) -> OpinionKind {
    match word {
        "Blocked" | "HELPFUL" | "affirmative" => OpinionKind::Positive,
        "NotBlocked" | "NOT_HELPFUL" | "DISAGREE_WITH_TAGS" | "g-other" => OpinionKind::Negative,
        "PendingReview" | "SAW_THIS_TOO" => OpinionKind::Seen,
        other => panic!("{other}"),
    }
}

impl Bed {
    pub(super) fn new(programme: Programme) -> Self {
        Self::with(programme, |_, _| None)
    }

    pub(super) fn with(
        programme: Programme,
        script: impl FnMut(u64, &Request) -> Option<Spoiled> + Send + 'static,
    ) -> Self {
        let config = match programme {
            Programme::Ncmec => {
                r#"{"environment": "test_NGO", "feedback": {"reasons": {"MD5": {"other": "g-other"}}}}"#
            }
            Programme::ThreatExchange => r#"{"privacy_group": 7, "feedback": {}}"#,
            Programme::StopNcii | Programme::Tat | Programme::Vigie | Programme::HttpFile => {
                r#"{"feedback": {"tags": ["reviewed"]}}"#
            }
        };
        let bank = MemoryBank::with(programme.api(), config);
        bank.lock().said.programme = Some(programme);
        Self { programme, bank, heard: Arc::default(), script: Mutex::new(Box::new(script)) }
    }

    pub(super) fn change(&self, changes: &[Says]) {
        changes.iter().for_each(|change| self.bank.lock().said.change(*change));
    }

    /// Runs one round, like a process that has just started.
    pub(super) async fn round(&self, is_asked: bool) -> Result<(Done, Option<Alarm>), Failure> {
        let exchange = self.bank.only();
        let (settings, common) = Settings::parse(exchange.api.parse().unwrap(), &exchange.config).unwrap();
        let fields = ["feedback_key", "subscription_key", "user", "password"];
        let token = [("token", "111|secret".to_owned())];
        let credentials =
            Credentials::of(fields.map(|field| (field, field.to_owned())).into_iter().chain(token));
        let hearer = feedback::open(&settings, &common.feedback.unwrap(), &credentials).unwrap();
        let (lease, key) = (Lease(self.bank.lock().lease), Secret::new(String::new()));
        let round = FeedbackRound {
            bank: &self.bank,
            fetch: self,
            lease: &lease,
            exchange: exchange.id,
            key: &key,
            hearer: hearer.as_ref(),
            patience: patience(0),
            // The pages are small, so that there are several.
            page_items_max: 3,
            is_asked,
        };
        let mut done = Done::default();
        round.run(&mut done).await.map(|alarm| (done, alarm))
    }

    pub(super) fn place(&self) -> SaidPlace {
        Cursor::parse(&self.bank.only().cursor).unwrap().said.unwrap()
    }

    /// Compares the opinions that the programme has received with those of the bank.
    pub(super) fn check(&self, context: &str) {
        let bank = self.bank.lock();
        let heard = self.heard.lock().unwrap();
        let words = heard.words.iter().filter(|(number, _)| !bank.said.is_removed(**number));
        let found: BTreeMap<u8, OpinionKind> = words.map(|(number, word)| (*number, kind_of(word))).collect();
        assert_eq!(found, bank.said.expected(), "{:?}, {context}", self.programme);
    }

    fn hear(&self, heard: &mut Heard, request: &Request) -> Response {
        let Target::Url(url) = &request.target else { panic!("no URL") };
        let header = |name: &str| {
            let found = request.headers.iter().find(|(one, _)| *one == name);
            found.map_or("", |(_, value)| value.reveal())
        };
        match self.programme {
            Programme::StopNcii if request.method == Method::Get => {
                self.programme.answer(&Model::default(), request)
            }
            Programme::StopNcii => {
                assert_eq!((header("x-functions-key"), url.path()), ("feedback_key", "/v1/SubmitFeedback"));
                assert_eq!(header("Ocp-Apim-Subscription-Key"), "subscription_key");
                let Method::Json(body) = &request.method else { panic!("no document") };
                let (feedback, bad) = parse_feedback(body.reveal().as_bytes()).unwrap();
                assert!(bad == 0 && (1..=100).contains(&feedback.len()));
                let numbers = feedback.iter().map(|one| number_of(one.hash_value.as_str()));
                // One refused hash makes the whole request fail.
                if let Some(status) = heard.status_of(numbers) {
                    return Response::of_status(status);
                }
                for one in feedback {
                    let (number, word) = (number_of(one.hash_value.as_str()), one.feedback_value.as_str());
                    assert_eq!(one.tags.is_empty(), word == "Withdrawn");
                    if word == "Withdrawn" {
                        heard.words.remove(&number);
                    } else {
                        heard.words.insert(number, word.to_owned());
                    }
                }
                Response::ok("{}")
            }
            Programme::ThreatExchange => self.react(heard, url, &request.method),
            Programme::Ncmec => {
                assert_eq!(header("Authorization"), "Basic dXNlcjpwYXNzd29yZA==");
                let Method::PutXml(body) = &request.method else { panic!("no document") };
                let path: Vec<&str> = url.path_segments().unwrap().collect();
                let [.., "v2", "entries", "7", entry, "MD5", "feedback"] = path[..] else {
                    panic!("{path:?}")
                };
                let number: u8 = entry.parse().unwrap();
                if let Some(status) = heard.status_of([number]) {
                    return Response::of_status(status);
                }
                let word = match parse_ncmec(body.reveal().as_bytes()).unwrap() {
                    FeedbackGiven::Affirmative => "affirmative".to_owned(),
                    FeedbackGiven::Negative(ids) => ids.concat(),
                };
                heard.words.insert(number, word);
                Response::of_status(204)
            }
            Programme::Tat | Programme::Vigie | Programme::HttpFile => unreachable!(),
        }
    }

    fn react(&self, heard: &mut Heard, url: &Url, method: &Method) -> Response {
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(query["access_token"], "111|secret");
        if *method == Method::Get {
            assert!(url.path().ends_with("/threat_descriptors"), "{url}");
            assert_eq!(query["type"], "HASH_VIDEO_MD5");
            let number = number_of(&query["text"]);
            if heard.gone.contains(&number) {
                return Response::ok(r#"{"data": []}"#);
            }
            let mut reactions = vec![json!({"key": "WANT_MORE_INFO", "value": "111"})];
            if let Some(word) = heard.words.get(&number) {
                reactions.push(json!({"key": word, "value": "5,111"}));
            }
            let found = |id: &str, owner: &str| {
                json!({"id": format!("{id}{number:03}"), "raw_indicator": query["text"], "type": query["type"],
                    "owner": {"id": owner}, "reactions": reactions})
            };
            // The app's own descriptor, and one of another hash, get no reaction.
            let other =
                json!({"id": "9", "raw_indicator": "00", "type": "HASH_VIDEO_MD5", "owner": {"id": "6"}});
            return Response::ok(json!({"data": [found("8", "111"), found("7", "5"), other]}).to_string());
        }
        let Method::Form(form) = method else { panic!("no form") };
        assert_eq!(form.reveal(), "");
        let id = url.path().trim_end_matches('/').rsplit('/').next().unwrap();
        let number: u8 = id.strip_prefix('7').unwrap().parse().unwrap();
        if heard.refuses.contains(&number) {
            return Response { status: 400, ..Response::ok(r#"{"error": {"code": 100}}"#) };
        }
        match (query.get("reactions"), query.get("reactions_to_remove")) {
            (Some(word), None) => {
                // The programme has only one word of opinion at a time.
                assert_eq!(heard.words.insert(number, word.clone()), None);
            }
            (None, Some(word)) => assert_eq!(heard.words.remove(&number).as_ref(), Some(word)),
            other => panic!("{other:?}"),
        }
        Response::ok(r#"{"success": true}"#)
    }
}

impl Heard {
    fn status_of(&self, numbers: impl IntoIterator<Item = u8>) -> Option<u16> {
        numbers.into_iter().find_map(|number| match number {
            number if self.refuses.contains(&number) => Some(422),
            number if self.gone.contains(&number) => Some(404),
            _ => None,
        })
    }
}

impl Fetch for Bed {
    async fn fetch(&self, request: &Request) -> Result<Response, FetchError> {
        let mut heard = self.heard.lock().unwrap();
        heard.requests += 1;
        let count = heard.requests - 1;
        match (self.script.lock().unwrap())(count, request) {
            None => Ok(self.hear(&mut heard, request)),
            Some(Spoiled::Before(answer)) => answer,
            Some(Spoiled::After) => {
                self.hear(&mut heard, request);
                Err(FetchError::Connection("crashed".to_owned()))
            }
        }
    }
}
