//! Queries and matches in columns, for calls between services; callers of a frontend may send such queries
//! too. The overhead of a message is then per call, and not per hash.

use std::collections::HashMap;

use vigie_model::{
    BankId, BankRef, FRAME_BYTES, Facts, Hash, HashType, ItemContent, ItemId, Match, Query, QueryHash,
    QueryMatches, Rendition, Variant,
};

use crate::invalid::{Invalid, check_len};
use crate::model::{Sender, bank_ref, check_frames, distance, hash_of, hash_type, hash_type_number, variant};
use crate::pb::model::v1 as pb;
use crate::time::{time, unix_ms};

impl pb::PackedQueries {
    pub(crate) fn of<'query>(queries: impl IntoIterator<Item = &'query Query>) -> Self {
        let (mut hash_counts, mut runs) = (Vec::new(), Vec::<Run>::new());
        for query in queries {
            hash_counts.push(count(query.hashes.len()));
            for QueryHash { hash, variant } in &query.hashes {
                let bytes = hash.as_bytes();
                let (number, length) = (hash_type_number(hash.hash_type()), bytes.len());
                if runs.last().is_none_or(|run| run.hash_type != number || run.length != length) {
                    runs.push(Run { hash_type: number, length, values: Vec::new(), variants: Vec::new() });
                }
                if let Some(run) = runs.last_mut() {
                    run.values.extend_from_slice(bytes);
                    run.variants.push(variant_byte(*variant));
                }
            }
        }
        if hash_counts.iter().all(|&count| count == 1) {
            hash_counts.clear();
        }
        Self { hash_counts, runs: runs.into_iter().map(Into::into).collect() }
    }
}

/// Hashes of one type and length, while they are being packed.
struct Run {
    hash_type: i32,
    length: usize,
    values: Vec<u8>,
    variants: Vec<u8>,
}

impl From<Run> for pb::PackedHashes {
    fn from(run: Run) -> Self {
        Self {
            hash_type: run.hash_type,
            hash_bytes: count(run.length),
            values: run.values.into(),
            variants: unless_all_original(run.variants),
        }
    }
}

/// Reads packed queries, with the checks that hold for a message for each hash. A query of a peer may be
/// empty, because all its hashes may have been skipped.
pub(crate) fn packed_queries(message: pb::PackedQueries, sender: Sender) -> Result<Vec<Query>, Invalid> {
    let pb::PackedQueries { hash_counts, runs } = message;
    let hashes_min = match sender {
        Sender::Client => 1,
        Sender::Peer => 0,
    };
    let mut hashes = 0;
    for (number, run) in runs.iter().enumerate() {
        hashes += hashes_in(run, sender).map_err(|invalid| invalid.within(format!("runs[{number}]")))?;
    }
    let queries = if hash_counts.is_empty() { hashes } else { hash_counts.len() };
    check_len("queries", queries, 1, Query::BATCH_MAX)?;
    let counted: u64 = hash_counts.iter().map(|&count| u64::from(count)).sum();
    if !hash_counts.is_empty() && counted != hashes as u64 {
        return Err(Invalid::new("hash_counts", format!("count {counted} hashes, of which {hashes} came")));
    }
    let mut all = runs.iter().enumerate().flat_map(|(number, run)| {
        let length = size(run.hash_bytes);
        run.values.chunks_exact(length).enumerate().map(move |(at, bytes)| {
            query_hash(run, at, bytes, sender).map_err(|invalid| invalid.within(format!("runs[{number}]")))
        })
    });
    let query = |number: usize| {
        let count = hash_counts.get(number).map_or(1, |&count| size(count));
        check_len("hash_counts", count, hashes_min, Query::HASHES_MAX)
            .map_err(|invalid| Invalid { field: format!("hash_counts[{number}]"), ..invalid })?;
        check_frames(Query { hashes: all.by_ref().take(count).collect::<Result<_, Invalid>>()? })
            .map_err(|invalid| invalid.within(format!("queries[{number}]")))
    };
    (0..queries).map(query).collect()
}

