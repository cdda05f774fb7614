//! Counts and logs signs that a member extracts the list.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use vigie_access::{Directories, Tally, Who};
use vigie_consortium::quotas::Sign;
use vigie_consortium::{MemberName, PrincipalId};
use vigie_model::{BankId, ItemId, MemberId};

/// A sign of extraction by one member, about one item. It holds no hash.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Alarm<'a> {
    pub(crate) member: MemberId,
    /// The name of the member; `None` if the member has just left the directory.
    pub(crate) name: Option<&'a MemberName>,
    /// The principal whose query gave the sign; `None` if the caller is not a principal.
    pub(crate) principal: Option<PrincipalId>,
    pub(crate) item: ItemId,
    /// The bank of the item, where the answer named it.
    pub(crate) bank: Option<BankId>,
    pub(crate) sign: Sign,
}

/// The receiver of alarms. It gets every alarm, at most one a day for each member, item and sign.
pub(crate) trait RaiseAlarm: fmt::Debug + Send + Sync {
    /// Handles an alarm, without waiting.
    fn raise(&self, alarm: &Alarm<'_>);
}

/// Counts alarms, and logs those that a person should look at.
#[derive(Debug, Default)]
pub(crate) struct CountedAlarms {
    counts: Family<AlarmLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AlarmLabels {
    kind: &'static str,
}

/// The signs, by their names in the metric.
const KINDS: [(Sign, &str); 3] =
    [(Sign::Positions, "positions"), (Sign::NearBudget, "near_budget"), (Sign::Canary, "canary")];

/// Alarms that are counted, logged, and reported to the audit.
#[derive(Debug)]
pub(crate) struct AuditedAlarms {
    pub(crate) counted: CountedAlarms,
    pub(crate) tally: Arc<Tally>,
    pub(crate) directories: Arc<dyn Directories>,
}

impl RaiseAlarm for AuditedAlarms {
    fn raise(&self, alarm: &Alarm<'_>) {
        self.counted.raise(alarm);
        let who = Who { member: Some(alarm.member), principal: alarm.principal };
        self.tally.alarm(who, alarm.sign, alarm.item, alarm.bank, self.directories.now());
    }
}

impl CountedAlarms {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let alarms = Self::default();
        for (_, kind) in KINDS {
            drop(alarms.counts.get_or_create(&AlarmLabels { kind }));
        }
        registry.register(
            "vigie_frontend_extraction_alarms",
            "Pairs of members and items whose queries look like an extraction of the list, each once a day, by the sign",
            alarms.counts.clone(),
        );
        alarms
    }
}

impl RaiseAlarm for CountedAlarms {
    fn raise(&self, alarm: &Alarm<'_>) {
        let Alarm { member, name, principal, item, bank, sign } = *alarm;
        let kind = KINDS.iter().find(|(one, _)| *one == sign).map_or("other", |(_, kind)| kind);
        self.counts.get_or_create(&AlarmLabels { kind }).inc();
        let (member, item) = (member.0, item.0);
        let name = name.map_or("", MemberName::as_str);
        let (principal, bank) = (principal.map(|principal| principal.0), bank.map(|bank| bank.0));
        match sign {
            Sign::Positions => tracing::warn!(
                member,
                name,
                ?principal,
                item,
                ?bank,
                "near queries of an item cover more bits than copies of a picture do: its hash is being probed"
            ),
            Sign::Canary => tracing::warn!(
                member,
                name,
                ?principal,
                item,
                ?bank,
                "a canary was matched: the list is being probed, or has leaked"
            ),
            // A popular picture spends the budget as well.
            Sign::NearBudget => {
                tracing::debug!(member, name, ?principal, item, ?bank, "a near-query budget is spent")
            }
        }
    }
}
