//! Holds: by whose will an item matches for nobody, until the will is taken back or ends.

use vigie_model::UnixMillis;

use crate::expiry::Expiry;

/// Who holds an item. Each lifts its own hold alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// The owner of the bank.
    Owner,
    /// The operator of the deployment.
    Operator,
    /// The bank itself: every member on whose word the item is there is quarantined, and the bank belongs to
    /// another.
    Quarantine,
    /// The bank itself, by its charter: members call the item wrong, or a dispute about it was not resolved
    /// in time.
    Charter,
}

impl Holder {
    /// All holders.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Operator, Self::Quarantine, Self::Charter];

    /// The word for commands and scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Operator => "operator",
            Self::Quarantine => "quarantine",
            Self::Charter => "charter",
        }
    }
}

/// The will of one holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Whose will it is.
    pub holder: Holder,
    /// Since when.
    pub since: UnixMillis,
    /// When it ends by itself.
    pub until: Expiry,
}

/// The holds of an item, of each holder one at most, in the order of [`Holder`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holds(Vec<Hold>);

impl Holds {
    /// These holds; of each holder the last one.
    #[must_use]
    pub fn new(holds: impl IntoIterator<Item = Hold>) -> Self {
        holds.into_iter().fold(Self::default(), |holds, hold| holds.with(hold))
    }

    /// Whether the item matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The holds, in the order of [`Holder`].
    pub fn iter(&self) -> impl Iterator<Item = Hold> {
        self.0.iter().copied()
    }

    /// The hold of a holder.
    #[must_use]
    pub fn of(&self, holder: Holder) -> Option<Hold> {
        self.iter().find(|hold| hold.holder == holder)
    }

    /// With a hold, in the place of the one that its holder has. One that is there and only gets another end
    /// began when it began.
    #[must_use]
    pub fn with(&self, hold: Hold) -> Self {
        let since = self.of(hold.holder).map_or(hold.since, |before| before.since);
        let mut holds = self.without(hold.holder);
        let at = holds.0.partition_point(|other| other.holder < hold.holder);
        holds.0.insert(at, Hold { since, ..hold });
        holds
    }

    /// Without the hold of a holder.
    #[must_use]
    pub fn without(&self, holder: Holder) -> Self {
        Self(self.iter().filter(|hold| hold.holder != holder).collect())
    }

    /// Without those that have ended.
    #[must_use]
    pub fn without_ended(&self, now: UnixMillis) -> Self {
        Self(self.iter().filter(|hold| !hold.until.is_over(now)).collect())
    }

    /// When the first of them ends by itself.
    #[must_use]
    pub fn first_end(&self) -> Expiry {
        self.iter().filter_map(|hold| hold.until.moment()).min().map_or(Expiry::NEVER, Expiry::at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(holder: Holder, since: u64, until: u64) -> Hold {
        Hold { holder, since: UnixMillis(since), until: Expiry::from_wire(until) }
    }

    #[test]
    fn each_holder_has_one_hold_and_lifts_its_own() {
        let (owner, operator) = (hold(Holder::Owner, 5, 0), hold(Holder::Operator, 3, 20));
        let both = Holds::new([operator, owner]);
        assert_eq!(both.iter().collect::<Vec<_>>(), [owner, operator]);
        assert_eq!(both.first_end(), Expiry::at(UnixMillis(20)));
        let longer = both.with(hold(Holder::Operator, 9, 40));
        assert_eq!(longer.of(Holder::Operator), Some(hold(Holder::Operator, 3, 40)));
        let owners = both.without(Holder::Operator);
        assert_eq!(owners, Holds::new([owner]));
        assert_eq!(owners.first_end(), Expiry::NEVER);
        assert!(owners.without(Holder::Owner).is_empty());
    }

    #[test]
    fn a_hold_ends_by_itself_at_its_end_and_not_before() {
        let holds = Holds::new([hold(Holder::Owner, 1, 10), hold(Holder::Operator, 1, 0)]);
        assert_eq!(holds.without_ended(UnixMillis(9)), holds);
        assert_eq!(holds.without_ended(UnixMillis(10)), holds.without(Holder::Owner));
    }
}