/// Returns the number of hashes in a run.
fn hashes_in(run: &pb::PackedHashes, sender: Sender) -> Result<usize, Invalid> {
    let (length, bytes) = (size(run.hash_bytes), run.values.len());
    let is_video = run.hash_type == hash_type_number(HashType::VPDQ);
    let length_max = match hash_type("hash_type", run.hash_type, sender)?.vector_class() {
        Some(_) => Hash::VECTOR_LEN_MAX,
        None if is_video => FRAME_BYTES * ItemContent::FRAMES_MAX,
        None => Hash::LEN_MAX,
    };
    if !(1..=length_max).contains(&length) || bytes == 0 || !bytes.is_multiple_of(length) {
        let reason = format!("has {bytes} bytes, where hashes have {length} each");
        return Err(Invalid::new("values", reason));
    }
    let (hashes, variants) = (bytes / length, run.variants.len());
    if variants > 0 && variants != hashes {
        return Err(Invalid::new("variants", format!("has {variants} entries, for {hashes} hashes")));
    }
    Ok(hashes)
}

/// Reads the hash at an index of a run.
fn query_hash(run: &pb::PackedHashes, at: usize, bytes: &[u8], sender: Sender) -> Result<QueryHash, Invalid> {
    // The index is written only for errors.
    let with_index = |invalid: Invalid| {
        let is_of_one = invalid.field != "hash_type";
        if is_of_one { Invalid { field: format!("{}[{at}]", invalid.field), ..invalid } } else { invalid }
    };
    let hash = hash_of("values", bytes, run.hash_type, sender).map_err(with_index)?;
    let variant = run.variants.get(at).map_or(Ok(Variant::Original), |&byte| variant(byte.into()));
    let variant =
        variant.map_err(|invalid| with_index(Invalid { field: "variants".to_owned(), ..invalid }))?;
    Ok(QueryHash { hash, variant })
}

/// Packs the answers to queries into columns, in the order of the queries.
#[derive(Debug, Default)]
pub struct Packing {
    message: pb::PackedMatches,
    /// The index of each bank in the table. After a bank is renamed, shards may briefly report it under two
    /// names.
    banks: HashMap<(BankId, BankRef), u32>,
}

impl Packing {
    /// Adds the answer to the next query.
    pub fn push(&mut self, found: QueryMatches) {
        let message = &mut self.message;
        if found.limit_reached || found.is_cut() {
            message.limit_reached.push(message.query_count);
        }
        if found.set_aside {
            message.set_aside.push(message.query_count);
        }
        message.query_count += 1;
        message.match_counts.push(count(found.matches.len()));
        message.left_out.push(found.left_out);
        message.common_frames.push(found.common_frames);
        found.matches.into_iter().for_each(|one| self.push_match(one));
    }

    fn push_match(&mut self, found: Match) {
        let next = count(self.message.banks.len());
        let banks = &mut self.message.banks;
        let bank = *self.banks.entry((found.bank, found.bank_name)).or_insert_with_key(|(id, name)| {
            banks.push(pb::PackedBank { id: id.0, name: name.to_string() });
            next
        });
        let message = &mut self.message;
        if !found.exact {
            message.inexact.push(count(message.item_ids.len()));
        }
        if let Some(evidence) = found.video {
            message.videos_of.push(count(message.item_ids.len()));
            message.videos.push((*evidence).into());
        }
        if let Some(time_ms) = found.item_time_ms {
            message.item_times_of.push(count(message.item_ids.len()));
            message.item_times_ms.push(time_ms);
        }
        if let Some(facts) = found.facts {
            message.facts_of.push(count(message.item_ids.len()));
            message.facts.push((*facts).into());
        }
        message.added_at_unix_ms.push(unix_ms(found.added_at));
        message.item_ids.push(found.item.0);
        message.bank_numbers.push(bank);
        message.external_references.push(found.external_reference.map(String::from).unwrap_or_default());
        message.label_counts.push(count(found.labels.len()));
        message.labels.extend(found.labels.into_iter().map(String::from));
        message.hash_types.push(hash_type_number(found.hash_type));
        message.distances.push(found.distance.0);
        message.variants.push(variant_byte(found.variant));
        message.other_matches.push(found.other_matches);
    }

    /// Returns the packed answers. Columns that hold only defaults are left out.
    #[must_use]
    pub fn finish(self) -> pb::PackedMatches {
        let mut message = self.message;
        let columns = [
            &mut message.match_counts,
            &mut message.left_out,
            &mut message.other_matches,
            &mut message.common_frames,
            &mut message.label_counts,
        ];
        columns.into_iter().for_each(clear_zeros);
        if message.added_at_unix_ms.iter().all(|&at| at == 0) {
            message.added_at_unix_ms.clear();
        }
        if message.external_references.iter().all(String::is_empty) {
            message.external_references.clear();
        }
        message.variants = unless_all_original(message.variants);
        message
    }
}

