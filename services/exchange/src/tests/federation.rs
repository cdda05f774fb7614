//! Tests of following another deployment: lists with a wrong proof stop the exchange, and lost records are
//! found and restored.

use std::sync::{Arc, Mutex};

use vigie_formats::vigie::{self, Says};

use super::memory::MemoryBank;
use super::model::{Change, Model};
use super::playing::{Played, clock, round};
use super::servers::Programme;
use crate::asking::request::Response;
use crate::following::alarm::{Alarm, Failure};
use crate::sources::Trouble;

const VIGIE: Programme = Programme::Vigie;
/// Settings without a removal limit of their own, so that the configuration's limit applies: a fifth.
const GUARDED: &str = r#"{"base_url": "https://other.example/sub", "bank": "acme/list"}"#;

fn begun(changes: &[Change]) -> (Arc<Mutex<Model>>, MemoryBank) {
    let model = Arc::new(Mutex::new(Model::of(changes)));
    (model, MemoryBank::with(VIGIE.api(), VIGIE.config()))
}

fn equal(bank: &MemoryBank, model: &Arc<Mutex<Model>>) -> bool {
    bank.records("programme") == VIGIE.living(&model.lock().unwrap())
}

#[tokio::test]
async fn a_page_that_does_not_prove_itself_is_not_stored() {
    let puts: Vec<Change> = (0..8).map(Change::Put).collect();
    type Spoil = fn(&mut vigie::Page);
    let spoils: [(&str, Spoil); 5] = [
        ("an entry is lost", |page| drop(page.entries.remove(1))),
        ("entries are moved", |page| page.entries.swap(0, 1)),
        ("a label is another one", |page| {
            if let Says::Put { labels, .. } = &mut page.entries[0].says {
                labels[0].push('x');
            }
        }),
        ("an entry is forged", |page| {
            if let Says::Put { key, .. } = page.entries[0].says {
                page.entries[0].says = Says::Gone(key);
            }
        }),
        ("the end is lost", |page| page.has_more = false),
    ];
    for (what, spoil) in spoils {
        let (model, bank) = begun(&puts);
        let spoilt = Played::new(VIGIE, &model, move |_, answer| {
            let mut page = vigie::parse(&answer.body).unwrap();
            spoil(&mut page);
            Ok(Response::ok(vigie::render(&page)))
        });
        let failure = round(&bank, &spoilt, &clock(&model), 0).await.unwrap_err();
        let is_proof = matches!(failure, Failure::Alarm(Alarm::Trouble(Trouble::Proof(_))));
        assert!(is_proof, "{what}: {failure:?}");
        assert!(bank.records("programme").is_empty(), "{what}");
        let honest = Played::new(VIGIE, &model, |_, answer| Ok(answer));
        round(&bank, &honest, &clock(&model), 0).await.unwrap();
        assert!(equal(&bank, &model), "{what}");
    }
}

#[tokio::test]
async fn a_list_that_was_restored_from_a_backup_is_read_anew() {
    let puts: Vec<Change> = (0..8).map(Change::Put).collect();
    let (model, bank) = begun(&puts);
    let fetch = Played::new(VIGIE, &model, |_, answer| Ok(answer));
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    // The list differs from its fifth entry on.
    *model.lock().unwrap() = Model::of(&[&puts[..4], &[Change::Put(20), Change::Withdraw(0)]].concat());
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    assert!(equal(&bank, &model));
    // Then it is shorter than the stored records.
    *model.lock().unwrap() = Model::of(&[Change::Put(3)]);
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    assert!(equal(&bank, &model));
}

#[tokio::test]
async fn what_was_lost_on_the_way_is_found_and_mended() {
    let (model, bank) = begun(&[Change::Put(1), Change::Put(2), Change::Put(3)]);
    let fetch = Played::new(VIGIE, &model, |_, answer| Ok(answer));
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    bank.lose("programme", "02".repeat(16).as_str());
    assert!(!equal(&bank, &model));
    // Without a new entry, nothing is proved. Within the hour neither.
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    model.lock().unwrap().change(&[Change::Put(4)]);
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    assert!(!equal(&bank, &model));
    model.lock().unwrap().change(&[Change::Wait(200); 20]);
    model.lock().unwrap().change(&[Change::Put(5)]);
    let failure = round(&bank, &fetch, &clock(&model), 0).await.unwrap_err();
    assert_eq!(failure, Failure::Alarm(Alarm::Differs));
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    assert!(equal(&bank, &model));
}

