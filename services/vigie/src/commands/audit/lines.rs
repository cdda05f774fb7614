//! Audit entries and checkpoints, as they are printed. The fields of the objects are a contract with scripts.

use serde::Serialize;
use vigie_audit::checkpoint::{Checkpoint, Cosignature};
use vigie_clients::{AuditEntry, AuditLeaf, ModelClass, ModelSummary};
use vigie_model::UnixMillis;
use vigie_rpc::code;

use crate::commands::date::date;

/// An audit entry as `--json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct EntryObject {
    index: u64,
    /// Time of the entry, in milliseconds since 1970.
    at_unix_ms: u64,
    /// Id of the calling member; `null` for a call that no member made.
    member_id: Option<u32>,
    /// Id of the calling principal; `null` for actions of the deployment itself, and where the caller is not
    /// known.
    principal_id: Option<u64>,
    /// The path of a gRPC method, or the name of an event.
    action: String,
    /// The gRPC status code, such as `PERMISSION_DENIED`.
    code: &'static str,
    bank_ids: Vec<u32>,
    /// Id of the first item that the call was about; `null` if there was none.
    first_item_id: Option<u64>,
    items: u64,
    /// Sequence of the change; `null` if nothing was changed.
    sequence: Option<u64>,
    calls: u64,
    /// Time of the first call, in milliseconds since 1970, if the entry is about several calls; `null` for
    /// one call.
    since_unix_ms: Option<u64>,
    /// The model card that was put; left out if the entry is not about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<ModelObject>,
    /// Hash of the entry's leaf, in Base64.
    leaf_hash: String,
}

impl From<&AuditLeaf> for EntryObject {
    fn from(leaf: &AuditLeaf) -> Self {
        let entry = &leaf.entry;
        Self {
            index: entry.index.0,
            at_unix_ms: entry.at.0,
            member_id: entry.member.map(|member| member.0),
            principal_id: entry.principal.map(|principal| principal.0),
            action: entry.action.clone(),
            code: code::word(entry.code),
            bank_ids: entry.banks.iter().map(|bank| bank.0).collect(),
            first_item_id: entry.first_item.map(|item| item.0),
            items: entry.item_count,
            sequence: entry.sequence.map(|sequence| sequence.0),
            calls: entry.calls,
            since_unix_ms: entry.since.map(|since| since.0),
            model: entry.model.as_deref().map(ModelObject::from),
            leaf_hash: leaf.hash().to_string(),
        }
    }
}

/// A model card in an entry.
#[derive(Debug, Serialize)]
struct ModelObject {
    classifier: String,
    version: u32,
    mode: String,
    state: String,
    /// The thresholds that were chosen.
    thresholds: Vec<ThresholdObject>,
}

/// The chosen threshold of one class.
#[derive(Debug, Serialize)]
struct ThresholdObject {
    class: String,
    threshold: f32,
    at_most_one_in: u64,
}

impl From<&ModelSummary> for ModelObject {
    fn from(model: &ModelSummary) -> Self {
        let threshold = |class: &ModelClass| {
            let (threshold, at_most_one_in) = class.threshold?;
            Some(ThresholdObject { class: class.name.clone(), threshold, at_most_one_in })
        };
        Self {
            classifier: model.name.clone(),
            version: model.version,
            mode: model.mode.clone(),
            state: model.state.clone(),
            thresholds: model.classes.iter().filter_map(threshold).collect(),
        }
    }
}

/// A checkpoint, with the signatures of the witnesses that were named on the command line.
#[derive(Debug, Serialize)]
pub(super) struct CheckpointObject {
    origin: String,
    size: u64,
    root: String,
    cosignatures: Vec<CosignatureObject>,
}

/// The cosignature of one witness.
#[derive(Debug, Serialize)]
struct CosignatureObject {
    witness: String,
    /// Time of the signature by the witness's clock, in seconds since 1970.
    at_unix_s: u64,
}

impl CheckpointObject {
    pub(super) fn new(checkpoint: &Checkpoint, cosignatures: &[Cosignature]) -> Self {
        let cosignature =
            |one: &Cosignature| CosignatureObject { witness: one.name.clone(), at_unix_s: one.at.0 };
        Self {
            origin: checkpoint.origin().to_owned(),
            size: checkpoint.tree().size.get(),
            root: checkpoint.tree().root.to_string(),
            cosignatures: cosignatures.iter().map(cosignature).collect(),
        }
    }
}

/// The column titles of a table of entries.
pub(super) const TITLES: [&str; 10] =
    ["index", "time (UTC)", "member", "principal", "action", "code", "banks", "items", "sequence", "calls"];

/// Returns the cells of an entry's row, in the order of [`TITLES`].
pub(super) fn row(entry: &AuditEntry) -> Vec<String> {
    fn or_none<T: ToString>(value: Option<T>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let banks: Vec<String> = entry.banks.iter().map(ToString::to_string).collect();
    vec![
        entry.index.to_string(),
        date(entry.at),
        or_none(entry.member),
        or_none(entry.principal),
        action(entry),
        code::word(entry.code).to_owned(),
        banks.join(","),
        // Most entries are about no item, so 0 is shown as none.
        or_none((entry.item_count > 0).then_some(entry.item_count)),
        or_none(entry.sequence),
        entry.calls.to_string(),
    ]
}

/// Returns the action, with the model card that was put, if any.
fn action(entry: &AuditEntry) -> String {
    let action = short(&entry.action);
    let Some(model) = entry.model.as_deref() else { return action.to_owned() };
    let threshold = |class: &ModelClass| {
        let (threshold, one_in) = class.threshold?;
        Some(format!(", {} from {threshold} (1 in {one_in})", class.name))
    };
    let thresholds: String = model.classes.iter().filter_map(threshold).collect();
    let ModelSummary { name, version, mode, state, .. } = model;
    format!("{action}: {name} version {version}, {mode}, {}{thresholds}", state.replace('_', " "))
}

/// Shortens the path of a method to its service and name, such as `BankService/AddItems`. Returns the name of
/// an event unchanged.
pub(super) fn short(action: &str) -> &str {
    let path = action.strip_prefix('/').unwrap_or(action);
    let Some(slash) = path.find('/') else { return action };
    let service = path[..slash].rfind('.').map_or(0, |dot| dot + 1);
    &path[service..]
}

/// Describes a checkpoint in one sentence.
pub(super) fn describe(checkpoint: &Checkpoint) -> String {
    let tree = checkpoint.tree();
    format!("{} entries with the root {}", tree.size, tree.root)
}

/// Formats the time of a cosignature, in UTC.
pub(super) fn signed_at(cosignature: &Cosignature) -> String {
    date(UnixMillis(cosignature.at.0.saturating_mul(1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_shown_without_its_package() {
        assert_eq!(short("/vigie.bank.v1.BankService/AddItems"), "BankService/AddItems");
        assert_eq!(short("/Health/Check"), "Health/Check");
        assert_eq!(short("checkpoint.key.replaced"), "checkpoint.key.replaced");
        for odd in ["", "/", "//", "./.", "/a.", "a./b"] {
            assert!(odd.ends_with(short(odd)), "{odd}");
        }
    }
}
