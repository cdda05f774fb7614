//! The mutable tail: the newest rows, found by lists that are appended to while they are read.
//!
//! A row is filed under each of its keys, at the head of that key's list, and never moves. A radius index has
//! a key for each 16-bit chunk of the hash, so that a search visits the lists of the chunks near its own, as
//! in `chain`. Whatever leads to a row, a list's head or the node before, carries beside its number the 32
//! bits that follow the chunk, so that a row that is not near is nearly always refused before it is looked at.
//! An equality index has one key, drawn from a keyed hash of the digest. (Append-only lists instead of growing
//! arrays: a reader needs no more than the head that it loaded.)
//!
//! **Copies.** Only the first row of a hash is filed; rows that bear the same hash hang on a list of that
//! row's own. A hundred thousand copies of one hash are one node to everybody else.
//!
//! **Worst case.** Hashes that differ but agree in a chunk share a list. A search counts the nodes it visits,
//! and where that would cost more than looking at every row, it does that instead: at most twice the scan of
//! [`TAIL_ROWS`] rows, about 0.2 ms. Few rows (`columns::LISTS_FROM`) are always scanned and not filed at all.
//!
//! **Visibility.** Which rows a reader may see is decided by `moment`: rows at or above its count are passed
//! over wherever they turn up. **Ordering:** a row's columns and links are written before the head that leads
//! to it is stored with `Release`; readers load heads with `Acquire`, and whatever they reach from there is
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
