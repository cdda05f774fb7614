//! The spans of one call in this process, until it is decided whether they are kept.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use http::HeaderValue;
use opentelemetry::{TraceFlags, TraceId};

use super::keeping::Keeping;
use super::record::Record;

/// The most spans of a recording; further ones are lost.
const SPANS_MAX: usize = 1_024;

/// The recording of one call.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) trace: TraceId,
    /// Whether the trace is sampled, so that it is kept here and by called services.
    pub(super) chosen: bool,
    pub(super) state: Option<HeaderValue>,
    /// `None` if nothing is recorded, and the context is only passed on.
    recorder: Option<Recorder>,
}

#[derive(Debug)]
struct Recorder {
    keeping: Arc<Keeping>,
    /// The same moment by both clocks: spans take the time by one of them.
    began: (Instant, SystemTime),
    /// Whether something in the recording makes it worth keeping.
    worth_it: AtomicBool,
    spans: Mutex<Spans>,
}

/// The spans that have ended.
#[derive(Debug)]
enum Spans {
    /// The call goes on.
    Open(Vec<Record>),
    /// The call has ended and is kept; so are spans that end later.
    Kept,
    /// The call has ended and is not kept.
    Forgotten,
}

impl Recording {
    pub(super) fn new(
        keeping: Option<Arc<Keeping>>,
        trace: TraceId,
        chosen: bool,
        state: Option<HeaderValue>,
    ) -> Self {
        let recorder = keeping.map(|keeping| Recorder {
            keeping,
            began: (Instant::now(), SystemTime::now()),
            worth_it: AtomicBool::new(false),
            spans: Mutex::new(Spans::Open(Vec::new())),
        });
        Self { trace, chosen, state, recorder }
    }

    pub(super) fn keeping(&self) -> Option<&Arc<Keeping>> {
        self.recorder.as_ref().map(|recorder| &recorder.keeping)
    }

    /// Returns its beginning by the clock that measures spans; `None` if nothing is recorded.
    pub(super) fn began(&self) -> Option<Instant> {
        self.recorder.as_ref().map(|recorder| recorder.began.0)
    }

    pub(super) const fn flags(&self) -> TraceFlags {
        if self.chosen { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED }
    }

    pub(super) fn keep(&self) {
        if let Some(recorder) = &self.recorder {
            recorder.worth_it.store(true, Ordering::Relaxed);
        }
    }

    /// Adds a span below the root span of this process, which has ended.
    pub(super) fn ended(&self, record: Record) {
        let Some(recorder) = &self.recorder else { return };
        let mut spans = recorder.spans();
        match &mut *spans {
            Spans::Open(spans) if spans.len() < SPANS_MAX => spans.push(record),
            Spans::Open(_) if self.chosen => recorder.keeping.export.lose(1),
            Spans::Open(_) => {}
            Spans::Forgotten => {}
            Spans::Kept => {
                drop(spans);
                recorder.keeping.export.send(self.trace, recorder.began, record);
            }
        }
    }

    /// Ends the recording with the root span of this process.
    pub(super) fn all_ended(&self, root: Record, is_stream: bool) {
        let Some(recorder) = &self.recorder else { return };
        let is_slow = !is_stream && root.took >= recorder.keeping.slow;
        let is_kept = self.chosen || is_slow || recorder.worth_it.load(Ordering::Relaxed);
        let after = if is_kept { Spans::Kept } else { Spans::Forgotten };
        let before = std::mem::replace(&mut *recorder.spans(), after);
        if let (true, Spans::Open(spans)) = (is_kept, before) {
            for record in spans.into_iter().chain([root]) {
                recorder.keeping.export.send(self.trace, recorder.began, record);
            }
        }
    }
}

impl Recorder {
    fn spans(&self) -> MutexGuard<'_, Spans> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
