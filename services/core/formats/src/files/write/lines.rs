//! Formats whose items are lines.

use std::io::{self, Write};

use serde::Serialize;
use vigie_model::{Hash, HashType};

use super::Written;
use crate::files::format::Format;

/// The digests that `md5sum` and similar tools compute.
pub(super) const SUMS: [HashType; 4] = [HashType::MD5, HashType::SHA1, HashType::SHA256, HashType::SHA512];

/// Returns the signal type of python-threatexchange and HMA for a hash type.
pub(super) fn signal_type(hash_type: HashType) -> String {
    if hash_type == HashType::MD5 { "video_md5".to_owned() } else { hash_type.to_string() }
}

/// Returns the indicator type of ThreatExchange for a hash type: the first alias of its row.
fn indicator_type(hash_type: HashType) -> String {
    let alias = hash_type.row().and_then(|row| row.aliases.first());
    alias.map_or_else(|| hash_type.to_string(), |alias| (*alias).to_owned())
}

/// Writes the names of a table's columns, one for each of these types.
pub(super) fn header(to: &mut dyn Write, format: Format, types: &[HashType]) -> io::Result<()> {
    match format {
        Format::ThreatExchange => writeln!(to, "type,indicator"),
        Format::TxDataset => writeln!(to, "collab,signal_type,signal_str,category,tags"),
        Format::Csv
        | Format::Tsv
        | Format::Semicolon
        | Format::JsonLines
        | Format::List
        | Format::Named
        | Format::Sums
        | Format::Pdq
        | Format::PdqDetails
        | Format::Tx
        | Format::Vpdq
        | Format::Hma
        | Format::StopNcii
        | Format::Ncmec => {
            let names = types.iter().map(ToString::to_string);
            let names = names.chain(["labels", "external_reference"].map(str::to_owned));
            row(to, format, names)
        }
    }
}

/// Writes an item. In a table, the columns are those of these types.
pub(super) fn item(
    to: &mut dyn Write,
    (format, types): (Format, &[HashType]),
    item: &Written<'_>,
    hashes: &[&Hash],
) -> io::Result<()> {
    if format == Format::JsonLines {
        return json(to, item, hashes);
    }
    if matches!(format, Format::Csv | Format::Tsv | Format::Semicolon) {
        let of_type = |hash_type: &HashType| {
            let texts =
                hashes.iter().filter(|hash| hash.hash_type() == *hash_type).map(|hash| hash.to_line());
            texts.collect::<Vec<_>>().join(" ")
        };
        // A semicolon within a label would divide the label.
        let labels: Vec<String> = item.labels.iter().map(|label| label.replace(';', ",")).collect();
        let others = [labels.join(";"), item.external_reference.to_owned()];
        return row(to, format, types.iter().map(of_type).chain(others));
    }
    for hash in hashes {
        let (text, hash_type) = (hash.to_line(), hash.hash_type());
        match format {
            Format::ThreatExchange => row(to, format, [indicator_type(hash_type), text].into_iter())?,
            Format::TxDataset => {
                let tags: Vec<String> =
                    item.labels.iter().map(|label| label.replace([' ', ','], "_")).collect();
                let cells = ["vigie".to_owned(), signal_type(hash_type), text, String::new(), tags.join(" ")];
                row(to, Format::Csv, cells.into_iter())?;
            }
            Format::Tx => writeln!(to, "{} {text}", signal_type(hash_type))?,
            Format::Named => writeln!(to, "{}", format!("{text} {}", item.external_reference).trim_end())?,
            Format::Sums => {
                let name = Some(item.external_reference.to_owned()).filter(|name| !name.trim().is_empty());
                let name = name.unwrap_or_else(|| format!("item-{}", item.id));
                // The line then begins with a backslash, and backslashes in the name are doubled.
                let mark = if name.contains('\\') { "\\" } else { "" };
                writeln!(to, "{mark}{text}  {}", name.replace('\\', "\\\\"))?;
            }
            Format::List
            | Format::Csv
            | Format::Tsv
            | Format::Semicolon
            | Format::JsonLines
            | Format::Pdq
            | Format::PdqDetails
            | Format::Vpdq
            | Format::Hma
            | Format::StopNcii
            | Format::Ncmec => writeln!(to, "{text}")?,
        }
    }
    Ok(())
}

/// Writes cells, quoted where necessary.
fn row(to: &mut dyn Write, format: Format, cells: impl Iterator<Item = String>) -> io::Result<()> {
    let delimiter = char::from(format.delimiter().unwrap_or(b','));
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            write!(to, "{delimiter}")?;
        }
        if cell.contains([delimiter, '"']) || cell.trim() != cell {
            write!(to, "\"{}\"", cell.replace('"', "\"\""))?;
        } else {
            write!(to, "{cell}")?;
        }
    }
    writeln!(to)
}

#[derive(Serialize)]
struct Item<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    external_reference: &'a str,
    labels: &'a [String],
    hashes: Vec<TypedHash>,
}

#[derive(Serialize)]
struct TypedHash {
    hash_type: String,
    hash: String,
}

/// Writes an object as `vigie item list --json` prints it, without the data that only the item's bank knows.
fn json(to: &mut dyn Write, item: &Written<'_>, hashes: &[&Hash]) -> io::Result<()> {
    let typed = |hash: &&Hash| TypedHash { hash_type: hash.hash_type().to_string(), hash: hash.to_text() };
    let Written { external_reference, labels, .. } = *item;
    let object = Item { external_reference, labels, hashes: hashes.iter().map(typed).collect() };
    serde_json::to_writer(&mut *to, &object)?;
    writeln!(to)
}
