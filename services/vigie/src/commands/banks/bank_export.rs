//! `vigie bank export BANK`: writes the items of a bank to a file of hashes.

use std::io::{self, Write};

use anyhow::Context as _;
use vigie_clients::{BankClient, DescribedItem};
use vigie_formats::files::{Counts, FileWriter, Written};
use vigie_model::{BankRef, HashType};

use crate::cli::{BankExportArgs, HashTypeName};
use crate::commands::bank_address::connect;
use crate::commands::date::{now, to_the_second};
use crate::commands::deadline::deadline as within;
use crate::commands::new_file::NewFile;
use crate::commands::vectors::declared_types;
use crate::output::{Exit, Output, PrintError, counted, counted_as};

/// Maximum number of items in one page.
const PAGE: u16 = 1_000;

pub(crate) async fn run(args: BankExportArgs, output: &mut Output) -> anyhow::Result<Exit> {
    declared_types::hear(&args.address, output).await?;
    let hash_type = args.hash_type.as_ref().map(HashTypeName::resolve).transpose()?;
    let (client, deadline) = connect(&args.address, output)?;
    // This call comes before the file is created, so that an unknown bank is reported at once.
    let held = client.get_bank(&args.bank, deadline).await?.value.item_count;
    let export = Export { client: &client, args: &args, hash_type, held };
    let Some(path) = &args.output else {
        let mut to = output.raw();
        let counts = export.write(&mut to, output).await.map_err(printing)?;
        to.flush().map_err(PrintError::from)?;
        note_left_out(&counts, output);
        return Ok(Exit::Done);
    };
    let mut file = NewFile::create(path, args.force)?;
    let counts = export.write(&mut file, output).await?;
    file.finish()?;
    let Counts { items, hashes, left_out } = counts;
    let written = format!("{} with {}", counted(items, "item"), counted_as(hashes, "hash", "hashes"));
    output.say(format!("wrote {written} to {} ({})", path.display(), args.format))?;
    note_left_out(&counts, output);
    output.object(&serde_json::json!({
        "bank": args.bank.to_string(), "format": args.format.name(), "items": items, "hashes": hashes, "left_out": left_out
    }))?;
    Ok(Exit::Done)
}

/// Converts the error of a closed pipe to a [`PrintError`], which means that nobody reads the output any
/// more. Returns other errors unchanged.
fn printing(error: anyhow::Error) -> anyhow::Error {
    let kind = error.root_cause().downcast_ref::<io::Error>().map(io::Error::kind);
    if kind == Some(io::ErrorKind::BrokenPipe) {
        PrintError::from(io::Error::from(io::ErrorKind::BrokenPipe)).into()
    } else {
        error
    }
}

fn note_left_out(counts: &Counts, output: &Output) {
    if counts.left_out > 0 {
        let hashes = counted_as(counts.left_out, "hash", "hashes");
        output.note(format!("left out {hashes}, which the format or --type does not hold"));
    }
}

struct Export<'a> {
    client: &'a BankClient,
    args: &'a BankExportArgs,
    hash_type: Option<HashType>,
    held: u64,
}

impl Export<'_> {
    async fn write(&self, to: &mut (dyn Write + Send + '_), output: &Output) -> anyhow::Result<Counts> {
        let Self { client, args, hash_type, held } = self;
        let failed = "cannot write the export";
        let progress = output.progress(*held, "writing");
        let present = format!("{}Z", to_the_second(now()));
        let mut writer = FileWriter::begin(Box::new(to), args.format, *hash_type, &present)?;
        let (bank, mut after): (&BankRef, _) = (&args.bank, None);
        loop {
            let page = client.describe_items(bank, after, PAGE, within(args.address.timeout_ms)).await?.value;
            for item in &page.items {
                let DescribedItem { id, added_at, hashes, labels, external_reference, .. } = item;
                anyhow::ensure!(
                    !hashes.is_empty(),
                    "the bank does not show the hashes of item {id} to this caller"
                );
                let item = Written {
                    id: id.0,
                    added_at_unix_ms: added_at.0,
                    added_at: &format!("{}Z", to_the_second(*added_at)),
                    hashes,
                    labels,
                    external_reference,
                };
                writer.item(&item).context(failed)?;
            }
            progress.inc(u64::try_from(page.items.len())?);
            after = page.next_after;
            if after.is_none() {
                progress.finish_and_clear();
                return writer.finish().context(failed);
            }
        }
    }
}
