//! Tests of reads: single rows, pages, and refused requests.

use prost::Message as _;
use vigie_model::{BankId, ItemId};

use super::*;
use crate::store::ItemSearch;

on_both_stores! {
    lists_page_through_everything_in_order,
    a_page_of_large_items_is_cut_and_says_so,
    a_bank_is_read_as_it_was_written,
    a_bank_keeps_its_name_and_its_share_of_lookups,
    each_invalid_request_is_refused_with_its_field,
    an_oversized_request_is_refused_before_it_is_read,
    numbers_beyond_any_that_is_stored_are_simply_not_there,
    items_are_found_by_hash_reference_and_label,
    a_search_for_items_reads_a_bounded_number_and_says_where_to_go_on,
}

async fn lists_page_through_everything_in_order(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config).await;
    for number in 0..7 {
        served.create_bank(&format!("bank-{number}")).await.unwrap();
    }
    served.add("bank-1", items(0..250)).await.unwrap();
    served.add("bank-2", items(250..300)).await.unwrap();

    let (mut banks, mut after_id) = (Vec::new(), 0);
    loop {
        let request = pb::ListBanksRequest { after_id, page_size: 3 };
        let page = served.bank.clone().list_banks(request).await.unwrap().into_inner();
        assert_eq!(page.sequence, 307);
        banks.extend(page.banks.iter().map(|bank| (bank.id, bank.name.clone(), bank.item_count)));
        after_id = banks.last().unwrap().0;
        if page.banks.len() < 3 {
            break;
        }
    }
    let counts = [0, 250, 50, 0, 0, 0, 0];
    let expected: Vec<_> = (0..7_u32).map(|id| (id + 1, format!("bank-{id}"), counts[id as usize])).collect();
    assert_eq!(banks, expected);

    let (mut found, mut after_id) = (Vec::new(), 0);
    loop {
        let request = pb::ListItemsRequest { bank: "bank-1".into(), after_id, ..Default::default() };
        let page = served.bank.clone().list_items(request).await.unwrap().into_inner();
        assert!(page.items.len() <= 100);
        found.extend(page.items.iter().map(|item| (item.id, item.content.clone().unwrap())));
        after_id = found.last().unwrap().0;
        if page.items.len() < 100 {
            break;
        }
    }
    assert_eq!(found, (0..250).map(|number| (number + 8, item(number))).collect::<Vec<_>>());
    served.stop().await;
}

async fn a_page_of_large_items_is_cut_and_says_so(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let labels = vec!["x".repeat(128); 32];
    let large = |number| pb::ItemContent {
        labels: labels.clone(),
        external_reference: "r".repeat(512),
        ..item(number)
    };
    for first in (0..900).step_by(100) {
        served.add("a", (first..first + 100).map(large).collect()).await.unwrap();
    }
    let (mut ids, mut after_id, mut cut) = (Vec::new(), 0, 0);
    loop {
        let bank = "a".into();
        let request = pb::ListItemsRequest { bank, after_id, page_size: 1_000, may_truncate: true };
        // The client accepts 4 MiB, which is the default.
        let page = served.bank.clone().list_items(request).await.unwrap().into_inner();
        assert!(page.encoded_len() < 4_000_000, "{}", page.encoded_len());
        ids.extend(page.items.iter().map(|item| item.id));
        after_id = *ids.last().unwrap();
        if !page.truncated {
            break;
        }
        assert!(page.encoded_len() > 3_000_000, "no more is left out than has to be");
        cut += 1;
    }
    assert_eq!(ids, (2..902).collect::<Vec<_>>());
    assert_eq!(cut, 1);

    // A client of an older version continues as long as pages are full, and accepts 16 MiB.
    let (mut ids, mut after_id) = (Vec::new(), 0);
    let mut older = served.bank.clone().max_decoding_message_size(16 << 20);
    loop {
        let request =
            pb::ListItemsRequest { bank: "a".into(), after_id, page_size: 800, ..Default::default() };
        let page = older.list_items(request).await.unwrap().into_inner();
        ids.extend(page.items.iter().map(|item| item.id));
        after_id = *ids.last().unwrap();
        assert!(!page.truncated);
        if page.items.len() < 800 {
            break;
        }
    }
    assert_eq!(ids, (2..902).collect::<Vec<_>>());
    // A client that sets no page size needs no more than the default.
    let request = pb::ListItemsRequest { bank: "a".into(), ..Default::default() };
    let page = served.bank.clone().list_items(request).await.unwrap().into_inner();
    assert_eq!(page.items.len(), 100);
    served.stop().await;
}

