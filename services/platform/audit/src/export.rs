//! Checks a whole log: its entries, in order, against a checkpoint.

use std::iter;

use thiserror::Error;

use crate::tree::{Frontier, Full, LeafIndex, NodeHash, Size, StoredIndex, TreeHead};

/// The entries of a log and the hashes of its leaves, in order. Each list is read once if there is no fault,
/// and several times from its beginning otherwise.
pub trait Export {
    /// The error of a read.
    type Error;
    /// The bytes of an entry.
    type Entry: AsRef<[u8]>;

    /// Returns the first entry whose bytes are available. Earlier entries were removed because of their age,
    /// and are represented by the hashes of their leaves.
    fn first(&self) -> LeafIndex {
        LeafIndex(0)
    }

    /// Returns the entries, from the first whose bytes are available.
    fn entries(&self) -> impl Iterator<Item = Result<Self::Entry, Self::Error>>;

    /// Returns the hashes of all leaves, from that of entry 0; none if they were not stored. They identify an
    /// entry at fault, so they must come from another source than the entries: from the stored hashes of the
    /// tree.
    fn leaves(&self) -> impl Iterator<Item = Result<NodeHash, Self::Error>>;
}

/// The fault in the entries of a log. Places are counted from 0 and include the entries that were removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// The bytes of one entry are not those that were logged.
    #[error("entry {index} is not what was logged")]
    Altered {
        /// The entry.
        index: LeafIndex,
    },
    /// Entries are missing.
    #[error("{}", dropped(*index, *count))]
    Dropped {
        /// The first missing entry.
        index: LeafIndex,
        /// The number of missing entries, which are consecutive.
        count: u64,
    },
    /// An entry occurs twice.
    #[error("entry {index} is there twice: again at place {place}")]
    Doubled {
        /// The entry.
        index: LeafIndex,
        /// The place of its second occurrence.
        place: LeafIndex,
    },
    /// Entries occur that were not logged.
    #[error("{}", added(*place, *count))]
    Added {
        /// The place of the first of them.
        place: LeafIndex,
        /// The number of these entries, which are consecutive.
        count: u64,
    },
    /// An entry is at another place. If two neighbours changed places, either may be reported as moved.
    #[error("entry {index} was moved to place {place}")]
    Moved {
        /// The entry.
        index: LeafIndex,
        /// The place at which it is.
        place: LeafIndex,
    },
    /// More than one of these faults.
    #[error("several entries are not what was logged, and entry {first} is the first of them")]
    Several {
        /// The first entry that is not what was logged.
        first: LeafIndex,
    },
    /// Neither the entries nor the hashes of leaves are those of the checkpoint, so the faulty entry cannot
    /// be identified.
    #[error(
        "the {entries} entries are not the {size} of the checkpoint, and neither are the {leaves} hashes of leaves, so no entry can be named"
    )]
    Unnamed {
        /// The number of entries, including those that were removed.
        entries: u64,
        /// The number of hashes of leaves.
        leaves: u64,
        /// The size of the checkpoint.
        size: Size,
    },
    /// The entries are those of the checkpoint, but the hash of a leaf is not.
    #[error("all entries are what was logged, and the stored hash of entry {index} is not its hash")]
    Leaf {
        /// The entry.
        index: LeafIndex,
    },
}

fn dropped(index: LeafIndex, count: u64) -> String {
    match count {
        1 => format!("entry {index} is missing"),
        _ => format!("{count} entries are missing, from entry {index} on"),
    }
}

fn added(place: LeafIndex, count: u64) -> String {
    match count {
        1 => format!("the entry at place {place} was never logged"),
        _ => format!("{count} entries were never logged, from place {place} on"),
    }
}

/// The reasons for which a log is not proven.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExportError<E> {
    /// The export cannot be read.
    #[error("cannot read the exported log")]
    Read(#[source] E),
    /// The entries are not those of the checkpoint.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// There are more entries than a log can have.
    #[error(transparent)]
    Full(#[from] Full),
}

/// The result of a successful check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// The number of entries whose bytes are those that were logged.
    pub entries: u64,
    /// The number of entries before them, for which only hashes are available. The export determines this
    /// number, so a caller compares it with what its rules allow.
    pub removed: u64,
}

