//! Migrates a log from the chain over bytes to the chain over digests.
//!
//! The migration is one transaction: it creates the new tables, copies the rows a page at a time, drops the
//! old tables, and records the step as done. A bank that is killed in the middle leaves the store unchanged.
//! Memory holds one page of changes and one of batches, whatever the size of the log. The disk needs space
//! for a second copy of the log meanwhile.
//!
//! The old chain is recomputed while the rows are copied. If it does not prove the log, the migration is
//! refused and rolled back: a new chain over altered changes would make them look committed.
//!
//! The batch at the floor keeps its old chain, because nothing before it is known; the new chain continues
//! from it. Each batch keeps its old chain as `former_chain`, so that followers whose cursor has the old
//! chain can continue ([`vigie_log::StoredBatch`]). Sequences, the log's id, items and digests of items are
//! unchanged, so followers need not load anything again.

use std::collections::VecDeque;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use vigie_log::{Chain, FormerLink, Head, Link, ProofError, Sequence, StoredChange, digest};

use crate::store::error::{StoreError, corrupt};
use crate::store::sql::read::{Read, Reader, Value, all, first, page};
use crate::store::sql::rows::StoredRow;

/// The most changes of one page, and the most bytes of them.
const PAGE: (usize, usize) = (2_000, 4 << 20);
/// The most batches of one page.
const BATCHES: u64 = 1_000;
/// Number of changes between two progress messages in the log.
const PROGRESS: u64 = 1_000_000;

/// The versions of the schema before and after the migration.
const BYTES: i64 = 1;
const DIGESTS: i64 = 2;
const MEMBERS: i64 = 3;
const AUDIT: i64 = 4;
const PURGES: i64 = 5;
const ITEM_RECORDS: i64 = 6;
const UNDOS: i64 = 7;
const HOLDS: i64 = 8;
const UNDO_PAYLOADS: i64 = 9;
const MATCH_RATIOS: i64 = 10;
const TOUCHED: i64 = 11;
const EXCHANGES: i64 = 12;
/// The lowest schema version that this build reads; an older store is outdated.
const LISTS: i64 = 13;
const DOCUMENTS: i64 = 14;

/// The SQL of the schema's steps, for one kind of database. A released step is never edited: a later step
/// changes its result.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Schema {
    /// Step 1.
    pub(in crate::store) log_and_state: &'static str,
    /// Step 2, up to the copying of rows.
    pub(in crate::store) digests_begin: &'static str,
    /// The rest of step 2.
    pub(in crate::store) digests_end: &'static str,
    /// Step 2 as a whole, for a store without rows to copy.
    pub(in crate::store) digests: &'static str,
    /// Step 3.
    pub(in crate::store) members: &'static str,
    /// Step 4.
    pub(in crate::store) audit: &'static str,
    /// Step 5.
    pub(in crate::store) purges: &'static str,
    /// Step 6.
    pub(in crate::store) item_records: &'static str,
    /// Step 7.
    pub(in crate::store) undos: &'static str,
    /// Step 8.
    pub(in crate::store) holds: &'static str,
    /// Step 9.
    pub(in crate::store) undo_payloads: &'static str,
    /// Step 10.
    pub(in crate::store) match_ratios: &'static str,
    /// Step 11.
    pub(in crate::store) touched: &'static str,
    /// Step 12.
    pub(in crate::store) exchanges: &'static str,
    /// Step 13.
    pub(in crate::store) lists: &'static str,
    /// Step 14.
    pub(in crate::store) documents: &'static str,
}

impl Schema {
    /// Returns the steps, for a store that has no rows to copy.
    pub(in crate::store) fn migrator(&self) -> Migrator {
        Migrator::with_migrations(vec![
            step(BYTES, "log and state", self.log_and_state),
            step(DIGESTS, "chain of digests", self.digests),
            step(MEMBERS, "members", self.members),
            step(AUDIT, "audit", self.audit),
            step(PURGES, "purges", self.purges),
            step(ITEM_RECORDS, "item records", self.item_records),
            step(UNDOS, "undos", self.undos),
            step(HOLDS, "holds", self.holds),
            step(UNDO_PAYLOADS, "undo payloads", self.undo_payloads),
            step(MATCH_RATIOS, "match ratios", self.match_ratios),
            step(TOUCHED, "touched", self.touched),
            step(EXCHANGES, "exchanges", self.exchanges),
            step(LISTS, "lists", self.lists),
            step(DOCUMENTS, "documents", self.documents),
        ])
    }
}

fn step(version: i64, name: &'static str, sql: &'static str) -> Migration {
    Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
}

/// A batch that is being copied to the new table.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct RechainedBatch {
    /// Its last change.
    pub(in crate::store) last: Sequence,
    /// The chain over digests.
    pub(in crate::store) chain: Chain,
    /// The chain over bytes.
    pub(in crate::store) former: Chain,
    /// The time of its commit.
    pub(in crate::store) committed_at_ms: u64,
}

