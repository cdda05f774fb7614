//! Tests of faults of programmes, and of the reasons why an exchange stops.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use vigie_formats::programme::{Fault, HashText};
use vigie_formats::{stop_ncii, tat, threat_exchange};

use super::memory::MemoryBank;
use super::model::{Change, Model};
use super::playing::{Played, clock, round};
use super::servers::Programme;
use crate::asking::fetch::FetchError;
use crate::asking::request::Response;
use crate::cursor::Cursor;
use crate::following::alarm::{Alarm, Failure};
use crate::sources::Trouble;

/// Returns a model with this number of things.
fn things(count: u8) -> Arc<Mutex<Model>> {
    let mut model =
        Model::of(&(0..count).flat_map(|number| [Change::Put(number), Change::Wait(1)]).collect::<Vec<_>>());
    model.settle();
    Arc::new(Mutex::new(model))
}

/// A function that spoils or replaces one answer of the programme.
type Spoil = Box<dyn Fn(Response) -> Result<Response, FetchError> + Send>;

fn spoiled(
    programme: Programme,
    model: &Arc<Mutex<Model>>,
    spoils: Vec<Spoil>,
) -> (Played, Arc<Mutex<VecDeque<Spoil>>>) {
    let spoils = Arc::new(Mutex::new(VecDeque::from(spoils)));
    let left = Arc::clone(&spoils);
    let fetch = Played::new(programme, model, move |_, answer| match left.lock().unwrap().pop_front() {
        Some(spoil) => spoil(answer),
        None => Ok(answer),
    });
    (fetch, spoils)
}

fn torn() -> Spoil {
    Box::new(|answer| Ok(Response { body: answer.body.slice(..answer.body.len() / 2), ..answer }))
}

fn status(status: u16, retry_after: Option<u64>) -> Spoil {
    let retry_after = retry_after.map(Duration::from_secs);
    Box::new(move |_| Ok(Response { retry_after, ..Response::of_status(status) }))
}

fn body(text: &'static str) -> Spoil {
    Box::new(move |_| Ok(Response::ok(text)))
}

fn as_it_is() -> Spoil {
    Box::new(Ok)
}