/// Packs the answers to queries, in their order.
impl FromIterator<QueryMatches> for pb::PackedMatches {
    fn from_iter<I: IntoIterator<Item = QueryMatches>>(results: I) -> Self {
        let mut packing = Packing::default();
        results.into_iter().for_each(|found| packing.push(found));
        packing.finish()
    }
}

impl TryFrom<pb::PackedMatches> for Vec<QueryMatches> {
    type Error = Invalid;

    fn try_from(mut message: pb::PackedMatches) -> Result<Self, Invalid> {
        let queries = size(message.query_count);
        check_len("query_count", queries, 0, Query::BATCH_MAX)?;
        check_column("match_counts", message.match_counts.len(), queries)?;
        check_column("left_out", message.left_out.len(), queries)?;
        check_column("common_frames", message.common_frames.len(), queries)?;
        let mut results: Self = (0..queries)
            .map(|number| QueryMatches {
                left_out: message.left_out.get(number).copied().unwrap_or_default(),
                common_frames: message.common_frames.get(number).copied().unwrap_or_default(),
                ..QueryMatches::default()
            })
            .collect();
        for &number in &message.limit_reached {
            let result = results.get_mut(size(number)).ok_or_else(|| {
                Invalid::new("limit_reached", format!("names query {number}, of {queries}"))
            })?;
            result.limit_reached = true;
        }
        for &number in &message.set_aside {
            let result = results
                .get_mut(size(number))
                .ok_or_else(|| Invalid::new("set_aside", format!("names query {number}, of {queries}")))?;
            result.set_aside = true;
        }
        let counts = std::mem::take(&mut message.match_counts);
        let mut matches = Columns::new(message)?;
        for (result, count) in results.iter_mut().zip(counts) {
            let count = size(count);
            // Reserves at most the number of matches in the message, whatever the sender claims.
            result.matches.reserve_exact(count.min(matches.left()));
            for _ in 0..count {
                result.matches.push(matches.next_match()?);
            }
        }
        if matches.left() > 0 {
            return Err(Invalid::new(
                "match_counts",
                format!("leave {} matches to no query", matches.left()),
            ));
        }
        Ok(results)
    }
}

/// The columns of a message of matches, and the index of the next match to read. All column lengths have been
/// checked.
struct Columns {
    banks: Vec<(BankId, BankRef)>,
    at: usize,
    message: pb::PackedMatches,
    references: std::vec::IntoIter<String>,
    labels: std::vec::IntoIter<String>,
    /// The indices of inexact matches that were not read yet.
    inexact: std::iter::Peekable<std::vec::IntoIter<u32>>,
    /// The facts that were not read yet, each with the index of its match.
    facts: Sparse<pb::Facts>,
    /// The evidence of video matches that was not read yet, each with the index of its match.
    videos: Sparse<pb::VideoEvidence>,
    /// The times of matched frames that were not read yet, each with the index of its match.
    item_times: Sparse<u32>,
}

/// A column with values for some matches only, each with the index of its match.
type Sparse<T> = std::iter::Peekable<std::iter::Zip<std::vec::IntoIter<u32>, std::vec::IntoIter<T>>>;

/// Returns a column of values with the indices of their matches. Fails if the two lengths differ.
fn sparse<T>(field: &str, numbers: Vec<u32>, values: Vec<T>) -> Result<Sparse<T>, Invalid> {
    check_len(field, values.len(), numbers.len(), numbers.len())?;
    Ok(numbers.into_iter().zip(values).peekable())
}

