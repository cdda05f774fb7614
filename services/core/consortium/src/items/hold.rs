//! Holds: while an item has at least one hold, it matches for nobody. A hold ends when it is lifted or
//! expires.

use vigie_model::UnixMillis;

use crate::expiry::Expiry;

/// The party that holds an item. Each party can lift only its own hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// The owner of the bank.
    Owner,
    /// The operator of the deployment.
    Operator,
    /// The bank service itself: every member that submitted the item is quarantined, and the bank belongs to
    /// another member.
    Quarantine,
    /// The bank service, under the bank's charter: members have negative opinions on the item, or a dispute
    /// about it was not resolved in time.
    Charter,
}

impl Holder {
    /// All holders.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Operator, Self::Quarantine, Self::Charter];

    /// Returns the word for commands and scripts.
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

/// A hold by one holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// The holder.
    pub holder: Holder,
    /// The start of the hold.
    pub since: UnixMillis,
    /// The time at which it ends without being lifted.
    pub until: Expiry,
}

/// The holds of an item: at most one for each holder, in the order of [`Holder`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holds(Vec<Hold>);

impl Holds {
    /// Builds the set of holds; the last one for each holder counts.
    #[must_use]
    pub fn new(holds: impl IntoIterator<Item = Hold>) -> Self {
        holds.into_iter().fold(Self::default(), |holds, hold| holds.with(hold))
    }

    /// Whether there are no holds, so that the item matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the holds, in the order of [`Holder`].
    pub fn iter(&self) -> impl Iterator<Item = Hold> {
        self.0.iter().copied()
    }

    /// Returns the hold of a holder.
    #[must_use]
    pub fn of(&self, holder: Holder) -> Option<Hold> {
        self.iter().find(|hold| hold.holder == holder)
    }

    /// Returns the holds with `hold` added, in place of its holder's earlier one. A replaced hold keeps its
    /// original start.
    #[must_use]
    pub fn with(&self, hold: Hold) -> Self {
        let since = self.of(hold.holder).map_or(hold.since, |before| before.since);
        let mut holds = self.without(hold.holder);
        let at = holds.0.partition_point(|other| other.holder < hold.holder);
        holds.0.insert(at, Hold { since, ..hold });
        holds
    }

    /// Returns the holds without that of a holder.
    #[must_use]
    pub fn without(&self, holder: Holder) -> Self {
        Self(self.iter().filter(|hold| hold.holder != holder).collect())
    }

    /// Returns the holds without those that have ended.
    #[must_use]
    pub fn without_ended(&self, now: UnixMillis) -> Self {
        Self(self.iter().filter(|hold| !hold.until.is_over(now)).collect())
    }

    /// Returns the earliest expiry of the holds.
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
