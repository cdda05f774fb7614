//! Files of hashes, in the formats in which the field exchanges them.
//!
//! [`FileReader`] returns the items of a file one at a time. It keeps at most one line or record in memory,
//! so a file may be of any size. The format is recognised by the beginning of the file, or given.
//! [`FileWriter`] writes the formats that can hold the data of a bank.
//!
//! Always true:
//!
//! - **A bad line costs only itself.** It becomes an entry with its number and the reason, and reading goes
//!   on. In a document, a bad value is left out and the rest of its record is kept; an incomplete document
//!   ends with an entry that reports it.
//! - **A type is certain or is refused.** 64 hexadecimal digits may be PDQ or SHA-256: if nothing names the
//!   type, opening the file fails and the error lists the choices. A vector is recognised only by its type's
//!   name.
//! - **Omitted data are counted**: unknown types and columns, where the options allow them, and withdrawn
//!   entries.
//! - **No reason repeats a value**, which may be a hash.
//! - **Bounded**: lines, records, elements, cells and names have a largest length; a longer one makes the
//!   line bad.
//!
//! Reading order: [`Format`] (the table), `fault`, `left_out`, `options`, `recognise`; `lines` (`columns`,
//! `table`, `words`, `json_hash`, `item_json`) and `documents` (`records`, `hma`, `stop_ncii`, `ncmec`);
//! `reader`, `batches`; `any_hash`; `write` (`lines`, `documents`).

mod format;
mod fault;
mod left_out;
mod options;
mod lines;
mod documents;
mod recognise;
mod reader;
mod batches;
mod any_hash;
mod write;

#[cfg(test)]
mod tests;

pub use any_hash::any_hash;
pub use batches::{BATCH_ITEMS, Batch, Batches, Survey};
pub use fault::{FileError, Unknown};
pub use format::{Format, UnknownFormat};
pub use left_out::LeftOut;
pub use lines::frames::video_of_file;
pub use lines::item_json::ItemJson;
pub use lines::json_hash::JsonHash;
pub use lines::parts::file_name;
pub use lines::{LINE_BYTES_MAX, Line, Lines};
pub use options::ReadOptions;
pub use reader::{BadLine, Entry, FileReader};
pub use write::{Counts, FileWriter, Written};
