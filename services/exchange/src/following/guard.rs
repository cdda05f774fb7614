//! The limit of the removals of a round.

use super::alarm::Alarm;

/// Up to this many removals are always allowed, whatever their share, because small lists change a lot.
const REMOVALS_FREE: u64 = 10;

/// Stops a round that would remove too much. This is more likely a fault of the programme or its file than
/// intended.
///
/// The first round of an exchange up to its end is not limited, because programmes send withdrawals of
/// records that were never fetched.
#[derive(Debug)]
pub(crate) struct Guard {
    known: u64,
    percent: u8,
    is_first: bool,
    removed: u64,
}

impl Guard {
    pub(crate) const fn new(known: u64, percent: u8, is_first: bool) -> Self {
        Self { known, percent, is_first, removed: 0 }
    }

    /// Checks withdrawals that the programme sends, before they are applied. `count` is added to those of the
    /// round so far.
    pub(crate) fn withdrawn(&mut self, count: u64) -> Result<(), Alarm> {
        self.removed = self.removed.saturating_add(count);
        let too_many = self.removed > self.allowed(self.known);
        self.refuse_if(!self.is_first && too_many, self.removed, self.known)
    }

    /// Checks the number of records that a round would leave, by the programme's own count `total`.
    pub(crate) fn left(&self, total: u64) -> Result<(), Alarm> {
        let removed = self.known.saturating_sub(total);
        self.refuse_if(!self.is_first && removed > self.allowed(self.known), removed, self.known)
    }

    /// Checks the removals of records that a full round did not show, before any is applied. An empty list is
    /// refused too.
    pub(crate) fn unseen(&self, count: u64, known: u64) -> Result<(), Alarm> {
        let is_all = count == known && count > 0 && self.percent < 100;
        self.refuse_if(is_all || count > self.allowed(known), count, known)
    }

    fn allowed(&self, known: u64) -> u64 {
        if self.percent >= 100 {
            return u64::MAX;
        }
        (known.saturating_mul(u64::from(self.percent)) / 100).max(REMOVALS_FREE)
    }

    const fn refuse_if(&self, refused: bool, removed: u64, known: u64) -> Result<(), Alarm> {
        if refused { Err(Alarm::Removals { removed, known, percent: self.percent }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_removals_stop_a_round_and_few_do_not() {
        let mut guard = Guard::new(1_000, 20, false);
        assert_eq!((guard.withdrawn(150), guard.withdrawn(50)), (Ok(()), Ok(())));
        assert_eq!(guard.withdrawn(1), Err(Alarm::Removals { removed: 201, known: 1_000, percent: 20 }));
        assert_eq!(Guard::new(5, 20, false).withdrawn(10), Ok(()));
        assert!(Guard::new(5, 20, false).withdrawn(11).is_err());
        assert_eq!(Guard::new(5, 20, true).withdrawn(1_000), Ok(()));
        assert_eq!(Guard::new(5, 100, false).withdrawn(1_000), Ok(()));
        let guard = Guard::new(0, 20, false);
        assert!(guard.unseen(5, 5).is_err() && guard.unseen(4, 5).is_ok());
        assert!(guard.unseen(21, 100).is_err() && guard.unseen(0, 0).is_ok());
        assert_eq!(Guard::new(0, 100, false).unseen(5, 5), Ok(()));
    }
}
