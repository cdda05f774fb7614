//! Tests of the opinions that a member has from the programmes that its exchanges follow: together they count
//! as one opinion, and less than that of the member's people.

use pb_model::OpinionKind::{Negative, Positive, Seen};
use vigie_proto::pb::bank::v1::exchange_service_client::ExchangeServiceClient;
use vigie_proto::pb::consortium::v1 as members;

use crate::tests::members::By;
use crate::tests::opinions::people::{People, facts, is_held};
use crate::tests::*;
use crate::verify;

on_both_stores! {
    a_programme_is_one_voice_however_many_speak_in_it,
    a_person_counts_before_a_programme,
    a_programme_takes_nothing_from_what_the_owner_added_by_hand,
    who_opens_a_dispute_is_one_that_calls_the_item_wrong,
    what_a_programme_no_longer_says_is_taken_back,
    a_page_changes_no_details_that_people_gave,
    nobody_but_an_exchange_speaks_for_a_programme,
}

/// The bank `known` of `acme` with exchanges, and the process that follows them.
struct Followed {
    people: People,
    process: By,
    cursors: std::cell::RefCell<std::collections::BTreeMap<u64, u64>>,
    _folder: TempDir,
}

/// Returns an opinion of the members of a programme.
fn said(kind: pb_model::OpinionKind, word: &str) -> Option<pb::ForeignOpinion> {
    Some(pb::ForeignOpinion { kind: kind.into(), reason: 0, foreign_value: word.into() })
}

fn record(key: &str, number: u64, said: Option<pb::ForeignOpinion>) -> pb::ExchangeRecordPut {
    let content = Some(item(number));
    pb::ExchangeRecordPut { key: key.into(), content, foreign_json: String::new(), foreign_opinion: said }
}

impl Followed {
    async fn start(mut config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.key");
        std::fs::write(&path, "0123456789abcdef".repeat(4)).unwrap();
        config.processes.cluster_key = Some(path.clone());
        let people = People::start(config).await;
        let bearer = ClusterKey::read(&path).unwrap().bearer(Process::Exchange);
        let process = By(people.consortium.served.channel.clone(), bearer.to_string());
        Self { people, process, cursors: Default::default(), _folder: folder }
    }

    fn client(&self) -> ExchangeServiceClient<Channel> {
        ExchangeServiceClient::new(self.process.0.clone())
    }

    async fn add_exchange(&self, name: &str) -> u64 {
        let (name, api, bank) = (name.into(), "stop_ncii".into(), "known".into());
        let request = pb::AddExchangeRequest { name, api, bank, ..Default::default() };
        let request = self.people.consortium.administrator.carried(request);
        self.client().add_exchange(request).await.unwrap().into_inner().exchange.unwrap().id
    }

    /// Applies a page of records and withdrawals.
    async fn page(&self, exchange_id: u64, puts: Vec<pb::ExchangeRecordPut>, withdrawn: &[&str]) {
        let lease = pb::AcquireExchangeLeaseRequest { holder: "test".into(), ttl_ms: 600_000 };
        let lease = self.client().acquire_exchange_lease(self.process.carried(lease)).await.unwrap();
        let before = *self.cursors.borrow().get(&exchange_id).unwrap_or(&0);
        let cursor = |place: u64| if place == 0 { Vec::new() } else { place.to_string().into_bytes() };
        let request = pb::ApplyExchangePageRequest {
            exchange_id,
            lease_token: lease.into_inner().token,
            expected_cursor: cursor(before),
            new_cursor: cursor(before + 1),
            puts,
            withdrawn_keys: withdrawn.iter().map(|key| (*key).to_owned()).collect(),
            ..Default::default()
        };
        self.client().apply_exchange_page(self.process.carried(request)).await.unwrap();
        self.cursors.borrow_mut().insert(exchange_id, before + 1);
    }

    async fn id_of(&self, number: u64) -> u64 {
        let items = self.people.owner.listed("known").await;
        let is_it =
            |one: &&pb::Item| one.content.as_ref().unwrap().external_reference == format!("case-{number}");
        items.iter().find(is_it).unwrap().id
    }

    async fn counts(&self, item: u64) -> (u32, u32, u32) {
        let facts = facts(&self.people.owner.item(item).await.unwrap());
        (facts.positives, facts.negatives, facts.seen)
    }

    async fn stop(self, bed: Bed) {
        self.people.consortium.served.stop().await;
        verify(&bed.config()).await.unwrap();
    }
}

