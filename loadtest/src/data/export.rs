//! `vigie-loadtest data --csv` and `--bank-url`: a data set in the form that Vigie imports.
//!
//! Row number 7 has the external reference `r7`, by which a load test recognises it in an answer.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use vigie_clients::BankClient;
use vigie_hashes::hex::Hex;
use vigie_model::BankName;

use crate::cli::DataArguments;
use crate::data::fill;
use crate::data::rows::Rows;
use crate::judge::oracle::Identity;
use crate::run::say::say;
use crate::run::scenario::Scenario;

/// Rows that are drawn and written at a time.
const CHUNK: u32 = 65_536;
/// Items on one page of a bank's listing.
const PAGE: u16 = 1_000;
/// The time limit for one page.
const PAGE_WITHIN: Duration = Duration::from_secs(30);

pub(crate) fn run(arguments: &DataArguments, out: &mut impl Write) -> anyhow::Result<()> {
    if arguments.csv.is_none() && arguments.bank_url.is_none() {
        return Ok(());
    }
    let mut scenario = Scenario::parse("name = 'data'\n[arrivals]\nrate = 1\n")?;
    scenario.seed = arguments.seed;
    scenario.data.shape = arguments.shape;
    scenario.data.hashes = arguments.hashes;
    scenario.data.bank.clone_from(&arguments.bank);
    scenario.check()?;
    let rows = Arc::new(Rows::new(&scenario)?);
    if let Some(path) = &arguments.csv {
        if path.as_os_str() == "-" {
            write_csv(out, &rows).context("cannot write to standard output")?;
        } else {
            let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
            let mut file = BufWriter::new(file);
            write_csv(&mut file, &rows).with_context(|| format!("cannot write {}", path.display()))?;
            say(&format!("{}: {} hashes", path.display(), rows.count()));
        }
    }
    if let Some(url) = &arguments.bank_url {
        let name: BankName = scenario.bank().parse()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let filled = runtime.block_on(async {
            let network = arguments.tls.network(&[url])?;
            let progress = |items: u64, took: Duration| {
                if items.is_multiple_of(100_000) {
                    say(&format!("{items} items, {:.0}/s", items as f64 / took.as_secs_f64().max(1e-9)));
                }
            };
            let filled = fill::fill(url, &network, &name, &rows, || {}, progress).await?;
            if let Some(path) = &arguments.ids {
                write_ids(path, &BankClient::new_on(url, &network)?, &name, &rows).await?;
            }
            anyhow::Ok(filled)
        })?;
        if filled.items == 0 {
            // Standard output may be the CSV, so this line goes to standard error.
            say(&format!("{name} holds all {} items already", rows.items()));
            return Ok(());
        }
        let seconds = filled.took.as_secs_f64();
        let rate = filled.items as f64 / seconds.max(1e-9);
        say(&format!(
            "{name}: {} items added in {seconds:.1} s, {rate:.0}/s (sequence {})",
            filled.items, filled.sequence
        ));
    }
    Ok(())
}

/// Writes the id of each row's item, in the order of the ids. The item's external reference names its row.
async fn write_ids(path: &Path, bank: &BankClient, name: &BankName, rows: &Rows) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut file = BufWriter::new(file);
    writeln!(file, "id,hash")?;
    let mut after = None;
    loop {
        let page = bank.list_items(name, after, PAGE, (Instant::now() + PAGE_WITHIN).into()).await;
        let page = page.with_context(|| format!("cannot list the items of {name}"))?;
        for item in &page.items {
            let row = match Identity::of_reference(item.content.external_reference().unwrap_or_default()) {
                Identity::Row(row) => rows.row(row),
                Identity::Video(_) | Identity::Live(_) | Identity::Unknown => None,
            };
            let row = row.with_context(|| format!("item {} of {name} is no row of the data", item.id))?;
            writeln!(file, "{},{}", item.id, Hex(&row))?;
        }
        if page.next_after.is_none() {
            break;
        }
        after = page.next_after;
    }
    file.flush().with_context(|| format!("cannot write {}", path.display()))
}

fn write_csv(file: &mut impl Write, rows: &Rows) -> anyhow::Result<()> {
    writeln!(file, "pdq,external_reference")?;
    for first in (0..rows.count()).step_by(CHUNK as usize) {
        for (row, hash) in (first..).zip(rows.rows(first, CHUNK)) {
            writeln!(file, "{},{}", Hex(&hash), Identity::Row(row).reference())?;
        }
    }
    Ok(file.flush()?)
}

#[cfg(test)]
mod tests {
    use vigie_net::TlsArgs;

    use super::*;
    use crate::cli::ShapeName;

    #[test]
    fn the_file_is_a_header_and_a_line_for_each_row_of_the_data() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        let arguments = DataArguments {
            shape: ShapeName::Uniform,
            hashes: 70_000,
            queries: 0,
            answered: None,
            seed: 9,
            radius: vec![31],
            threads: None,
            out: None,
            csv: Some(path.clone()),
            bank_url: None,
            bank: None,
            ids: None,
            tls: TlsArgs::default(),
        };
        run(&arguments, &mut Vec::new()).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (70_001, "pdq,external_reference"));
        let expected = crate::data::shape::shape(ShapeName::Uniform, 9).draw_row(69_999);
        let hex = Hex(&expected);
        assert_eq!(lines[70_000], format!("{hex},r69999"));
    }
}
