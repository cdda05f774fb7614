//! The choice of disjoint groups of shards, so that every shard of a cluster is searched exactly once.
//!
//! Matchers of one cluster may serve groups of different sizes, which may overlap. A search asks one matcher
//! of each group of a tiling.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::shard::{ShardCount, ShardIdentity};
use crate::shard_group::ShardGroup;

/// A group of a tiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// The shards.
    pub group: ShardGroup,
    /// The position of the list that the group was chosen from; `None` for a single shard that no chosen
    /// group has.
    pub rank: Option<usize>,
}

/// Chooses disjoint groups that have every shard of a cluster, in the order of their first shards. `ranks`
/// are lists of groups, the preferred ones first. Groups of another `shard_count` are ignored.
///
/// Groups of the first list have as many shards as possible, then those of the second list have as many of
/// the remaining shards as possible, and so on; among such choices it is one with few groups, so that a
/// search has few calls. This is exact where of any two groups that overlap one includes the other. Otherwise
/// the groups of the first list have at least as many shards as with groups of only one size, and as with
/// the largest groups first.
#[must_use]
pub fn tiling(count: ShardCount, ranks: &[Vec<ShardGroup>]) -> Vec<Tile> {
    let preferred = || ranks.first().into_iter().flatten().filter(|group| group.shard_count() == count);
    let reachable = preferred().flat_map(|group| group.shards()).collect::<BTreeSet<_>>().len();
    let mut best = choose(count, ranks, None);
    if shards_of(&best, 0) == reachable {
        return best;
    }
    for size in preferred().map(|group| group.size()).collect::<BTreeSet<_>>() {
        let other = choose(count, ranks, Some(size));
        if value(&other, ranks.len()) > value(&best, ranks.len()) {
            best = other;
        }
    }
    best
}

/// Chooses the groups of each list in turn, the largest ones first. In the first list, those of the size
/// `first` come before the others.
fn choose(count: ShardCount, ranks: &[Vec<ShardGroup>], first: Option<u16>) -> Vec<Tile> {
    let mut is_taken = vec![false; usize::from(count.get())];
    let mut tiles = Vec::new();
    for (rank, groups) in ranks.iter().enumerate() {
        let of_cluster = groups.iter().copied().filter(|group| group.shard_count() == count);
        let mut groups: Vec<ShardGroup> = of_cluster.collect();
        let is_first = |group: &ShardGroup| rank == 0 && Some(group.size()) == first;
        groups.sort_unstable_by_key(|group| (!is_first(group), Reverse(group.size()), group.first()));
        for group in groups {
            if group.shards().all(|shard| !is_taken[usize::from(shard.0)]) {
                group.shards().for_each(|shard| is_taken[usize::from(shard.0)] = true);
                tiles.push(Tile { group, rank: Some(rank) });
            }
        }
    }
    let lacks = |shard: &ShardIdentity| !is_taken[usize::from(shard.shard().0)];
    let single = |shard| Tile { group: ShardGroup::single(shard), rank: None };
    tiles.extend(count.identities().filter(lacks).map(single));
    tiles.sort_unstable_by_key(|tile| tile.group.first());
    tiles
}

/// Returns the number of shards in groups of one list.
fn shards_of(tiles: &[Tile], rank: usize) -> usize {
    let of_rank = tiles.iter().filter(|tile| tile.rank == Some(rank));
    of_rank.map(|tile| usize::from(tile.group.size())).sum()
}

