//! The content that a programme shares, and its changes.

use std::collections::BTreeMap;

use vigie_consortium::Class;
use vigie_formats::programme::{Key, Record};
use vigie_model::{Hash, UnixMillis};

/// A shared thing. Its hash is computed from its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thing {
    /// The time of its last change, in seconds.
    pub(crate) at: u64,
    pub(crate) is_gone: bool,
    /// Whether it has the second classification.
    pub(crate) is_second_class: bool,
    /// The opinions of the programme's members.
    pub(crate) said: Said,
}

/// The opinions of a programme's members about a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Nothing,
    Right,
    Wrong,
    /// The word for a match that was seen, if the programme has one; otherwise nothing.
    Seen,
    /// Some members have one opinion, and some the other.
    Both,
}

impl Said {
    pub(crate) const ALL: [Self; 5] = [Self::Nothing, Self::Right, Self::Wrong, Self::Seen, Self::Both];

    pub(crate) const fn is_right(self) -> bool {
        matches!(self, Self::Right | Self::Both)
    }

    pub(crate) const fn is_wrong(self) -> bool {
        matches!(self, Self::Wrong | Self::Both)
    }

    /// Returns another opinion for each change of a thing.
    fn after(former: Option<&Thing>, number: u8) -> Self {
        let at = former.map_or(usize::from(number), |thing| {
            1 + Self::ALL.iter().position(|one| *one == thing.said).unwrap()
        });
        Self::ALL[at % Self::ALL.len()]
    }
}

/// The content of a programme.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) now: u64,
    pub(crate) things: BTreeMap<u8, Thing>,
    /// All changes of things, in order: the new state, or `None` if it was removed.
    pub(crate) journal: Vec<(u8, Option<Thing>)>,
}

impl Default for Model {
    fn default() -> Self {
        Self { now: 1_700_000_000, things: BTreeMap::new(), journal: Vec::new() }
    }
}

/// A change of the content.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    Put(u8),
    Withdraw(u8),
    /// Seconds pass. Without it, changes have the same time.
    Wait(u8),
}

impl Model {
    pub(crate) fn of(changes: &[Change]) -> Self {
        let mut model = Self::default();
        model.change(changes);
        model
    }

    pub(crate) fn change(&mut self, changes: &[Change]) {
        for change in changes {
            match *change {
                Change::Wait(seconds) => self.now += u64::from(seconds),
                Change::Put(number) => {
                    let is_second_class =
                        self.things.get(&number).is_some_and(|thing| !thing.is_second_class);
                    let said = Said::after(self.things.get(&number), number);
                    let thing = Thing { at: self.now, is_gone: false, is_second_class, said };
                    self.things.insert(number, thing);
                    self.journal.push((number, Some(thing)));
                }
                Change::Withdraw(number) => {
                    if let Some(thing) = self.things.get_mut(&number) {
                        if !thing.is_gone {
                            self.journal.push((number, None));
                        }
                        (thing.at, thing.is_gone) = (self.now, true);
                    }
                }
            }
        }
    }

    /// Lets time pass, until a follower that stays behind the present sees everything.
    pub(crate) fn settle(&mut self) {
        self.now += 10;
    }

    pub(crate) fn hash(number: u8) -> Hash {
        Hash::md5([number.wrapping_add(1).max(1); 16])
    }

    pub(crate) fn record(number: u8, thing: &Thing) -> Record {
        let class = if thing.is_second_class { "A2" } else { "A1" };
        Record {
            withdrawn: thing.is_gone,
            hashes: vec![Self::hash(number)],
            classes: vec![Class::new("ncmec", "classification", class).unwrap()],
            labels: vec![if thing.is_second_class { "far-right" } else { "islamist" }.to_owned()],
            changed_at: Some(UnixMillis(thing.at * 1_000)),
            ..Record::new(Key::new(&format!("key-{number}")).unwrap())
        }
    }

    /// Returns everything, withdrawn things included, by time and then by number.
    pub(crate) fn by_time(&self) -> Vec<(u8, Thing)> {
        let mut list: Vec<(u8, Thing)> =
            self.things.iter().map(|(number, thing)| (*number, *thing)).collect();
        list.sort_by_key(|(number, thing)| (thing.at, *number));
        list
    }
}
