//! `vigie item revert`: undoes in one bank the additions and removals of a member since a given time.
//!
//! Items that the member added are removed, unless another member has submitted them too. Items that it
//! removed are restored, as long as the bank still has their bytes. The member's opinions about items of
//! others are not changed.

use std::collections::HashMap;

use vigie_clients::{BankClient, CallError, Code, DescribedItem, IdempotencyKey, RemovedItem};
use vigie_consortium::MemberId;
use vigie_model::{BankRef, ItemId, UnixMillis};

use crate::cli::ItemRevertArgs;
use crate::commands::bank_address::connect;
use crate::commands::date::{date, now, to_the_second};
use crate::commands::deadline::deadline;
use crate::output::{Exit, Output, counted};

/// Maximum number of items in one page, and in one removal.
const PAGE: u16 = 1_000;
/// Maximum number of items that are restored in one call. The bank accepts this many even if all are the
/// longest videos.
const RESTORED_AT_ONCE: usize = 150;

/// The items to undo.
#[derive(Debug, Default)]
struct Undoing {
    /// Items to remove.
    added: Vec<ItemId>,
    /// Items that another member has submitted too; they stay.
    shared: Vec<ItemId>,
    /// Items to restore.
    removed: Vec<ItemId>,
}

pub(super) async fn run(args: ItemRevertArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let ItemRevertArgs { bank, member, since, dry_run, address } = args;
    // The time is rounded down to a second, so that it can be typed again as an argument.
    let since = UnixMillis(since.moment(now()).0 / 1_000 * 1_000);
    let (client, _) = connect(&address, output)?;
    let reading = Reading {
        client: &client,
        bank: &bank,
        member: member.as_str(),
        since,
        timeout_ms: address.timeout_ms,
    };
    let Undoing { added, shared, removed } = reading.find().await?;
    let count = |items: &[ItemId]| u64::try_from(items.len()).unwrap_or(u64::MAX);
    output.say(format!(
        "since {} UTC {member} added {} to {bank}, and removed {} that can be brought back",
        date(since),
        counted(count(&added), "item"),
        counted(count(&removed), "item"),
    ))?;
    if !shared.is_empty() {
        let items = counted(count(&shared), "item");
        output.note(format!("{items} that {member} added were submitted by others too, and stay"));
    }
    let numbers = |items: &[ItemId]| items.iter().map(|item| item.0).collect::<Vec<_>>();
    let (mut new_ids, mut asked_for_two) = (Vec::new(), false);
    if !dry_run {
        for items in added.chunks(PAGE.into()) {
            let deadline = deadline(address.timeout_ms);
            match client.remove_items(items, IdempotencyKey::random(), deadline).await {
                Ok(_) => {}
                Err(error) if needs_second(&error) => {
                    if !std::mem::replace(&mut asked_for_two, true) {
                        output.note(error.to_string());
                        output.note(format!(
                            "the second person runs: vigie item revert {bank} --member {member} --since {}",
                            to_the_second(since)
                        ));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        // Removed items may have been added again by items that are now removed, so they are restored
        // afterwards.
        for items in removed.chunks(RESTORED_AT_ONCE).filter(|_| !asked_for_two) {
            let deadline = deadline(address.timeout_ms);
            let restored = client.restore_items(items, IdempotencyKey::random(), deadline).await?;
            new_ids.extend(restored.value);
        }
        let done = if asked_for_two { "asked for the removal of" } else { "removed" };
        output.say(format!(
            "{done} {}, brought {} back",
            counted(count(&added), "item"),
            counted(count(&new_ids), "item")
        ))?;
    }
    output.object(&serde_json::json!({
        "added": numbers(&added), "shared": numbers(&shared), "removed": numbers(&removed),
        "restored": numbers(&new_ids), "dry_run": dry_run, "needs_second_person": asked_for_two,
    }))?;
    Ok(if asked_for_two { Exit::SomeInputsFailed } else { Exit::Done })
}

/// Returns whether the bank has recorded the removal and waits for a second person to request it too.
fn needs_second(error: &CallError) -> bool {
    error.code() == Code::FailedPrecondition
}

/// Finds the additions and removals of a member in a bank.
struct Reading<'a> {
    client: &'a BankClient,
    bank: &'a BankRef,
    member: &'a str,
    since: UnixMillis,
    timeout_ms: u64,
}

impl Reading<'_> {
    async fn find(&self) -> anyhow::Result<Undoing> {
        let mut after = self.last_before().await?;
        let mut undoing = Undoing { removed: self.removed(after).await?, ..Undoing::default() };
        let mut names = HashMap::new();
        loop {
            let page =
                self.client.describe_items(self.bank, Some(after), PAGE, deadline(self.timeout_ms)).await?;
            for item in &page.value.items {
                // A restored item has a newer `added_at` than the submission that it was restored for.
                let said_at = item.submissions.first().map_or(item.added_at, |(_, first)| first.at);
                if said_at < self.since || !self.is_of_member(item, &mut names).await? {
                    continue;
                }
                let is_shared = item.submissions.iter().any(|(member, _)| member != self.member);
                let list = if is_shared { &mut undoing.shared } else { &mut undoing.added };
                list.push(item.id);
            }
            match page.value.next_after {
                Some(next) => after = next,
                None => return Ok(undoing),
            }
        }
    }

    /// Returns an item that is older than all items added since then. Ids increase with time, so a binary
    /// search finds it.
    async fn last_before(&self) -> anyhow::Result<ItemId> {
        let (mut before, mut beyond) = (0, self.client.log_head(deadline(self.timeout_ms)).await?.sequence.0);
        while beyond - before > 1 {
            let middle = before + (beyond - before) / 2;
            let page =
                self.client.list_items(self.bank, Some(ItemId(middle)), 1, deadline(self.timeout_ms)).await?;
            match page.items.first() {
                Some(item) if item.added_at < self.since => before = item.id.0.max(middle),
                Some(_) | None => beyond = middle,
            }
        }
        Ok(ItemId(before))
    }

    /// Returns whether the member added an item: it made the first submission or, if there are no
    /// submissions, it is the item's contributor.
    async fn is_of_member(
        &self,
        item: &DescribedItem,
        names: &mut HashMap<MemberId, String>,
    ) -> anyhow::Result<bool> {
        if let Some((first, _)) = item.submissions.first() {
            return Ok(first == self.member);
        }
        if let Some(name) = names.get(&item.contributor_id) {
            return Ok(name == self.member);
        }
        // A list contains only the ids of members; the description of a single item contains their names.
        let described = self.client.describe_item(item.id, deadline(self.timeout_ms)).await?.value;
        let is_it = described.contributor == self.member;
        names.insert(item.contributor_id, described.contributor);
        Ok(is_it)
    }

    /// Returns the items that the member has removed since then and that existed before: by the time of their
    /// submission or, if it is not known, by an id up to `before`. A restored item has a new id, but an old
    /// submission.
    async fn removed(&self, before: ItemId) -> anyhow::Result<Vec<ItemId>> {
        let (mut removed, mut after) = (Vec::new(), None);
        loop {
            let page =
                self.client.list_removed_items(self.bank, after, PAGE, deadline(self.timeout_ms)).await?;
            let was_there = |one: &RemovedItem| match one.submitted_at {
                Some(at) => at < self.since,
                None => one.id <= before,
            };
            let is_undone = |one: &&RemovedItem| {
                one.removed_by == self.member && one.removed_at >= self.since && was_there(one)
            };
            removed.extend(page.iter().filter(is_undone).map(|one| one.id));
            match page.last() {
                Some(last) if page.len() >= usize::from(PAGE) => after = Some(last.id),
                _ => return Ok(removed),
            }
        }
    }
}
