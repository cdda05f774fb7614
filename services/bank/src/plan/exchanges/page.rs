//! Plans a page of a programme: withdrawals first, then records, then the cursor, in one transaction.
//!
//! A record's key leads to its content, and the content to the item that has the record's submission. So a
//! record is found even if its item was removed and restored with another id. An item keeps at most 8
//! submissions of one member. When one of them is withdrawn, the submission of another record with the same
//! content replaces it, so that the item is removed only with the last record that has its content.
//!
//! The opinion of the programme's members on a record is stored with its submission, and removed with it.
//!
//! A record changes nothing of an existing item but its classes, and those only if the item was first
//! submitted by this record and its owner has resolved no dispute about it. The note, the jurisdictions and
//! the metadata of an existing item stay unchanged, and so do the classes of an item that was first submitted
//! by somebody else.
//!
//! Labels follow the record if the item comes from this programme alone. Other labels that a person gives
//! such an item last until the programme sends the record again.

use std::collections::{BTreeMap, HashMap};

use vigie_consortium::{ContentDigest, Exchange, ExchangeId, ItemRecord, Origin, Submission};
use vigie_model::{ItemId, Labels, MemberId, UnixMillis};
use vigie_proto::bank::{ContributedItem, ExchangePage, ForeignKey, ForeignRecord};

use super::known::{KnownPage, differs, is_of_programme_alone};
use crate::error::Error;
use crate::plan::Planner;
use crate::plan::answer::Answer;
use crate::plan::items::Target;
use crate::plan::records::Records;
use crate::plan::write::Author;
use crate::store::exchanges::{KeyDigest, MappedRecord};
use crate::store::{Placement, to_model};

/// The effects of a page, before anything is done.
struct Page<'a, 'k> {
    owner: MemberId,
    at: UnixMillis,
    records: &'k Records,
    placements: &'k HashMap<ItemId, Placement>,
    known: &'k KnownPage,
    /// The names of exchanges, which are the programmes in origins.
    names: HashMap<ExchangeId, String>,
    exchange: &'k Exchange,
    /// The record that counts for each key, or `None` for a withdrawal.
    steps: BTreeMap<KeyDigest, (&'a ForeignKey, Option<&'a ForeignRecord>)>,
    /// Records of items in their new state; `None` for a removed item.
    changed: BTreeMap<ItemId, Option<ItemRecord>>,
    new: Vec<(&'a ContributedItem, ItemRecord)>,
    new_by_content: HashMap<ContentDigest, usize>,
}

impl<'a> Page<'a, '_> {
    fn origin(&self, exchange: ExchangeId, key: &ForeignKey) -> Option<Origin> {
        Origin::new(self.names.get(&exchange)?, key.as_str(), "").ok()
    }

    /// Returns the record of an item after the page's steps so far.
    fn record_of(&self, item: ItemId) -> Option<&ItemRecord> {
        match self.changed.get(&item) {
            Some(changed) => changed.as_ref(),
            None => self.records.by_item.get(&item),
        }
    }

    /// Returns the items of some content that still exist, in order.
    fn living(&self, content: &ContentDigest) -> Vec<ItemId> {
        let mut items = self.records.with_origin(content);
        items.retain(|item| self.record_of(*item).is_some());
        items
    }

    /// Removes the submission of a record from its item.
    fn withdraw(&mut self, mapped: &MappedRecord) -> Result<(), Error> {
        let origin = self.origin(mapped.exchange, &mapped.key).ok_or(Error::Broken)?;
        for item in self.living(&mapped.content) {
            let record = self.record_of(item).ok_or(Error::Broken)?;
            if !record.has(self.owner, &origin) {
                continue;
            }
            let left = record.without(self.owner, Some(&origin));
            let left = match self.successor(record, mapped) {
                None => left,
                Some(next) => match left {
                    Some(left) => Some(left.with(next).map_err(|_| Error::Broken)?),
                    None => Some(ItemRecord { submissions: vec![next], ..record.clone() }),
                },
            };
            self.changed.insert(item, left);
        }
        Ok(())
    }

