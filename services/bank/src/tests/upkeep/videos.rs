//! Tests of items of videos with 4,096 frames: their bytes bound every page, and one of them is an ordinary
//! change.

use vigie_log::Sequence as LogSequence;
use vigie_model::{FeedRange, Frame, Hash, Sequence, ShardIdentity, StatePart};

use crate::tests::*;
use crate::verify;

on_both_stores! {
    ; threads:
    a_video_of_the_most_frames_is_one_change_through_everything,
    pages_of_videos_are_bounded_by_their_bytes,
    what_is_found_and_brought_back_is_bounded_by_bytes,
}

/// The most bytes of a feed message that a follower accepts.
const FEED_MESSAGE_BYTES_MAX: usize = 8 << 20;
/// The most bytes that gRPC clients accept by default.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Returns the frames of a video, different for each number.
fn video(number: u64) -> Hash {
    let frame = |at: u32| {
        let mut pdq = [0; 32];
        pdq[..8].copy_from_slice(&number.to_be_bytes());
        pdq[8..12].copy_from_slice(&at.to_be_bytes());
        Frame { pdq, quality: 100, time_ms: at * 250 }
    };
    Hash::of_frames(&(0..4_096).map(frame).collect::<Vec<_>>()).unwrap()
}

fn item_of(number: u64) -> pb::ItemContent {
    let mut content = item(number);
    content.hashes.push(video(number).into());
    content
}

/// Adds videos, as many to a request as a message holds.
async fn add_videos(served: &Served, bank: &str, numbers: std::ops::Range<u64>) -> Vec<u64> {
    let mut ids = Vec::new();
    for some in numbers.collect::<Vec<_>>().chunks(25) {
        let added = served.add(bank, some.iter().copied().map(item_of).collect()).await.unwrap();
        assert_eq!(added.item_ids.len(), some.len());
        ids.extend(added.item_ids);
    }
    ids
}

fn hash_of(item: &pb::Item) -> Hash {
    let hashes = &item.content.as_ref().unwrap().hashes;
    let video = hashes.iter().find(|hash| hash.hash_type() == pb_model::HashType::Vpdq).unwrap();
    Hash::from_bytes(vigie_model::HashType::VPDQ, &video.value).unwrap()
}

async fn a_video_of_the_most_frames_is_one_change_through_everything(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let added = served.add_with_key("a", vec![item_of(1)], "once").await.unwrap();
    assert_eq!(served.add_with_key("a", vec![item_of(1)], "once").await.unwrap(), added);
    refused(
        served.add_with_key("a", vec![item_of(2)], "once").await,
        Code::InvalidArgument,
        "idempotency_key",
    );
    let id = added.item_ids[0];
    let shown = served.item(id).await.unwrap().item.unwrap();
    assert_eq!(hash_of(&shown), video(1));
    let head = served.head().await;
    assert_eq!((head.item_count, head.hash_count), (1, 3), "the frames of a video are one hash");

    // One more frame is refused, with the bound.
    let mut two = item_of(3);
    let one = Hash::of_frames(&[video(9).frames().unwrap().iter().next().unwrap()]).unwrap();
    two.hashes.push(one.into());
    refused(served.add("a", vec![two]).await, Code::InvalidArgument, "at most 4096 frames");

    // The item is found by all its frames, and not by one.
    let find = async |hash: &Hash| {
        let request = pb::FindItemsRequest { hashes: vec![hash.clone().into()], ..Default::default() };
        let found = served.bank.clone().find_items(request).await.unwrap().into_inner();
        assert_eq!(found.next_after_id, 0);
        found.items.into_iter().map(|found| found.item.unwrap().id).collect::<Vec<_>>()
    };
    assert_eq!(find(&video(1)).await, [id]);
    assert_eq!(
        find(&Hash::pdq(video(1).frames().unwrap().iter().next().unwrap().pdq)).await,
        Vec::<u64>::new()
    );

    // A follower is sent the change, and a client that loads the state is sent the item.
    let all = ShardIdentity::new(0, 1).unwrap();
    let mut ranges =
        served.feed.clone().watch(pb::WatchRequest::from((None, all))).await.unwrap().into_inner();
    let mut watched = Vec::new();
    while watched.is_empty() {
        let range: FeedRange = ranges.message().await.unwrap().unwrap().try_into().unwrap();
        for change in range.changes {
            if let vigie_model::ChangeKind::ItemAdded(item) = change.kind {
                watched.push(item);
            }
        }
    }
    assert!(watched[0].content.hashes().contains(&video(1)));
    let mut parts = served.feed.clone().load(pb::LoadRequest::from(all)).await.unwrap().into_inner();
    let mut loaded = Vec::new();
    while let Some(part) = parts.message().await.unwrap() {
        if let StatePart::Items { items, .. } = part.try_into().unwrap() {
            loaded.extend(items);
        }
    }
    assert_eq!(loaded, watched);

    // After its removal it is not found; restored, it is complete; purged, it leaves a proof.
    served.remove(vec![id]).await.unwrap();
    assert_eq!(find(&video(1)).await, Vec::<u64>::new());
    let request = pb::RestoreItemsRequest { item_ids: vec![id], ..Default::default() };
    let back = served.bank.clone().restore_items(request).await.unwrap().into_inner().item_ids[0];
    assert_eq!(hash_of(&served.item(back).await.unwrap().item.unwrap()), video(1));
    served.stop().await;
    let store = open(&bed.config()).await;
    assert!(store.purge(LogSequence(id)).await.unwrap());
    store.close().await;
    let verified = verify(&bed.config()).await.unwrap();
    assert_eq!((verified.head.items, verified.purged.count()), (1, 1));
}