impl Columns {
    fn new(mut message: pb::PackedMatches) -> Result<Self, Invalid> {
        let matches = message.item_ids.len();
        check_len("item_ids", matches, 0, Query::ANSWERS_MAX)?;
        let always = [
            ("bank_numbers", message.bank_numbers.len()),
            ("hash_types", message.hash_types.len()),
            ("distances", message.distances.len()),
        ];
        for (field, length) in always {
            check_len(field, length, matches, matches)?;
        }
        let sometimes = [
            ("external_references", message.external_references.len()),
            ("label_counts", message.label_counts.len()),
            ("variants", message.variants.len()),
            ("other_matches", message.other_matches.len()),
            ("added_at_unix_ms", message.added_at_unix_ms.len()),
        ];
        for (field, length) in sometimes {
            check_column(field, length, matches)?;
        }
        let labels: u64 = message.label_counts.iter().map(|&count| u64::from(count)).sum();
        if labels != message.labels.len() as u64 {
            let reason = format!("count {labels} labels, of which {} came", message.labels.len());
            return Err(Invalid::new("label_counts", reason));
        }
        let numbered = [
            ("inexact", &message.inexact),
            ("facts_of", &message.facts_of),
            ("videos_of", &message.videos_of),
            ("item_times_of", &message.item_times_of),
        ];
        for (field, numbers) in numbered {
            if !numbers.is_sorted_by(|one, next| one < next)
                || numbers.last().is_some_and(|&last| size(last) >= matches)
            {
                return Err(Invalid::new(field, "has to be numbers of matches, ascending"));
            }
        }
        let facts =
            sparse("facts", std::mem::take(&mut message.facts_of), std::mem::take(&mut message.facts))?;
        let videos =
            sparse("videos", std::mem::take(&mut message.videos_of), std::mem::take(&mut message.videos))?;
        let item_times = sparse(
            "item_times_ms",
            std::mem::take(&mut message.item_times_of),
            std::mem::take(&mut message.item_times_ms),
        )?;
        let bank = |(number, bank): (usize, &pb::PackedBank)| {
            let name = bank_ref("name", &bank.name);
            Ok((BankId(bank.id), name.map_err(|invalid| invalid.within(format!("banks[{number}]")))?))
        };
        Ok(Self {
            banks: message.banks.iter().enumerate().map(bank).collect::<Result<_, Invalid>>()?,
            at: 0,
            references: std::mem::take(&mut message.external_references).into_iter(),
            labels: std::mem::take(&mut message.labels).into_iter(),
            inexact: std::mem::take(&mut message.inexact).into_iter().peekable(),
            facts,
            videos,
            item_times,
            message,
        })
    }

    /// Returns the number of matches that were not read yet.
    const fn left(&self) -> usize {
        self.message.item_ids.len() - self.at
    }

    fn next_match(&mut self) -> Result<Match, Invalid> {
        let (at, message) = (self.at, &self.message);
        let too_many = || Invalid::new("match_counts", "count more matches than came");
        let item = *message.item_ids.get(at).ok_or_else(too_many)?;
        let number = message.bank_numbers[at];
        let bank = self.banks.get(size(number));
        let (bank, bank_name) = bank
            .cloned()
            .ok_or_else(|| Invalid::new("bank_numbers", format!("name bank {number}, which is none")))?;
        let reference = self.references.next().unwrap_or_default();
        let labels = message.label_counts.get(at).map_or(0, |&count| size(count));
        let is_inexact = self.inexact.next_if(|&number| size(number) == at).is_some();
        let facts = self.facts.next_if(|(number, _)| size(*number) == at);
        let facts = facts.map(|(_, facts)| Facts::try_from(facts)).transpose()?;
        let video = self.videos.next_if(|(number, _)| size(*number) == at);
        let item_time = self.item_times.next_if(|(number, _)| size(*number) == at);
        self.at += 1;
        let hash_type = hash_type("hash_types", message.hash_types[at], Sender::Peer)?;
        Ok(Match {
            item: ItemId(item),
            bank,
            bank_name,
            external_reference: (!reference.is_empty()).then(|| reference.into_boxed_str()),
            labels: self.labels.by_ref().take(labels).map(String::into_boxed_str).collect(),
            hash_type,
            distance: distance(hash_type, message.distances[at])?,
            variant: message.variants.get(at).map_or(Ok(Variant::Original), |&byte| variant(byte.into()))?,
            exact: !is_inexact,
            other_matches: message.other_matches.get(at).copied().unwrap_or_default(),
            rendition: Rendition::default(),
            added_at: time(message.added_at_unix_ms.get(at).copied().unwrap_or_default()),
            facts: facts.map(Box::new),
            video: video.map(|(_, evidence)| Box::new(evidence.into())),
            item_time_ms: item_time.map(|(_, time_ms)| time_ms),
        })
    }
}

/// Checks that a column is empty, or has one entry for each of `all` matches.
fn check_column(field: &str, length: usize, all: usize) -> Result<(), Invalid> {
    if length == 0 { Ok(()) } else { check_len(field, length, all, all) }
}

fn clear_zeros(column: &mut Vec<u32>) {
    if column.iter().all(|&number| number == 0) {
        column.clear();
    }
}

fn unless_all_original(variants: Vec<u8>) -> Vec<u8> {
    if variants.iter().all(|&byte| byte == variant_byte(Variant::Original)) { Vec::new() } else { variants }
}

fn variant_byte(variant: Variant) -> u8 {
    u8::try_from(i32::from(pb::Variant::from(variant))).unwrap_or_default()
}

/// Converts a length. Messages are smaller than 4 GiB, so every length fits.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