/// Returns the value of a choice: the larger one is better.
fn value(tiles: &[Tile], ranks: usize) -> (Vec<usize>, Reverse<usize>) {
    ((0..ranks).map(|rank| shards_of(tiles, rank)).collect(), Reverse(tiles.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(shard_count: u32) -> ShardCount {
        ShardCount::new(shard_count).unwrap()
    }

    fn group(first: u32, shard_count: u32, size: u32) -> ShardGroup {
        ShardGroup::new(first, shard_count, size).unwrap()
    }

    /// Every group of a cluster of this size.
    fn groups(shard_count: u32) -> Vec<ShardGroup> {
        let sizes = (1..=shard_count).filter(|size| shard_count.is_multiple_of(*size));
        let of_size = |size| (0..shard_count / size).map(move |first| group(first, shard_count, size));
        sizes.flat_map(of_size).collect()
    }

    /// The best value of all choices, by trying each one.
    fn best_value(
        shard_count: u32,
        ranks: &[Vec<ShardGroup>],
        chosen: &mut Vec<Tile>,
    ) -> (Vec<usize>, Reverse<usize>) {
        let has = |tile: &Tile, shard| tile.group.shards().any(|one| one == shard);
        let is_open = |one: &ShardIdentity| !chosen.iter().any(|tile| has(tile, one.shard()));
        let open = count(shard_count).identities().find(is_open);
        let Some(open) = open else { return value(chosen, ranks.len()) };
        let mut options = vec![Tile { group: ShardGroup::single(open), rank: None }];
        for (rank, groups) in ranks.iter().enumerate() {
            let tiles = groups.iter().map(|group| Tile { group: *group, rank: Some(rank) });
            let fits = |tile: &Tile| {
                has(tile, open.shard()) && !chosen.iter().any(|other| other.group.overlaps(tile.group))
            };
            options.extend(tiles.filter(fits));
        }
        let values = options.into_iter().map(|tile| {
            chosen.push(tile);
            let value = best_value(shard_count, ranks, chosen);
            chosen.pop();
            value
        });
        values.max().unwrap()
    }

    fn is_nested(groups: &[ShardGroup]) -> bool {
        let related = |one: &ShardGroup, other: &ShardGroup| {
            !one.overlaps(*other) || one.includes(*other) || other.includes(*one)
        };
        groups.iter().all(|one| groups.iter().all(|other| related(one, other)))
    }

    fn check(shard_count: u32, ranks: &[Vec<ShardGroup>]) {
        let tiles = tiling(count(shard_count), ranks);
        let mut shards: Vec<u16> =
            tiles.iter().flat_map(|tile| tile.group.shards()).map(|one| one.0).collect();
        shards.sort_unstable();
        assert_eq!(shards, (0..count(shard_count).get()).collect::<Vec<_>>(), "each shard is in one group");
        for tile in &tiles {
            match tile.rank {
                Some(rank) => assert!(ranks[rank].contains(&tile.group)),
                None => assert_eq!(tile.group.size(), 1),
            }
        }
        let found = value(&tiles, ranks.len());
        let best = best_value(shard_count, ranks, &mut Vec::new());
        assert!(found <= best, "{found:?} is better than each choice, {best:?}");
        if is_nested(&ranks.concat()) {
            assert_eq!(found, best, "{tiles:?}");
        }
        let served = shards_of(&tiles, 0);
        assert!(served >= shards_of(&choose(count(shard_count), ranks, None), 0));
        for size in 1..=count(shard_count).get() {
            let of_size = ranks[0].iter().filter(|group| group.size() == size);
            let uniform: BTreeSet<_> = of_size.flat_map(|group| group.shards()).collect();
            assert!(served >= uniform.len(), "{served} shards, and {} with size {size}", uniform.len());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn every_shard_is_in_one_group_and_as_many_as_possible_are_served(
            shard_count in prop_oneof![1_u32..=8, Just(6_u32)],
            chosen in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..3), 0..9),
        ) {
            let groups = groups(shard_count);
            let mut ranks = vec![Vec::new(); 3];
            for (choice, rank) in chosen {
                ranks[rank].push(groups[choice.index(groups.len())]);
            }
            check(shard_count, &ranks);
        }
    }

    #[test]
    fn the_groups_of_one_size_are_used_where_the_largest_first_leave_a_shard_out() {
        // {0, 2, 4} excludes {0, 3}, {1, 4} and {2, 5}, which are the whole cluster.
        let ready = vec![group(0, 6, 3), group(0, 6, 2), group(1, 6, 2), group(2, 6, 2)];
        let tiles = tiling(count(6), &[ready]);
        assert!(tiles.iter().all(|tile| tile.group.size() == 2 && tile.rank == Some(0)), "{tiles:?}");
    }

    #[test]
    fn a_large_group_is_used_while_it_is_served_and_its_parts_otherwise() {
        let (pair, parts) = (group(0, 4, 2), vec![group(0, 4, 1), group(2, 4, 1)]);
        let others = [group(1, 4, 1), group(3, 4, 1)];
        let of = |ready: &[ShardGroup], silent: &[ShardGroup]| {
            let ready = others.iter().chain(ready).copied().collect();
            let tiles = tiling(count(4), &[ready, silent.to_vec()]);
            tiles.iter().map(|tile| (tile.group.to_string(), tile.rank)).collect::<Vec<_>>()
        };
        let tile = |text: &str, rank| (text.to_owned(), rank);
        let (one, three) = (tile("1 of 4", Some(0)), tile("3 of 4", Some(0)));
        let both = [&[pair], &parts[..]].concat();
        assert_eq!(of(&both, &[]), [tile("0 and 2 of 4", Some(0)), one.clone(), three.clone()]);
        let single = |shard: u16, rank| tile(&format!("{shard} of 4"), rank);
        assert_eq!(of(&parts, &[pair]), [single(0, Some(0)), one.clone(), single(2, Some(0)), three.clone()]);
        assert_eq!(of(&[], &[pair]), [tile("0 and 2 of 4", Some(1)), one.clone(), three.clone()]);
        // A served part excludes the silent pair, so the other part has nobody.
        let served = [single(0, Some(0)), one.clone(), single(2, None), three.clone()];
        assert_eq!(of(&parts[..1], &[pair]), served);
        assert_eq!(of(&[], &[]), [single(0, None), one, single(2, None), three]);
    }
}
