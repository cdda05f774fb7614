//! Compares the directory with naive maps over arbitrary sequences of changes: applied and refused changes,
//! lookups, and rights.

use std::sync::Arc;

use proptest::prelude::*;
use vigie_consortium::change::Refusal;
use vigie_consortium::rights::MemberBanks;
use vigie_consortium::{
    Amount, ApiKey, ApiKeys, Caller, Capabilities, Capability, CardVersion, Change, Charter, CharterDraft,
    Credential, Difference, Directory, Expiry, Flag, Flags, Grant, KeyDigest, KeyId, Member, MemberId,
    MemberPolicies, MemberState, Method, OwnedBank, Principal, PrincipalId, Quota, Reference, Role, Row,
    Text, TokenIssuers, TokenSubject, View,
};
use vigie_model::{BankId, BankName, Declaration, Distance, HashType, Sequence, UnixMillis, VectorClass};

use crate::model_cards::card;
use crate::naive::Naive;
use crate::world;

/// Ids of members, from a small range, so that changes collide.
fn member() -> impl Strategy<Value = MemberId> {
    (0_u32..6).prop_map(MemberId)
}

fn bank() -> impl Strategy<Value = BankId> {
    (0_u32..14).prop_map(BankId)
}

fn name() -> impl Strategy<Value = BankName> {
    prop_oneof![Just("a"), Just("b"), Just("c"), Just("d"), Just("e")].prop_map(|name| name.parse().unwrap())
}

fn expiry() -> impl Strategy<Value = Expiry> {
    prop_oneof![4 => Just(0_u64), 1 => 1_u64..100].prop_map(Expiry::from_wire)
}

fn some<F: Flag>() -> impl Strategy<Value = Flags<F>> {
    (1_u32..1 << F::ALL.len()).prop_map(|bits| {
        let chosen = F::ALL.iter().copied().filter(move |flag| bits & 1 << flag.index() != 0);
        Flags::new(chosen).unwrap()
    })
}

fn key(number: u8) -> KeyId {
    world::key(number.into())
}

fn certificate(number: u8) -> String {
    format!("spiffe://d/member/a/{number}")
}

fn credential() -> impl Strategy<Value = Credential> {
    let held = |(number, expiry): (u8, Expiry)| ApiKey {
        id: key(number),
        digest: KeyDigest([1; 32]),
        created_at: UnixMillis(1),
        expiry,
    };
    prop_oneof![
        (0_u8..7).prop_map(|one| Credential::Certificate(certificate(one).parse().unwrap())),
        (0_u8..7).prop_map(|one| Credential::Token(TokenSubject::new("iss", &one.to_string()).unwrap())),
        prop::collection::vec((0_u8..7, expiry()).prop_map(held), 1..=2)
            .prop_filter_map("two keys of one id", |keys| {
                Some(Credential::ApiKeys(Box::new(ApiKeys::new(keys).ok()?)))
            }),
    ]
}

fn put_member() -> impl Strategy<Value = Change> {
    let state = prop_oneof![
        3 => Just(MemberState::Active),
        1 => Just(MemberState::Suspended),
        1 => Just(MemberState::Quarantined),
    ];
    let name = prop_oneof![Just("local"), Just("a"), Just("b"), Just("c"), Just("d"), Just("e")];
    let issuer = prop::option::weighted(0.3, prop_oneof![Just("x"), Just("y")]);
    (member(), name, state, issuer).prop_map(|(id, name, state, issuer)| {
        let token_issuers = TokenIssuers::new(issuer.as_slice()).unwrap();
        Change::MemberPut(Member { id, name: name.parse().unwrap(), state, token_issuers, ..Member::local() })
    })
}

fn put_principal() -> impl Strategy<Value = Change> {
    let roles = prop_oneof![1 => Just(Flags::one(Role::Operator)), 3 => some::<Role>()];
    let member = prop_oneof![1 => Just(MemberId::HOST), 2 => member()];
    (0_u64..20, member, roles, credential(), expiry()).prop_map(|(id, member, roles, credential, expiry)| {
        let id = PrincipalId(id);
        let (created_at, note) = (UnixMillis(1), Text::default());
        Change::PrincipalPut(Principal { id, member, roles, credential, created_at, expiry, note })
    })
}

