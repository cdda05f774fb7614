//! `vigie item revert`: undoes in one bank what a member has added to it and removed from it since a moment.
//!
//! What it added goes, unless another member has submitted it too; what it removed comes back, as long as its
//! bytes are in the bank. What the member said of items that others added stays as it is.

use std::collections::HashMap;

use vigie_clients::{BankClient, CallError, Code, DescribedItem, IdempotencyKey, RemovedItem};
use vigie_consortium::MemberId;
use vigie_model::{BankRef, ItemId, UnixMillis};

use crate::cli::ItemRevertArgs;
use crate::commands::bank_address::connect;
use crate::commands::date::{date, now, to_the_second};
use crate::commands::deadline::deadline;
use crate::output::{Exit, Output, counted};

/// Items of one page, and of one removal.
const PAGE: u16 = 1_000;
/// Items that are brought back in one call: the bank takes as many of the longest videos.
const RESTORED_AT_ONCE: usize = 150;

/// What is to be undone.
#[derive(Debug, Default)]
struct Undoing {
    /// Items to be removed.
    added: Vec<ItemId>,
    /// Items that another member has submitted too, which stay.
    shared: Vec<ItemId>,
    /// Items to be brought back.
    removed: Vec<ItemId>,
}

pub(super) async fn run(args: ItemRevertArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let ItemRevertArgs { bank, member, since, dry_run, address } = args;
    // To the second, as it can be typed.
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
        // What was removed may be there again by what is to go: it comes back after that.
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

/// Whether the bank has noted a removal that a second person has to ask for.
fn needs_second(error: &CallError) -> bool {
    error.code() == Code::FailedPrecondition
}

/// Finds what a member has done in a bank.
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
                // An item that was brought back is newer than the word by which it is there.
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

    /// An item before all that were added since: ids ascend as time does, so that it is found by halving.
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

    /// Whether the member added an item: by its first submission, or by its word alone.
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
        // A list has the ids of members, and an item by itself their names.
        let described = self.client.describe_item(item.id, deadline(self.timeout_ms)).await?.value;
        let is_it = described.contributor == self.member;
        names.insert(item.contributor_id, described.contributor);
        Ok(is_it)
    }

    /// What the member has removed since of what was there before: items up to `before`, and those that were
    /// brought back.
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
