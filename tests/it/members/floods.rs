//! Flood control, through the whole cluster.

use std::time::Duration;

use tokio::time::Instant;
use vigie_clients::{IdempotencyKey, OpinionClient};
use vigie_consortium::Capability;
use vigie_harness::in_process::{Cluster, as_of, soon};
use vigie_model::{BankRef, Hash, ItemId, Sequence};

use super::{Client, Consortium, until_known};

const WINDOW: Duration = Duration::from_secs(4);
/// How long a hold may take from the last match that it takes.
const HELD_WITHIN: Duration = Duration::from_secs(30);

/// A cluster in which 20 matches of an item within [`WINDOW`] are a flood, if they are four times as many as those of others.
async fn cluster() -> Cluster {
    let started = Cluster::start_with(|config| {
        config.shard_count = 2;
        config.frontend.flood_matches_min = 20;
        config.frontend.flood_median_factor = 4;
        config.frontend.flood_window_seconds = WINDOW.as_secs().try_into().unwrap();
    });
    started.await.unwrap()
}

fn hash(number: u8) -> Hash {
    Hash::md5([number; 16])
}

impl Client {
    fn opinions(&self, consortium: &Consortium) -> OpinionClient {
        OpinionClient::among(&[consortium.cluster.bank_url()], &self.network).unwrap()
    }

    /// The items that are held for the member, and whether flood control did it.
    async fn held_here(&self, consortium: &Consortium) -> Vec<(ItemId, bool)> {
        let held = self.opinions(consortium).list_member_holds(None, 100, soon()).await.unwrap();
        held.iter().map(|one| (one.item, one.flooded)).collect()
    }

    /// How many of so many contents match, all of one call.
    async fn matches(&self, number: u8, contents: usize, sequence: Sequence) -> usize {
        let contents = (0..contents).map(|_| vigie_tests::material::hashed([hash(number)])).collect();
        let call = vigie_model::MatchCall {
            contents,
            options: as_of(sequence),
            quality_floor: None,
            surface: Box::default(),
            classifiers: Vec::new(),
        };
        let answer = self.matching.match_content(call, soon()).await.unwrap();
        answer.results.iter().filter(|result| !result.as_ref().unwrap().found.matches.is_empty()).count()
    }

    /// Matches until the item matches no more. Returns how long that was.
    async fn matches_until_held(&self, number: u8, sequence: Sequence) -> Duration {
        let begun = Instant::now();
        while self.matches(number, 5, sequence).await > 0 {
            assert!(begun.elapsed() < HELD_WITHIN, "the item is not held");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        begun.elapsed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_floods_at_one_member_is_held_there_alone_until_it_lifts_that() {
    let consortium = Consortium::on(cluster().await, &["acme", "umbra", "hive"]).await;
    let (acme, acme_work) = consortium.team("acme").await;
    let (umbra, umbra_work) = consortium.team("umbra").await;
    let (hive, hive_work) = consortium.team("hive").await;
    let known: BankRef = "known".parse().unwrap();
    acme.create_bank(&known).await;
    let (item, _) = acme_work.add(&known, hash(1)).await;
    let (_, added) = acme_work.add(&known, hash(2)).await;
    let mut shared = Sequence::default();
    for with in ["umbra", "hive"] {
        shared = acme.share("known", with, &[Capability::Match]).await;
    }
    for worker in [&acme_work, &umbra_work, &hive_work] {
        until_known(worker, shared).await;
    }

    // 19 matches are too few, and 24 are not four times as many as 7.
    assert_eq!(acme_work.matches(1, 19, added).await, 19);
    assert_eq!(hive_work.matches(2, 7, added).await, 7);
    assert_eq!(hive_work.matches(1, 24, added).await, 24);
    assert_eq!(umbra_work.matches(2, 5, added).await, 5);
    assert_eq!(umbra_work.matches(1, 20, added).await, 20);
    umbra_work.matches_until_held(1, added).await;
    assert_eq!(umbra.held_here(&consortium).await, [(item, true)]);
    for (administrator, worker) in [(&acme, &acme_work), (&hive, &hive_work)] {
        assert_eq!(
            (worker.matches(1, 1, added).await, administrator.held_here(&consortium).await),
            (1, vec![])
        );
    }
    // What did not flood still matches there.
    assert_eq!(umbra_work.matches(2, 1, added).await, 1);

    let lifting = Instant::now();
    let lifted = umbra.opinions(&consortium);
    let lifted = lifted.set_member_hold(&[item], false, IdempotencyKey::random(), soon()).await.unwrap();
    assert_eq!(umbra_work.matches(1, 30, lifted.sequence).await, 30);
    umbra_work.matches_until_held(1, lifted.sequence).await;
    assert!(lifting.elapsed() >= WINDOW, "held again after {:?}", lifting.elapsed());
    assert_eq!(umbra.held_here(&consortium).await, [(item, true)]);
    // Its own hold is shown as such.
    let own = hive.opinions(&consortium);
    own.set_member_hold(&[item], true, IdempotencyKey::random(), soon()).await.unwrap();
    assert_eq!(hive.held_here(&consortium).await, [(item, false)]);
    consortium.cluster.stop().await.unwrap();
}