fn vector(serial: u8) -> HashType {
    VectorClass::ALL[usize::from(serial % 2)].hash_type(serial)
}

/// Declarations with few numbers and names, some of them invalid.
fn declaration() -> impl Strategy<Value = Declaration> {
    let name = prop_oneof![Just("clip"), Just("dino"), Just("text"), Just("pdq"), Just("No")];
    (1_u8..5, name, 1_u16..3, 0_u32..4).prop_map(|(serial, name, elements, distance)| Declaration {
        hash_type: vector(serial),
        name: name.into(),
        elements,
        distance_default: Distance(distance),
        distance_max: Distance(2),
    })
}

/// Cards of few models and versions.
fn model_card() -> impl Strategy<Value = Arc<CardVersion>> {
    let name = prop_oneof![Just("blue"), Just("red"), Just("green")];
    (name, 1_u32..6).prop_map(|(name, version)| card(name, version))
}

fn change() -> impl Strategy<Value = Change> {
    let grant = (bank(), member(), some::<Capability>(), prop::option::of(name()), expiry());
    let amount = |number| Amount::new(number).unwrap();
    prop_oneof![
        3 => put_member(),
        5 => put_principal(),
        2 => (0_u64..20).prop_map(|id| Change::PrincipalRevoked(PrincipalId(id))),
        6 => grant.prop_map(|(bank, member, capabilities, alias, expiry)| {
            Change::GrantPut(Grant { bank, member, capabilities, alias, expiry })
        }),
        1 => (bank(), member()).prop_map(|(bank, member)| Change::GrantRevoked { bank, member }),
        1 => (member(), 0_u64..3).prop_map(move |(member, units)| {
            Change::QuotaPut { member, quota: Quota { units_per_day: amount(units), ..Quota::default() } }
        }),
        1 => (member(), 0_usize..3).prop_map(|(member, versions)| {
            let with = |policies: MemberPolicies, at| policies.with(Arc::default(), at == 1);
            let policies = Arc::new((0..versions).fold(MemberPolicies::default(), with));
            Change::PoliciesPut { member, policies }
        }),
        3 => declaration().prop_map(Change::HashTypeDeclared),
        3 => model_card().prop_map(Change::ModelCardPut),
        1 => (bank(), 0_u32..3, 0_u32..3).prop_map(|(bank, two_person_items, confirmations_min)| {
            let distances = two_person_items.checked_sub(1).map(|far| (vector(1), Distance(far)));
            let vector_distances = distances.into_iter().collect();
            let draft = CharterDraft {
                two_person_items,
                confirmations_min,
                vector_distances,
                ..CharterDraft::default()
            };
            Change::CharterPut { bank, charter: Charter::try_from(draft).unwrap() }
        }),
        5 => (bank(), member(), name()).prop_map(|(bank, owner, name)| Change::BankCreated { bank, owner, name }),
        2 => (bank(), name()).prop_map(|(bank, name)| Change::BankRenamed { bank, name }),
        1 => (bank(), any::<bool>()).prop_map(|(bank, enabled)| Change::BankEnabledSet { bank, enabled }),
        1 => bank().prop_map(|bank| Change::BankDeleted { bank }),
    ]
}

/// Returns the change. If it creates something, it usually gets the next id, so that most changes are not
/// refused.
fn likely(change: &Change, naive: &Naive) -> Change {
    let mut change = change.clone();
    if let Change::BankCreated { bank, .. } = &mut change
        && bank.0 < 12
    {
        *bank = BankId(naive.bank_used + 1);
    }
    if let Change::PrincipalPut(principal) = &mut change
        && principal.id.0 < 12
    {
        principal.id = PrincipalId(naive.principal_used + 1);
    }
    if let Change::ModelCardPut(put) = &mut change
        && put.version() < 5
    {
        let next = naive.model_cards.get(put.name()).map_or(0, |known| known.version()) + 1;
        *put = card(put.name(), next);
    }
    change
}