async fn a_programme_is_one_voice_however_many_speak_in_it(bed: Bed) {
    let followed = Followed::start(bed.config()).await;
    let (first, second) = (followed.add_exchange("X").await, followed.add_exchange("Y").await);
    followed.people.charter(2, 2).await;
    // Ten records of two programmes call the same content right: they count as one confirmation, the member's
    // own.
    let many = |of: &str, kind, word: &str| -> Vec<pb::ExchangeRecordPut> {
        (0..5).map(|at| record(&format!("{of}{at}"), 1, said(kind, word))).collect()
    };
    followed.page(first, many("x", Positive, "Blocked"), &[]).await;
    followed.page(second, many("y", Positive, "HELPFUL"), &[]).await;
    let item = followed.id_of(1).await;
    let found = followed.people.owner.item(item).await.unwrap();
    assert!(facts(&found).probation && facts(&found).mine() == Positive);
    assert_eq!(followed.counts(item).await, (1, 0, 0));
    let other = followed.people.others[0].item(item).await;
    assert_eq!(other.unwrap().facts.unwrap().positives, 1);
    // Ten records that call it wrong count as one of the two opinions that would hold it.
    followed.page(first, many("x", Negative, "NotBlocked"), &[]).await;
    // If one programme contradicts the other, there is no opinion at all.
    assert_eq!(followed.counts(item).await, (0, 0, 0));
    followed.page(second, many("y", Negative, "NOT_HELPFUL"), &[]).await;
    assert_eq!(followed.counts(item).await, (0, 1, 0));
    assert!(!is_held(&followed.people.owner.item(item).await.unwrap()));
    // The same opinion of the owner's own people does not count again.
    followed.people.owner.says(item, Negative).await;
    assert_eq!(followed.counts(item).await, (0, 1, 0));
    assert!(!is_held(&followed.people.owner.item(item).await.unwrap()));
    // Another member's opinion does.
    followed.people.others[0].says(item, Negative).await;
    assert!(is_held(&followed.people.owner.item(item).await.unwrap()));
    followed.stop(bed).await;
}

async fn a_person_counts_before_a_programme(bed: Bed) {
    let followed = Followed::start(bed.config()).await;
    let exchange = followed.add_exchange("X").await;
    followed.page(exchange, vec![record("a", 1, None)], &[]).await;
    let item = followed.id_of(1).await;
    let owner = &followed.people.owner;
    assert_eq!(owner.item(item).await.unwrap().facts, None);
    owner.says(item, Positive).await;
    followed.page(exchange, vec![record("a", 1, said(Negative, "NotBlocked"))], &[]).await;
    assert_eq!(followed.counts(item).await, (1, 0, 0));
    // Both are listed; only the owner sees whose they are.
    let listed = owner.listed_opinions("known", 10, true).await;
    let shown: Vec<_> =
        listed.iter().map(|one| (one.of_programme, one.kind(), &*one.foreign_value)).collect();
    assert_eq!(shown, [(false, Positive, ""), (true, Negative, "NotBlocked")]);
    let of_another = followed.people.others[0].listed_opinions("acme/known", 10, false).await;
    assert!(of_another.is_empty(), "{of_another:?}");
    let submission = owner.item(item).await.unwrap().submissions.remove(0);
    assert_eq!(submission.foreign_opinion, said(Negative, "NotBlocked"));
    // A "seen" match is not a person's opinion, and the same page again is not new.
    owner.takes_back(&[item]).await.unwrap();
    assert_eq!(followed.counts(item).await, (0, 1, 0));
    owner.says(item, Seen).await;
    assert_eq!(followed.counts(item).await, (0, 1, 0));
    let before = owner.listed_opinions("known", 10, true).await;
    followed.people.later(1);
    followed.page(exchange, vec![record("a", 1, said(Negative, "NotBlocked"))], &[]).await;
    assert_eq!(owner.listed_opinions("known", 10, true).await, before);
    // A member cannot withdraw an opinion that comes from a programme.
    owner.takes_back(&[item]).await.unwrap();
    assert_eq!(followed.counts(item).await, (0, 1, 0));
    followed.stop(bed).await;
}

async fn a_programme_takes_nothing_from_what_the_owner_added_by_hand(bed: Bed) {
    let followed = Followed::start(bed.config()).await;
    let exchange = followed.add_exchange("X").await;
    followed.people.charter(2, 1).await;
    let item = followed.people.add(1..2).await[0];
    followed.people.others[0].says(item, Positive).await;
    let state = async |item| {
        let found = followed.people.owner.item(item).await.unwrap();
        (facts(&found).probation, is_held(&found), found.dispute.is_some())
    };
    assert_eq!(state(item).await, (false, false, false));
    // A member that joins the programme calls the item wrong there.
    followed.page(exchange, vec![record("a", 1, said(Negative, "NOT_HELPFUL"))], &[]).await;
    assert_eq!(followed.id_of(1).await, item);
    assert_eq!((state(item).await, followed.counts(item).await), ((false, false, false), (1, 0, 0)));
    let other = followed.people.others[1].item(item).await.unwrap();
    assert!(!facts(&other).probation && other.facts.unwrap().negatives == 0);
    // An item that comes from the programme alone has the programme's opinion.
    followed.page(exchange, vec![record("b", 2, said(Negative, "NOT_HELPFUL"))], &[]).await;
    let of_programme = followed.id_of(2).await;
    assert_eq!(state(of_programme).await, (true, true, true));
    // The member's people submit it too, and from then on it is their own.
    assert_eq!(followed.people.add(2..3).await, [of_programme]);
    assert_eq!(state(of_programme).await, (true, false, false));
    assert_eq!(followed.counts(of_programme).await, (0, 0, 0));
    followed.stop(bed).await;
}

