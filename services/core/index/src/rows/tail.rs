//! The mutable tail: the newest rows, found by lists to which the writer appends while readers follow them.
//!
//! A row is filed under each of its keys, at the head of that key's list, and never moves. A radius index has
//! a key for each 16-bit chunk of the hash, so that a search follows the lists of the chunks near its own, as
//! in `chain`. Each link to a row, in a list's head or in the node before it, also stores the 32 bits that
//! follow the chunk, so most rows that are not near are excluded without reading them. An equality index has
//! one key, from a keyed hash of the digest. (Lists are used instead of growing arrays because a reader needs
//! only the head that it loaded.)
//!
//! **Copies.** Only the first row of a hash is filed. Rows with the same hash are on a separate list of that
//! row. A hundred thousand copies of one hash are one node for searches of other hashes.
//!
//! **Worst case.** Different hashes that agree in a chunk share a list. A search counts the nodes that it
//! visits, and scans all rows instead if that costs less: at most twice the scan of [`TAIL_ROWS`] rows, about
//! 0.2 ms. Few rows (`columns::LISTS_FROM`) are always scanned and not filed at all.
//!
//! **Visibility.** `moment` defines which rows a reader may see: rows at or above its count are skipped
//! wherever they occur. **Ordering:** a row's columns and links are written before the head that leads to it
//! is stored with `Release`. Readers load heads with `Acquire`, and everything that they reach from there is
//! older.

mod keys;
mod columns;
mod search;
mod books;
mod audit;

pub(crate) use books::TailBooks;
pub(crate) use columns::{TAIL_ROWS, Tail};
pub(crate) use keys::Keys;
pub(crate) use search::TailScratch;