/// Checks that every lookup gives the same result as the maps.
fn check_lookups(directory: &Directory, naive: &Naive) {
    for id in 0..7 {
        let id = MemberId(id);
        assert_eq!(directory.member(id).map(|row| &**row), naive.members.get(&id.0));
        assert_eq!(directory.quota(id), naive.quotas.get(&id.0).copied().unwrap_or_default());
        let principals: Vec<_> = naive.principals.values().filter(|row| row.member == id).collect();
        assert_eq!(directory.principals_of(id).iter().map(|row| &**row).collect::<Vec<_>>(), principals);
        let mut banks: Vec<_> = naive.banks.values().filter(|row| row.owner == id).collect();
        banks.sort_by(|one, other| one.name.cmp(&other.name));
        assert_eq!(directory.banks_of(id).iter().map(|row| &**row).collect::<Vec<_>>(), banks);
        let grants: Vec<_> = naive.grants.values().filter(|row| row.member == id).collect();
        assert_eq!(directory.grants_to(id).iter().map(|row| &**row).collect::<Vec<_>>(), grants);
        for name in ["a", "b", "c", "d", "e"] {
            let name: BankName = name.parse().unwrap();
            let bank = naive.banks.values().find(|row| row.owner == id && row.name == name);
            assert_eq!(directory.bank_called(id, &name).map(|row| &**row), bank);
            let alias =
                naive.grants.values().find(|row| row.member == id && row.alias.as_ref() == Some(&name));
            assert_eq!(directory.grant_called(id, &name).map(|row| &**row), alias);
        }
    }
    for member in naive.members.values() {
        assert_eq!(directory.member_called(&member.name).map(|row| &**row), Some(member));
    }
    let declared: Vec<_> = directory.hash_types().iter().map(|row| &**row).collect();
    assert_eq!(declared, naive.hash_types.values().collect::<Vec<_>>());
    for row in declared {
        assert_eq!(directory.hash_type(row.hash_type).map(|row| &**row), Some(row));
        assert_eq!(directory.hash_type_called(&row.name).map(|row| &**row), Some(row));
    }
    assert!(directory.model_cards().iter().eq(naive.model_cards.values()));
    for name in ["blue", "red", "green", "none"] {
        assert_eq!(directory.model_card(name), naive.model_cards.get(name));
    }
    for bank in 0..15 {
        let grants: Vec<_> = naive.grants.values().filter(|row| row.bank.0 == bank).collect();
        assert_eq!(directory.grants_of(BankId(bank)).iter().map(|row| &**row).collect::<Vec<_>>(), grants);
    }
}

/// Returns the sets of a member, computed from the maps.
fn naive_sets(naive: &Naive, member: MemberId, now: UnixMillis) -> [Vec<BankId>; 3] {
    let capabilities = |bank: &OwnedBank| {
        if bank.owner == member {
            return Some(Capabilities::all());
        }
        let grant = naive.grants.get(&(member.0, bank.id.0))?;
        (grant.expiry.to_wire() == 0 || grant.expiry.to_wire() > now.0).then_some(grant.capabilities)
    };
    let with = |is_fit: &dyn Fn(&OwnedBank, Capabilities) -> bool| {
        let fits = |bank: &&OwnedBank| capabilities(bank).is_some_and(|given| is_fit(bank, given));
        naive.banks.values().filter(fits).map(|bank| bank.id).collect()
    };
    let is_searched =
        |bank: &OwnedBank| bank.enabled && naive.members[&bank.owner.0].state != MemberState::Quarantined;
    [
        with(&|bank, given| given.contains(Capability::Match) && is_searched(bank)),
        with(&|_, _| true),
        with(&|_, given| given.contains(Capability::SeeHashes)),
    ]
}

fn check_sets(view: &View, naive: &Naive, now: UnixMillis) {
    for member in (0..7).map(MemberId) {
        let sets = view.banks(member, now);
        let expected = if naive.members.contains_key(&member.0) {
            naive_sets(naive, member, now)
        } else {
            [vec![], vec![], vec![]]
        };
        let found = [&sets.searched, &sets.visible, &sets.hashes].map(|set| set.iter().collect::<Vec<_>>());
        assert_eq!(found, expected, "member {member} at {now:?}");
        let fresh = MemberBanks::new(view.directory(), member, now);
        assert_eq!((&sets.searched, &sets.visible), (&fresh.searched, &fresh.visible));
    }
}

