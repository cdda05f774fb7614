//! Lines that are not tables: lists, and the output of tools.

use vigie_model::{Hash, HashType, ItemDraft};

use super::parts::{TRUSTED, hash, list_of, listed_file, untrusted};
use super::table::{read_quality, typed};
use crate::files::fault::Unknown;
use crate::files::left_out::LeftOut;

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::files) enum Words {
    /// A hash of a type, or `TYPE:HASH`.
    List(Option<HashType>),
    /// A hash of a type, optionally followed by the name of a file.
    Named(HashType),
    /// A digest and the name of a file, in the form of GNU or of BSD. If no type is given, the length of the
    /// digest determines it.
    Sums(Option<HashType>),
    /// A PDQ hash or its eight variants, its quality, and the name of a file.
    Pdq,
    /// A PDQ hash in the form `hash=...,quality=...,filename=...`.
    PdqDetails,
    /// A signal type and a signal, optionally after the name of a collaboration; any text may follow.
    Tx,
}

impl Words {
    /// Reads a line as an item; `None` if every part of it was left out.
    pub(in crate::files) fn read(
        self,
        line: &str,
        unknown: Unknown,
        left_out: &mut LeftOut,
    ) -> Result<Option<ItemDraft>, String> {
        let line = line.trim();
        match self {
            Self::List(hash_type) => list(line, hash_type).map(Some),
            Self::Named(hash_type) => {
                let (text, name) =
                    list_of(line).or_else(|| line.split_once(char::is_whitespace)).unwrap_or((line, ""));
                item(hash(hash_type, text)?, listed_file(name.trim()))
            }
            Self::Sums(hash_type) => {
                let Sum { hash_type: named, digest, file } = Sum::read(line).ok_or_else(no_sum)?;
                let hash_type = hash_type.or(named).or_else(|| type_of_sum(digest)).ok_or_else(no_sum)?;
                item(hash(hash_type, digest)?, listed_file(&file))
            }
            Self::Pdq => pdq(line).map(Some),
            Self::PdqDetails => pdq_details(line).map(Some),
            Self::Tx => tx(line, unknown, left_out),
        }
    }
}

fn item(hash: Hash, external_reference: String) -> Result<Option<ItemDraft>, String> {
    Ok(Some(ItemDraft { hashes: vec![hash], labels: Vec::new(), external_reference }))
}

fn list(line: &str, hash_type: Option<HashType>) -> Result<ItemDraft, String> {
    let text = line.trim_matches('"');
    let hash = match (text.split_once(':').filter(|_| !line.starts_with('[')), hash_type) {
        (Some((name, text)), _) => {
            hash(name.parse().map_err(|_| "names an unknown hash type".to_owned())?, text)?
        }
        (None, Some(hash_type)) => hash(hash_type, text)?,
        (None, None) => return Err("names no hash type".to_owned()),
    };
    Ok(ItemDraft { hashes: vec![hash], ..ItemDraft::default() })
}

/// A line of `md5sum` or of a similar tool.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::files) struct Sum<'a> {
    /// The type that BSD's form names.
    hash_type: Option<HashType>,
    pub(in crate::files) digest: &'a str,
    file: String,
}

impl<'a> Sum<'a> {
    /// Reads a line; `None` if it has another form.
    pub(in crate::files) fn read(line: &'a str) -> Option<Self> {
        Self::of_bsd(line).or_else(|| Self::of_gnu(line))
    }

    /// Reads `MD5 (file) = digest`, as BSD's tools and `md5sum --tag` print it, or `MD5(file)= digest`, as
    /// `openssl` does.
    fn of_bsd(line: &'a str) -> Option<Self> {
        let (algorithm, rest) = line.split_once('(')?;
        let (file, digest) = rest.rsplit_once(')')?;
        let digest = digest.trim_start().strip_prefix('=')?.trim();
        let algorithm = algorithm.trim();
        let hash_type = match algorithm.strip_prefix("SHA2-") {
            Some(bits) => format!("sha{bits}").parse().ok()?,
            None => algorithm.parse().ok()?,
        };
        Some(Self { hash_type: Some(hash_type), digest, file: file.to_owned() })
    }

