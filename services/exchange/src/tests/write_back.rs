//! Write-back: the programme has the bank's own living items, whatever changes and wherever a round ends.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::memory::{Failing, MemoryBank};
use super::own::OwnChange::{self, Add, AddCanary, AddOfProgramme, Claim, Hold, Lift, Remove, Touch};
use super::playing::{clock, round};
use super::servers::Programme;
use super::taking::{Given, Spoiled, Taking, config, write_back};
use crate::asking::fetch::FetchError;
use crate::asking::request::{Method, Response};
use crate::cursor::{Cursor, OutPlace};
use crate::following::alarm::{Alarm, Failure};

const BOTH: [Programme; 2] = [Programme::ThreatExchange, Programme::StopNcii];

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(future)
}

fn lost() -> FetchError {
    FetchError::Connection("crashed".to_owned())
}

/// A bank with an exchange that submits to a programme, and the programme.
struct Bed {
    programme: Programme,
    bank: MemoryBank,
    given: Arc<Mutex<Given>>,
}

impl Bed {
    fn new(programme: Programme) -> Self {
        let bank = MemoryBank::with(programme.api(), config(programme));
        Self { programme, bank, given: Arc::default() }
    }

    fn change(&self, changes: &[OwnChange]) {
        let now = self.given.lock().unwrap().model.lock().unwrap().now;
        changes.iter().for_each(|change| self.bank.lock().own.change(change, now));
    }

    fn wait(&self, seconds: u64) {
        self.given.lock().unwrap().model.lock().unwrap().now += seconds;
    }

    fn app(&self) -> Taking {
        Taking::new(self.programme, "111", &self.given, |_, _| None)
    }

    async fn run(&self) -> Option<Alarm> {
        write_back(&self.bank, &self.app(), 0, false).await.unwrap().1
    }

    fn submitted(&self) -> BTreeSet<u8> {
        self.given.lock().unwrap().of("111")
    }

    fn check(&self, context: &str) {
        let expected = self.bank.lock().own.shared();
        let (programme, found) = (self.programme, self.submitted());
        assert_eq!(found, expected, "{programme:?}, {context}");
    }

    fn out(&self) -> OutPlace {
        Cursor::parse(&self.bank.only().cursor).unwrap().out.unwrap()
    }
}

/// Changes between rounds: additions, shared hashes, removals, holds, and an item that is gone before it was ever read.
fn stages() -> Vec<Vec<OwnChange>> {
    vec![
        vec![
            Add(vec![1, 2]),
            Add(vec![3]),
            Add(vec![2, 4]),
            AddCanary(40),
            Add(vec![5]),
            Add(vec![6]),
            Add(vec![7]),
        ],
        vec![Remove(0), Hold(1), Touch(4), Add(vec![8]), Add(vec![9]), Remove(7), Touch(1)],
        vec![Lift(1), Remove(0), Add(vec![3]), Remove(2)],
        vec![Remove(0), Remove(0), Remove(0), Remove(0), Remove(0), Add(vec![11])],
    ]
}

/// Follows a bank through its stages, with a crash at the given request, before or after the programme did what it was asked, and the given
/// write of each stage. Returns the requests.
async fn follow(
    programme: Programme,
    stages: &[Vec<OwnChange>],
    request: Option<(u64, bool)>,
    write: Option<(u64, Failing)>,
) -> u64 {
    let bed = Bed::new(programme);
    let mut requests = 0;
    for (number, stage) in stages.iter().enumerate() {
        bed.change(stage);
        bed.wait(600);
        let mut crash = request;
        let fetch = Taking::new(programme, "111", &bed.given, move |count, _| match crash {
            Some((at, is_done)) if at == count => {
                crash = None;
                Some(if is_done { Spoiled::After(lost()) } else { Spoiled::Before(Err(lost())) })
            }
            Some(_) | None => None,
        });
        bed.bank.lock().fail = write;
        let mut rounds = 0;
        loop {
            match write_back(&bed.bank, &fetch, 0, false).await {
                Ok((_, left_over)) => break assert_eq!(left_over, None),
                Err(failure) => assert!(rounds < 5, "{programme:?}: {failure:?}"),
            }
            rounds += 1;
        }
        bed.bank.lock().fail = None;
        bed.check(&format!("stage {number}, request {request:?}, write {write:?}"));
        requests = requests.max(*fetch.requests.lock().unwrap());
    }
    requests
}