async fn pages_of_videos_are_bounded_by_their_bytes(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let ids = add_videos(&served, "a", 0..100).await;
    let (mut listed, mut pages, mut after_id) = (Vec::new(), 0, 0);
    loop {
        let request =
            pb::ListItemsRequest { bank: "a".into(), page_size: 1_000, may_truncate: true, after_id };
        // The client accepts 4 MiB.
        let page = served.bank.clone().list_items(request).await.unwrap().into_inner();
        assert!(prost::Message::encoded_len(&page) < ANSWER_BYTES_MAX);
        after_id = page.items.last().unwrap().id;
        pages += 1;
        listed.extend(page.items);
        if !page.truncated {
            break;
        }
    }
    assert_eq!(listed.iter().map(|item| item.id).collect::<Vec<_>>(), ids);
    assert_eq!((hash_of(&listed[99]), pages), (video(99), 5));
    // A caller that does not support truncated pages is not sent one.
    let whole = async |page_size| {
        let request = pb::ListItemsRequest { bank: "a".into(), page_size, ..Default::default() };
        let mut client = served.bank.clone().max_decoding_message_size(64 << 20);
        client.list_items(request).await.map(|page| page.into_inner().items.len())
    };
    assert_eq!(whole(20).await.unwrap(), 20);
    refused(whole(100).await, Code::InvalidArgument, "page_size: asks for items of more than");

    // Changes of the bank come in pages too, and so does the feed.
    let (mut changed, mut after) = (0, 0);
    loop {
        let request = pb::ReadBankChangesRequest {
            bank: "a".into(),
            start: Some(pb::read_bank_changes_request::Start::AfterSequence(after)),
            page_size: 1_000,
            ..Default::default()
        };
        let page = served.bank.clone().read_bank_changes(request).await.unwrap().into_inner();
        assert!(prost::Message::encoded_len(&page) < ANSWER_BYTES_MAX);
        changed += page.entries.len();
        after = page.next_after_sequence;
        if !page.has_more {
            break;
        }
    }
    assert_eq!(changed, 100);
    let all = ShardIdentity::new(0, 1).unwrap();
    let head = served.head().await.sequence;
    let request = pb::WatchRequest::from((None, all));
    let mut ranges = served.feed.clone().watch(request).await.unwrap().into_inner();
    let mut through = Sequence(0);
    while through < Sequence(head) {
        let message = ranges.message().await.unwrap().unwrap();
        assert!(prost::Message::encoded_len(&message) < FEED_MESSAGE_BYTES_MAX / 4);
        through = FeedRange::try_from(message).unwrap().through;
    }
    let mut parts = served.feed.clone().load(pb::LoadRequest::from(all)).await.unwrap().into_inner();
    let mut loaded = 0;
    while let Some(part) = parts.message().await.unwrap() {
        assert!(prost::Message::encoded_len(&part) < FEED_MESSAGE_BYTES_MAX / 4);
        if let StatePart::Items { items, .. } = part.try_into().unwrap() {
            loaded += items.len();
        }
    }
    assert_eq!(loaded, 100);
    served.stop().await;
    assert_eq!(verify(&bed.config()).await.unwrap().head.items, 100);
}

async fn what_is_found_and_brought_back_is_bounded_by_bytes(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let ids = add_videos(&served, "a", 0..240).await;
    let (mut found, mut read, mut after_id) = (Vec::new(), Vec::new(), 0);
    loop {
        let request =
            pb::FindItemsRequest { text: "known".into(), page_size: 1_000, after_id, ..Default::default() };
        let page = served.bank.clone().find_items(request).await.unwrap().into_inner();
        assert!(prost::Message::encoded_len(&page) < ANSWER_BYTES_MAX);
        found.extend(page.items.into_iter().map(|found| found.item.unwrap().id));
        read.push(page.read_count);
        after_id = page.next_after_id;
        if after_id == 0 {
            break;
        }
    }
    assert_eq!(found, ids);
    assert!(read.len() >= 12, "{read:?}");

    served.remove(ids.clone()).await.unwrap();
    let restore = async |ids: &[u64]| {
        let request = pb::RestoreItemsRequest { item_ids: ids.to_vec(), ..Default::default() };
        served.bank.clone().restore_items(request).await.map(|back| back.into_inner().item_ids.len())
    };
    refused(restore(&ids).await, Code::InvalidArgument, "bring fewer of them back at once");
    let (some, others) = ids.split_at(120);
    assert_eq!(futures::future::try_join(restore(some), restore(others)).await.unwrap(), (120, 120));
    served.stop().await;
    assert_eq!(verify(&bed.config()).await.unwrap().head.items, 240);
}
