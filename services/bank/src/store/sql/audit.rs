//! The statements that read the audit.

use vigie_audit::tree::{Frontier, NodeHash, Size, StoredIndex};

use crate::store::error::{StoreError, corrupt};
use crate::store::records::{AuditHead, Counts, EntryPage, EntryRange, HeadRow};
use crate::store::sql::read::{Read, Reader, Value, all, head_row, number_list, page, snapshot};
use crate::store::sql::rows::{to_entry, to_node};

fn size(counts: Counts) -> Result<Size, StoreError> {
    Size::new(counts.audited).ok_or_else(|| corrupt("the head"))
}

/// Reads the tree as of these counts.
pub(super) async fn frontier<C: Reader>(
    transaction: &mut C,
    nodes: &'static str,
    counts: Counts,
) -> Read<Frontier> {
    let query = Frontier::query(size(counts)?);
    let hashes = hashes(transaction, nodes, query.positions()).await?;
    query.answer(&hashes).map_err(|_| corrupt("a hash of the audit"))
}

pub(in crate::store) async fn head<C: Reader>(connection: &mut C, nodes: &'static str) -> Read<AuditHead> {
    snapshot!(connection, |transaction| {
        let HeadRow { head, counts } = head_row(transaction).await?;
        AuditHead { tree: frontier(transaction, nodes, counts).await?, log: head }
    })
}

/// Reads the hashes at these positions, in the order of the positions. `nodes` is the statement, in the
/// database's SQL.
pub(in crate::store) async fn hashes<C: Reader>(
    connection: &mut C,
    nodes: &'static str,
    positions: &[StoredIndex],
) -> Read<Vec<NodeHash>> {
    if positions.is_empty() {
        return Ok(Vec::new());
    }
    let list = number_list(positions.iter().map(|position| position.0));
    let found = all(connection, "read the audit's tree", nodes, &[Value::Text(&list)], to_node).await?;
    let hash = |position: &StoredIndex| {
        let at = found.binary_search_by_key(position, |(position, _)| *position);
        at.map(|at| found[at].1).map_err(|_| corrupt("a hash of the audit"))
    };
    positions.iter().map(hash).collect()
}

pub(in crate::store) async fn hashes_from<C: Reader>(
    connection: &mut C,
    from: StoredIndex,
    limit: u16,
) -> Read<Vec<(StoredIndex, NodeHash)>> {
    let select = "SELECT position, hash FROM audit_hashes WHERE position >= $1 ORDER BY position LIMIT $2";
    let values = [from.0, limit.into()].map(Value::Number);
    all(connection, "read the audit's tree", select, &values, to_node).await
}

pub(in crate::store) async fn entries<C: Reader>(connection: &mut C, range: &EntryRange) -> Read<EntryPage> {
    snapshot!(connection, |transaction| {
        let size = size(head_row(transaction).await?.counts)?;
        let bounds = (range.count_max, range.bytes_max);
        let [from, limit] = [range.from, range.count_max as u64].map(Value::Number);
        let attempt = "read the audit";
        let (entries, cut) = match range.member {
            Some(member) => {
                let select = "SELECT entry_index, payload FROM audit_entries \
                              WHERE member_id = $3 AND entry_index >= $1 ORDER BY entry_index LIMIT $2";
                let values = [from, limit, Value::Number(member.0.into())];
                page(transaction, attempt, select, &values, bounds, 1, to_entry).await?
            }
            None => {
                let select = "SELECT entry_index, payload FROM audit_entries \
                              WHERE entry_index >= $1 ORDER BY entry_index LIMIT $2";
                page(transaction, attempt, select, &[from, limit], bounds, 1, to_entry).await?
            }
        };
        EntryPage { entries, cut, size }
    })
}
