//! The distances at which vectors match in the banks of a request, according to the charters of these banks.

use std::collections::BTreeSet;
use std::sync::Arc;

use vigie_consortium::View;
use vigie_model::{BankId, BankSet, Content, HashType, MatchCall, MemberId, Threshold};

/// Returns the thresholds of a request whose banks are set, for the vector types of its contents and the
/// banks that are searched. So a caller learns nothing of other charters. Their number is within the bound of
/// a search, because the directory bounds the charters.
pub(crate) fn of(view: &View, asked: &MatchCall) -> Vec<Threshold> {
    if view.thresholds().is_empty() {
        return Vec::new();
    }
    let hash_types = vectors(&asked.contents);
    let of_types = view.thresholds().iter().filter(|one| hash_types.contains(&one.hash_type));
    let options = &asked.options;
    if let Some(set) = &options.bank_set {
        return of_types.filter_map(|one| within(one, set)).collect();
    }
    if options.banks.is_empty() {
        return of_types.cloned().collect();
    }
    // There are no members, so all banks are the host's.
    let id = |name: &vigie_model::BankRef| view.directory().bank_called(MemberId::HOST, &name.name);
    let named: BankSet = options.banks.iter().filter_map(id).map(|bank| bank.id).collect();
    of_types.filter_map(|one| within(one, &named)).collect()
}

fn vectors(contents: &[Content]) -> BTreeSet<HashType> {
    let hashes = contents.iter().flat_map(|content| match content {
        Content::Hashed { hashes, .. } => &hashes[..],
        Content::Image(_) | Content::Video(_) => &[],
    });
    hashes.map(|one| one.hash.hash_type()).filter(|one| one.vector_class().is_some()).collect()
}

/// Returns the threshold for those of its banks that are in the set; `None` if there are none.
fn within(threshold: &Threshold, set: &BankSet) -> Option<Threshold> {
    if threshold.banks.is_within(set) {
        return Some(threshold.clone());
    }
    let banks: BankSet = threshold.banks.iter().filter(|bank: &BankId| set.contains(*bank)).collect();
    (!banks.is_empty()).then(|| Threshold { banks: Arc::new(banks), ..threshold.clone() })
}

#[cfg(test)]
mod tests {
    use vigie_consortium::{Change, Charter, CharterDraft, Directory};
    use vigie_model::{Distance, Hash, QueryHash, SearchOptions, Sequence, Variant, VectorClass};

    use super::*;

    fn vector(serial: u8) -> HashType {
        VectorClass::ALL[2].hash_type(serial)
    }

    /// Returns a view with banks 1 to 3 of the host; the first two have distances for a type, and the third
    /// for another.
    fn view() -> View {
        let (mut directory, mut sequence) = (Directory::new(), 0);
        let mut apply = |change: Change| {
            sequence += 1;
            directory.apply(Sequence(sequence), &change).unwrap();
        };
        for (number, serial, distance) in [(1, 1, 100), (2, 1, 100), (3, 2, 300)] {
            let (bank, name) = (BankId(number), format!("b{number}").parse().unwrap());
            apply(Change::BankCreated { bank, owner: MemberId::HOST, name });
            let vector_distances = vec![(vector(serial), Distance(distance))];
            let charter = Charter::try_from(CharterDraft { vector_distances, ..CharterDraft::default() });
            apply(Change::CharterPut { bank, charter: charter.unwrap() });
        }
        View::from(directory)
    }

    fn asked(serials: &[u8], options: SearchOptions) -> MatchCall {
        let hash = |serial: &u8| Hash::from_peer(vector(*serial), &[1, 2]).unwrap();
        let hashes = serials.iter().map(hash).chain([Hash::md5([1; 16])]);
        let hashes = hashes.map(|hash| QueryHash { hash, variant: Variant::Original }).collect();
        let contents = vec![Content::Hashed { hashes, pdq_quality: None }];
        MatchCall { contents, options, quality_floor: None, surface: Box::default(), classifiers: Vec::new() }
    }

    fn found(serials: &[u8], options: SearchOptions) -> Vec<(HashType, u32, Vec<u32>)> {
        let thresholds = of(&view(), &asked(serials, options));
        let shown =
            |one: Threshold| (one.hash_type, one.distance.0, one.banks.iter().map(|bank| bank.0).collect());
        thresholds.into_iter().map(shown).collect()
    }

    #[test]
    fn thresholds_are_of_the_types_asked_for_and_the_banks_searched() {
        let all = SearchOptions::default;
        assert_eq!(found(&[], all()), []);
        assert_eq!(found(&[1], all()), [(vector(1), 100, vec![1, 2])]);
        let both = [(vector(1), 100, vec![1, 2]), (vector(2), 300, vec![3])];
        assert_eq!(found(&[2, 1], all()), both);
        let named = |name: &str| SearchOptions { banks: vec![name.parse().unwrap()], ..all() };
        assert_eq!(found(&[1, 2], named("b2")), [(vector(1), 100, vec![2])]);
        let set = |banks: &[u32]| {
            let set = banks.iter().copied().map(BankId).collect::<BankSet>();
            SearchOptions { bank_set: Some(Arc::new(set)), ..all() }
        };
        assert_eq!(found(&[1, 2], set(&[1, 3])), [(vector(1), 100, vec![1]), (vector(2), 300, vec![3])]);
        assert_eq!(found(&[1, 2], set(&[7])), []);
        assert_eq!(found(&[1, 2], set(&[])), []);
    }
}