async fn a_bank_is_read_as_it_was_written(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config).await;
    served.create_bank("a").await.unwrap();
    served.add("a", items(0..2)).await.unwrap();
    let set = pb::SetBankEnabledRequest { name: "a".into(), enabled: false, ..Default::default() };
    let disabled = served.bank.clone().set_bank_enabled(set).await.unwrap().into_inner().bank.unwrap();
    let rename = pb::RenameBankRequest { name: "a".into(), new_name: "b".into(), ..Default::default() };
    let renamed = served.bank.clone().rename_bank(rename).await.unwrap().into_inner();
    assert_eq!(renamed.bank.clone().unwrap(), pb::Bank { name: "b".into(), ..disabled });

    let expected = pb::Bank {
        id: 1,
        name: "b".into(),
        enabled: false,
        created_at_unix_ms: NOW,
        item_count: 2,
        hash_count: 4,
        owner_member_id: 0,
        owner: "local".into(),
        match_ratio: None,
    };
    let request = pb::GetBankRequest { name: "b".into() };
    let found = served.bank.clone().get_bank(request).await.unwrap().into_inner();
    assert_eq!((found.bank.unwrap(), found.sequence), (expected, 5));
    let stored = served.item(3).await.unwrap();
    assert_eq!((stored.bank.as_str(), stored.item.unwrap().added_at_unix_ms), ("b", NOW));
    served.stop().await;
}

/// Checked before and after a restart: the values are stored, and no shard is sent them.
async fn a_bank_keeps_its_name_and_its_share_of_lookups(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config.clone()).await;
    let mut bank = served.bank.clone();
    let long_name = format!("_{}", "N".repeat(254));
    let ratios = [
        ("_A", Some(0.25), Some(0.25)),
        (&long_name, None, None),
        ("C", Some(1.0), None),
        ("D", Some(0.0), Some(0.0)),
    ];
    for (name, given, expected) in ratios {
        let request = pb::CreateBankRequest { name: name.into(), match_ratio: given, ..Default::default() };
        let made = bank.create_bank(request).await.unwrap().into_inner().bank.unwrap();
        assert_eq!((made.name.as_str(), made.match_ratio, made.enabled), (name, expected, true));
    }
    let set =
        |ratio: f64| pb::SetBankMatchRatioRequest { name: long_name.clone(), ratio, ..Default::default() };
    let exact = 0.1 + 0.2;
    let answer = bank.set_bank_match_ratio(set(exact)).await.unwrap().into_inner();
    // Four banks, two of them with a ratio.
    assert_eq!((answer.sequence, answer.bank.unwrap().match_ratio), (7, Some(exact)));
    for (ratio, text) in
        [(1.5, "ratio: a match ratio is a number from 0.0 to 1.0"), (f64::NAN, "ratio"), (-0.5, "ratio")]
    {
        refused(bank.set_bank_match_ratio(set(ratio)).await, Code::InvalidArgument, text);
    }
    let unknown = pb::SetBankMatchRatioRequest { name: "E".into(), ratio: 0.5, ..Default::default() };
    refused(bank.set_bank_match_ratio(unknown).await, Code::NotFound, "E");
    let bad = pb::CreateBankRequest { name: "E".into(), match_ratio: Some(2.0), ..Default::default() };
    refused(bank.create_bank(bad).await, Code::InvalidArgument, "match_ratio");
    let too_long = pb::CreateBankRequest { name: "N".repeat(256), ..Default::default() };
    refused(bank.create_bank(too_long).await, Code::InvalidArgument, "1 to 255");

    let watch = pb::WatchRequest { shard_count: 1, ..Default::default() };
    let mut changes = served.feed.clone().watch(watch).await.unwrap().into_inner();
    let mut kinds = Vec::new();
    loop {
        let range = changes.message().await.unwrap().unwrap();
        kinds.extend(range.changes.into_iter().filter_map(|change| change.kind));
        if range.through_sequence == 7 {
            break;
        }
    }
    assert!(kinds.iter().all(|kind| matches!(kind, pb::change::Kind::BankCreated(_))), "{kinds:?}");
    assert_eq!(kinds.len(), 4);
    drop(changes);
    served.stop().await;

    let served = Served::start(config).await;
    let list = pb::ListBanksRequest::default();
    let banks = served.bank.clone().list_banks(list).await.unwrap().into_inner().banks;
    let ratios: Vec<_> = banks.into_iter().map(|bank| (bank.name, bank.match_ratio)).collect();
    let expected = [
        ("_A".to_owned(), Some(0.25)),
        (long_name, Some(exact)),
        ("C".to_owned(), None),
        ("D".to_owned(), Some(0.0)),
    ];
    assert_eq!(ratios, expected);
    served.stop().await;
}