    /// Reads `digest  file`, with a star before the name of a file that was read in binary mode. A backslash
    /// before the line means that backslashes and line ends in the name are escaped.
    fn of_gnu(line: &'a str) -> Option<Self> {
        let (line, is_escaped) = line.strip_prefix('\\').map_or((line, false), |line| (line, true));
        let (digest, file) = line.split_once(' ')?;
        let file = file.strip_prefix([' ', '*']).filter(|file| !file.trim().is_empty())?;
        let file = if is_escaped { file.replace("\\n", "\n").replace("\\\\", "\\") } else { file.to_owned() };
        Some(Self { hash_type: None, digest, file })
    }

    /// Checks whether the digest is valid for the type that is named or that has its length.
    pub(in crate::files) fn is_sound(&self) -> bool {
        let hash_type = self.hash_type.or_else(|| type_of_sum(self.digest));
        hash_type.is_some_and(|hash_type| Hash::from_text(hash_type, self.digest).is_ok())
    }
}

/// Returns the type of a digest by its number of digits.
fn type_of_sum(digest: &str) -> Option<HashType> {
    [HashType::MD5, HashType::SHA1, HashType::SHA256, HashType::SHA512].into_iter().find(|hash_type| {
        digest.len().is_multiple_of(2) && hash_type.row().is_some_and(|row| row.accepts(digest.len() / 2))
    })
}

fn no_sum() -> String {
    "is neither `DIGEST  FILE` nor `TYPE (FILE) = DIGEST`".to_owned()
}

fn pdq(line: &str) -> Result<ItemDraft, String> {
    let mut rest = line;
    let mut first = None;
    loop {
        let (cell, after) = rest.split_once(',').ok_or("is not `HASH,QUALITY,FILE`")?;
        // The first of eight variants is that of the unchanged picture; banks have no others.
        match (&first, hash(HashType::PDQ, cell.trim())) {
            (None, read) => first = Some(read?),
            (Some(_), Ok(_)) => {}
            (Some(_), Err(_)) => {
                let quality = read_quality(cell.trim())?;
                let hashes = first.into_iter().filter(|_| quality >= TRUSTED).collect::<Vec<_>>();
                if hashes.is_empty() {
                    return Err(untrusted());
                }
                // A name may contain commas.
                return Ok(ItemDraft {
                    hashes,
                    labels: Vec::new(),
                    external_reference: listed_file(after.trim()),
                });
            }
        }
        rest = after;
    }
}

fn pdq_details(line: &str) -> Result<ItemDraft, String> {
    let (fields, file) = match line.split_once("filename=") {
        Some((fields, file)) => (fields, listed_file(file.trim())),
        None => (line, String::new()),
    };
    let (mut found, mut quality) = (None, None);
    for field in fields.split(',') {
        match field.trim().split_once('=') {
            Some(("hash", text)) => found = Some(hash(HashType::PDQ, text.trim())?),
            Some(("quality", text)) => quality = Some(read_quality(text.trim())?),
            Some(("xform", text)) if text.trim() != "orig" => {
                return Err("is a turned or mirrored variant: banks hold hashes of the original".to_owned());
            }
            Some(_) | None => {}
        }
    }
    if quality.is_some_and(|quality| quality < TRUSTED) {
        return Err(untrusted());
    }
    let hashes = vec![found.ok_or("has no field `hash`")?];
    Ok(ItemDraft { hashes, labels: Vec::new(), external_reference: file })
}

/// Returns the signal type and the signal of a line.
pub(in crate::files) fn signal(line: &str) -> Option<(&str, &str)> {
    // The lines of `tx dataset --print-signals` begin with the collaboration in quotes.
    let line = match line.strip_prefix('\'') {
        Some(rest) => rest.split_once("' ").map_or(rest, |(_, rest)| rest),
        None => line,
    };
    let (name, rest) = line.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    // The frames of a video, separated by spaces.
    if rest.starts_with('[') {
        return Some((name, list_of(rest).map_or(rest, |(list, _)| list)));
    }
    Some((name, rest.split_whitespace().next()?))
}