/// Tries each possible credential: a principal that is revoked, expired or of an inactive member cannot call
/// anything.
fn check_callers(view: &View, naive: &Naive, now: UnixMillis, before: &mut Vec<(Caller, u8, u8)>) {
    let is_over = |expiry: Expiry| expiry.to_wire() != 0 && expiry.to_wire() <= now.0;
    // Whether a principal has the credential of this kind and number, and it is accepted.
    let holds = |credential: &Credential, kind: u8, number: u8| match credential {
        Credential::Certificate(id) => kind == 0 && id.as_str() == certificate(number),
        Credential::Token(token) => kind == 2 && token.subject() == number.to_string(),
        Credential::ApiKeys(keys) => {
            kind == 1 && keys.iter().any(|held| held.id == key(number) && !is_over(held.expiry))
        }
    };
    for number in 0..7 {
        let (certificate, subject) = (certificate(number), number.to_string());
        for kind in 0..3 {
            let reference = match kind {
                0 => Reference::Certificate(&certificate),
                1 => Reference::ApiKey(key(number)),
                _ => Reference::Token { issuer: "iss", subject: &subject },
            };
            let is_living = |one: &&Principal| holds(&one.credential, kind, number) && !is_over(one.expiry);
            let living = naive.principals.values().find(is_living);
            let found = view.find(reference, now);
            assert_eq!(found.map(|(proven, _)| proven.principal), living.map(|one| one.id));
            let (Some((proven, member)), Some(living)) = (found, living) else { continue };
            assert_eq!(*member, naive.members[&living.member.0].name);
            let caller = view.caller(Some(proven), None);
            if !before.contains(&(caller, kind, number)) {
                before.push((caller, kind, number));
            }
            let is_active = naive.members[&living.member.0].state == MemberState::Active;
            for method in [Method::WhoAmI, Method::HealthCheck] {
                assert_eq!(view.admit(caller, method, now).is_ok(), is_active);
            }
        }
        let held = view.api_key(key(number)).map(|held| held.id);
        let mut principals = naive.principals.values();
        let is_held = principals.any(|one| match &one.credential {
            Credential::ApiKeys(keys) => keys.get(key(number)).is_some(),
            Credential::Certificate(_) | Credential::Token(_) => false,
        });
        assert_eq!(held, is_held.then(|| key(number)));
    }
    let nobody = if view.directory().is_on() { Caller::Anonymous } else { Caller::Everyone };
    assert_eq!(view.caller(None, None), nobody);
    // Callers that were verified earlier, as on a long-lived stream.
    for (caller, kind, number) in before.iter().copied() {
        let Caller::Principal(proven) = caller else { continue };
        let admitted = view.admit(caller, Method::WhoAmI, now).is_ok();
        let principal = naive.principals.get(&proven.principal.0);
        let may = principal.is_some_and(|one| {
            let is_active = naive.members[&one.member.0].state == MemberState::Active;
            holds(&one.credential, kind, number) && !is_over(one.expiry) && is_active
        });
        assert_eq!(admitted, may, "{proven:?}");
    }
}

#[test]
fn charters_have_no_more_different_distances_than_one_search() {
    let mut directory = Directory::new();
    let mut sequence = (1..).map(Sequence);
    let mut apply = |change: Change| directory.apply(sequence.next().unwrap(), &change);
    let charter = |bank: u32, distances: std::ops::Range<u8>| {
        let of_serial = |serial: u8| (VectorClass::ALL[0].hash_type(serial + 1), Distance(bank));
        let vector_distances = distances.map(of_serial).collect();
        let charter = Charter::try_from(CharterDraft { vector_distances, ..CharterDraft::default() });
        Change::CharterPut { bank: BankId(bank), charter: charter.unwrap() }
    };
    for bank in 1..=18 {
        let name = format!("b{bank}").parse().unwrap();
        apply(Change::BankCreated { bank: BankId(bank), owner: MemberId::HOST, name }).unwrap();
    }
    for bank in 1..=16 {
        apply(charter(bank, 0..16)).unwrap();
    }
    assert!(matches!(apply(charter(17, 0..1)), Err(Refusal::TooMany { max: 256, .. })));
    // Replaces a charter, and repeats the distances of another bank.
    apply(charter(3, 0..16)).unwrap();
    apply(charter(16, 0..15)).unwrap();
    apply(charter(17, 0..1)).unwrap();
    let same = Charter::try_from(CharterDraft {
        vector_distances: vec![(VectorClass::ALL[0].hash_type(1), Distance(5))],
        ..CharterDraft::default()
    });
    apply(Change::CharterPut { bank: BankId(18), charter: same.unwrap() }).unwrap();
    let view = View::from(directory);
    assert_eq!(view.thresholds().len(), 256);
    let shared = view.thresholds().iter().find(|one| one.banks.len() == 2).unwrap();
    assert_eq!(shared.banks.iter().collect::<Vec<_>>(), [BankId(5), BankId(18)]);
    assert_eq!((shared.hash_type, shared.distance), (VectorClass::ALL[0].hash_type(1), Distance(5)));
}