#[tokio::test(start_paused = true)]
async fn a_torn_page_is_asked_for_again_and_then_stops_the_exchange_where_it_is() {
    for programme in [Programme::Ncmec, Programme::ThreatExchange, Programme::StopNcii] {
        let model = things(8);
        let (bank, clock) = (MemoryBank::with(programme.api(), programme.config()), clock(&model));
        let (fetch, left) = spoiled(programme, &model, vec![as_it_is(), torn(), torn(), torn(), torn()]);
        let failure = round(&bank, &fetch, &clock, 3).await.unwrap_err();
        assert_eq!(failure, Failure::Alarm(Alarm::Trouble(Trouble::Page(Fault::Torn))), "{programme:?}");
        assert_eq!((left.lock().unwrap().len(), bank.records("programme").len()), (0, 3), "{programme:?}");
        let stopped_at = bank.only().cursor;
        // As long as the page stays damaged, the exchange keeps its position.
        let (still, _) = spoiled(programme, &model, (0..9).map(|_| torn()).collect());
        round(&bank, &still, &clock, 3).await.unwrap_err();
        assert_eq!(bank.only().cursor, stopped_at, "{programme:?}");
        round(&bank, &fetch, &clock, 3).await.unwrap();
        assert_eq!(bank.records("programme"), programme.living(&model.lock().unwrap()));
        // A page that is damaged once, or three times, is no alarm.
        let fresh = MemoryBank::with(programme.api(), programme.config());
        let (fetch, _) = spoiled(programme, &model, vec![torn(), torn(), torn()]);
        assert_eq!(round(&fresh, &fetch, &clock, 3).await.unwrap().retries, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn four_503s_are_borne_and_so_is_a_lost_connection() {
    let lost = || -> Spoil { Box::new(|_| Err(FetchError::Connection("reset".to_owned()))) };
    for programme in Programme::ALL {
        let model = things(5);
        let (bank, clock) = (MemoryBank::with(programme.api(), programme.config()), clock(&model));
        let mut spoils: Vec<Spoil> = (0..4).map(|_| status(503, None)).collect();
        spoils.extend([as_it_is(), lost(), status(500, None), lost()]);
        let (fetch, _) = spoiled(programme, &model, spoils);
        let done = round(&bank, &fetch, &clock, 4).await.unwrap();
        assert!(done.retries >= 4, "{programme:?}");
        assert_eq!(bank.records("programme"), programme.living(&model.lock().unwrap()), "{programme:?}");
        // One failure more than allowed ends the round, but is no alarm yet.
        let (fetch, _) = spoiled(programme, &model, (0..5).map(|_| status(503, None)).collect());
        model.lock().unwrap().settle();
        let failure = round(&bank, &fetch, &clock, 4).await.unwrap_err();
        assert!(matches!(failure, Failure::Passing(_, None)), "{programme:?} {failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_is_waited_for_as_long_as_it_asks_or_left_until_the_next_round() {
    let model = things(2);
    let (bank, clock) = (MemoryBank::with("stop_ncii", "{}"), clock(&model));
    let (fetch, _) = spoiled(Programme::StopNcii, &model, vec![status(429, Some(30))]);
    let began = Instant::now();
    round(&bank, &fetch, &clock, 1).await.unwrap();
    assert!((30..=32).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    let (fetch, _) = spoiled(Programme::StopNcii, &model, vec![status(429, Some(3_600))]);
    let failure = round(&bank, &fetch, &clock, 9).await.unwrap_err();
    assert!(matches!(failure, Failure::Passing(_, Some(pause)) if pause.as_secs() == 3_600), "{failure:?}");
    assert!(began.elapsed().as_secs() < 40);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_declares_entities_stops_the_exchange() {
    let model = things(2);
    let bank = MemoryBank::with("ncmec", Programme::Ncmec.config());
    let bomb =
        || body("<!DOCTYPE q [<!ENTITY a \"x\"><!ENTITY b \"&a;&a;\">]><queryResult>&b;</queryResult>");
    let (fetch, _) = spoiled(Programme::Ncmec, &model, vec![bomb(), bomb()]);
    let failure = round(&bank, &fetch, &clock(&model), 1).await.unwrap_err();
    assert_eq!(failure, Failure::Alarm(Alarm::Trouble(Trouble::Page(Fault::DocumentType))));
    assert!(bank.only().cursor.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_goes_back_stops_the_exchange() {
    let model = things(2);
    let (bank, clock) = (MemoryBank::with("tat", "{}"), clock(&model));
    let (fetch, _) = spoiled(Programme::Tat, &model, Vec::new());
    round(&bank, &fetch, &clock, 0).await.unwrap();
    let before = bank.only().cursor;
    let back: Spoil = Box::new(|answer| {
        let mut page = tat::parse(&answer.body).unwrap();
        page.checkpoint = Some("1600000000.5,1".to_owned());
        Ok(Response::ok(tat::render(&page)))
    });
    let (fetch, _) = spoiled(Programme::Tat, &model, vec![as_it_is(), back]);
    let failure = round(&bank, &fetch, &clock, 3).await.unwrap_err();
    assert_eq!(failure, Failure::Alarm(Alarm::Trouble(Trouble::Backward)));
    assert_eq!((bank.only().cursor, bank.records("programme").len()), (before, 2));
    // If a page has no checkpoint, the previous one stays.
    let none: Spoil = Box::new(|answer| {
        let page = tat::Page { checkpoint: None, ..tat::parse(&answer.body).unwrap() };
        Ok(Response::ok(tat::render(&page)))
    });
    let (fetch, _) = spoiled(Programme::Tat, &model, vec![as_it_is(), none]);
    round(&bank, &fetch, &clock, 0).await.unwrap();
    let cursor = Cursor::parse(&bank.only().cursor).unwrap();
    assert_eq!(cursor.at.unwrap()["checkpoint"], "1700000001.0,1");
}

#[tokio::test(start_paused = true)]
async fn pages_that_lead_in_a_circle_or_elsewhere_stop_the_exchange() {
    let check = async |programme: Programme, page: &'static str, pages: usize, trouble: Trouble| {
        let model = things(2);
        let bank = MemoryBank::with(programme.api(), programme.config());
        let login = (programme == Programme::Tat).then(as_it_is);
        let spoils = login.into_iter().chain((0..pages).map(|_| body(page))).collect();
        let (fetch, _) = spoiled(programme, &model, spoils);
        let failure = round(&bank, &fetch, &clock(&model), 0).await.unwrap_err();
        assert_eq!(failure, Failure::Alarm(Alarm::Trouble(trouble)), "{programme:?} {page}");
    };
    use Programme::{Ncmec, StopNcii, Tat, ThreatExchange};
    use Trouble::{Circle, Link};
    let ncmec = |link| match link {
        0 => {
            "<queryResult><paging><next>/v2/entries?from=2024-01-01T00:00:00Z&amp;to=2024-01-01T00:00:00Z&amp;start=1&amp;size=3&amp;max=9</next></paging></queryResult>"
        }
        _ => "<queryResult><paging><next>.evil.example/v2/entries?start=4</next></paging></queryResult>",
    };
    check(Ncmec, ncmec(0), 2, Circle).await;
    check(Ncmec, ncmec(1), 1, Link).await;
    let own =
        r#"{"data": [], "paging": {"next": "https://graph.facebook.com/x?access_token=token&after=1"}}"#;
    check(ThreatExchange, own, 2, Circle).await;
    let other = r#"{"data": [], "paging": {"next": "https://evil.example/x?after=1"}}"#;
    check(ThreatExchange, other, 1, Link).await;
    let same =
        r#"{"nextPageToken": "1-1", "nextSetTimestamp": 11, "hasMoreRecords": true, "hashRecords": []}"#;
    check(StopNcii, same, 2, Circle).await;
    let none = r#"{"nextSetTimestamp": 11, "hasMoreRecords": true, "hashRecords": []}"#;
    check(StopNcii, none, 1, Circle).await;
    let own =
        r#"{"next": "https://app.terrorismanalytics.org/api?page=2", "checkpoint": "1.0,1", "results": []}"#;
    check(Tat, own, 2, Circle).await;
    let other = r#"{"next": "https://evil.example/api?page=2", "checkpoint": "1.0,1", "results": []}"#;
    check(Tat, other, 1, Link).await;
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_stop_the_exchange_and_an_expired_token_does_not() {
    for (programme, refusal) in [
        (Programme::Ncmec, status(401, None)),
        (Programme::StopNcii, status(403, None)),
        (Programme::Tat, status(400, None)),
        (Programme::ThreatExchange, {
            Box::new(|_| Ok(Response { status: 400, ..Response::ok(r#"{"error": {"code": 190}}"#) })) as Spoil
        }),
    ] {
        let model = things(2);
        let bank = MemoryBank::with(programme.api(), programme.config());
        let (fetch, _) = spoiled(programme, &model, vec![refusal]);
        let failure = round(&bank, &fetch, &clock(&model), 9).await.unwrap_err();
        assert!(matches!(failure, Failure::Alarm(Alarm::Credentials(_))), "{programme:?} {failure:?}");
    }
    // The token of the login is refused after the first page, and the follower logs in again.
    let model = things(8);
    let bank = MemoryBank::with("tat", "{}");
    let spoils = vec![as_it_is(), as_it_is(), status(401, None)];
    let (fetch, _) = spoiled(Programme::Tat, &model, spoils);
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    assert_eq!(bank.records("programme").len(), 8);
    // A fresh token that is refused is an alarm.
    let (fetch, _) = spoiled(Programme::Tat, &model, vec![as_it_is(), status(401, None)]);
    let failure = round(&bank, &fetch, &clock(&model), 9).await.unwrap_err();
    assert_eq!(failure, Failure::Alarm(Alarm::Credentials(401)));
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_the_graph_api_is_waited_for() {
    let model = things(2);
    let bank = MemoryBank::with("fb_threatexchange", Programme::ThreatExchange.config());
    let limited = |_| Ok(Response { status: 400, ..Response::ok(r#"{"error": {"code": 613}}"#) });
    let (fetch, _) = spoiled(Programme::ThreatExchange, &model, vec![Box::new(limited), Box::new(limited)]);
    assert_eq!(round(&bank, &fetch, &clock(&model), 2).await.unwrap().retries, 2);
}

#[tokio::test(start_paused = true)]
async fn a_link_or_token_that_is_too_old_begins_the_range_anew() {
    for programme in [Programme::Ncmec, Programme::ThreatExchange, Programme::StopNcii] {
        let model = things(9);
        let (bank, clock) = (MemoryBank::with(programme.api(), programme.config()), clock(&model));
        let (fetch, _) = spoiled(programme, &model, vec![as_it_is(), status(404, None)]);
        round(&bank, &fetch, &clock, 0).await.unwrap();
        assert_eq!(bank.records("programme"), programme.living(&model.lock().unwrap()), "{programme:?}");
        // A link that is always refused stops the exchange.
        let bank = MemoryBank::with(programme.api(), programme.config());
        let spoils = (0..9).map(|n| if n % 2 == 0 { as_it_is() } else { status(404, None) }).collect();
        let (fetch, _) = spoiled(programme, &model, spoils);
        let failure = round(&bank, &fetch, &clock, 0).await.unwrap_err();
        assert_eq!(failure, Failure::Alarm(Alarm::Refused(404)), "{programme:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_round_that_would_remove_too_much_removes_nothing() {
    for (programme, config) in [
        (Programme::StopNcii, r#"{"removal_percent_max": 20}"#),
        (Programme::HttpFile, r#"{"url": "https://files.example/hashes.txt"}"#),
    ] {
        let model = things(100);
        let (bank, clock) = (MemoryBank::with(programme.api(), config), clock(&model));
        let (fetch, _) = spoiled(programme, &model, Vec::new());
        round(&bank, &fetch, &clock, 0).await.unwrap();
        model.lock().unwrap().change(&(0..20).map(Change::Withdraw).collect::<Vec<_>>());
        round(&bank, &fetch, &clock, 0).await.unwrap();
        assert_eq!(bank.records("programme").len(), 80, "{programme:?}");
        model.lock().unwrap().settle();
        model.lock().unwrap().change(&(20..40).map(Change::Withdraw).collect::<Vec<_>>());
        let failure = round(&bank, &fetch, &clock, 0).await.unwrap_err();
        assert!(matches!(failure, Failure::Alarm(Alarm::Removals { .. })), "{programme:?} {failure:?}");
        let left = bank.records("programme").len();
        // A protocol sends some removals before the limit is passed; a file is checked as a whole.
        assert!(left >= 64 && (programme != Programme::HttpFile || left == 80), "{programme:?} {left}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_or_foreign_file_deletes_nothing() {
    let model = things(5);
    let config = r#"{"url": "https://files.example/hashes.txt"}"#;
    let (bank, clock) = (MemoryBank::with("http_file", config), clock(&model));
    let (fetch, _) =
        spoiled(Programme::HttpFile, &model, vec![as_it_is(), body(""), body("<html>\n</html>\n")]);
    round(&bank, &fetch, &clock, 0).await.unwrap();
    let failure = round(&bank, &fetch, &clock, 0).await.unwrap_err();
    assert_eq!(failure, Failure::Alarm(Alarm::Removals { removed: 5, known: 5, percent: 20 }));
    let failure = round(&bank, &fetch, &clock, 0).await.unwrap_err();
    assert!(matches!(failure, Failure::Alarm(_)), "{failure:?}");
    assert_eq!(bank.records("programme").len(), 5);
}

#[tokio::test(start_paused = true)]
async fn unknown_types_and_bad_values_are_counted_and_cost_themselves_alone() {
    let model = things(1);
    let bank = MemoryBank::with("stop_ncii", "{}");
    let spoil: Spoil = Box::new(|answer| {
        let mut page = stop_ncii::parse(&answer.body).unwrap();
        for (kind, value) in [("VideoTMK", "text"), ("ImagePDQ", "no hash"), ("Later", "text")] {
            let mut record = page.records[0].clone();
            record.signal_type = stop_ncii::SignalType::from(kind);
            record.hash_value = HashText::new(value);
            page.records.push(record);
        }
        let text = String::from_utf8(stop_ncii::render(&page)).unwrap();
        Ok(Response::ok(text.replace("\"hashRecords\":[", "\"hashRecords\":[{\"torn\":1},")))
    });
    let (fetch, _) = spoiled(Programme::StopNcii, &model, vec![spoil]);
    let done = round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    let tally = done.tally;
    assert_eq!((tally.bad_records, tally.bad_values, tally.unknown_types), (1, 1, 2));
    assert_eq!((done.puts, done.without_hash, bank.records("programme").len()), (1, 3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_too_old_begins_anew_and_what_is_not_shown_is_withdrawn() {
    for (programme, days) in [(Programme::StopNcii, 31), (Programme::ThreatExchange, 86)] {
        let model = things(12);
        let (bank, clock) = (MemoryBank::with(programme.api(), programme.config()), clock(&model));
        let (fetch, _) = spoiled(programme, &model, Vec::new());
        round(&bank, &fetch, &clock, 0).await.unwrap();
        // The programme no longer sends the deletion of three things when the follower returns.
        {
            let mut model = model.lock().unwrap();
            model.now += days * 24 * 3_600;
            model.things.retain(|number, _| *number >= 3);
            model.change(&[Change::Put(20)]);
        }
        // After a crash within the round, the round starts again from the beginning.
        let lost: Spoil = Box::new(|_| Err(FetchError::Connection("crashed".to_owned())));
        let (crashing, _) = spoiled(programme, &model, vec![as_it_is(), as_it_is(), lost]);
        round(&bank, &crashing, &clock, 0).await.unwrap_err();
        assert_eq!(bank.records("programme").len(), 12, "{programme:?}");
        round(&bank, &fetch, &clock, 0).await.unwrap();
        assert_eq!(bank.records("programme"), programme.living(&model.lock().unwrap()), "{programme:?}");
        assert_eq!(bank.records("programme").len(), 10);
        let place = Cursor::parse(&bank.only().cursor).unwrap();
        assert!(place.complete && place.part == 0 && place.at.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn updates_out_of_the_order_of_time_are_all_kept_after_a_crash() {
    let model = things(3);
    let bank = MemoryBank::with("fb_threatexchange", Programme::ThreatExchange.config());
    let late: Spoil = Box::new(|answer| {
        let mut page = threat_exchange::parse(&answer.body).unwrap();
        page.updates.reverse();
        let next = "https://graph.facebook.com/v26.0/7/threat_updates/?after_time=0&after_number=0";
        page.next = Some(threat_exchange::NextLink(next.to_owned()));
        page.updates.truncate(1);
        Ok(Response::ok(threat_exchange::render(&page)))
    });
    let lost: Spoil = Box::new(|_| Err(FetchError::Connection("crashed".to_owned())));
    let (fetch, _) = spoiled(Programme::ThreatExchange, &model, vec![late, lost]);
    let clock = clock(&model);
    round(&bank, &fetch, &clock, 0).await.unwrap_err();
    // The newest record is stored, and the older ones are still requested.
    assert_eq!(bank.records("programme").len(), 1);
    round(&bank, &fetch, &clock, 0).await.unwrap();
    assert_eq!(bank.records("programme").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_range_that_holds_too_much_is_halved() {
    let model = things(3);
    let bank = MemoryBank::with("ncmec", Programme::Ncmec.config());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let fetch = Played::new(Programme::Ncmec, &model, move |request, answer| {
        let crate::asking::request::Target::Url(url) = &request.target else { panic!("no URL") };
        let mut seen = seen.lock().unwrap();
        seen.push(url.query().unwrap().to_owned());
        let huge = "<queryResult><paging><next>/v2/entries?start=1001&amp;size=1000&amp;max=900000</next></paging></queryResult>";
        Ok(if seen.len() <= 3 { Response::ok(huge) } else { answer })
    });
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    assert_eq!(bank.records("programme").len(), 3);
    let asked = asked.lock().unwrap();
    let to = |query: &str| query.split("to=").nth(1).unwrap().to_owned();
    // The start stays the same, and the fourth request has an eighth of the time.
    assert!(asked[..4].iter().all(|query| query.starts_with("from=1970-01-01T00%3A00%3A00Z")));
    assert_eq!(to(&asked[3]), "1976-09-25T11%3A46%3A41Z");
    assert!(asked.len() < 20, "{}", asked.len());
}

#[tokio::test(start_paused = true)]
async fn a_cursor_of_another_version_is_an_alarm_and_not_a_beginning() {
    let model = things(1);
    let bank = MemoryBank::with("ncmec", Programme::Ncmec.config());
    let (fetch, _) = spoiled(Programme::Ncmec, &model, Vec::new());
    for (cursor, alarm) in [
        ("{\"later\": 1}", Alarm::Cursor(crate::cursor::BadCursor)),
        ("{\"at\": {\"later\": 1}}", Alarm::Trouble(Trouble::Place)),
    ] {
        bank.lock().exchanges.get_mut("programme").unwrap().exchange.cursor = cursor.into();
        let failure = round(&bank, &fetch, &clock(&model), 0).await.unwrap_err();
        assert_eq!(failure, Failure::Alarm(alarm));
    }
}
