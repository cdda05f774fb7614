//! Counts of calls on their way into the audit.
//!
//! A refusal, a search, or a read of members is not worth a transaction of its own. It is counted here
//! together with equal calls of the same caller, and reported some seconds later; searches are reported once
//! an hour.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tonic::Code;
use vigie_consortium::quotas::Sign;
use vigie_consortium::rights::Audited;
use vigie_consortium::{Method, PrincipalId};
use vigie_model::{BankId, ItemId, MemberId, UnixMillis};

/// The most counts that are kept; further calls are counted without their callers.
const COUNTS_MAX: usize = 10_000;

/// The member and the principal of a call, if they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Who {
    /// The member; `None` for no member.
    pub member: Option<MemberId>,
    /// The principal; `None` for an unknown caller, and for processes of the deployment.
    pub principal: Option<PrincipalId>,
}

/// The event that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counts {
    /// Calls of a method that ended with a code.
    Calls(Method, Code),
    /// Signs of this kind of an extraction of the list, about one item, whose bank may be known.
    Alarms(Sign, ItemId, Option<BankId>),
}

/// A counted event in the audit's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The path of the method, or the name of the alarm.
    pub action: &'static str,
    /// The code that the calls ended with.
    pub code: Code,
    /// The item that the alarm is about.
    pub item: Option<ItemId>,
    /// The bank of the item.
    pub bank: Option<BankId>,
}

impl Counts {
    /// Returns the event in the audit's form.
    #[must_use]
    pub const fn event(self) -> Event {
        match self {
            Self::Calls(method, code) => Event { action: method.path(), code, item: None, bank: None },
            Self::Alarms(sign, item, bank) => {
                Event { action: sign.event(), code: Code::Ok, item: Some(item), bank }
            }
        }
    }
}

/// The key of a count: equal events of one caller share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    who: Who,
    counts: Counts,
}

/// Calls or alarms of one caller and one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The caller.
    pub who: Who,
    /// The event that was counted.
    pub counts: Counts,
    /// Number of calls or alarms.
    pub calls: u64,
    /// Number of items in the answers.
    pub items: u64,
    /// The time of the first of them.
    pub since: UnixMillis,
}

/// Counts of calls that were not taken yet.
#[derive(Default)]
pub struct Tally(Mutex<HashMap<Kind, Counted>>);

impl Tally {
    /// Counts a call, unless calls of its method are never recorded.
    pub fn count(&self, who: Who, method: Method, code: Code, items: u64, now: UnixMillis) {
        if method.audited() == Audited::Never {
            return;
        }
        self.add(Kind { who, counts: Counts::Calls(method, code) }, items, now);
    }

    /// Counts a sign of an extraction of the list by a caller.
    pub fn alarm(&self, who: Who, sign: Sign, item: ItemId, bank: Option<BankId>, now: UnixMillis) {
        self.add(Kind { who, counts: Counts::Alarms(sign, item, bank) }, 1, now);
    }

    fn add(&self, kind: Kind, items: u64, now: UnixMillis) {
        let mut held = self.held();
        let kind = if held.len() < COUNTS_MAX || held.contains_key(&kind) {
            kind
        } else {
            let counts = match kind.counts {
                Counts::Calls(..) => kind.counts,
                Counts::Alarms(sign, ..) => Counts::Alarms(sign, ItemId(0), None),
            };
            Kind { who: Who::default(), counts }
        };
        let Kind { who, counts } = kind;
        let counted = held.entry(kind).or_insert(Counted { who, counts, calls: 0, items: 0, since: now });
        counted.calls += 1;
        counted.items += items;
    }

    /// Takes the counts that are recorded within seconds: all except answered searches.
    #[must_use]
    pub fn take(&self) -> Vec<Counted> {
        self.held().extract_if(|kind, _| !is_search(kind)).map(|(_, counted)| counted).collect()
    }

    /// Takes all counts.
    #[must_use]
    pub fn take_all(&self) -> Vec<Counted> {
        self.held().drain().map(|(_, counted)| counted).collect()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Kind, Counted>> {
        // Nothing that holds this lock panics halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether these are answered searches.
fn is_search(kind: &Kind) -> bool {
    matches!(kind.counts, Counts::Calls(method, Code::Ok) if method.audited() == Audited::Searched)
}

/// Shows the number of counts.
impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tally({} counts)", self.held().len())
    }
}

/// Returns whether a call that ended with this code was refused.
pub(crate) const fn is_refusal(code: Code) -> bool {
    matches!(code, Code::Unauthenticated | Code::PermissionDenied | Code::NotFound | Code::ResourceExhausted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(member: u32) -> Who {
        Who { member: Some(MemberId(member)), principal: Some(PrincipalId(member.into())) }
    }

    #[test]
    fn calls_of_one_kind_are_one_count_and_searches_wait() {
        let tally = Tally::default();
        let count = |member, method, code, now| tally.count(who(member), method, code, 2, UnixMillis(now));
        for now in 5..8 {
            count(2, Method::AddItems, Code::PermissionDenied, now);
            count(2, Method::Match, Code::Ok, now);
        }
        count(3, Method::AddItems, Code::PermissionDenied, 9);
        count(2, Method::HealthCheck, Code::NotFound, 9);
        tally.alarm(who(4), Sign::Canary, ItemId(7), Some(BankId(1)), UnixMillis(9));
        let mut taken = tally.take();
        taken.sort_unstable_by_key(|counted| counted.who);
        let figures = |counted: &Counted| (counted.who, counted.calls, counted.items, counted.since.0);
        assert_eq!(
            taken.iter().map(figures).collect::<Vec<_>>(),
            [(who(2), 3, 6, 5), (who(3), 1, 2, 9), (who(4), 1, 1, 9)]
        );
        assert_eq!(tally.take(), []);
        let searches = tally.take_all();
        assert_eq!(searches.iter().map(figures).collect::<Vec<_>>(), [(who(2), 3, 6, 5)]);
        assert_eq!(tally.take_all(), []);
    }

    #[test]
    fn the_counts_are_bounded_and_no_call_is_lost() {
        let tally = Tally::default();
        for member in 0..12_000 {
            tally.count(who(member), Method::Match, Code::NotFound, 0, UnixMillis(1));
        }
        for item in 0..100 {
            tally.alarm(who(1), Sign::Canary, ItemId(item), None, UnixMillis(1));
        }
        let taken = tally.take();
        assert_eq!(taken.len(), COUNTS_MAX + 2);
        assert_eq!(taken.iter().map(|counted| counted.calls).sum::<u64>(), 12_100);
    }
}