#[tokio::test]
async fn what_goes_while_the_list_is_read_anew_goes() {
    let puts: Vec<Change> = (0..8).map(Change::Put).collect();
    let (model, bank) = begun(&puts);
    let fetch = Played::new(VIGIE, &model, |_, answer| Ok(answer));
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    let others: Vec<Change> = [&[Change::Put(9), Change::Withdraw(9)][..], &puts].concat();
    *model.lock().unwrap() = Model::of(&others);
    let (changing, mut answers) = (Arc::clone(&model), 0);
    let fetch = Played::new(VIGIE, &model, move |_, answer| {
        answers += 1;
        // After the refusal and the first page, which has entries 3 and 4.
        if answers == 2 {
            changing.lock().unwrap().change(&[Change::Withdraw(0), Change::Withdraw(7)]);
        }
        Ok(answer)
    });
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    assert!(equal(&bank, &model));
}

#[tokio::test]
async fn a_refused_key_stops_the_exchange() {
    // A missing right may be granted later, so the same key is tried at the next round.
    for (status, alarm) in
        [(401, Alarm::Credentials(401)), (403, Alarm::Refused(403)), (404, Alarm::Refused(404))]
    {
        let (model, bank) = begun(&[Change::Put(1)]);
        let fetch = Played::new(VIGIE, &model, move |_, _| Ok(Response::of_status(status)));
        let failure = round(&bank, &fetch, &clock(&model), 3).await.unwrap_err();
        assert_eq!(failure, Failure::Alarm(alarm));
    }
}

#[tokio::test]
async fn a_round_is_judged_by_what_it_would_leave_and_not_by_what_came_and_went() {
    let puts: Vec<Change> = (0..15).map(Change::Put).collect();
    let (model, _) = begun(&puts);
    let bank = MemoryBank::with(VIGIE.api(), GUARDED);
    let fetch = Played::new(VIGIE, &model, |_, answer| Ok(answer));
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    // Twelve items that this exchange has never stored.
    let passing = (30..42).flat_map(|number| [Change::Put(number), Change::Withdraw(number)]);
    model.lock().unwrap().change(&passing.collect::<Vec<_>>());
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    assert!(equal(&bank, &model));
    // Twelve items that were held for a while, and are unchanged. A round from the beginning must accept this
    // too.
    let held =
        (0..12).flat_map(|number| [Change::Withdraw(number), Change::Put(number), Change::Put(number)]);
    model.lock().unwrap().change(&held.collect::<Vec<_>>());
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    assert!(equal(&bank, &model));
    let journal: Vec<_> = model.lock().unwrap().journal.clone();
    model.lock().unwrap().journal = [&journal[1..], &journal[..1]].concat();
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    assert!(equal(&bank, &model));
    // Twelve of fifteen are removed, which needs a person.
    model.lock().unwrap().change(&(0..12).map(Change::Withdraw).collect::<Vec<_>>());
    let failure = round(&bank, &fetch, &clock(&model), 0).await.unwrap_err();
    assert!(matches!(failure, Failure::Alarm(Alarm::Removals { removed: 12, known: 15, .. })), "{failure:?}");
    assert_eq!(bank.records("programme").len(), 15);
}

#[tokio::test]
async fn a_list_that_is_not_whole_yet_takes_nothing_from_who_reads_it_anew() {
    let (model, bank) = begun(&[Change::Put(1), Change::Put(2)]);
    let fetch = Played::new(VIGIE, &model, |_, answer| Ok(answer));
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    *model.lock().unwrap() = Model::of(&[Change::Put(2)]);
    let listing = Played::new(VIGIE, &model, |_, answer| {
        let Ok(page) = vigie::parse(&answer.body) else { return Ok(answer) };
        Ok(Response::ok(vigie::render(&vigie::Page { is_whole: false, ..page })))
    });
    let failure = round(&bank, &listing, &clock(&model), 0).await.unwrap_err();
    assert!(matches!(failure, Failure::Alarm(Alarm::Trouble(Trouble::Proof(_)))), "{failure:?}");
    assert_eq!(bank.records("programme").len(), 2);
    round(&bank, &fetch, &clock(&model), 0).await.unwrap();
    assert!(equal(&bank, &model));
}