/// A connection that can write a rechained log.
pub(in crate::store) trait Rechain: Reader {
    /// Runs statements.
    fn run(&mut self, statements: &'static str) -> impl Future<Output = Read<()>> + Send;

    /// Returns whether the table of the schema's versions exists.
    fn has_versions(&mut self) -> impl Future<Output = Read<bool>> + Send;

    /// Inserts changes.
    fn add_changes(&mut self, changes: &[StoredChange]) -> impl Future<Output = Read<()>> + Send;

    /// Inserts batches.
    fn add_batches(&mut self, batches: &[RechainedBatch]) -> impl Future<Output = Read<()>> + Send;

    /// Moves the head to the chain over digests.
    fn set_chain(&mut self, chain: &Chain) -> impl Future<Output = Read<()>> + Send;

    /// Records a step as done.
    fn record(&mut self, step: &Migration) -> impl Future<Output = Read<()>> + Send;
}

/// Returns the schema version; 0 for a store without a schema.
pub(in crate::store) async fn version<C: Rechain>(connection: &mut C) -> Read<i64> {
    if !connection.has_versions().await? {
        return Ok(0);
    }
    let select = "SELECT max(version) FROM _sqlx_migrations WHERE success";
    let read = |row: &C::Row| row.number_if_any(0).map_err(|_| corrupt("the version of the schema"));
    let version = first(connection, "read the version of the schema", select, &[], read).await?;
    Ok(version.flatten().unwrap_or_default())
}

/// Returns whether a store must be migrated before this build can read it.
pub(in crate::store) async fn is_outdated<C: Rechain>(connection: &mut C) -> Read<bool> {
    Ok(version(connection).await? < LISTS)
}

/// Returns whether a log must be rechained before the schema's steps are run.
pub(in crate::store) async fn is_due<C: Rechain>(connection: &mut C) -> Read<bool> {
    Ok(version(connection).await? == BYTES)
}

/// Rechains a log in a transaction that the caller has begun, and in which nobody else writes. The caller
/// commits if this succeeds and rolls back if it fails.
pub(in crate::store) async fn rechain<C: Rechain>(
    connection: &mut C,
    schema: &Schema,
    location: &str,
) -> Read<()> {
    // Another bank may have finished it just now.
    if !is_due(connection).await? {
        return Ok(());
    }
    let head = old_head(connection).await?;
    tracing::info!(location, sequence = head.sequence.0, "the log gets a chain over digests");
    connection.run(schema.digests_begin).await?;
    let chain = copy(connection, head).await.map_err(|error| match error {
        ProofError::Store(error) => error,
        fault @ (ProofError::Missing(_)
        | ProofError::Doubled(_)
        | ProofError::Altered(_)
        | ProofError::BatchAltered { .. }
        | ProofError::HeadAltered { .. }) => {
            StoreError::Unproven { location: location.to_owned(), source: Box::new(fault) }
        }
    })?;
    connection.set_chain(&chain).await?;
    connection.run(schema.digests_end).await?;
    connection.record(&step(DIGESTS, "chain of digests", schema.digests)).await?;
    tracing::info!(location, sequence = head.sequence.0, "the log has a chain over digests");
    Ok(())
}

type Proven<T> = Result<T, ProofError<StoreError>>;

/// Copies batches and changes; returns the chain over digests.
async fn copy<C: Rechain>(connection: &mut C, head: Head) -> Proven<Chain> {
    let mut changes = OldChanges { page: VecDeque::new(), read: head.floor, end: head.sequence };
    let mut end = anchor(connection, head.floor).await?;
    let (mut new, mut report_at) = (Vec::new(), head.floor.0 + PROGRESS);
    while end.last < head.sequence {
        let batches = old_batches(connection, end.last, BATCHES).await?;
        if batches.is_empty() {
            break;
        }
        let mut rechained = Vec::with_capacity(batches.len());
        for batch in batches {
            let (mut link, mut former) = (Link::after(&end.chain), FormerLink::after(&end.former));
            let first = end.last.next();
            let mut next = first;
            while next <= batch.last {
                let change = changes.next(connection, next).await?;
                former.add(next, &change.payload);
                let digest = digest(&change.payload);
                link.add(next, &digest);
                let (partition, bytes) = (change.partition, Some(change.payload));
                new.push(StoredChange { sequence: next, partition, digest, bytes });
                if changes.page.is_empty() {
                    connection.add_changes(&new).await.map_err(ProofError::Store)?;
                    new.clear();
                }
                next = next.next();
            }
            if former.end() != batch.former {
                return Err(ProofError::BatchAltered { first, last: batch.last });
            }
            end = RechainedBatch { chain: link.end(), ..batch };
            rechained.push(end);
        }
        connection.add_batches(&rechained).await.map_err(ProofError::Store)?;
        if end.last.0 >= report_at {
            tracing::info!(sequence = end.last.0, head = head.sequence.0, "changes have digests");
            report_at = end.last.0 + PROGRESS;
        }
    }
    connection.add_changes(&new).await.map_err(ProofError::Store)?;
    if (end.last, end.former) != (head.sequence, head.chain) {
        return Err(ProofError::HeadAltered { end: end.last, head: head.sequence });
    }
    match changes.next_if_any(connection).await.map_err(ProofError::Store)? {
        Some(more) => Err(ProofError::Doubled(more.sequence)),
        None => Ok(end.chain),
    }
}

/// Copies the batch at the floor, from which the chain continues.
async fn anchor<C: Rechain>(connection: &mut C, floor: Sequence) -> Proven<RechainedBatch> {
    if floor == Sequence::ZERO {
        let (chain, former) = (Chain::GENESIS, Chain::GENESIS);
        return Ok(RechainedBatch { last: floor, chain, former, committed_at_ms: 0 });
    }
    let found = old_batches(connection, floor.before(), 1).await?;
    let anchor = found.first().copied().filter(|batch| batch.last == floor);
    let anchor = anchor.ok_or(ProofError::Missing(floor))?;
    connection.add_batches(&[anchor]).await.map_err(ProofError::Store)?;
    Ok(anchor)
}

/// Reads the old batches, with the old chain also as the new one.
async fn old_batches<C: Rechain>(
    connection: &mut C,
    after: Sequence,
    limit: u64,
) -> Proven<Vec<RechainedBatch>> {
    let select = "SELECT last_sequence, chain, committed_at_ms FROM batches_of_bytes \
                  WHERE last_sequence > $1 ORDER BY last_sequence LIMIT $2";
    let read = |row: &C::Row| {
        let read = || {
            let former = Chain(row.array(1)?);
            let (last, committed_at_ms) = (Sequence(row.number(0)?), row.number(2)?);
            Ok::<_, sqlx::Error>(RechainedBatch { last, chain: former, former, committed_at_ms })
        };
        read().map_err(|_| corrupt("a batch"))
    };
    let values = [after.0, limit].map(Value::Number);
    all(connection, "read the batches", select, &values, read).await.map_err(ProofError::Store)
}

async fn old_head<C: Rechain>(connection: &mut C) -> Read<Head> {
    let read = |row: &C::Row| {
        let read = || {
            let (sequence, floor) = (Sequence(row.number(0)?), Sequence(row.number(2)?));
            Ok::<_, sqlx::Error>(Head { sequence, chain: Chain(row.array(1)?), floor })
        };
        read().map_err(|_| corrupt("the head"))
    };
    let select = "SELECT sequence, chain, floor FROM head WHERE id = 1";
    let head = first(connection, "read the head", select, &[], read).await?;
    head.ok_or_else(|| corrupt("the head"))
}

/// A change of the old log.
#[derive(Debug)]
struct OldChange {
    sequence: Sequence,
    partition: Option<u16>,
    checksum: i64,
    payload: Vec<u8>,
}

/// Reads the old changes one by one, a page at a time.
#[derive(Debug)]
struct OldChanges {
    page: VecDeque<OldChange>,
    /// The sequence up to which the store was read.
    read: Sequence,
    end: Sequence,
}

impl OldChanges {
    /// Returns the next change, which must have this sequence.
    async fn next<C: Rechain>(&mut self, connection: &mut C, sequence: Sequence) -> Proven<OldChange> {
        let found = self.next_if_any(connection).await.map_err(ProofError::Store)?;
        let found = found.ok_or(ProofError::Missing(sequence))?;
        if found.sequence > sequence {
            return Err(ProofError::Missing(sequence));
        }
        if found.sequence < sequence {
            return Err(ProofError::Doubled(found.sequence));
        }
        if checksum(sequence, &found.payload) == found.checksum {
            Ok(found)
        } else {
            Err(ProofError::Altered(sequence))
        }
    }

