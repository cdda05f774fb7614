//! Simulated programmes that accept submissions: they share what is submitted with everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::json;
use url::form_urlencoded;
use vigie_formats::stop_ncii::FeedbackValue;
use vigie_formats::stop_ncii::submission::{parse_feedback, parse_hashes};

use crate::asking::fetch::{Fetch, FetchError};
use crate::asking::request::{Method, Request, Response, Target};
use crate::bank::{Lease, Reader};
use crate::credentials::Credentials;
use crate::following::alarm::{Alarm, Failure};
use crate::following::round::Done;
use crate::following::write_back::WriteBack;
use crate::secret::Secret;
use crate::sources::settings::Settings;
use crate::targets;
use crate::tests::memory::MemoryBank;
use crate::tests::model::{Change, Model};
use crate::tests::playing::{clock, patience};
use crate::tests::servers::Programme;

/// A fault in place of the programme's answer; `None` for its own answer. The number counts requests from 0.
/// With `After`, the programme carries out the request, and its answer is lost.
pub(crate) enum Spoiled {
    Before(Result<Response, FetchError>),
    After(FetchError),
}

type Script = Box<dyn FnMut(u64, &Request) -> Option<Spoiled> + Send>;

/// The submissions that a programme has received, from all who submit to it.
#[derive(Default)]
pub(crate) struct Given {
    /// The content that it shares.
    pub(crate) model: Arc<Mutex<Model>>,
    /// The apps that submitted a number's hash.
    pub(crate) owners: BTreeMap<u8, BTreeSet<String>>,
    /// The numbers whose hashes it refuses.
    pub(crate) refuses: BTreeSet<u8>,
}

impl Given {
    /// Returns the numbers that an app has submitted.
    pub(crate) fn of(&self, app: &str) -> BTreeSet<u8> {
        self.owners.iter().filter(|(_, apps)| apps.contains(app)).map(|(number, _)| *number).collect()
    }

    fn put(&mut self, number: u8, app: &str) {
        let apps = self.owners.entry(number).or_default();
        if apps.insert(app.to_owned()) && apps.len() == 1 {
            self.model.lock().unwrap().change(&[Change::Wait(1), Change::Put(number)]);
        }
    }

    fn take_back(&mut self, number: u8, app: &str) {
        let Some(apps) = self.owners.get_mut(&number) else { return };
        if apps.remove(app) && apps.is_empty() {
            self.owners.remove(&number);
            self.model.lock().unwrap().change(&[Change::Wait(1), Change::Withdraw(number)]);
        }
    }
}

/// Sends requests to a simulated programme for one app.
pub(crate) struct Taking {
    pub(crate) programme: Programme,
    pub(crate) app: &'static str,
    pub(crate) given: Arc<Mutex<Given>>,
    pub(crate) requests: Mutex<u64>,
    pub(crate) script: Mutex<Script>,
}

impl Taking {
    pub(crate) fn new(
        programme: Programme,
        app: &'static str,
        given: &Arc<Mutex<Given>>,
        script: impl FnMut(u64, &Request) -> Option<Spoiled> + Send + 'static,
    ) -> Self {
        let (given, requests) = (Arc::clone(given), Mutex::new(0));
        Self { programme, app, given, requests, script: Mutex::new(Box::new(script)) }
    }

    fn answer(&self, request: &Request) -> Response {
        let Target::Url(url) = &request.target else { panic!("no URL") };
        let mut given = self.given.lock().unwrap();
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let key = request.headers.iter().find(|(name, _)| *name == "x-functions-key");
        let key = key.map_or("", |(_, value)| value.reveal());
        let number =
            |text: &str| (0..=u8::MAX).find(|number| Model::hash(*number).to_text() == text).unwrap();
        match (self.programme, &request.method, url.path()) {
            (Programme::StopNcii, Method::Json(body), path) if path.ends_with("/SubmitHashes") => {
                assert_eq!(key, "submit_key");
                let (hashes, bad) = parse_hashes(body.reveal().as_bytes()).unwrap();
                assert!(bad == 0 && !hashes.is_empty() && hashes.len() <= 100);
                let numbers: Vec<u8> = hashes.iter().map(|one| number(one.hash_value.as_str())).collect();
                // One refused hash makes the whole request fail.
                if numbers.iter().any(|number| given.refuses.contains(number)) {
                    return Response::of_status(400);
                }
                for number in numbers {
                    given.put(number, self.app);
                }
                Response::ok("{}")
            }
            (Programme::StopNcii, Method::Json(body), path) if path.ends_with("/SubmitFeedback") => {
                assert_eq!(key, "feedback_key");
                let (feedback, bad) = parse_feedback(body.reveal().as_bytes()).unwrap();
                assert!(bad == 0 && !feedback.is_empty());
                for one in feedback {
                    assert_eq!(one.feedback_value, FeedbackValue::Withdrawn);
                    given.take_back(number(one.hash_value.as_str()), self.app);
                }
                Response::ok("{}")
            }
            (Programme::ThreatExchange, method, path) => {
                self.threat_exchange(&mut given, method, path, &query, request)
            }
            _ => self.programme.answer(&given.model.lock().unwrap(), request),
        }
    }

