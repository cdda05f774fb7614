//! The number of open tasks of a person, by kind: for the first page and for the tabs of the queue.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use vigie_clients::{CasesAfter, ListedDispute};
use vigie_consortium::DocumentKey;
use vigie_consortium::rights::Method;

use crate::console::page::Failed;
use crate::console::visit::Visit;

/// The highest count of a kind, and the number of rows on a page of the queue.
pub(super) const PAGE: u16 = 100;
/// The deadline of a count. The page is shown without the count after it.
const WITHIN: Duration = Duration::from_secs(2);
/// The most calls for one page of disputes, since the bank pages through the disputes of all members.
const CALLS_MAX: usize = 4;

/// A kind of task that waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Decisions with the verdict REVIEW that have no outcome yet.
    Decisions,
    /// Disputes about items of the member's own banks.
    Disputes,
    /// Items that are held for the member alone, by flood control or by the member itself.
    Held,
    /// Items that need confirmations by other members.
    Probation,
}

impl Kind {
    /// All kinds, in the order of the tabs.
    pub(super) const ALL: [Self; 4] = [Self::Decisions, Self::Disputes, Self::Held, Self::Probation];

    /// Returns the name of the kind in a query.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Decisions => "decisions",
            Self::Disputes => "disputes",
            Self::Held => "held",
            Self::Probation => "probation",
        }
    }

    /// Returns the methods that read this kind. The person needs all of them.
    const fn methods(self) -> &'static [Method] {
        match self {
            Self::Decisions => &[Method::ListDecisions],
            Self::Disputes => &[Method::ListDisputes],
            Self::Held => &[Method::ListMemberHolds],
            Self::Probation => &[Method::ListBanks, Method::GetCharter, Method::ListItems],
        }
    }

    /// Returns whether the person may see tasks of this kind.
    pub(super) fn is_open(self, visit: &Visit) -> bool {
        self.methods().iter().all(|method| visit.may(*method))
    }
}

/// A count of tasks, up to a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    /// The number that was counted: the least number of tasks.
    pub(crate) least: u64,
    /// Whether there may be more.
    pub(crate) has_more: bool,
    /// The number of overdue tasks among them.
    pub(crate) overdue: u64,
}

/// The open tasks of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    /// The kind.
    pub(crate) kind: Kind,
    /// The count; `None` if the kind is not counted, or the bank did not answer in time.
    pub(crate) count: Option<Count>,
}

impl Waiting {
    /// Returns the name of the kind, for people.
    pub(crate) fn label(&self, visit: &Visit) -> &'static str {
        let name = self.kind.name();
        visit.t(&format!("review.kind.{name}"))
    }

    /// Returns the link to the tab of the kind.
    pub(crate) fn link(&self) -> String {
        format!("/console/review?kind={}", self.kind.name())
    }

    /// Formats the count, such as `12` or `100+`; "?" if it is unknown.
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

/// Returns the open tasks of each kind that is counted and that the person may see. Makes a few short calls
/// concurrently. If the bank does not answer, counts are missing and the page is still shown.
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

/// Returns a page of open disputes, the earliest due date first, and the cursor of the next page.
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

/// Returns whether a dispute is about an item of a bank of the person's own member, by the name of the bank.
/// The name of a bank that another member shares includes its owner, unless the person's member has given it
/// another name.
pub(super) fn is_own(visit: &Visit, dispute: &ListedDispute) -> bool {
    let own = visit.who.as_ref().map(|who| &who.member.name);
    dispute.bank.owner.as_ref().is_none_or(|owner| Some(owner) == own)
}
