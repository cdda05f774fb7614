//! Simulated programmes: each answers requests from a model, in its own format.

use std::collections::BTreeMap;

use url::Url;
use vigie_consortium::{ListChain, ListKey};
use vigie_formats::programme::Record;
use vigie_formats::{ncmec, stop_ncii, tat, threat_exchange, utc, vigie};
use vigie_model::{SetDigest, UnixMillis};

use super::feedback::{of_entries, of_records, of_updates, opinion};
use super::model::{Model, Thing};
use crate::asking::request::{Method, Request, Response, Target};
use crate::secret::Secret;

/// The number of records of a page, fewer than any real programme has.
const PAGE: usize = 3;

/// A simulated programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Programme {
    Ncmec,
    ThreatExchange,
    StopNcii,
    Tat,
    Vigie,
    HttpFile,
}

impl Programme {
    pub(crate) const ALL: [Self; 6] =
        [Self::Ncmec, Self::ThreatExchange, Self::StopNcii, Self::Tat, Self::Vigie, Self::HttpFile];

    pub(crate) const fn api(self) -> &'static str {
        match self {
            Self::Ncmec => "ncmec",
            Self::ThreatExchange => "fb_threatexchange",
            Self::StopNcii => "stop_ncii",
            Self::Tat => "tat",
            Self::Vigie => "vigie",
            Self::HttpFile => "http_file",
        }
    }

    pub(crate) const fn config(self) -> &'static str {
        match self {
            Self::Ncmec => r#"{"environment": "test_NGO", "removal_percent_max": 100}"#,
            Self::ThreatExchange => r#"{"privacy_group": 7, "removal_percent_max": 100}"#,
            Self::StopNcii | Self::Tat => r#"{"removal_percent_max": 100}"#,
            Self::Vigie => {
                r#"{"base_url": "https://other.example/sub", "bank": "acme/list", "removal_percent_max": 100}"#
            }
            Self::HttpFile => r#"{"url": "https://files.example/hashes.txt", "removal_percent_max": 100}"#,
        }
    }

    /// Returns the answer to a request, from the state of a model. Checks the credentials.
    pub(crate) fn answer(self, model: &Model, request: &Request) -> Response {
        let Target::Url(url) = &request.target else { panic!("no URL") };
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let header = |name: &str| {
            let found = request.headers.iter().find(|(one, _)| *one == name);
            found.map_or("", |(_, value)| value.reveal())
        };
        match self {
            Self::Ncmec if header("Authorization") != "Basic dXNlcjpwYXNzd29yZA==" => {
                Response::of_status(401)
            }
            Self::Ncmec => ncmec(model, &query),
            Self::ThreatExchange if query.get("access_token").map(String::as_str) != Some("token") => {
                Response { status: 400, ..Response::ok(r#"{"error": {"code": 190}}"#) }
            }
            Self::ThreatExchange => threat_exchange(model, url, &query),
            Self::StopNcii if header("x-functions-key") != "fetch_key" => Response::of_status(401),
            Self::StopNcii => stop_ncii(model, &query),
            Self::Tat => tat(model, url, request, &query, header("Authorization")),
            Self::Vigie if header("Authorization") != "Bearer key" => Response::of_status(401),
            Self::Vigie => list(model, url, &query),
            Self::HttpFile => file(model, header("If-None-Match")),
        }
    }

    /// Returns the records that a follower of a model should have.
    pub(crate) fn living(self, model: &Model) -> BTreeMap<String, String> {
        let living = model.things.iter().filter(|(_, thing)| !thing.is_gone);
        living.map(|(number, thing)| self.describe(*number, thing)).collect()
    }

    /// Returns the words for right, wrong and seen, if the programme has them.
    const fn words(self) -> [Option<&'static str>; 3] {
        match self {
            Self::Ncmec => [Some("affirmative"), Some("g-1"), None],
            Self::ThreatExchange => [Some("HELPFUL"), Some("NOT_HELPFUL"), Some("SAW_THIS_TOO")],
            Self::StopNcii => [Some("Blocked"), Some("NotBlocked"), Some("PendingReview")],
            Self::Tat | Self::Vigie | Self::HttpFile => [None; 3],
        }
    }

    fn describe(self, number: u8, thing: &Thing) -> (String, String) {
        let record = Model::record(number, thing);
        let records: Vec<Record> = match self {
            Self::Ncmec => {
                ncmec::records(&ncmec::Page { entries: entry(number, thing), ..Default::default() }).0
            }
            Self::ThreatExchange => {
                let updates = threat_exchange::updates(&record, number.into(), 1);
                threat_exchange::records(&threat_exchange::Page { updates, ..Default::default() }).0
            }
            Self::StopNcii => {
                let records = stop_ncii::hash_records(&record, "case");
                stop_ncii::records(&stop_ncii::Page { records, ..Default::default() }).0
            }
            Self::Tat => {
                tat::records(&tat::Page {
                    entries: tat::entries(&record, number.into()),
                    ..Default::default()
                })
                .0
            }
            Self::Vigie => vigie::records(&[entry_of_list(1, number, thing)]).unwrap(),
            Self::HttpFile => {
                let line = format!("md5 {}", Model::hash(number).to_text());
                crate::sources::test_lines(line)
            }
        };
        let [record] = <[Record; 1]>::try_from(records).unwrap();
        let hashes: Vec<String> = record.hashes.iter().map(vigie_model::Hash::to_text).collect();
        let labels: Vec<Box<str>> = record.labels.iter().map(|label| label.as_str().into()).collect();
        let classes: Vec<String> = record.classes.iter().map(ToString::to_string).collect();
        (
            record.key.to_string(),
            format!("{hashes:?} {labels:?} {classes:?} {:?}", opinion(self.words(), thing)),
        )
    }
}

fn entry(number: u8, thing: &Thing) -> Vec<ncmec::Entry> {
    let member = ncmec::Member { id: 7, name: "Seven".to_owned() };
    let entries = ncmec::entries(&Model::record(number, thing), &member, &number.to_string());
    of_entries(entries, thing.said)
}

/// Returns the entries of a range by their numbers, so they are not ordered by time.
fn ncmec(model: &Model, query: &BTreeMap<String, String>) -> Response {
    let time =
        |name: &str| utc::from_text(&query[name]).unwrap_or_else(|| panic!("{}", query[name])).0 / 1_000;
    let (from, to) = (time("from"), time("to"));
    let within: Vec<_> = model.things.iter().filter(|(_, thing)| from < thing.at && thing.at <= to).collect();
    let start: usize = query.get("start").map_or(0, |start| start.parse::<usize>().unwrap() - 1);
    if start > within.len() {
        return Response::of_status(400);
    }
    let page = &within[start..within.len().min(start + PAGE)];
    let next = start + page.len();
    let text = |seconds: u64| utc::to_text(UnixMillis(seconds * 1_000)).replace(':', "%3A");
    let link = || {
        let (from, to, max) = (text(from), text(to), within.len());
        format!("/v2/entries?from={from}&to={to}&start={}&size={PAGE}&max={max}", next + 1)
    };
    let page = ncmec::Page {
        entries: page.iter().flat_map(|(number, thing)| entry(**number, thing)).collect(),
        next: (next < within.len()).then(link),
        ..Default::default()
    };
    Response::ok(ncmec::render(&page))
}

fn threat_exchange(model: &Model, url: &Url, query: &BTreeMap<String, String>) -> Response {
    let number = |name: &str| query.get(name).map(|text| text.parse::<u64>().unwrap());
    let start = number("start_time").unwrap_or(0);
    let after = number("after_time").zip(number("after_number"));
    let mut list = model.by_time();
    list.retain(|(number, thing)| {
        thing.at >= start && after.is_none_or(|after| (thing.at, u64::from(*number)) > after)
    });
    let page = &list[..list.len().min(PAGE)];
    let next = (list.len() > PAGE).then(|| {
        let (number, thing) = page[PAGE - 1];
        let mut url = url.clone();
        let (time, number) = (thing.at.to_string(), number.to_string());
        url.query_pairs_mut()
            .clear()
            .append_pair("access_token", "token")
            .append_pair("after_time", &time)
            .append_pair("after_number", &number);
        threat_exchange::NextLink(url.into())
    });
    let updates = page
        .iter()
        .flat_map(|(number, thing)| {
            let updates = threat_exchange::updates(&Model::record(*number, thing), (*number).into(), 1);
            of_updates(updates, thing.said)
        })
        .collect();
    Response::ok(threat_exchange::render(&threat_exchange::Page { updates, next, ..Default::default() }))
}

/// Returns pages, of which the last has a lower `nextSetTimestamp` than the one before.
fn stop_ncii(model: &Model, query: &BTreeMap<String, String>) -> Response {
    let start: u64 = query["startTimestamp"].parse().unwrap();
    let mut list = model.by_time();
    list.retain(|(_, thing)| thing.at >= start);
    if let Some(token) = query.get("nextPageToken") {
        let (time, number) = token.split_once('-').unwrap();
        let after = (time.parse::<u64>().unwrap(), number.parse::<u8>().unwrap());
        list.retain(|(number, thing)| (thing.at, *number) > after);
    }
    let page = &list[..list.len().min(PAGE)];
    let has_more_records = list.len() > PAGE;
    let newest = page.iter().map(|(_, thing)| thing.at).max().unwrap_or(10);
    let last = page.last().map(|(number, thing)| format!("{}-{number}", thing.at));
    let page = stop_ncii::Page {
        records: page
            .iter()
            .flat_map(|(number, thing)| {
                of_records(stop_ncii::hash_records(&Model::record(*number, thing), "case"), thing.said)
            })
            .collect(),
        next_page_token: last,
        next_set_timestamp: if has_more_records { newest } else { newest.saturating_sub(2).max(10) },
        has_more_records,
        ..Default::default()
    };
    Response::ok(stop_ncii::render(&page))
}

/// A token is valid only in the second in which it was issued.
fn tat(
    model: &Model,
    url: &Url,
    request: &Request,
    query: &BTreeMap<String, String>,
    authorization: &str,
) -> Response {
    let token = format!("token-{}", model.now);
    if url.path().contains("token-auth") {
        let expected = "username=user&password=password&resend=False";
        let is_good = request.method == Method::Form(Secret::new(expected.to_owned()));
        return match is_good {
            true => Response::ok(tat::login::render(&tat::login::Token(token), "user")),
            false => Response::of_status(400),
        };
    }
    if authorization != format!("Bearer {token}") {
        return Response::of_status(401);
    }
    let after = query.get("page").or(query.get("after")).filter(|after| !after.is_empty());
    let mut list = model.by_time();
    let key = |number: u8, thing: &Thing| (thing.at, u64::from(number));
    if let Some((time, id)) = after.and_then(|after| after.split_once(',')) {
        let after = (time.trim_end_matches(".0").parse().unwrap(), id.parse().unwrap());
        list.retain(|(number, thing)| key(*number, thing) > after);
    }
    let page = &list[..list.len().min(PAGE)];
    let checkpoint = page.last().map(|(number, thing)| format!("{}.0,{number}", thing.at));
    let next = checkpoint.as_ref().filter(|_| list.len() > PAGE).map(|checkpoint| {
        let mut next = url.clone();
        next.query_pairs_mut().clear().append_pair("page", checkpoint);
        next.into()
    });
    let entries = page
        .iter()
        .flat_map(|(number, thing)| tat::entries(&Model::record(*number, thing), (*number).into()));
    let page = tat::Page { entries: entries.collect(), next, checkpoint, ..Default::default() };
    Response::ok(tat::render(&page))
}

fn file(model: &Model, known: &str) -> Response {
    let living = model.things.iter().filter(|(_, thing)| !thing.is_gone);
    let lines: String =
        living.map(|(number, _)| format!("md5 {}\n", Model::hash(*number).to_text())).collect();
    let tag = format!("\"{}\"", blake3::hash(lines.as_bytes()));
    if known == tag {
        return Response::of_status(304);
    }
    Response { tag: Some(tag), ..Response::ok(lines) }
}

/// Returns an entry that adds a thing.
fn entry_of_list(entry: u64, number: u8, thing: &Thing) -> vigie::Entry {
    let record = Model::record(number, thing);
    let says = vigie::Says::Put {
        key: ListKey([number; 16]),
        classes: record.classification(),
        hashes: record.hashes,
        labels: record.labels,
    };
    vigie::Entry { number: entry, says }
}

/// Returns a page of a published list. A follower with another chain than the list is refused.
fn list(model: &Model, url: &Url, query: &BTreeMap<String, String>) -> Response {
    assert_eq!(url.path(), "/sub/v1/banks/acme%2Flist/list");
    let mut entries: Vec<vigie::Entry> = Vec::new();
    for (number, thing) in &model.journal {
        let next = u64::try_from(entries.len()).unwrap() + 1;
        let gone = vigie::Entry { number: next, says: vigie::Says::Gone(ListKey([*number; 16])) };
        entries.push(thing.as_ref().map_or(gone, |thing| entry_of_list(next, *number, thing)));
    }
    let after: usize = query["after"].parse().unwrap();
    let fold = |entries: &[vigie::Entry]| {
        entries.iter().fold(ListChain::default(), |chain, entry| chain.after(entry.number, &entry.digest()))
    };
    let hex = |chain: ListChain| blake3::Hash::from_bytes(chain.0).to_hex().to_string();
    if entries.get(..after).is_none_or(|known| hex(fold(known)) != query["chain"]) {
        return Response::of_status(410);
    }
    let through = entries.len().min(after + PAGE);
    let mut set = SetDigest::EMPTY;
    for (number, thing) in model.things.iter().filter(|(_, thing)| !thing.is_gone) {
        set += entry_of_list(1, *number, thing).digest().term();
    }
    let shown = entries[after..through].iter().map(|entry| {
        let is_now = |number: u8| {
            let thing = model.things.get(&number).filter(|thing| !thing.is_gone);
            thing.is_some_and(|thing| entry_of_list(1, number, thing).digest() == entry.digest())
        };
        let is_there = |key: &ListKey| model.things.get(&key.0[0]).is_some_and(|thing| !thing.is_gone);
        let is_past = match &entry.says {
            vigie::Says::Put { key, .. } => !is_now(key.0[0]),
            vigie::Says::Gone(key) => is_there(key),
            vigie::Says::Superseded(_) => true,
        };
        let says = if is_past { vigie::Says::Superseded(entry.digest()) } else { entry.says.clone() };
        vigie::Entry { number: entry.number, says }
    });
    let page = vigie::Page {
        entries: shown.collect(),
        chain: fold(&entries[..through]),
        has_more: through < entries.len(),
        head: u64::try_from(entries.len()).unwrap(),
        set,
        is_whole: true,
        as_of: UnixMillis(model.now * 1_000),
    };
    Response::ok(vigie::render(&page))
}
