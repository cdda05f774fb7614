//! Tests that items which came from a programme are not sent back to it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use super::bed::{BOTH, Bed};
use super::own::OwnChange::{Add, AddOfProgramme, Claim, Remove, Touch};
use super::taking::{Given, Taking, write_back};
use crate::asking::request::Method;
use crate::tests::model::Model;
use crate::tests::playing::{clock, round};
use crate::tests::servers::Programme;

#[tokio::test(start_paused = true)]
async fn items_of_programmes_are_not_sent_back() {
    // An own item and one of the programme have the same hash: the own one counts.
    let bed = Bed::new(Programme::ThreatExchange);
    bed.change(&[AddOfProgramme(1), Add(vec![2]), AddOfProgramme(2), AddOfProgramme(3)]);
    bed.run().await;
    assert_eq!(bed.submitted(), BTreeSet::from([2]));
    // A withdrawal by the programme removes the item here. The app has nothing of it to withdraw there.
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
    // The own submission of an item that a programme shares too is withdrawn, so the item is withdrawn from
    // the programme.
    bed.change(&[Claim(1, true)]);
    bed.run().await;
    bed.change(&[Claim(1, false), Remove(0)]);
    bed.run().await;
    assert_eq!(bed.submitted(), BTreeSet::new());

    // StopNCII does not report who submitted a hash. So nothing is sent about an item that came only from a
    // programme, even when it is removed.
    let bed = Bed::new(Programme::StopNcii);
    bed.change(&[Add(vec![2]), AddOfProgramme(1)]);
    bed.run().await;
    assert_eq!(bed.submitted(), BTreeSet::from([2]));
    let requests = Arc::new(Mutex::new(0));
    let count = Arc::clone(&requests);
    let fetch = Taking::new(bed.programme, "111", &bed.given, move |_, _| {
        *count.lock().unwrap() += 1;
        None
    });
    bed.change(&[Touch(1), Remove(1)]);
    write_back(&bed.bank, &fetch, 0, false).await.unwrap();
    assert_eq!((*requests.lock().unwrap(), bed.submitted()), (0, BTreeSet::from([2])));
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
                // With ThreatExchange, the items that the other one shares are in the same bank.
                let records = bed.bank.records("programme");
                for (key, record) in records.iter().filter(|_| programme == Programme::ThreatExchange) {
                    let is_of = |number: &u8| record.contains(&Model::hash(*number).to_text());
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
        // An item that one member withdraws stays as long as the other has it.
        beds[0].0.change(&[Remove(0), Remove(0)]);
        write_back(&beds[0].0.bank, &beds[0].1, 0, false).await.unwrap();
        given.lock().unwrap().model.lock().unwrap().settle();
        round(&beds[1].0.bank, &beds[1].1, &clock, 0).await.unwrap();
        assert_eq!(beds[1].0.bank.records("programme").len(), 2, "{programme:?}");
    }
}
