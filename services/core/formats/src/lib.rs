//! The formats in which the field shares hashes: files of them, and the documents of sharing programmes.
//!
//! Pure: bytes in, typed pages and records out, and back. The module of a programme has its page, its
//! records, `parse` and `render`, and the two mappings between its records and the
//! [`Record`](programme::Record) that all programmes share.
//!
//! Always true:
//!
//! - **A page is bounded** in bytes, depth and elements. XML with a document type declaration or an
//!   undeclared entity is refused.
//! - **An incomplete or malformed document is a [`Fault`](programme::Fault) of the page.** A record that
//!   breaks the format costs only that record, and the [`Tally`](programme::Tally) counts it.
//! - **Unknown hash types are kept as text** and counted, never dropped silently.
//! - **No hash is in an error or in `Debug`.**
//! - **`parse(render(page))` equals `page`**: each programme has property tests for this.
//!
//! Reading order: [`programme`], [`utc`], then one of [`ncmec`], [`threat_exchange`], [`stop_ncii`], [`tat`],
//! [`vigie`]; [`files`] is independent of these.

pub mod programme;
pub mod utc;
mod json;
mod words;
pub mod ncmec;
pub mod threat_exchange;
pub mod stop_ncii;
pub mod tat;
pub mod vigie;
pub mod files;
