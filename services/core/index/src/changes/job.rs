//! A merge from its plan to its installation: the sources that it reads, and how the new segment replaces
//! them.

use std::sync::Arc;

use super::layout::Layout;
use super::merge::{self, Extent, Source};
use super::writer::{BookedTail, Writer};
use crate::rows::home::Home;
use crate::rows::segment::{Segment, Shape};
use crate::rows::segment_file::{SegmentError, SegmentFile};
use crate::rows::tombstones::{LogPage, SourceId};

/// A planned merge.
pub(super) struct Job<const BYTES: usize> {
    pub(super) sources: Vec<Source<BYTES>>,
    pub(super) shape: Shape,
    /// The end of the log when the sources were read.
    log: Arc<LogPage>,
    since: u64,
}

impl<const BYTES: usize> Writer<BYTES> {
    fn extents(&self) -> Vec<Extent> {
        self.segments.iter().map(|segment| Extent::of(segment)).collect()
    }

    pub(super) fn has_job(&self) -> bool {
        !self.sealed.is_empty()
            || !merge::next_merge(&self.extents(), self.options.segment_rows_max).is_empty()
    }

    pub(super) fn next_job(&self) -> Option<Job<BYTES>> {
        self.job_of_sealed().or_else(|| {
            let chosen = merge::next_merge(&self.extents(), self.options.segment_rows_max);
            self.job(chosen.into_iter().map(|at| self.segment_source(at)).collect())
        })
    }

    /// Plans a merge of tails that are no longer filled: as many as the size limit allows, but at least one.
    pub(super) fn job_of_sealed(&self) -> Option<Job<BYTES>> {
        let mut total = 0;
        let chosen = self.sealed.iter().take_while(|one| {
            let is_first = total == 0;
            total += one.books.rows();
            is_first || total <= self.options.segment_rows_max
        });
        let source = |one: &BookedTail<BYTES>| {
            let tail = Arc::clone(&one.tail);
            Source::Tail { dead: tail.dead.words(), rows: one.books.rows(), tail }
        };
        self.job(chosen.map(source).collect())
    }

    /// Plans a merge of all segments, without the largest ones if the sum would be too large.
    pub(super) fn job_of_segments(&self) -> Option<Job<BYTES>> {
        let mut order: Vec<usize> = (0..self.segments.len()).collect();
        order.sort_by_key(|&at| self.segments[at].live());
        let mut total = 0;
        order.retain(|&at| {
            total += self.segments[at].live();
            total <= self.options.segment_rows_max
        });
        let is_done = matches!(order[..], [at] if self.segments[at].dead.count() == 0);
        if is_done { None } else { self.job(order.into_iter().map(|at| self.segment_source(at)).collect()) }
    }

    /// Returns the segments that hold dead rows.
    pub(super) fn with_dead_rows(&self) -> Vec<SourceId> {
        let dead = self.segments.iter().filter(|segment| segment.dead.count() > 0);
        dead.map(|segment| segment.id).collect()
    }

    /// Plans the rewriting of one segment without its dead rows, if it is still in use.
    pub(super) fn job_of_segment(&self, id: SourceId) -> Option<Job<BYTES>> {
        let at = self.segments.iter().position(|segment| segment.id == id)?;
        self.job(vec![self.segment_source(at)])
    }

    fn segment_source(&self, at: usize) -> Source<BYTES> {
        let segment = Arc::clone(&self.segments[at]);
        Source::Segment { dead: segment.dead.words(), segment }
    }

    fn job(&self, sources: Vec<Source<BYTES>>) -> Option<Job<BYTES>> {
        if sources.is_empty() {
            return None;
        }
        let Layout { seed, distance, compact, .. } = self.layout;
        let shape = merge::shape_of(&sources, seed, distance, compact);
        Some(Job { sources, shape, log: Arc::clone(self.log.page()), since: self.log.position() })
    }

    /// Replaces the sources of a job by the segment that it built.
    pub(super) fn install(
        &mut self,
        job: &Job<BYTES>,
        file: Option<SegmentFile>,
        home: &Home,
    ) -> Result<(), SegmentError> {
        if let Some(file) = file {
            let segment = Segment::open(self.new_source(), file, None)?;
            for removal in job.log.since(job.since) {
                if let Some(source) = job.sources.iter().find(|source| source.id() == removal.source) {
                    let (hash, item) = source.pair(removal.row as usize);
                    let row = segment.find(&hash, item).expect("what lived when the merge began was merged");
                    segment.dead.insert(row);
                }
            }
            self.segments.push(Arc::new(segment));
        }
        // Writing to the disk succeeded, so an earlier fault is over.
        self.fault = None;
        let is_merged = |id: SourceId| job.sources.iter().any(|source| source.id() == id);
        for segment in self.segments.extract_if(.., |segment| is_merged(segment.id)) {
            if let Err(error) = home.release(segment.file()) {
                self.fault = Some(error.to_string());
            }
        }
        self.sealed.retain(|one| !is_merged(one.tail.id));
        self.relisted = true;
        Ok(())
    }
}