    /// Returns the submission of another record with the same content that stays and that the bound has kept
    /// out so far.
    fn successor(&self, record: &ItemRecord, mapped: &MappedRecord) -> Option<Submission> {
        let others = self.known.others.get(&mapped.content)?;
        let stays = |other: &&MappedRecord| {
            let is_own = other.exchange == self.exchange.id;
            let moves = self
                .steps
                .get(&other.key_digest)
                .is_some_and(|(_, put)| put.is_none_or(|put| self.content_of(put) != mapped.content));
            !(is_own && moves)
        };
        let mut waiting = others.iter().filter(stays).filter_map(|other| {
            let origin = self.origin(other.exchange, &other.key)?;
            (!record.has(self.owner, &origin)).then_some((origin, &other.opinion))
        });
        let (origin, opinion) = waiting.next()?;
        Some(Submission { member: self.owner, origin, at: self.at, foreign: opinion.clone() })
    }

    /// Returns whether the item's classes follow the record with this origin: the item's first submission is
    /// this record, and its owner has resolved no dispute about it (which would make the classes the
    /// owner's). All other details are set by people.
    fn gives_classes(&self, record: &ItemRecord, origin: &Origin) -> bool {
        let is_first = |first: &Submission| first.member == self.owner && first.origin == *origin;
        record.submissions.first().is_some_and(is_first) && record.resolved.is_none()
    }

    /// Returns the labels of a record if they replace the item's own.
    fn other_labels(&self, item: ItemId, record: &ItemRecord, put: &ForeignRecord) -> Option<Labels> {
        let is_followed = is_of_programme_alone(record, self.exchange);
        let placement = self.placements.get(&item).filter(|_| is_followed)?;
        differs(placement, put).then(|| put.item.content.checked_labels().clone())
    }

    fn content_of(&self, put: &ForeignRecord) -> ContentDigest {
        ContentDigest::of(self.exchange.bank, put.item.content.hashes())
    }

    /// Submits a record, to an existing item or a new one.
    fn put(&mut self, put: &'a ForeignRecord) -> Result<Target, Error> {
        let content = self.content_of(put);
        let origin = self.origin(self.exchange.id, &put.key).ok_or(Error::Broken)?;
        let foreign = put.opinion.clone();
        let submission = Submission { member: self.owner, origin: origin.clone(), at: self.at, foreign };
        let living = self.living(&content);
        let has =
            |item: &&ItemId| self.record_of(**item).is_some_and(|record| record.has(self.owner, &origin));
        if let Some(item) = living.iter().find(has).or(living.first()).copied() {
            let record = self.record_of(item).ok_or(Error::Broken)?;
            let mut with = record.with(submission).map_err(|_| Error::TooManySubmissions(item))?;
            if self.gives_classes(&with, &origin) {
                with.details.classification = put.item.details.classification.clone();
                with.labels = self.other_labels(item, &with, put).or(with.labels);
            }
            with = with.with_foreign(self.owner, &origin, put.opinion.as_ref());
            if with != *record {
                self.changed.insert(item, Some(with));
            }
            return Ok(Target::Known(item));
        }
        if let Some(number) = self.new_by_content.get(&content).copied() {
            let record = &mut self.new[number].1;
            *record = record.with(submission).map_err(|_| Error::Broken)?;
            return Ok(Target::New(number));
        }
        self.new_by_content.insert(content, self.new.len());
        self.new.push((&put.item, ItemRecord::new(content, put.item.details.clone(), submission)));
        Ok(Target::New(self.new.len() - 1))
    }
}