    fn threat_exchange(
        &self,
        given: &mut Given,
        method: &Method,
        path: &str,
        query: &BTreeMap<String, String>,
        request: &Request,
    ) -> Response {
        let number =
            |text: &str| (0..=u8::MAX).find(|number| Model::hash(*number).to_text() == text).unwrap();
        let is_known = query.get("access_token") == Some(&format!("{}|secret", self.app));
        match method {
            Method::Form(form) => {
                assert!(is_known && path.ends_with("/threat_descriptors/"), "{path}");
                let fields: BTreeMap<String, String> =
                    form_urlencoded::parse(form.reveal().as_bytes()).into_owned().collect();
                assert_eq!(
                    (fields["status"].as_str(), fields["privacy_members"].as_str()),
                    ("MALICIOUS", "7")
                );
                let number = number(&fields["indicator"]);
                if given.refuses.contains(&number) {
                    return Response { status: 400, ..Response::ok(r#"{"error": {"code": 100}}"#) };
                }
                given.put(number, self.app);
                Response::ok(r#"{"success": true, "id": "1"}"#)
            }
            Method::Get if path.ends_with("/threat_descriptors") => {
                assert!(is_known && query["owner"] == self.app);
                let number = number(&query["text"]);
                // The search also finds the submissions of others.
                let apps = given.owners.get(&number).cloned().unwrap_or_default();
                let found = |app: &String| {
                    json!({"id": format!("{app}{number:03}"), "raw_indicator": query["text"],
                        "type": query["type"], "owner": {"id": app}})
                };
                Response::ok(json!({"data": apps.iter().map(found).collect::<Vec<_>>()}).to_string())
            }
            Method::Delete => {
                let id = path.rsplit('/').next().unwrap();
                let (app, number) = id.split_at(id.len() - 3);
                assert!(is_known && app == self.app, "the descriptor of another app");
                given.take_back(number.parse().unwrap(), self.app);
                Response::ok(r#"{"success": true}"#)
            }
            Method::Get | Method::Json(_) | Method::PutXml(_) => {
                // The exchange follows with the same token.
                let Target::Url(url) = &request.target else { panic!("no URL") };
                let mut url = url.clone();
                let pairs: Vec<(String, String)> =
                    url.query_pairs().into_owned().filter(|(name, _)| name != "access_token").collect();
                url.query_pairs_mut().clear().extend_pairs(pairs).append_pair("access_token", "token");
                self.programme.answer(&given.model.lock().unwrap(), &Request::get(url))
            }
        }
    }
}

impl Fetch for Taking {
    async fn fetch(&self, request: &Request) -> Result<Response, FetchError> {
        let count = {
            let mut requests = self.requests.lock().unwrap();
            *requests += 1;
            *requests - 1
        };
        match (self.script.lock().unwrap())(count, request) {
            None => Ok(self.answer(request)),
            Some(Spoiled::Before(answer)) => answer,
            Some(Spoiled::After(error)) => {
                self.answer(request);
                Err(error)
            }
        }
    }
}

/// Returns settings with write-back of the bank `own-list`.
pub(crate) const fn config(programme: Programme) -> &'static str {
    match programme {
        Programme::ThreatExchange => {
            r#"{"privacy_group": 7, "removal_percent_max": 100, "submit": {"bank": "own-list", "share_level": "AMBER"}}"#
        }
        Programme::Ncmec | Programme::StopNcii | Programme::Tat | Programme::Vigie | Programme::HttpFile => {
            r#"{"removal_percent_max": 100, "submit": {"bank": "own-list"}}"#
        }
    }
}

/// Runs one round of write-back of the bank's only exchange, like a process that has just started.
pub(crate) async fn write_back(
    bank: &MemoryBank,
    fetch: &Taking,
    retries_max: u32,
    is_asked: bool,
) -> Result<(Done, Option<Alarm>), Failure> {
    let exchange = bank.only();
    let (settings, common) = Settings::parse(exchange.api.parse().unwrap(), &exchange.config).unwrap();
    let submit = common.submit.unwrap();
    let fields = ["submit_key", "feedback_key", "subscription_key"];
    let token = [("token", format!("{}|secret", fetch.app))];
    let credentials = Credentials::of(fields.map(|field| (field, field.to_owned())).into_iter().chain(token));
    let target = targets::open(&settings, &submit, &credentials).unwrap();
    let reader = Reader { bank: submit.bank, key: Secret::new(String::new()) };
    let lease = Lease(bank.lock().lease);
    let clock = clock(&fetch.given.lock().unwrap().model);
    let round = WriteBack {
        bank,
        fetch,
        lease: &lease,
        exchange: exchange.id,
        reader: &reader,
        target: target.as_ref(),
        patience: patience(retries_max),
        // The pages are small, so that there are several.
        page_items_max: 3,
        is_asked,
        clock: &clock,
    };
    let mut done = Done::default();
    let outcome = round.run(&mut done).await;
    let alarm = match &outcome {
        Ok(alarm) => alarm.as_ref(),
        Err(Failure::Alarm(alarm)) => Some(alarm),
        Err(_) => None,
    };
    // The alarm is stored in the report, as a follower does it.
    let text = alarm.map(ToString::to_string).unwrap_or_default();
    bank.lock().exchanges.get_mut("programme").unwrap().exchange.report.alarm = text;
    outcome.map(|left_over| (done, left_over))
}