/// Checks that the entries are those of a checkpoint, complete and in order. The signature of the log is
/// checked by [`crate::checkpoint::Checkpoint::open`]. Memory does not grow with the log.
///
/// # Errors
///
/// If the export cannot be read, or the entries differ: the fault identifies the entry, as far as the hashes
/// of the leaves are those of the checkpoint.
pub fn check_export<X: Export>(tree: &TreeHead, export: &X) -> Result<Checked, ExportError<X::Error>> {
    // Entries beyond the log cannot have been removed from it.
    let first = export.first().0.min(tree.size.get());
    let read = Read::all(export, first)?;
    let checked = Checked { entries: tree.size.get() - first, removed: first };
    let entries_hold = read.entries.size() == tree.size && read.entries.root() == tree.root;
    let leaves_hold = read.leaves.size() == tree.size && read.leaves.root() == tree.root;
    let fault = match (entries_hold, leaves_hold) {
        (true, true) => return Ok(checked),
        // There are no hashes at all: they were not stored.
        (true, false) if read.leaves.size() == Size::ZERO => return Ok(checked),
        (true, false) => Fault::Leaf { index: LeafIndex(read.differs) },
        (false, true) => {
            Named { export, read: &read, first, place: read.differs }.fault().map_err(ExportError::Read)?
        }
        (false, false) => Fault::Unnamed {
            entries: read.entries.size().get(),
            leaves: read.leaves.size().get(),
            size: tree.size,
        },
    };
    Err(fault.into())
}

/// An export, read once.
struct Read {
    entries: Frontier,
    leaves: Frontier,
    /// The first place at which the hash of the entry is not that of the leaf.
    differs: u64,
}

impl Read {
    fn all<X: Export>(export: &X, first: u64) -> Result<Self, ExportError<X::Error>> {
        let mut read = Self { entries: Frontier::empty(), leaves: Frontier::empty(), differs: 0 };
        let mut entries = export.entries();
        let mut leaves = export.leaves();
        let mut same = true;
        loop {
            let leaf = leaves.next().transpose().map_err(ExportError::Read)?;
            let removed = read.entries.size().get() < first;
            let entry = match removed {
                true => leaf,
                false => entries.next().transpose().map_err(ExportError::Read)?.map(|entry| hash(&entry)),
            };
            if leaf.is_none() && entry.is_none() {
                return Ok(read);
            }
            same &= leaf == entry;
            read.differs += u64::from(same);
            if let Some(leaf) = leaf {
                read.leaves.append_leaf(leaf)?;
            }
            if let Some(entry) = entry {
                read.entries.append_leaf(entry)?;
            }
        }
    }
}

/// Finds the fault of entries whose leaves are known. Each step reads the export again.
struct Named<'a, X> {
    export: &'a X,
    read: &'a Read,
    /// The first entry whose bytes are available.
    first: u64,
    /// The first place at which entries and leaves differ.
    place: u64,
}

impl<X: Export> Named<'_, X> {
    fn fault(&self) -> Result<Fault, X::Error> {
        let (entries, leaves) = (self.read.entries.size().get(), self.read.leaves.size().get());
        let (place, first) = (LeafIndex(self.place), LeafIndex(self.place));
        let fault = if entries < leaves {
            let count = leaves - entries;
            let same = same(self.entries(self.place)?, self.leaves(self.place + count)?)?;
            same.then_some(Fault::Dropped { index: first, count })
        } else if entries > leaves {
            let count = entries - leaves;
            let same = same(self.entries(self.place + count)?, self.leaves(self.place)?)?;
            let original = if same && count == 1 { self.original()? } else { None };
            let added = Fault::Added { place, count };
            same.then(|| original.map_or(added, |index| Fault::Doubled { index, place }))
        } else if same(self.entries(self.place + 1)?, self.leaves(self.place + 1)?)? {
            Some(Fault::Altered { index: first })
        } else {
            self.moved()?
        };
        Ok(fault.unwrap_or(Fault::Several { first }))
    }

    /// Returns the entry of which the one at the first differing place is a copy.
    fn original(&self) -> Result<Option<LeafIndex>, X::Error> {
        let copy = self.entries(self.place)?.next().transpose()?;
        for (index, leaf) in (0..).zip(self.export.leaves()) {
            if Some(leaf?) == copy {
                return Ok(Some(LeafIndex(index)));
            }
        }
        Ok(None)
    }

    fn moved(&self) -> Result<Option<Fault>, X::Error> {
        let here = LeafIndex(self.place);
        let away = |steps| LeafIndex(self.place + steps);
        let later = gap(self.entries(self.place)?, self.leaves(self.place)?)?;
        if let Some(steps) = later {
            return Ok(Some(Fault::Moved { index: here, place: away(steps) }));
        }
        let earlier = gap(self.leaves(self.place)?, self.entries(self.place)?)?;
        Ok(earlier.map(|steps| Fault::Moved { index: away(steps), place: here }))
    }

    /// Returns the hashes of the entries from a place on.
    fn entries(&self, place: u64) -> Result<impl Iterator<Item = Result<NodeHash, X::Error>>, X::Error> {
        let entries = self.export.entries().map(|entry| entry.map(|entry| hash(&entry)));
        from(entries, place - self.first.min(place))
    }

    fn leaves(&self, index: u64) -> Result<impl Iterator<Item = Result<NodeHash, X::Error>>, X::Error> {
        from(self.export.leaves(), index)
    }
}