impl Planner<'_> {
    pub(super) fn apply_page(&mut self, by: Author, page: &ExchangePage) -> Result<Answer, Error> {
        by.admitted(&self.state.view, self.now())?;
        let exchange = self.state.exchange(page.exchange)?.clone();
        if exchange.cursor != page.expected {
            if exchange.cursor != page.next {
                return Err(Error::StaleCursor);
            }
            let sequence = to_model(self.draft.last());
            return Ok(Answer::PageApplied { sequence, added: 0, removed: 0, was_applied: true });
        }
        if !exchange.enabled {
            return Err(Error::ExchangePaused(exchange.name));
        }
        let bank = self.state.view.directory().bank(exchange.bank).ok_or(Error::Broken)?;
        let taxonomies = bank.charter.taxonomies();
        for put in &page.puts {
            put.item.details.check(taxonomies).map_err(Error::Class)?;
        }
        let (changed, new, mapping) = self.plan_page(&exchange, page)?;
        let quota = self.state.view.directory().quota(exchange.owner);
        let added = u32::try_from(new.len()).map_err(|_| Error::Broken)?;
        let spent = self.state.counted.added.spend(exchange.owner, &quota, added.into(), self.now());
        spent.map_err(Error::Spent)?;
        let mut removed = 0;
        for (item, record) in changed {
            match record {
                None => {
                    let placement = self.living(item).ok_or(Error::Broken)?;
                    self.remove_item(&placement, exchange.owner)?;
                    removed += 1;
                }
                Some(record) if self.known.records.by_item.get(&item) == Some(&record) => {}
                Some(record) => {
                    let former = self.known.records.by_item.get(&item);
                    if let Some(labels) = record.labels.clone()
                        && former.and_then(|former| former.labels.as_ref()) != Some(&labels)
                    {
                        self.relabel(item, &labels)?;
                    }
                    self.put_record(item, exchange.bank, record)?;
                }
            }
        }
        self.count_added(exchange.owner, exchange.bank, new.iter().map(|(item, _)| *item))?;
        let mut ids = Vec::with_capacity(new.len());
        for (item, record) in new {
            let id = self.add_item(exchange.bank, exchange.owner, item.content.clone())?;
            self.put_record(id, exchange.bank, record)?;
            ids.push(id);
        }
        for (digest, step) in mapping {
            let row = step.map(|(put, content, target)| {
                let item = match target {
                    Target::Known(item) => item,
                    Target::New(number) => ids[number],
                };
                MappedRecord {
                    exchange: exchange.id,
                    key_digest: digest,
                    content,
                    item,
                    key: put.key.clone(),
                    foreign: put.foreign.clone(),
                    opinion: put.opinion.clone(),
                }
            });
            self.exchange_records.insert((exchange.id, digest), row);
        }
        let mut status = exchange.status.clone();
        status.checkpoint = page.checkpoint.or(status.checkpoint);
        status.fetched_items = status.fetched_items.saturating_add(page.fetched_items);
        let sequence = self.put_exchange(Exchange { cursor: page.next.clone(), status, ..exchange })?;
        Ok(Answer::PageApplied { sequence, added, removed, was_applied: false })
    }

    /// Returns the effects of a page: records of items, new items, and the programme's records by key.
    #[expect(clippy::type_complexity, reason = "three lists that one caller takes apart at once")]
    fn plan_page<'a>(
        &self,
        exchange: &Exchange,
        page: &'a ExchangePage,
    ) -> Result<
        (
            BTreeMap<ItemId, Option<ItemRecord>>,
            Vec<(&'a ContributedItem, ItemRecord)>,
            Vec<(KeyDigest, Option<(&'a ForeignRecord, ContentDigest, Target)>)>,
        ),
        Error,
    > {
        let mut steps: BTreeMap<_, _> =
            page.withdrawn.iter().map(|key| (KeyDigest::of(key), (key, None))).collect();
        steps.extend(page.puts.iter().map(|put| (KeyDigest::of(&put.key), (&put.key, Some(put)))));
        let names = self.state.exchanges.iter().map(|(id, exchange)| (*id, exchange.name.to_string()));
        let mut planned = Page {
            owner: exchange.owner,
            at: self.now(),
            records: &self.known.records,
            placements: &self.known.items,
            known: &self.known.page,
            names: names.collect(),
            exchange,
            steps,
            changed: BTreeMap::new(),
            new: Vec::new(),
            new_by_content: HashMap::new(),
        };
        let steps: Vec<_> = planned.steps.iter().map(|(digest, (_, put))| (*digest, *put)).collect();
        for (digest, put) in &steps {
            let Some(mapped) = self.known.page.mapped.get(digest) else { continue };
            if put.is_none_or(|put| planned.content_of(put) != mapped.content) {
                planned.withdraw(mapped)?;
            }
        }
        let mut mapping = Vec::with_capacity(steps.len());
        for (digest, put) in steps {
            match put {
                Some(put) => {
                    let target = planned.put(put)?;
                    mapping.push((digest, Some((put, planned.content_of(put), target))));
                }
                None if self.known.page.mapped.contains_key(&digest) => mapping.push((digest, None)),
                None => {}
            }
        }
        Ok((planned.changed, planned.new, mapping))
    }
}