async fn who_opens_a_dispute_is_one_that_calls_the_item_wrong(bed: Bed) {
    let followed = Followed::start(bed.config()).await;
    let exchange = followed.add_exchange("X").await;
    let [one, two, three] = &followed.people.others[..] else { panic!() };
    followed.people.charter(0, 2).await;
    // The programme says so first, and the owner's people overrule it. Then a member says so of one hash, and
    // later changes its opinion.
    followed.page(exchange, vec![record("a", 1, said(Negative, "NotBlocked"))], &[]).await;
    let item = followed.id_of(1).await;
    followed.people.owner.says(item, Positive).await;
    let hash = followed.people.owner.item(item).await.unwrap().content.unwrap().hashes.remove(0);
    let on_hash =
        members::NewOpinion { hash: Some(hash), ..crate::tests::opinions::people::opinion(item, Negative) };
    one.put(vec![on_hash]).await.unwrap();
    one.says(item, Positive).await;
    two.says(item, Negative).await;
    assert!(!is_held(&followed.people.owner.item(item).await.unwrap()));
    three.says(item, Negative).await;
    assert!(is_held(&followed.people.owner.item(item).await.unwrap()));
    // Each member sees the disputes that it opened: only one of these members has one.
    let opened = [one.disputes(false).await, two.disputes(false).await, three.disputes(false).await];
    assert_eq!(opened.map(|disputes| disputes.len()), [0, 1, 0]);
    followed.stop(bed).await;
}

async fn what_a_programme_no_longer_says_is_taken_back(bed: Bed) {
    let followed = Followed::start(bed.config()).await;
    let (first, second) = (followed.add_exchange("X").await, followed.add_exchange("Y").await);
    followed.page(first, vec![record("a", 1, said(Negative, "NotBlocked"))], &[]).await;
    followed.page(second, vec![record("b", 1, said(Seen, "SAW_THIS_TOO"))], &[]).await;
    let item = followed.id_of(1).await;
    assert_eq!(followed.counts(item).await, (0, 1, 0));
    // A removed record's opinion is removed too; the item stays because of the other record.
    followed.page(first, vec![], &["a"]).await;
    assert_eq!((followed.id_of(1).await, followed.counts(item).await), (item, (0, 0, 1)));
    // The record stays, without an opinion: followers of opinions are sent that.
    followed.page(second, vec![record("b", 1, None)], &[]).await;
    assert_eq!(followed.counts(item).await, (0, 0, 0));
    let listed = followed.people.owner.listed_opinions("known", 10, true).await;
    assert_eq!(listed.len(), 1);
    assert!(listed[0].of_programme && listed[0].kind == 0);
    // A record that moves to other content takes its opinion along.
    followed.page(second, vec![record("b", 1, said(Negative, "NOT_HELPFUL"))], &[]).await;
    followed.page(first, vec![record("a", 1, None)], &[]).await;
    assert_eq!(followed.counts(item).await, (0, 1, 0));
    followed.page(second, vec![record("b", 2, said(Negative, "NOT_HELPFUL"))], &[]).await;
    let moved = followed.id_of(2).await;
    assert_eq!((followed.counts(item).await, followed.counts(moved).await), ((0, 0, 0), (0, 1, 0)));
    // A restored item has the opinion again, with its record.
    followed.people.consortium.administrator.remove(vec![moved]).await.unwrap();
    let restored = followed.people.consortium.administrator.restore(vec![moved]).await.unwrap()[0];
    assert_eq!(followed.counts(restored).await, (0, 1, 0));
    followed.page(second, vec![record("b", 2, None)], &[]).await;
    assert_eq!(followed.counts(restored).await, (0, 0, 0));
    followed.stop(bed).await;
}