#[test]
fn a_crash_at_any_request_or_write_changes_nothing_in_the_end() {
    for programme in BOTH {
        block_on(async {
            let requests = follow(programme, &stages(), None, None).await;
            for request in 0..requests {
                for is_done in [false, true] {
                    follow(programme, &stages(), Some((request, is_done)), None).await;
                }
            }
            for write in 0..12 {
                for failing in [Failing::Before, Failing::After] {
                    follow(programme, &stages(), None, Some((write, failing))).await;
                    follow(programme, &stages(), Some((2, true)), Some((write, failing))).await;
                }
            }
        });
    }
}

fn change(of_programmes: bool) -> impl Strategy<Value = OwnChange> {
    let number = 0..12_u8;
    let item = 0..20_usize;
    let own = prop_oneof![
        4 => proptest::collection::vec(number.clone(), 1..3).prop_map(Add),
        3 => item.clone().prop_map(Remove),
        1 => item.clone().prop_map(Hold),
        1 => item.clone().prop_map(Lift),
        1 => item.clone().prop_map(Touch),
        1 => (200..205_u8).prop_map(AddCanary),
    ];
    if of_programmes {
        let claim = (item, any::<bool>()).prop_map(|(item, is_own)| Claim(item, is_own));
        prop_oneof![4 => own, 1 => number.prop_map(AddOfProgramme), 1 => claim].boxed()
    } else {
        own.boxed()
    }
}

