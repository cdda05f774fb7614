//! Tests of hash types that a replica does not know: their hashes are kept, counted and proved, and a search
//! for them never answers that there are none.

use std::path::Path;

use vigie_follow::Proof;
use vigie_index::Cancellation;
use vigie_model::{
    ANSWER_BYTES_MAX, BankId, Change, ChangeKind, FeedRange, Hash, HashCount, HashType, HashTypeSet, Item,
    ItemDraft, ItemId, Query, QueryHash, Sequence, SetDigest, UnixMillis, Variant,
};

use super::snapshot::{Log, copy_of, loaded, plan};
use super::{empty_shard, identity, name, options, range};
use crate::error::SearchError;
use crate::saving::manifest::Manifest;
use crate::saving::plan::StorePlan;
use crate::searching::search::search;
use crate::shard::indexes::IndexPlan;
use crate::shard::state::Shard;

fn asked(hash: &Hash) -> Vec<Query> {
    let one = QueryHash { hash: hash.clone(), variant: Variant::Original };
    vec![Query { hashes: vec![one] }]
}

fn found(shard: &Shard, hash: &Hash) -> Result<Vec<u64>, SearchError> {
    let answer =
        search(shard, &asked(hash), &options(vec![], 0, 100), ANSWER_BYTES_MAX, &Cancellation::never())?;
    Ok(answer.results[0].matches.iter().map(|found| found.item.0).collect())
}

fn count(shard: &Shard, hash_type: HashType) -> Option<HashCount> {
    shard.hash_counts().into_iter().find(|count| count.hash_type == hash_type)
}

/// Applies one change. The bank's digest of these hashes must prove it.
fn apply(shard: &Shard, sequence: u64, kind: ChangeKind, living: &[(u64, &[Hash])]) {
    let mut digest = SetDigest::EMPTY;
    for (item, hashes) in living {
        digest += SetDigest::of_item(ItemId(*item), hashes);
    }
    let changes = vec![Change { sequence: Sequence(sequence), kind }];
    let digest = Some(digest);
    let range = FeedRange { digest, ..range(sequence - 1, changes) };
    assert_eq!(shard.apply(range), Ok(Proof::Equal));
}

#[test]
fn a_hash_of_an_unknown_type_is_kept_and_refused_in_a_search() {
    let unknown = HashType::from_number(4_321).unwrap();
    let strange = Hash::from_peer(unknown, &[9; 77]).unwrap();
    let known = Hash::pdq([5; 32]);
    let draft = ItemDraft { hashes: vec![known.clone(), strange.clone()], ..ItemDraft::default() };
    let (shard, bank) = (empty_shard(), BankId(1));
    let created = ChangeKind::BankCreated {
        bank,
        owner: vigie_model::MemberId::HOST,
        name: name("one"),
        created_at: UnixMillis(0),
    };
    apply(&shard, 1, created, &[]);
    let item = Item {
        id: ItemId(2),
        bank,
        added_at: UnixMillis(0),
        contributor: vigie_model::MemberId::HOST,
        content: draft.try_into().unwrap(),
    };
    let hashes = item.content.hashes().to_vec();
    apply(&shard, 2, ChangeKind::ItemAdded(item), &[(2, &hashes)]);

    assert_eq!(found(&shard, &known), Ok(vec![2]));
    assert_eq!(found(&shard, &strange), Err(SearchError::UnknownHashType(unknown)));
    let both = vec![[asked(&known), asked(&strange)].concat().remove(0), asked(&strange).remove(0)];
    assert!(
        search(&shard, &both, &options(vec![], 0, 100), ANSWER_BYTES_MAX, &Cancellation::never()).is_err()
    );
    let counted = count(&shard, unknown).unwrap();
    assert_eq!((counted.hashes, counted.is_searched), (1, false));

    apply(&shard, 3, ChangeKind::ItemRemoved { item: ItemId(2), bank }, &[]);
    assert_eq!(found(&shard, &known), Ok(vec![]));
    assert_eq!(count(&shard, unknown), None);
}

fn lacking(folder: &Path) -> StorePlan {
    let lacks: HashTypeSet = [HashType::MD5].into_iter().collect();
    StorePlan::new(IndexPlan { lacks, ..IndexPlan::default() }, Some(folder)).unwrap()
}

#[test]
fn a_snapshot_of_a_version_that_lacked_a_type_is_of_use_to_that_version_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::default();
    log.take_some(1);
    let plans = lacking(folder.path());
    let shard = loaded(&plans, &log);
    let digest = shard.moment().digest;
    let md5 = count(&shard, HashType::MD5).unwrap();
    assert!(md5.hashes > 0 && !md5.is_searched);
    plans.save(&shard).unwrap();
    drop((shard, plans));

    let same = copy_of(folder.path());
    let restored = lacking(same.path()).restore(identity()).unwrap().unwrap();
    assert_eq!((restored.moment().digest, count(&restored, HashType::MD5)), (digest, Some(md5)));

    // A newer version has no index of these hashes, so it has to load the bank's state.
    let newer = copy_of(folder.path());
    let error = plan(newer.path()).restore(identity()).unwrap_err();
    assert!(error.to_string().contains("did not know a hash type of the records"), "{error}");
}

#[test]
fn a_snapshot_with_an_index_of_an_unknown_type_is_opened_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::default();
    log.take_some(2);
    let plans = plan(folder.path());
    let shard = loaded(&plans, &log);
    let digest = shard.moment().digest;
    plans.save(&shard).unwrap();
    drop((shard, plans));

    let older = copy_of(folder.path());
    let plans = lacking(older.path());
    let restored = plans.restore(identity()).unwrap().unwrap();
    assert_eq!(restored.moment().digest, digest);
    assert_eq!(found(&restored, &Hash::md5([0; 16])), Err(SearchError::UnknownHashType(HashType::MD5)));
    assert!(found(&restored, &Hash::pdq([0; 32])).is_ok());
    // The matcher can open what it saves.
    plans.save(&restored).unwrap();
    drop((restored, plans));
    assert!(lacking(older.path()).restore(identity()).unwrap().is_some());
}

#[test]
fn a_snapshot_of_the_first_format_lists_no_indexes_and_has_three() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::default();
    log.take_some(1);
    log.take_some(2);
    let plans = plan(folder.path());
    let shard = loaded(&plans, &log);
    assert!(
        shard.hash_counts().iter().take(3).all(|count| count.hashes > 0),
        "the first format had all three"
    );
    plans.save(&shard).unwrap();
    drop(shard);
    let path = plans.snapshot_folder().unwrap().manifest();
    let (manifest, beside) = Manifest::read(&path).unwrap();
    Manifest::write_first_format(&manifest, &path, &beside);
    drop(plans);
    let restored = plan(folder.path()).restore(identity()).unwrap().unwrap();
    log.bring_up(&restored);
}
