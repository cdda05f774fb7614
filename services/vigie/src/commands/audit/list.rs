//! `vigie audit list`: lists audit entries in the order of their indexes.

use vigie_audit::tree::LeafIndex;

use crate::cli::AuditListArgs;
use crate::commands::audit::connect::{Audit, PAGE};
use crate::commands::audit::lines::{EntryObject, TITLES, row};
use crate::output::{Exit, Output, counted_as, style};

pub(super) async fn run(args: AuditListArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let audit = Audit::connect(&args.address, output)?;
    let mut rows = Vec::new();
    let (mut from, mut left) = (Some(LeafIndex(args.from)), args.limit);
    while let Some(next) = from.filter(|_| left > 0) {
        let size = u16::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = audit.page(next, size, args.member.as_ref()).await?;
        for leaf in &page.leaves {
            output.object(&EntryObject::from(leaf))?;
            rows.push(row(&leaf.entry));
        }
        left -= page.leaves.len().min(left);
        from = page.next;
    }
    if rows.is_empty() {
        output.say("no entries")?;
    } else {
        output.styled_table(&TITLES, &rows, |column, cell| match (column, cell) {
            (CODE, "OK") | (..CODE | 6.., _) => style::PLAIN,
            (CODE, _) => style::DOUBTFUL,
        })?;
    }
    if let Some(next) = from {
        let entries = counted_as(u64::try_from(args.limit)?, "entry", "entries");
        output.note(format!("stopped after {entries}; go on with --from {next}, or raise --limit"));
    }
    Ok(Exit::Done)
}

/// Index of the column with the status code.
const CODE: usize = 5;