fn history(of_programmes: bool) -> impl Strategy<Value = Vec<Vec<OwnChange>>> {
    proptest::collection::vec(proptest::collection::vec(change(of_programmes), 0..15), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_history_with_any_crash_ends_with_the_banks_own_living_items(
        (programme, stages) in proptest::sample::select(BOTH.to_vec()).prop_flat_map(|programme| {
            (Just(programme), history(programme == Programme::ThreatExchange))
        }),
        request in proptest::option::of((0_u64..12, any::<bool>())),
        write in proptest::option::of((0_u64..8, any::<bool>())),
    ) {
        let failing = |before| if before { Failing::Before } else { Failing::After };
        let write = write.map(|(at, before)| (at, failing(before)));
        block_on(follow(programme, &stages, request, write));
    }
}

/// Rounds in which the bank changes between two requests, each followed by one in which it does not.
async fn follow_meanwhile(programme: Programme, stages: &[Vec<OwnChange>], request: u64) {
    let bed = Bed::new(programme);
    for pair in stages.chunks(2) {
        bed.change(&pair[0]);
        let (bank, given) = (bed.bank.clone(), Arc::clone(&bed.given));
        let mut meanwhile = pair.get(1).cloned().unwrap_or_default();
        let fetch = Taking::new(programme, "111", &bed.given, move |count, _| {
            if count == request {
                let now = given.lock().unwrap().model.lock().unwrap().now;
                std::mem::take(&mut meanwhile).iter().for_each(|change| bank.lock().own.change(change, now));
            }
            None
        });
        for _ in 0..2 {
            write_back(&bed.bank, &fetch, 0, false).await.unwrap();
        }
        bed.check(&format!("changes meanwhile, at request {request}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn changes_while_a_round_runs_are_not_missed(
        (programme, stages) in proptest::sample::select(BOTH.to_vec()).prop_flat_map(|programme| {
            (Just(programme), history(programme == Programme::ThreatExchange))
        }),
        request in 0_u64..10,
    ) {
        block_on(follow_meanwhile(programme, &stages, request));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_stored_or_sent_without_news() {
    for programme in BOTH {
        let bed = Bed::new(programme);
        bed.run().await;
        assert!(bed.bank.only().cursor.is_empty());
        bed.change(&stages()[0]);
        bed.run().await;
        let (cursor, writes) = (bed.bank.only().cursor, bed.bank.lock().parts.len());
        // The log goes on with other banks' changes.
        bed.bank.lock().own.head += 50;
        let app = bed.app();
        let (done, _) = write_back(&bed.bank, &app, 0, false).await.unwrap();
        assert_eq!((done.submitted, *app.requests.lock().unwrap()), (0, 0), "{programme:?}");
        assert_eq!((bed.bank.only().cursor, bed.bank.lock().parts.len()), (cursor, writes));
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_programme_is_waited_for_and_a_refused_credential_stops_write_back() {
    for programme in BOTH {
        let bed = Bed::new(programme);
        bed.change(&stages()[0]);
        let answer = |count: u64| match count {
            0 => Some(Response { retry_after: Some(Duration::from_secs(30)), ..Response::of_status(429) }),
            1 => Some(Response::of_status(503)),
            _ => None,
        };
        let fetch = Taking::new(programme, "111", &bed.given, move |count, _| {
            answer(count).map(|answer| Spoiled::Before(Ok(answer)))
        });
        let began = Instant::now();
        let (done, _) = write_back(&bed.bank, &fetch, 3, false).await.unwrap();
        assert_eq!((done.retries, done.submitted), (2, 6), "{programme:?}");
        assert!((30..=35).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        bed.check("after a pause");

        bed.change(&[Remove(0)]);
        for (status, is_alarm) in [(503, false), (401, true)] {
            let fetch = Taking::new(programme, "111", &bed.given, move |_, _| {
                Some(Spoiled::Before(Ok(Response::of_status(status))))
            });
            let failure = write_back(&bed.bank, &fetch, 1, false).await.unwrap_err();
            assert_eq!(failure == Failure::Alarm(Alarm::Credentials(401)), is_alarm, "{failure:?}");
            assert_eq!(matches!(failure, Failure::Passing(..)), !is_alarm, "{failure:?}");
        }
        bed.run().await;
        bed.check("after a refusal");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_item_is_named_and_tried_again_and_holds_nobody_up() {
    for programme in BOTH {
        let bed = Bed::new(programme);
        bed.given.lock().unwrap().refuses.insert(3);
        bed.change(&stages()[0]);
        let (done, left_over) = write_back(&bed.bank, &bed.app(), 0, false).await.unwrap();
        assert_eq!((done.submitted, done.refused), (5, 1), "{programme:?}");
        assert_eq!(left_over, Some(Alarm::LeftOver { refused: vec![2], unsent: vec![] }));
        assert_eq!(bed.submitted(), BTreeSet::from([1, 2, 4, 5, 6, 7]));
        assert!(!left_over.unwrap().to_string().contains(&super::model::Model::hash(3).to_text()));
        // As long as it is refused it stays named, and is counted once.
        let (done, left_over) = write_back(&bed.bank, &bed.app(), 0, false).await.unwrap();
        assert_eq!((done.refused, left_over.is_some()), (0, true));
        bed.given.lock().unwrap().refuses.clear();
        let (done, left_over) = write_back(&bed.bank, &bed.app(), 0, false).await.unwrap();
        assert_eq!((done.submitted, left_over), (1, None));
        bed.check("taken at last");
        // One that is removed is no longer tried.
        bed.given.lock().unwrap().refuses.insert(20);
        bed.change(&[Add(vec![20])]);
        assert!(bed.run().await.is_some());
        bed.change(&[Remove(7)]);
        assert_eq!(bed.run().await, None);
        bed.check("removed");
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_refusals_stop_write_back_where_it_is() {
    for programme in BOTH {
        let bed = Bed::new(programme);
        bed.given.lock().unwrap().refuses.extend(0..30);
        bed.change(&(0..30).map(|number| Add(vec![number])).collect::<Vec<_>>());
        let failure = write_back(&bed.bank, &bed.app(), 0, false).await.unwrap_err();
        assert!(matches!(failure, Failure::Alarm(Alarm::ManyRefused { status: 400, .. })), "{failure:?}");
        assert_eq!((bed.out().after, bed.out().refused.len()), (18, 18));
        bed.given.lock().unwrap().refuses.clear();
        assert_eq!(bed.run().await, None);
        bed.check("all are taken");
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_whose_hashes_are_purged_is_named_until_somebody_asks_for_a_round() {
    for programme in BOTH {
        let bed = Bed::new(programme);
        bed.change(&[Add(vec![1]), Add(vec![2]), Remove(0)]);
        // Removed and purged before anything was ever read: nothing was submitted, and nobody has to look.
        bed.bank.lock().own.purge();
        bed.wait(100 * 3_600);
        assert_eq!(bed.run().await, None);
        // Brought back as another item: the bank has no hashes of the former one at once.
        bed.change(&[Remove(0), Add(vec![2])]);
        bed.bank.lock().own.purge();
        bed.wait(600);
        assert_eq!(bed.run().await, None);
        bed.check("brought back");
        bed.change(&[Remove(0)]);
        bed.bank.lock().own.purge();
        bed.wait(100 * 3_600);
        let named = Some(Alarm::LeftOver { refused: vec![], unsent: vec![5] });
        assert_eq!(bed.run().await, named, "{programme:?}");
        assert_eq!(bed.run().await, named, "it stays");
        assert_eq!(write_back(&bed.bank, &bed.app(), 0, true).await.unwrap().1, None);
        assert_eq!(bed.run().await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn many_purged_removals_are_named_by_as_many_as_fit_and_none_is_lost() {
    let bed = Bed::new(Programme::StopNcii);
    bed.change(&(0..50).map(|number| Add(vec![number])).collect::<Vec<_>>());
    bed.run().await;
    bed.change(&vec![Remove(0); 50]);
    bed.bank.lock().own.purge();
    bed.wait(100 * 3_600);
    let mut named = BTreeSet::new();
    for (is_asked, is_over) in [(false, false), (false, false), (true, false), (true, true)] {
        let ended = write_back(&bed.bank, &bed.app(), 0, is_asked).await;
        assert_eq!(ended.is_ok(), is_over, "{ended:?}");
        if let Err(failure) = ended {
            let full = bed.out().unsent;
            assert_eq!(failure, Failure::Alarm(Alarm::ManyUnsent(full.clone())));
            assert_eq!(full.len(), OutPlace::IDS_MAX);
        }
        named.extend(bed.out().unsent);
    }
    assert_eq!(named.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn items_of_programmes_are_not_sent_back() {
    // An own item and one of the programme with the same hash: the own one counts.
    let bed = Bed::new(Programme::ThreatExchange);
    bed.change(&[AddOfProgramme(1), Add(vec![2]), AddOfProgramme(2), AddOfProgramme(3)]);
    bed.run().await;
    assert_eq!(bed.submitted(), BTreeSet::from([2]));
    // What the programme withdraws is removed here, and nothing of it is the app's to withdraw there.
    bed.given.lock().unwrap().owners.insert(3, BTreeSet::from(["999".to_owned()]));
    bed.change(&[Remove(3), Remove(0)]);
    let deleted = Arc::new(Mutex::new(0));
    let count = Arc::clone(&deleted);
    let fetch = Taking::new(bed.programme, "111", &bed.given, move |_, request| {
        *count.lock().unwrap() += u32::from(request.method == Method::Delete);
        None
    });
    write_back(&bed.bank, &fetch, 0, false).await.unwrap();
    assert_eq!((*deleted.lock().unwrap(), bed.given.lock().unwrap().of("999").len()), (0, 1));
    // The own submission of an item that a programme shares too is withdrawn: the item goes from the programme.
    bed.change(&[Claim(1, true)]);
    bed.run().await;
    bed.change(&[Claim(1, false), Remove(0)]);
    bed.run().await;
    assert_eq!(bed.submitted(), BTreeSet::new());

    // StopNCII does not say whose a submission is: a bank that also has its items is refused, and nothing is sent.
    let bed = Bed::new(Programme::StopNcii);
    bed.change(&[Add(vec![2]), AddOfProgramme(1)]);
    let failure = write_back(&bed.bank, &bed.app(), 0, false).await.unwrap_err();
    assert!(matches!(failure, Failure::Alarm(Alarm::OfProgramme(item)) if item.0 == 2), "{failure:?}");
    assert_eq!(bed.submitted(), BTreeSet::new());
    bed.change(&[Remove(1)]);
    bed.run().await;
    assert_eq!(bed.submitted(), BTreeSet::from([2]));
}

#[tokio::test(start_paused = true)]
async fn two_deployments_that_follow_each_other_send_nothing_back() {
    for programme in BOTH {
        let given: Arc<Mutex<Given>> = Arc::default();
        let beds = ["111", "222"].map(|app| {
            let bed = Bed { given: Arc::clone(&given), ..Bed::new(programme) };
            (bed, Taking::new(programme, app, &given, |_, _| None))
        });
        let clock = clock(&given.lock().unwrap().model);
        beds[0].0.change(&[Add(vec![1]), Add(vec![2])]);
        beds[1].0.change(&[Add(vec![2]), Add(vec![3])]);
        let mut mirrored: [BTreeSet<String>; 2] = Default::default();
        for turn in 0..6 {
            for (at, (bed, fetch)) in beds.iter().enumerate() {
                round(&bed.bank, fetch, &clock, 0).await.unwrap();
                // ThreatExchange: what the other shares lies in the same bank.
                let records = bed.bank.records("programme");
                for (key, record) in records.iter().filter(|_| programme == Programme::ThreatExchange) {
                    let is_of = |number: &u8| record.contains(&super::model::Model::hash(*number).to_text());
                    let number = (0..=u8::MAX).find(is_of).unwrap();
                    if mirrored[at].insert(key.clone()) {
                        bed.change(&[AddOfProgramme(number)]);
                    }
                }
                write_back(&bed.bank, fetch, 0, false).await.unwrap();
            }
            given.lock().unwrap().model.lock().unwrap().settle();
            let of = |app| given.lock().unwrap().of(app);
            assert_eq!((of("111"), of("222")), (BTreeSet::from([1, 2]), BTreeSet::from([2, 3])), "{turn}");
        }
        assert!(beds.iter().all(|(bed, _)| bed.bank.records("programme").len() == 3), "{programme:?}");
        // What one takes back stays as long as the other has it.
        beds[0].0.change(&[Remove(0), Remove(0)]);
        write_back(&beds[0].0.bank, &beds[0].1, 0, false).await.unwrap();
        given.lock().unwrap().model.lock().unwrap().settle();
        round(&beds[1].0.bank, &beds[1].1, &clock, 0).await.unwrap();
        assert_eq!(beds[1].0.bank.records("programme").len(), 2, "{programme:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_bank_of_the_same_name_stops_write_back() {
    let bed = Bed::new(Programme::StopNcii);
    bed.change(&[Add(vec![1])]);
    bed.run().await;
    bed.bank.lock().own_bank = 9;
    let failure = write_back(&bed.bank, &bed.app(), 0, false).await.unwrap_err();
    assert_eq!(failure, Failure::Alarm(Alarm::OtherBank));
}