/// Returns the number of tested sequences: `VIGIE_SEEDS`, or 100.
fn sequences() -> u32 {
    std::env::var("VIGIE_SEEDS").map_or(100, |seeds| seeds.parse().unwrap())
}

fn rows(directory: &Directory) -> Vec<Row> {
    directory.rows().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(sequences()))]

    #[test]
    fn any_sequence_of_changes_gives_what_the_maps_give(changes in prop::collection::vec(change(), 1..90)) {
        let (mut directory, mut naive) = (Directory::new(), Naive::new());
        let (mut callers, mut states) = (Vec::new(), vec![directory.clone()]);
        for (sequence, change) in (1..).map(|number| Sequence(3 * number)).zip(&changes) {
            let before = directory.clone();
            let change = &likely(change, &naive);
            let applied = directory.apply(sequence, change);
            prop_assert_eq!(applied.is_ok(), naive.apply(change), "{:?}: {:?}", change, applied);
            if applied.is_err() {
                prop_assert_eq!(rows(&directory), rows(&before));
                prop_assert_eq!(directory.digest(), before.digest());
                directory.advance(sequence);
            }
            prop_assert_eq!(directory.sequence(), sequence);
            if sequence.0 % 8 == 0 {
                states.push(directory.clone());
            }
            prop_assert!(directory.apply(sequence, change).is_err());
            let view = View::from(directory.clone());
            // The times do not ascend: sets computed for one time must not be used for another.
            for now in [50, 10, 99, 100, 30].map(UnixMillis) {
                check_sets(&view, &naive, now);
            }
            check_callers(&view, &naive, UnixMillis(sequence.0 % 120), &mut callers);
        }
        prop_assert_eq!(rows(&directory), naive.rows());
        check_lookups(&directory, &naive);
        // The same rows, built in another way, have the same digest; different rows have another one.
        let (sequence, digest) = (directory.sequence(), directory.digest());
        let again = Directory::from_rows(naive.rows(), sequence).proven(sequence, digest).unwrap();
        prop_assert_eq!(rows(&again), naive.rows());
        check_lookups(&again, &naive);
        let with = |row| {
            let mut damaged = again.clone();
            damaged.set_row(row);
            damaged.proven(sequence, digest)
        };
        let member = Member { created_at: UnixMillis(5), ..Member::local() };
        prop_assert!(with(Row::Member(Arc::new(member))).is_none());
        let declared = Declaration {
            hash_type: vector(9),
            name: "other".into(),
            elements: 9,
            distance_default: Distance(1),
            distance_max: Distance(2),
        };
        prop_assert!(with(Row::HashType(Arc::new(declared))).is_none());
        prop_assert!(with(Row::ModelCard(card("other", 1))).is_none());
        let with_used = with(Row::Used { principal: PrincipalId(77), bank: BankId(7_777) });
        prop_assert!(with_used.is_none());
        // A follower that applies the difference gets the same state, from any earlier state.
        for before in &states {
            let Difference { set, gone } = directory.difference_from(before);
            let mut follower = before.clone();
            gone.into_iter().for_each(|key| follower.take_row(key));
            set.into_iter().for_each(|row| follower.set_row(row));
            prop_assert_eq!(rows(&follower), naive.rows());
            prop_assert!(follower.proven(sequence, digest).is_some());
        }
        prop_assert_eq!(directory.difference_from(&again), Difference::default());
    }
}