fn tx(line: &str, unknown: Unknown, left_out: &mut LeftOut) -> Result<Option<ItemDraft>, String> {
    let (name, text) = signal(line).ok_or("is not `TYPE SIGNAL`")?;
    match typed(Some(name), None, unknown, left_out)? {
        Some(hash_type) => item(hash(hash_type, text)?, String::new()),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: Words, line: &str) -> Result<(HashType, String), String> {
        let draft = words.read(line, Unknown::Refused, &mut LeftOut::default())?.unwrap();
        Ok((draft.hashes[0].hash_type(), draft.external_reference))
    }

    #[test]
    fn sums_are_read_in_every_form() {
        let (md5, sha256, sha512) = ("ab".repeat(16), "ab".repeat(32), "ab".repeat(64));
        let good = |line: &str, hash_type, file: &str| {
            assert_eq!(check(Words::Sums(None), line), Ok((hash_type, file.to_owned())), "{line}");
        };
        good(&format!("{md5}  a b.jpg"), HashType::MD5, "a b.jpg");
        good(&format!("{sha256} *dir/a.jpg"), HashType::SHA256, "a.jpg");
        good(&format!("\\{md5}  a\\\\b.jpg"), HashType::MD5, "b.jpg");
        good(&format!("MD5 (a (1).jpg) = {md5}"), HashType::MD5, "a (1).jpg");
        good(&format!("SHA512 (a) = {sha512}"), HashType::SHA512, "a");
        good(&format!("SHA2-256(a)= {sha256}"), HashType::SHA256, "a");
        for bad in [md5.as_str(), "abab  a.jpg", &format!("CRC (a) = {md5}"), &format!("{md5} a.jpg"), ""] {
            let reason = check(Words::Sums(None), bad).unwrap_err();
            assert!(!reason.contains("abab"), "{reason}");
        }
    }

    #[test]
    fn what_the_pdq_tool_prints_is_read_down_to_its_quality() {
        let pdq = "ab".repeat(32);
        let good = Ok((HashType::PDQ, "a, b.jpg".to_owned()));
        assert_eq!(check(Words::Pdq, &format!("{pdq},100,x/a, b.jpg")), good);
        assert_eq!(check(Words::Pdq, &format!("{},80,a, b.jpg", [pdq.as_str(); 8].join(","))), good);
        let details = format!("hash={pdq},norm=128,delta=0,quality=77,filename=x/a, b.jpg");
        assert_eq!(check(Words::PdqDetails, &details), good);
        for bad in [format!("{pdq},49,a"), format!("{pdq},101,a"), format!("{pdq},a"), pdq.clone()] {
            assert!(check(Words::Pdq, &bad).is_err(), "{bad}");
        }
        assert!(check(Words::PdqDetails, &details.replace("=77", "=7")).unwrap_err().contains("detail"));
        assert!(check(Words::PdqDetails, &format!("hash={pdq},xform=flipx,filename=a")).is_err());
    }

    #[test]
    fn signals_are_read_with_a_collaboration_before_them_or_without() {
        let md5 = "ab".repeat(16);
        let expected = Ok((HashType::MD5, String::new()));
        assert_eq!(check(Words::Tx, &format!("video_md5 {md5}")), expected);
        assert_eq!(
            check(Words::Tx, &format!("'Sample Signals' md5 {md5} FetchedSignalMetadata()")),
            expected
        );
        assert!(check(Words::Tx, &format!("raw_text {md5}")).unwrap_err().contains("unknown hash type"));
        let mut left_out = LeftOut::default();
        assert!(Words::Tx.read("raw_text bad", Unknown::Ignored, &mut left_out).unwrap().is_none());
        assert_eq!(left_out.unknown.get("type raw_text"), Some(&1));
    }
}
