//! An item search: its form, and the items found.

use std::time::{Duration, Instant};

use serde::Deserialize;
use time::{Date, Month};
use vigie_clients::{BankClient, ItemSearch};
use vigie_formats::files::any_hash;
use vigie_model::{BankRef, Item, ItemContent, ItemId, MemberId, MemberName, UnixMillis};

use crate::console::page::Failed;
use crate::console::pages::known::links::gone;
use crate::console::visit::Visit;
use crate::problem::Problem;

/// The most items of a page.
const SIZE: u16 = 100;
/// The most items read per page from a bank that is filtered by contributor and time.
const LISTED: u16 = 1_000;
/// The time within which one page may read further parts of the banks.
const READ_FOR: Duration = Duration::from_millis(300);
/// The most probes for the first item after a time; a sequence has 64 bits.
const PROBES_MAX: usize = 64;
/// A day, in milliseconds.
const DAY: u64 = 86_400_000;

/// The fields of the form.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// A hash, an external reference, a label or the id of an item.
    pub(super) q: String,
    /// The bank; empty for all.
    pub(super) bank: String,
    /// The member that added the item.
    pub(super) by: String,
    /// The first day on which the item was added.
    pub(super) from: String,
    /// The last day on which the item was added.
    pub(super) to: String,
    /// The id after which the page begins.
    pub(super) after: Option<u64>,
}

/// The parsed search.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    search: ItemSearch,
    by: Option<MemberId>,
    from: Option<UnixMillis>,
    /// Exclusive.
    to: Option<UnixMillis>,
}

/// The items found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The items in the order of ids, each with the name of its bank.
    pub(super) items: Vec<(Item, BankRef)>,
    /// The id after which the next page begins; `None` after the last page.
    pub(super) next: Option<ItemId>,
    /// The number of items read.
    pub(super) read: u64,
}

impl Asked {
    /// Whether the search is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.q.trim().is_empty() && self.bank.is_empty()
    }

    /// Parses the form.
    ///
    /// # Errors
    ///
    /// A field is invalid; the error names it.
    pub(super) async fn read(&self, visit: &Visit) -> Result<Wanted, Problem> {
        let text = self.q.trim();
        if text.len() > ItemContent::EXTERNAL_REFERENCE_LEN_MAX {
            let max = ItemContent::EXTERNAL_REFERENCE_LEN_MAX;
            return Err(Problem::field("q", format!("has at most {max} bytes")));
        }
        let bank = match &*self.bank {
            "" => None,
            name => Some(name.parse().map_err(|why| Problem::field("bank", why))?),
        };
        // A reference may look like a hash: the search finds items that have either.
        let hashes = any_hash(text).unwrap_or_default();
        let by = match self.by.trim() {
            "" => None,
            name => Some(member(visit, name).await?),
        };
        Ok(Wanted {
            search: ItemSearch { bank, hashes, text: text.to_owned() },
            by,
            from: day("from", &self.from)?,
            to: day("to", &self.to)?.map(|begin| UnixMillis(begin.0 + DAY)),
        })
    }
}

async fn member(visit: &Visit, name: &str) -> Result<MemberId, Problem> {
    let name: MemberName = name.parse().map_err(|why| Problem::field("by", why))?;
    if let Some(who) = visit.who.as_ref().filter(|who| who.member.name == name) {
        return Ok(who.member.id);
    }
    let read = visit.caller.members().get_member(&name, visit.deadline()).await;
    // The error does not reveal whether such a member exists.
    read.map(|read| read.value.0.id).map_err(|_| Problem::field("by", visit.t("items.by_unknown")))
}

/// The start of a day (UTC), as a date field of a browser sends it; `None` if the field is empty.
fn day(field: &str, text: &str) -> Result<Option<UnixMillis>, Problem> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let wrong = || Problem::field(field, "is not a day such as 2027-01-31");
    let mut parts = text.trim().split('-');
    let mut next = |digits| {
        let part =
            parts.next().filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()));
        part.and_then(|part| part.parse::<u16>().ok()).ok_or_else(wrong)
    };
    let (year, month, day) = (next(4)?, next(2)?, next(2)?);
    let (month, day) = (u8::try_from(month).map_err(|_| wrong())?, u8::try_from(day).map_err(|_| wrong())?);
    let month = Month::try_from(month).map_err(|_| wrong())?;
    let date = Date::from_calendar_date(year.into(), month, day).map_err(|_| wrong())?;
    if parts.next().is_some() {
        return Err(wrong());
    }
    let at = date.midnight().assume_utc().unix_timestamp();
    u64::try_from(at).map(|seconds| Some(UnixMillis(seconds * 1_000))).map_err(|_| wrong())
}