    async fn next_if_any<C: Rechain>(&mut self, connection: &mut C) -> Read<Option<OldChange>> {
        if self.page.is_empty() {
            self.fill(connection).await?;
        }
        Ok(self.page.pop_front())
    }

    async fn fill<C: Rechain>(&mut self, connection: &mut C) -> Read<()> {
        let select = "SELECT sequence, partition, checksum, payload FROM changes_of_bytes \
                      WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3";
        let read = |row: &C::Row| {
            let read = || {
                let (sequence, checksum) = (Sequence(row.number(0)?), row.number(2)?);
                let (partition, payload) = (row.partition(1)?, row.bytes(3)?.to_vec());
                Ok::<_, sqlx::Error>(OldChange { sequence, partition, checksum, payload })
            };
            read().map_err(|_| corrupt("a change"))
        };
        let values = [self.read.0, self.end.0, PAGE.0 as u64].map(Value::Number);
        let (changes, _) = page(connection, "read the log", select, &values, PAGE, 3, read).await?;
        self.read = changes.last().map_or(self.end, |last| last.sequence);
        self.page = changes.into();
        Ok(())
    }
}

/// Returns the former checksum of a change: the first 64 bits of BLAKE3 over the sequence and the stored
/// bytes.
fn checksum(sequence: Sequence, payload: &[u8]) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&sequence.0.to_be_bytes()).update(payload);
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    i64::from_be_bytes(first)
}
