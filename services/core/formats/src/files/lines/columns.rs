//! The columns of a table, by their names in a header or on the command line.

use vigie_model::HashType;

use crate::files::fault::{FileError, Unknown};
use crate::files::left_out::LeftOut;

/// The content of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::files) enum Column {
    /// Hashes of a type, separated by spaces.
    Hash(HashType),
    /// A hash whose type is in another column, or given with the file.
    Value,
    /// The type of the hash in the column of values.
    Type,
    /// Labels, separated by semicolons.
    Labels,
    /// Labels, separated by spaces or commas.
    Tags,
    /// The contributor's own name for the item.
    ExternalReference,
    /// The path of a file, whose name becomes the external reference.
    File,
    /// The quality of PDQ.
    Quality,
    /// Data that a bank does not keep.
    Ignored,
}

/// Further names of columns, besides those of hash types. Compared without case, spaces, `_` and `-`.
const NAMES: &[(Column, &[&str])] = &[
    (
        Column::Value,
        &[
            "hash",
            "hashvalue",
            "hashdigest",
            "digest",
            "indicator",
            "signal",
            "signalstr",
            "signalvalue",
            "value",
        ],
    ),
    (Column::Type, &["type", "hashtype", "signaltype", "indicatortype", "algorithm"]),
    (Column::Labels, &["labels", "label"]),
    (Column::Tags, &["tags"]),
    (Column::ExternalReference, &["externalreference", "reference", "id", "imageid"]),
    (Column::File, &["file", "filename", "path", "filepath", "name"]),
    (Column::Quality, &["quality", "pdqquality"]),
    // Columns of `tx dataset --csv`, of ThreatExchange, of forensic tools and of the ICSE database.
    (
        Column::Ignored,
        &["", "collab", "category", "norm", "delta", "size", "set", "status", "lastupdated", "addedon"],
    ),
    (
        Column::Ignored,
        &["owner", "description", "confidence", "severity", "sharelevel", "privacytype", "reviewstatus"],
    ),
    (
        Column::Ignored,
        &["isdistributed", "victimidentified", "offenderidentified", "seriesname", "numberofsubmissions"],
    ),
    (
        Column::Ignored,
        &["fileavailable", "mediatype", "baseline", "mimetype", "extension", "width", "height"],
    ),
];

impl Column {
    /// Returns the column with a name. Column names have precedence over declared types, so that a
    /// declaration does not change how existing files are read.
    pub(in crate::files) fn named(name: &str) -> Option<Self> {
        let name = name.trim();
        let of_type = name.parse::<HashType>().ok();
        if let Some(hash_type) = of_type.filter(|hash_type| hash_type.vector_class().is_none()) {
            return Some(Self::Hash(hash_type));
        }
        let kept = |letter: &char| !matches!(letter, ' ' | '_' | '-');
        let name: String = name.chars().filter(kept).map(|letter| letter.to_ascii_lowercase()).collect();
        let named = NAMES.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(column, _)| *column);
        named.or_else(|| of_type.map(Self::Hash))
    }

    /// Checks whether the column contains hashes.
    pub(in crate::files) const fn has_hashes(self) -> bool {
        matches!(self, Self::Hash(_) | Self::Value)
    }
}

/// Returns the columns of a table by their names. An unknown name is refused, or counted if unknown columns
/// are ignored.
///
/// `hash_type` is the type of hashes whose type no column names.
pub(in crate::files) fn columns<'a>(
    names: impl Iterator<Item = &'a str>,
    hash_type: Option<HashType>,
    unknown: Unknown,
    left_out: &mut LeftOut,
) -> Result<Vec<Column>, FileError> {
    let mut columns = Vec::new();
    for name in names {
        columns.push(match (Column::named(name), unknown) {
            (Some(column), _) => column,
            (None, Unknown::Ignored) => {
                left_out.unknown("column", name);
                Column::Ignored
            }
            (None, Unknown::Refused) => return Err(FileError::unknown_column(name)),
        });
    }
    let has = |wanted: Column| columns.contains(&wanted);
    if !columns.iter().any(|column| column.has_hashes()) {
        return Err(FileError::NoHashColumn);
    }
    // Hashes with a quality are PDQ hashes.
    let of_quality = has(Column::Quality).then_some(HashType::PDQ);
    if has(Column::Value) && !has(Column::Type) {
        let hash_type = hash_type.or(of_quality).ok_or(FileError::UntypedColumn)?;
        columns
            .iter_mut()
            .filter(|column| **column == Column::Value)
            .for_each(|column| *column = Column::Hash(hash_type));
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use vigie_model::declared;

    use super::*;

    fn check(names: &str, hash_type: Option<HashType>, unknown: Unknown) -> Result<Vec<Column>, FileError> {
        columns(names.split(','), hash_type, unknown, &mut LeftOut::default())
    }

    #[test]
    fn no_hash_type_can_be_declared_under_the_name_of_a_column() {
        for name in NAMES.iter().flat_map(|(_, names)| *names).filter(|name| !name.is_empty()) {
            assert!(declared::is_name_in_files(name), "{name}");
        }
    }

    #[test]
    fn columns_are_known_by_the_names_of_the_field() {
        let refused = |names, hash_type| check(names, hash_type, Unknown::Refused);
        let icse = refused("MD5,SHA-1,PhotoDNA,Image ID,Is distributed,Baseline", None).unwrap();
        let expected = [HashType::MD5, HashType::SHA1, HashType::PHOTODNA].map(Column::Hash);
        assert_eq!(
            (&icse[..3], icse[3], icse[5]),
            (&expected[..], Column::ExternalReference, Column::Ignored)
        );
        assert_eq!(refused("type,indicator", None).unwrap(), [Column::Type, Column::Value]);
        assert_eq!(refused("hash,quality,file", None).unwrap()[0], Column::Hash(HashType::PDQ));
        assert_eq!(refused("hash", Some(HashType::SHA256)).unwrap(), [Column::Hash(HashType::SHA256)]);
        assert!(matches!(refused("hash,file", None), Err(FileError::UntypedColumn)));
        assert!(matches!(refused("labels,file", None), Err(FileError::NoHashColumn)));
    }

    #[test]
    fn a_name_that_is_not_known_is_refused_or_counted() {
        let refused = check("pdq,colour", None, Unknown::Refused).unwrap_err();
        assert!(refused.to_string().contains("`colour`"), "{refused}");
        assert_eq!(check("pdq,colour", None, Unknown::Ignored).unwrap()[1], Column::Ignored);
        let hidden = check(&format!("pdq,{}", "ab".repeat(16)), None, Unknown::Refused).unwrap_err();
        assert!(!hidden.to_string().contains("abab"), "{hidden}");
    }
}