impl Wanted {
    /// Whether the search lists one bank's items without comparing them with a hash or text.
    fn is_list(&self) -> bool {
        self.search.hashes.is_empty() && self.search.text.is_empty()
    }

    fn fits(&self, item: &Item) -> bool {
        self.by.is_none_or(|by| item.contributor == by)
            && self.from.is_none_or(|from| item.added_at >= from)
            && self.to.is_none_or(|to| item.added_at < to)
    }

    /// Reads the banks after an item until the page is full, the banks end, or the time is up.
    pub(super) async fn find(&self, visit: &Visit, after: Option<ItemId>) -> Result<Found, Failed> {
        let (banks, begun) = (visit.caller.banks(), Instant::now());
        let (mut found, mut after) = (Found::default(), after);
        if after.is_none()
            && self.is_list()
            && let (Some(bank), Some(from)) = (&self.search.bank, self.from)
        {
            after = before(&banks, bank, from, visit).await?;
        }
        loop {
            let (items, next, read) = self.part(&banks, visit, after).await?;
            found.read += read;
            for (item, bank) in items {
                if self.is_list() && self.to.is_some_and(|to| item.added_at >= to) {
                    // Ids increase with time.
                    return Ok(Found { next: None, ..found });
                }
                if self.fits(&item) {
                    let id = item.id;
                    found.items.push((item, bank));
                    if found.items.len() == usize::from(SIZE) {
                        return Ok(Found { next: Some(id), ..found });
                    }
                }
            }
            after = next;
            if next.is_none() || begun.elapsed() > READ_FOR {
                return Ok(Found { next, ..found });
            }
        }
    }

    /// Reads one part of the banks.
    async fn part(
        &self,
        banks: &BankClient,
        visit: &Visit,
        after: Option<ItemId>,
    ) -> Result<(Vec<(Item, BankRef)>, Option<ItemId>, u64), Failed> {
        let deadline = visit.deadline();
        match (&self.search.bank, self.is_list()) {
            (Some(bank), true) => {
                let has_filter = self.by.is_some() || self.to.is_some();
                let size = if has_filter { LISTED } else { SIZE };
                let page = banks.list_items(bank, after, size, deadline).await.map_err(gone)?;
                let read = page.items.len() as u64;
                let items = page.items.into_iter().map(|item| (item, bank.clone())).collect();
                Ok((items, page.next_after, read))
            }
            _ => {
                let page = banks.find_items(&self.search, after, SIZE, deadline).await.map_err(gone)?.value;
                Ok((page.items, page.next_after, page.read))
            }
        }
    }
}

/// The id after which the bank's items were added at this time or later; `None` if all were. An id is the
/// number of a change, so it increases with time, and a binary search finds it.
async fn before(
    banks: &BankClient,
    bank: &BankRef,
    from: UnixMillis,
    visit: &Visit,
) -> Result<Option<ItemId>, Failed> {
    let first_after = async |after: u64| {
        let page = banks.list_items(bank, Some(ItemId(after)), 1, visit.deadline()).await.map_err(gone)?;
        Ok::<_, Failed>((page.items.into_iter().next(), page.sequence.0))
    };
    let (mut low, mut high) = (0, u64::MAX);
    for _ in 0..PROBES_MAX {
        if low >= high {
            break;
        }
        let middle = if high == u64::MAX { low } else { low + (high - low) / 2 };
        let (item, sequence) = first_after(middle).await?;
        match item {
            Some(item) if item.added_at < from => low = item.id.0,
            // No item lies between `middle` and this one.
            Some(_) | None if middle == low => break,
            Some(_) | None => high = middle,
        }
        high = high.min(sequence);
    }
    Ok((low > 0).then_some(ItemId(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight() {
        assert_eq!(day("from", "1970-01-02").unwrap(), Some(UnixMillis(DAY)));
        assert_eq!(day("from", " ").unwrap(), None);
        for wrong in
            ["1969-12-31", "2027-13-01", "yesterday", "2027-01-31T10:00", "2027-1-31", "2027-01-31-1"]
        {
            assert_eq!(day("to", wrong).unwrap_err().field.as_deref(), Some("to"), "{wrong}");
        }
    }
}
