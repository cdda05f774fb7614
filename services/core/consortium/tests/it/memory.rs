//! Checks that a directory of the required size stays below its memory limit, as counted by an allocator that
//! watches one thread.
#![expect(
    unsafe_code,
    reason = "a counting allocator has to implement an unsafe trait; each call goes to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Instant;

use vigie_consortium::{
    ApiKey, ApiKeys, Capabilities, Change, Credential, Directory, Expiry, Grant, KeyDigest, Member, MemberId,
    Method, Principal, PrincipalId, Reference, Role, Roles, View,
};
use vigie_consortium::{BankRef, Text};
use vigie_model::{BankId, Sequence, UnixMillis};

use crate::world::key;

struct Held;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
}

fn count(change: impl FnOnce(usize) -> usize) {
    // Threads can allocate while they end, after their thread-locals are destroyed.
    let _ = HELD.try_with(|held| held.set(change(held.get())));
}

// SAFETY: every call is passed to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Held {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // The allocator itself adds 8 bytes to each piece and rounds up to 16.
        count(|held| held + (layout.size() + 8).next_multiple_of(16));
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(|held| held.saturating_sub((layout.size() + 8).next_multiple_of(16)));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Held = Held;

const MEMBERS: u32 = 200;
const BANKS: u32 = 2_000;
const GRANTS: u32 = 2_000;
const PRINCIPALS: u64 = 4_000;
const NOW: UnixMillis = UnixMillis(1_000);

/// Returns a principal with a long note, and with two keys as during a rotation.
fn principal(number: u64, member: MemberId) -> Principal {
    let role = if member == MemberId::HOST { Role::Operator } else { Role::Matcher };
    let held = |number| ApiKey {
        id: key(number),
        digest: KeyDigest([1; 32]),
        created_at: NOW,
        expiry: Expiry::NEVER,
    };
    let keys = ApiKeys::new([held(number), held(PRINCIPALS + number)]).unwrap();
    Principal {
        id: PrincipalId(number),
        member,
        roles: Roles::one(role),
        credential: Credential::ApiKeys(Box::new(keys)),
        created_at: NOW,
        expiry: Expiry::NEVER,
        note: Text::new(&format!("uploads of the service number {number}, first region")).unwrap(),
    }
}

fn directory() -> Directory {
    let mut directory = Directory::new();
    let mut sequence = 0;
    let mut apply = |change: Change| {
        sequence += 1;
        directory.apply(Sequence(sequence), &change).unwrap();
    };
    for id in 2..=MEMBERS {
        let name = format!("organisation-{id}").parse().unwrap();
        let display_name =
            Text::new(&format!("Organisation number {id}, a company of the industry")).unwrap();
        apply(Change::MemberPut(Member { id: MemberId(id), name, display_name, ..Member::local() }));
    }
    for id in 1..=PRINCIPALS {
        let member = u32::try_from(id - 1).unwrap() % MEMBERS + 1;
        apply(Change::PrincipalPut(principal(id, MemberId(member))));
    }
    for id in 1..=BANKS {
        let owner = MemberId(id % MEMBERS + 1);
        let name = format!("known-material-{id}").parse().unwrap();
        apply(Change::BankCreated { bank: BankId(id), owner, name });
    }
    for id in 1..=GRANTS {
        let (capabilities, expiry) = (Capabilities::all(), Expiry::at(UnixMillis(5_000)));
        let alias = Some(format!("shared-material-{id}").parse().unwrap());
        let member = MemberId((id + 7) % MEMBERS + 1);
        apply(Change::GrantPut(Grant { bank: BankId(id), member, capabilities, alias, expiry }));
    }
    directory
}

#[test]
fn a_large_directory_takes_less_than_20_megabytes_with_all_its_sets() {
    let before = HELD.get();
    let view = View::from(directory());
    let directory_bytes = HELD.get() - before;
    for id in 1..=MEMBERS {
        assert_eq!(view.banks(MemberId(id), NOW).searched.len(), 20);
    }
    let all_bytes = HELD.get() - before;
    println!("{view}: {directory_bytes} bytes, {} with all sets", all_bytes);
    assert!(all_bytes < 20_000_000, "{all_bytes}");
    // The count is plausible.
    assert!(directory_bytes > 1_000_000, "{directory_bytes}");

    // During a change there are two directories, which share the unchanged rows.
    let mut next = view.directory().clone();
    let sequence = Sequence(next.sequence().0 + 1);
    next.apply(sequence, &Change::BankDeleted { bank: BankId(5) }).unwrap();
    let next = View::from(next);
    let both_bytes = HELD.get() - before;
    println!("{both_bytes} bytes with the next one");
    assert!(both_bytes < all_bytes + directory_bytes / 4, "{both_bytes}");
    drop(next);
}

/// Measures the cost of a search in this crate (the principal of a key, the rights, the set of banks) with 2
/// members and with 200.
#[test]
fn the_price_of_a_search_does_not_grow_with_the_members() {
    let large = View::from(directory());
    let small = {
        let mut directory = Directory::new();
        let member = Member { id: MemberId(2), name: "one".parse().unwrap(), ..Member::local() };
        let changes = [
            Change::MemberPut(member),
            Change::PrincipalPut(principal(1, MemberId::HOST)),
            Change::PrincipalPut(principal(2, MemberId(2))),
            Change::BankCreated {
                bank: BankId(1),
                owner: MemberId(2),
                name: "known-material-1".parse().unwrap(),
            },
        ];
        for (sequence, change) in (1..).zip(&changes) {
            directory.apply(Sequence(sequence), change).unwrap();
        }
        View::from(directory)
    };
    let search = |view: &View, named: &[BankRef]| {
        assert!(view.api_key(key(2)).is_some());
        let (proven, _) = view.find(Reference::ApiKey(key(2)), NOW).unwrap();
        let caller = view.caller(Some(proven), None);
        let admitted = view.admit(caller, Method::Match, NOW).unwrap();
        admitted.search(named).unwrap().set().contains(BankId(1))
    };
    let named = ["known-material-1".parse().unwrap()];
    // Both are measured alternately, and the fastest run of each counts: a busy machine slows both.
    let mut fastest = [[f64::MAX; 2]; 2];
    for _ in 0..40 {
        for (view, fastest) in [&small, &large].into_iter().zip(&mut fastest) {
            for (named, fastest) in [&[][..], &named].into_iter().zip(fastest) {
                let began = Instant::now();
                assert!((0..200).all(|_| search(view, named)));
                *fastest = fastest.min(began.elapsed().as_secs_f64() / 200.0 * 1e6);
            }
        }
    }
    println!(
        "microseconds, all banks and one by name: {:.2?} with 2 members, {:.2?} with 200",
        fastest[0], fastest[1]
    );
    for (small, large) in fastest[0].into_iter().zip(fastest[1]) {
        // Only the binary searches of larger tables may add time.
        assert!(large < 2.0 * small + 2.0, "{large} after {small}");
    }
}