async fn each_invalid_request_is_refused_with_its_field(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config).await;
    served.create_bank("a").await.unwrap();
    let mut bank = served.bank.clone();
    let check = |outcome: Result<(), Status>, text: &str| {
        refused(outcome, Code::InvalidArgument, text);
    };
    let name = || "a b".to_owned();
    macro_rules! check {
        ($call:ident, $request:expr, $text:expr) => {
            check(bank.$call($request).await.map(drop), $text)
        };
    }
    check!(
        create_bank,
        pb::CreateBankRequest { name: name(), ..Default::default() },
        "name: a bank is called NAME or OWNER/NAME"
    );
    let long_key =
        pb::CreateBankRequest { name: "b".into(), idempotency_key: "k".repeat(129), ..Default::default() };
    check!(create_bank, long_key, "idempotency_key: has 129 bytes");
    check!(get_bank, pb::GetBankRequest { name: name() }, "name: ");
    check!(list_banks, pb::ListBanksRequest { after_id: 0, page_size: 1_001 }, "page_size: is 1001");
    check!(list_banks, pb::ListBanksRequest { after_id: 0, page_size: -1 }, "page_size: is -1");
    let rename = pb::RenameBankRequest { name: "a".into(), new_name: name(), ..Default::default() };
    check!(rename_bank, rename, "new_name: ");
    check!(delete_bank, pb::DeleteBankRequest { name: name(), ..Default::default() }, "name: ");
    let add = |items| pb::AddItemsRequest { bank: "a".into(), items, ..Default::default() };
    check!(add_items, add(Vec::new()), "items: has 0 entries");
    check!(add_items, add(vec![item(0); 1_001]), "items: has 1001 entries");
    check!(add_items, add(vec![item(0), pb::ItemContent::default()]), "items[1].hashes: ");
    let mut short = item(0);
    short.hashes[1].value.pop();
    check!(add_items, add(vec![short]), "items[0].hashes[1].value: ");
    let mut long = item(0);
    long.external_reference = "x".repeat(513);
    check!(add_items, add(vec![long]), "items[0].external_reference: ");
    check!(remove_items, pb::RemoveItemsRequest { item_ids: vec![3, 3], ..Default::default() }, "item_ids: ");
    let list = pb::ListItemsRequest { bank: name(), ..Default::default() };
    check!(list_items, list, "bank: ");
    let mut feed = served.feed.clone();
    for (shard, shard_count) in [(0, 0), (4, 4), (0, 257)] {
        let watch = pb::WatchRequest { shard, shard_count, ..Default::default() };
        refused(feed.watch(watch).await.map(drop), Code::InvalidArgument, "shard");
    }
    let watch = pb::WatchRequest { after_sequence: 1, shard_count: 1, ..Default::default() };
    refused(feed.watch(watch).await.map(drop), Code::InvalidArgument, "log_id: is empty");
    assert_eq!(served.head().await.sequence, 1);
    served.stop().await;
}

#[tokio::test]
async fn a_bank_with_faulty_settings_names_them_all_and_does_not_start() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = Config { store: "nowhere".into(), heartbeat_ms: 0, ..Config::default() };
    let running = tokio::spawn(crate::run(config, listener, Shutdown::new()));
    let error = running.await.unwrap().unwrap_err();
    let text = "store: must be sqlite:<path>, sqlite::memory: or postgres://<user>@<host>/<database>; \
                heartbeat_ms: is 0; it must be 1 to 2000";
    assert_eq!(error.to_string(), format!("the bank's settings have faults: {text}"));
}

async fn an_oversized_request_is_refused_before_it_is_read(bed: Bed) {
    let config = bed.config();
    let served = Served::start(Config { message_bytes_max: 1_000, ..config }).await;
    refused(served.add("a", items(0..100)).await, Code::InvalidArgument, "at most 1000 are accepted");
    served.stop().await;
}

async fn numbers_beyond_any_that_is_stored_are_simply_not_there(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config).await;
    served.create_bank("a").await.unwrap();
    refused(served.item(u64::MAX).await, Code::NotFound, "no item 18446744073709551615");
    refused(served.remove(vec![u64::MAX]).await, Code::NotFound, "no item 18446744073709551615");
    let request = pb::ListItemsRequest { bank: "a".into(), after_id: u64::MAX, ..Default::default() };
    assert!(served.bank.clone().list_items(request).await.unwrap().into_inner().items.is_empty());
    served.stop().await;
}