/// Checks whether one list is the other with its first element moved towards the end. Returns by how many
/// places, or `None` if it is not.
fn gap<E>(
    with_it_later: impl Iterator<Item = Result<NodeHash, E>>,
    with_it_first: impl Iterator<Item = Result<NodeHash, E>>,
) -> Result<Option<u64>, E> {
    let (mut later, mut first) = (with_it_later, with_it_first);
    let Some(moved) = first.next().transpose()? else { return Ok(None) };
    for steps in 0.. {
        let (here, there) = (later.next().transpose()?, first.next().transpose()?);
        if here.is_some() && here == there {
            continue;
        }
        let rest = there.map(Ok).into_iter().chain(first);
        return Ok((here == Some(moved) && same(later, rest)?).then_some(steps));
    }
    Ok(None)
}

/// Returns whether two lists are the same to their ends.
fn same<E>(
    mut one: impl Iterator<Item = Result<NodeHash, E>>,
    mut other: impl Iterator<Item = Result<NodeHash, E>>,
) -> Result<bool, E> {
    loop {
        match (one.next().transpose()?, other.next().transpose()?) {
            (None, None) => return Ok(true),
            (one, other) if one != other => return Ok(false),
            _ => {}
        }
    }
}

/// Skips `count` elements, or all.
fn from<T, E, I: Iterator<Item = Result<T, E>>>(mut all: I, count: u64) -> Result<I, E> {
    for _ in 0..count {
        if all.next().transpose()?.is_none() {
            break;
        }
    }
    Ok(all)
}

fn hash(entry: &impl AsRef<[u8]>) -> NodeHash {
    NodeHash::of_entry(entry.as_ref())
}

/// The reasons for which the stored hashes are not those of the tree.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoredError<E> {
    /// The hashes cannot be read.
    #[error("cannot read the stored hashes of the tree")]
    Read(#[source] E),
    /// A hash is missing.
    #[error("the stored hash {0} is missing")]
    Missing(StoredIndex),
    /// A hash is not that of the two below it: one of the three was changed.
    #[error("the stored hash {0} is not that of the two hashes below it")]
    Altered(StoredIndex),
    /// There are more hashes than the tree has.
    #[error("hashes are stored from position {0} on, where the tree has none")]
    Extra(StoredIndex),
    /// The hashes are those of another tree.
    #[error("the stored hashes are of the root {computed}, and the log's is {root}")]
    Root {
        /// The root of the hashes.
        computed: NodeHash,
        /// The root of the tree.
        root: NodeHash,
    },
}

/// Checks that the stored hashes of a tree, in the order of their positions, follow from its leaves, and its
/// root from them. With [`check_export`] this proves all that a log has stored.
///
/// # Errors
///
/// If the hashes cannot be read, one of them is missing or is not that of the two below it, or the root
/// differs.
pub fn check_stored<E>(
    tree: &TreeHead,
    stored: impl IntoIterator<Item = Result<NodeHash, E>>,
) -> Result<(), StoredError<E>> {
    let mut stored =
        (0..).map(StoredIndex).zip(stored.into_iter().map(Some).chain(iter::repeat_with(|| None)));
    let mut next = || {
        let (position, hash) = stored.next().unwrap_or((StoredIndex(u64::MAX), None));
        hash.transpose().map(|hash| (position, hash)).map_err(StoredError::Read)
    };
    let mut frontier = Frontier::empty();
    while frontier.size() < tree.size {
        let (position, leaf) = next()?;
        let leaf = leaf.ok_or(StoredError::Missing(position))?;
        // A tree of a checked size is never full.
        let Ok(appended) = frontier.append_leaf(leaf) else { break };
        for computed in appended.hashes.iter().skip(1) {
            let (position, hash) = next()?;
            if hash.ok_or(StoredError::Missing(position))? != *computed {
                return Err(StoredError::Altered(position));
            }
        }
    }
    if let (position, Some(_)) = next()? {
        return Err(StoredError::Extra(position));
    }
    let computed = frontier.root();
    if computed == tree.root { Ok(()) } else { Err(StoredError::Root { computed, root: tree.root }) }
}
