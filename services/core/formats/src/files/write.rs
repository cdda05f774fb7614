//! Writes items in the formats that can hold the data of a bank.

mod documents;
mod lines;

use std::io::{self, Write};

use vigie_model::{Hash, HashType};

use super::fault::FileError;
use super::format::Format;

/// An item of a bank.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// The item's id.
    pub id: u64,
    /// The time at which the item was added, in milliseconds since 1970.
    pub added_at_unix_ms: u64,
    /// The same time as text: `2026-11-28T16:20:05Z`.
    pub added_at: &'a str,
    /// The item's hashes.
    pub hashes: &'a [Hash],
    /// The item's labels.
    pub labels: &'a [String],
    /// The contributor's own name for the item; empty for none.
    pub external_reference: &'a str,
}

/// Counts of the written data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// The number of items with at least one hash in the file.
    pub items: u64,
    /// The number of hashes in the file.
    pub hashes: u64,
    /// The number of hashes that the format cannot hold.
    pub left_out: u64,
}

/// Writes items to a file. The file is complete only after [`FileWriter::finish`].
pub struct FileWriter<'a> {
    to: Box<dyn Write + Send + 'a>,
    format: Format,
    hash_type: Option<HashType>,
    /// The types that had a name when the file was begun: a table's columns do not change after that.
    types: Vec<HashType>,
    counts: Counts,
}

impl std::fmt::Debug for FileWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileWriter").field("format", &self.format).finish_non_exhaustive()
    }
}

impl<'a> FileWriter<'a> {
    /// Begins a file. `hash_type` restricts the file to one type of hashes; a list needs one. Hashes of types
    /// without a name at this time are left out. `now` is the current time as text: `2026-11-28T16:20:05Z`.
    ///
    /// # Errors
    ///
    /// Fails if the format cannot be written or needs a type, or if writing fails.
    pub fn begin(
        to: Box<dyn Write + Send + 'a>,
        format: Format,
        hash_type: Option<HashType>,
        now: &str,
    ) -> Result<Self, FileError> {
        if !Format::writable().any(|writable| writable == format) {
            return Err(FileError::NotWritable(format));
        }
        if matches!(format, Format::List | Format::Named) && hash_type.is_none() {
            return Err(FileError::UntypedList);
        }
        let types = HashType::known().collect();
        let mut writer = Self { to, format, hash_type, types, counts: Counts::default() };
        match format {
            Format::Csv | Format::Tsv | Format::Semicolon | Format::ThreatExchange | Format::TxDataset => {
                lines::header(&mut writer.to, format, &writer.types)?;
            }
            Format::StopNcii => documents::stop_ncii_begin(&mut writer.to)?,
            Format::Ncmec => documents::ncmec_begin(&mut writer.to, now)?,
            Format::JsonLines
            | Format::List
            | Format::Named
            | Format::Sums
            | Format::Pdq
            | Format::PdqDetails
            | Format::Tx
            | Format::Vpdq
            | Format::Hma => {}
        }
        Ok(writer)
    }

    /// Writes an item, as several lines or records if the format allows only one hash of a type in each.
    ///
    /// # Errors
    ///
    /// Fails if writing fails.
    pub fn item(&mut self, item: &Written<'_>) -> io::Result<()> {
        let hashes: Vec<&Hash> = item.hashes.iter().filter(|hash| self.holds(hash.hash_type())).collect();
        self.counts.left_out += (item.hashes.len() - hashes.len()) as u64;
        if hashes.is_empty() {
            return Ok(());
        }
        let is_first = self.counts.items == 0;
        match self.format {
            Format::StopNcii => documents::stop_ncii(&mut self.to, item, &hashes, is_first)?,
            Format::Ncmec => documents::ncmec(&mut self.to, item, &hashes)?,
            Format::Hma => documents::hma(&mut self.to, item, &hashes)?,
            Format::Csv
            | Format::Tsv
            | Format::Semicolon
            | Format::JsonLines
            | Format::List
            | Format::Named
            | Format::Sums
            | Format::Pdq
            | Format::PdqDetails
            | Format::ThreatExchange
            | Format::Tx
            | Format::TxDataset
            | Format::Vpdq => lines::item(&mut self.to, (self.format, &self.types), item, &hashes)?,
        }
        self.counts.items += 1;
        self.counts.hashes += hashes.len() as u64;
        Ok(())
    }

    /// Ends the file, and returns the counts of the written data.
    ///
    /// # Errors
    ///
    /// Fails if writing fails.
    pub fn finish(mut self) -> io::Result<Counts> {
        match self.format {
            Format::StopNcii => documents::stop_ncii_end(&mut self.to, self.counts.hashes)?,
            Format::Ncmec => documents::ncmec_end(&mut self.to)?,
            Format::Csv
            | Format::Tsv
            | Format::Semicolon
            | Format::JsonLines
            | Format::List
            | Format::Named
            | Format::Sums
            | Format::Pdq
            | Format::PdqDetails
            | Format::ThreatExchange
            | Format::Tx
            | Format::TxDataset
            | Format::Vpdq
            | Format::Hma => {}
        }
        self.to.flush()?;
        Ok(self.counts)
    }

    /// Checks whether hashes of a type are written.
    fn holds(&self, hash_type: HashType) -> bool {
        self.types.contains(&hash_type)
            && self.hash_type.is_none_or(|only| only == hash_type)
            && match self.format {
                Format::Sums => lines::SUMS.contains(&hash_type),
                Format::StopNcii => documents::is_of_stop_ncii(hash_type),
                Format::Ncmec => documents::is_of_ncmec(hash_type),
                Format::Csv
                | Format::Tsv
                | Format::Semicolon
                | Format::JsonLines
                | Format::List
                | Format::Named
                | Format::Pdq
                | Format::PdqDetails
                | Format::ThreatExchange
                | Format::Tx
                | Format::TxDataset
                | Format::Vpdq
                | Format::Hma => true,
            }
    }
}