async fn items_are_found_by_hash_reference_and_label(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config).await;
    for bank in ["a", "b", "gone"] {
        served.create_bank(bank).await.unwrap();
        served.add(bank, items(0..20)).await.unwrap();
    }
    let delete = pb::DeleteBankRequest { name: "gone".into(), ..Default::default() };
    served.bank.clone().delete_bank(delete).await.unwrap();
    let find = async |request: pb::FindItemsRequest| {
        let page = served.bank.clone().find_items(request).await.unwrap().into_inner();
        assert_eq!(page.sequence, 64);
        let found: Vec<_> = page.items.into_iter().map(|one| (one.bank, one.item.unwrap())).collect();
        (found, page.next_after_id)
    };
    let names = |found: &[(String, pb::Item)]| -> Vec<(String, String)> {
        let name = |(bank, item): &(String, pb::Item)| {
            (bank.clone(), item.content.clone().unwrap().external_reference)
        };
        found.iter().map(name).collect()
    };
    let case = |bank: &str, number: u64| (bank.to_owned(), format!("case-{number}"));

    let request = pb::FindItemsRequest { text: "case-7".into(), ..Default::default() };
    let (found, next) = find(request.clone()).await;
    assert_eq!((names(&found), next), (vec![case("a", 7), case("b", 7)], 0));
    assert_eq!(found[0].1.content, Some(item(7)));
    let (found, _) = find(pb::FindItemsRequest { bank: "b".into(), ..request }).await;
    assert_eq!(names(&found), [case("b", 7)]);

    // A hash of another type with the same bytes does not match, and neither does a part of a text.
    let hashes = |numbers: &[u64]| numbers.iter().map(|number| item(*number).hashes[0].clone()).collect();
    let request = pb::FindItemsRequest { bank: "a".into(), hashes: hashes(&[3, 5]), ..Default::default() };
    assert_eq!(names(&find(request).await.0), [case("a", 3), case("a", 5)]);
    let other_type =
        pb_model::Hash { hash_type: pb_model::HashType::Sha256.into(), ..item(3).hashes[0].clone() };
    let request =
        pb::FindItemsRequest { hashes: vec![other_type], text: "case".into(), ..Default::default() };
    assert_eq!(find(request).await, (vec![], 0));

    // Pages.
    let mut request = pb::FindItemsRequest { text: "known".into(), page_size: 15, ..Default::default() };
    let mut all = Vec::new();
    loop {
        let (found, next) = find(request.clone()).await;
        assert!(found.len() <= 15);
        all.extend(names(&found));
        if next == 0 {
            break;
        }
        request.after_id = next;
    }
    let expected: Vec<_> =
        ["a", "b"].iter().flat_map(|bank| (0..20).map(|number| case(bank, number))).collect();
    assert_eq!(all, expected);

    let request = pb::FindItemsRequest { bank: "nowhere".into(), text: "x".into(), ..Default::default() };
    refused(served.bank.clone().find_items(request).await, Code::NotFound, "no bank called nowhere");
    let nothing = pb::FindItemsRequest::default();
    refused(served.bank.clone().find_items(nothing).await, Code::InvalidArgument, "text: is empty");
    served.stop().await;
}

async fn a_search_for_items_reads_a_bounded_number_and_says_where_to_go_on(bed: Bed) {
    let config = bed.config();
    let store = open(&config).await;
    let served = Served::start_on(config, Arc::clone(&store)).await;
    for bank in ["a", "b"] {
        served.create_bank(bank).await.unwrap();
        served.add(bank, items(0..10)).await.unwrap();
    }
    for (bank, reads) in [(None, [7, 7, 6]), (Some("b"), [7, 3, 0])] {
        let message = pb::FindItemsRequest {
            bank: bank.unwrap_or_default().into(),
            text: "case-9".into(),
            ..Default::default()
        };
        let query = (&message).try_into().unwrap();
        let banks = bank.map(|_| vec![BankId(2)]);
        let mut search = ItemSearch {
            query,
            banks,
            after: ItemId(0),
            found_max: 3,
            found_bytes_max: 1 << 20,
            read_max: 7,
            read_bytes_max: 1 << 20,
        };
        let (mut found, mut read) = (0, Vec::new());
        loop {
            let page = store.find_items(&search).await.unwrap().value;
            found += page.items.len();
            read.push(page.read);
            match page.next_after {
                Some(next) => search.after = next,
                None => break,
            }
        }
        let reads: Vec<u64> = reads.into_iter().filter(|read| *read > 0).collect();
        assert_eq!((read, found), (reads, if bank.is_some() { 1 } else { 2 }));
    }
    served.stop().await;
}
