//! How much waits for a person, by kind: for the first page and for the tabs of the queue.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use vigie_clients::{CasesAfter, ListedDispute};
use vigie_consortium::DocumentKey;
use vigie_consortium::rights::Method;

use crate::console::page::Failed;
use crate::console::visit::Visit;

/// The most that is counted of a kind; a page of the queue has as many rows.
pub(super) const PAGE: u16 = 100;
/// How long a count may take. The page comes without it then.
const WITHIN: Duration = Duration::from_secs(2);
/// Calls for one page of disputes, which the bank reads among those of all members.
const CALLS_MAX: usize = 4;

/// A kind of what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Decisions with the verdict REVIEW of which nobody has said what became of them.
    Decisions,
    /// Disputes about items of own banks.
    Disputes,
    /// Items that are held for the member alone, by flood control or by the member itself.
    Held,
    /// Items that other members have to confirm.
    Probation,
}

impl Kind {
    /// All kinds, in the order of the tabs.
    pub(super) const ALL: [Self; 4] = [Self::Decisions, Self::Disputes, Self::Held, Self::Probation];

    /// The word in a query.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Decisions => "decisions",
            Self::Disputes => "disputes",
            Self::Held => "held",
            Self::Probation => "probation",
        }
    }

    /// The methods by which it is read, all of them needed.
    const fn methods(self) -> &'static [Method] {
        match self {
            Self::Decisions => &[Method::ListDecisions],
            Self::Disputes => &[Method::ListDisputes],
            Self::Held => &[Method::ListMemberHolds],
            Self::Probation => &[Method::ListBanks, Method::GetCharter, Method::ListItems],
        }
    }

    /// Whether the person may see any of this kind.
    pub(super) fn is_open(self, visit: &Visit) -> bool {
        self.methods().iter().all(|method| visit.may(*method))
    }
}

/// How much there is, as far as it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    /// As many, at least.
    pub(crate) least: u64,
    /// Whether there may be more.
    pub(crate) has_more: bool,
    /// How many of them are overdue.
    pub(crate) overdue: u64,
}

/// What waits of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    /// The kind.
    pub(crate) kind: Kind,
    /// How much; `None` where it is not counted, or where the bank did not answer in time.
    pub(crate) count: Option<Count>,
}

impl Waiting {
    /// What it is, in words.
    pub(crate) fn label(&self, visit: &Visit) -> &'static str {
        let name = self.kind.name();
        visit.t(&format!("review.kind.{name}"))
    }

    /// The page on which it is worked on.
    pub(crate) fn link(&self) -> String {
        format!("/console/review?kind={}", self.kind.name())
    }

    /// The number in figures, such as `12` or `100+`; "?" where it is not known.
    pub(crate) fn number(&self, visit: &Visit) -> String {
        self.count.map_or_else(
            || "?".to_owned(),
            |count| {
                let least = visit.language.number(count.least);
                if count.has_more { format!("{least}+") } else { least }
            },
        )
    }
}

/// What waits for the person, of each kind that is counted and that the person may see. A few short calls at once; a bank that does not
/// answer leaves counts out, and no page.
pub(crate) async fn waiting(visit: &Visit) -> Vec<Waiting> {
    let counted = [Kind::Decisions, Kind::Disputes, Kind::Held];
    let open = counted.into_iter().filter(|kind| kind.is_open(visit));
    join_all(open.map(async |kind| Waiting { kind, count: count(visit, kind).await.ok() })).await
}

async fn count(visit: &Visit, kind: Kind) -> Result<Count, Failed> {
    let until = visit.caller.deadline_within(Some(WITHIN));
    let of = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    Ok(match kind {
        Kind::Decisions => {
            let first = CasesAfter { limit: Some(PAGE), ..CasesAfter::default() };
            let (waiting, next) = visit.caller.decisions().list_waiting(first, None, until).await?;
            Count { least: of(waiting.len()), has_more: !next.is_empty(), overdue: 0 }
        }
        Kind::Disputes => {
            let (disputes, next) = disputes(visit, None, until).await?;
            let own = disputes.iter().filter(|dispute| is_own(visit, dispute));
            let overdue = own.clone().filter(|dispute| dispute.due_at < visit.now).count();
            Count { least: of(own.count()), has_more: next.is_some(), overdue: of(overdue) }
        }
        Kind::Held => {
            let held = visit.caller.opinions().list_member_holds(None, PAGE, until).await?;
            Count { least: of(held.len()), has_more: held.len() >= usize::from(PAGE), overdue: 0 }
        }
        Kind::Probation => Count::default(),
    })
}

/// A page of open disputes, those that are due first before others, and where the next page begins.
pub(super) async fn disputes(
    visit: &Visit,
    mut after: Option<DocumentKey>,
    until: Instant,
) -> Result<(Vec<ListedDispute>, Option<DocumentKey>), Failed> {
    let (opinions, mut found) = (visit.caller.opinions(), Vec::new());
    for _ in 0..CALLS_MAX {
        let room = usize::from(PAGE).saturating_sub(found.len());
        let Some(room) = u16::try_from(room).ok().filter(|room| *room > 0) else { break };
        let page = opinions.list_disputes(false, after.as_ref(), room, until).await?;
        found.extend(page.disputes);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok((found, after))
}

/// Whether a dispute is about an item of a bank of the person's own member, by the name of the bank. The name of a bank that another member
/// shares has its owner, unless the person's member calls it otherwise.
pub(super) fn is_own(visit: &Visit, dispute: &ListedDispute) -> bool {
    let own = visit.who.as_ref().map(|who| &who.member.name);
    dispute.bank.owner.as_ref().is_none_or(|owner| Some(owner) == own)
}