async fn a_page_changes_no_details_that_people_gave(bed: Bed) {
    let followed = Followed::start(bed.config()).await;
    let (first, second) = (followed.add_exchange("X").await, followed.add_exchange("Y").await);
    let class = |value: &str| pb_model::Class {
        taxonomy: "iwf".into(),
        dimension: "category".into(),
        value: value.into(),
    };
    let classed = |key: &str, number, value: &str| {
        let details = pb::ItemDetails { classification: vec![class(value)], ..Default::default() };
        let mut put = record(key, number, None);
        put.content.as_mut().unwrap().details = Some(details);
        put
    };
    let details = async |item| {
        let content = followed.people.owner.item(item).await.unwrap().content.unwrap();
        content.details.unwrap_or_default()
    };
    let classes = async |item| details(item).await.classification;
    // The classes of an item follow only the record that first added it.
    followed.page(first, vec![classed("a", 1, "A")], &[]).await;
    followed.page(first, vec![classed("b", 1, "B")], &[]).await;
    followed.page(second, vec![classed("a", 1, "B")], &[]).await;
    let item = followed.id_of(1).await;
    assert_eq!(classes(item).await, [class("A")]);
    followed.page(first, vec![classed("b", 1, "B"), classed("a", 1, "C")], &[]).await;
    assert_eq!(classes(item).await, [class("C")]);
    // After the owner resolves a dispute about it, the classes are the owner's, whatever the programmes send
    // later.
    let (owner, one) = (&followed.people.owner, &followed.people.others[0]);
    one.put(vec![crate::tests::opinions::people::disputing(item)]).await.unwrap();
    followed.people.later(1);
    owner.resolve_as(item, pb_model::Resolution::Reclassified, vec![class("B")]).await.unwrap();
    followed.page(first, vec![classed("a", 1, "A")], &[]).await;
    assert_eq!(classes(item).await, [class("B")]);
    followed.people.later(2);
    one.takes_back(&[item]).await.unwrap();
    one.put(vec![crate::tests::opinions::people::disputing(item)]).await.unwrap();
    owner.resolve(item, pb_model::Resolution::Kept).await.unwrap();
    followed.page(first, vec![record("a", 1, None)], &[]).await;
    assert_eq!(classes(item).await, [class("B")]);
    // An item that was added by hand keeps the details that people gave it.
    let described = pb::ItemDetails {
        classification: vec![class("A")],
        jurisdictions: vec!["NL".into()],
        note: "by hand".into(),
        metadata: "{\"ours\": 1}".into(),
    };
    let by_hand = pb::ItemContent { details: Some(described.clone()), ..crate::tests::item(2) };
    let by_hand = followed.people.consortium.contributor.add("known", vec![by_hand]).await.unwrap()[0];
    followed.page(first, vec![classed("c", 2, "C")], &[]).await;
    assert_eq!((followed.id_of(2).await, details(by_hand).await), (by_hand, described));
    followed.stop(bed).await;
}

async fn nobody_but_an_exchange_speaks_for_a_programme(bed: Bed) {
    let followed = Followed::start(bed.config()).await;
    let exchange = followed.add_exchange("X").await;
    // A contributor with the same origin has its own submission, which is not affected by a programme's
    // opinion; and an opinion put by hand counts as by hand.
    let origin = pb::Origin { programme: "X".into(), key: "a".into(), case: String::new() };
    let contributed = pb::ItemContent { origin: Some(origin), ..item(1) };
    let contributor = followed.people.contributor_of("one").await;
    let id = contributor.add("acme/known", vec![contributed]).await.unwrap()[0];
    followed.page(exchange, vec![record("a", 1, said(Negative, "report 1"))], &[]).await;
    assert_eq!(followed.id_of(1).await, id);
    let found = followed.people.owner.item(id).await.unwrap();
    let said_of: Vec<_> =
        found.submissions.iter().map(|one| (one.member.as_str(), one.foreign_opinion.is_some())).collect();
    assert_eq!(said_of, [("one", false), ("acme", true)]);
    assert_eq!(followed.counts(id).await, (0, 1, 0));
    let by_hand = members::NewOpinion {
        foreign_value: "HELPFUL".into(),
        ..crate::tests::opinions::people::opinion(id, Positive)
    };
    followed.people.others[1].put(vec![by_hand]).await.unwrap();
    let listed = followed.people.owner.listed_opinions("known", 10, false).await;
    let shown: Vec<_> = listed.iter().map(|one| (one.of_programme, one.kind())).collect();
    assert_eq!(shown, [(true, Negative), (false, Positive)]);
    // Only the exchange process may apply pages.
    let request = pb::ApplyExchangePageRequest { exchange_id: exchange, ..Default::default() };
    let refusal = followed.client().apply_exchange_page(followed.people.owner.carried(request)).await;
    refused(refusal, Code::PermissionDenied, "");
    followed.stop(bed).await;
}
