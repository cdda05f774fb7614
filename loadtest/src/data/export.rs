//! `vigie-loadtest data --csv` and `--bank-url`: a data set as Vigie takes it.
//!
//! Row number 7 has the external reference `r7`, by which a load test knows it again in an answer.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use vigie_hashes::hex::Hex;

use crate::cli::DataArguments;
use crate::data::fill;
use crate::data::rows::Rows;
use crate::judge::oracle::Identity;
use crate::run::say::say;
use crate::run::scenario::Scenario;

/// Rows that are drawn and written at a time.
const CHUNK: u32 = 65_536;

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
        let name = scenario.bank().parse()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let filled = runtime.block_on(async {
            let network = arguments.tls.network(&[url])?;
            let progress = |items: u64, took: Duration| {
                if items.is_multiple_of(100_000) {
                    say(&format!("{items} items, {:.0}/s", items as f64 / took.as_secs_f64().max(1e-9)));
                }
            };
            fill::fill(url, &network, &name, &rows, || {}, progress).await
        })?;
        if filled.items == 0 {
            // Standard output may be the CSV.
            say(&format!("{name} holds all {} items already", rows.count()));
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
