//! The metrics, the condition and the traces of a role.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use crate::trace::Tracer;

/// Whether a role does its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The role works.
    Ready,
    /// Another process works, for this reason, and this one takes over when that one ends. Counts as ready
    /// for a rollout that replaces processes one by one; callers find the working process by themselves.
    Standby(Cow<'static, str>),
    /// The role does not work yet, for this reason, since the process began.
    Starting(Cow<'static, str>),
    /// The role does not work at present, for this reason. The process itself is well and need not be
    /// restarted.
    Unready(Cow<'static, str>),
}

impl Condition {
    /// Returns ready, or starting for this reason.
    #[must_use]
    pub fn starting(unready: Option<impl Into<Cow<'static, str>>>) -> Self {
        unready.map_or(Self::Ready, |reason| Self::Starting(reason.into()))
    }
}

/// The registry of a role's metrics, and the function that returns its condition. Clones share the state.
///
/// A role gets its telemetry when the role is built. Nothing of it is visible until [`crate::serve`] serves
/// it.
#[derive(Clone, Default)]
pub struct Telemetry {
    shared: Arc<Shared>,
    tracer: Tracer,
}

#[derive(Default)]
struct Shared {
    registry: RwLock<Registry>,
    condition: RwLock<Option<Box<dyn Fn() -> Condition + Send + Sync>>>,
    remarks: RwLock<Vec<String>>,
    has_started: AtomicBool,
    is_stopping: AtomicBool,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Telemetry").field("condition", &self.condition()).finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Returns the same telemetry, with traces.
    #[must_use]
    pub fn with_tracer(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
    }

    /// Returns the tracer, which records the calls of the role.
    #[must_use]
    pub fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }

    /// Calls `register`, which adds metrics to the registry.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.shared.registry.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets the function that returns the role's condition. Every probe calls it, so it has to be quick.
    pub fn set_condition(&self, condition: impl Fn() -> Condition + Send + Sync + 'static) {
        let mut current = self.shared.condition.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Box::new(condition));
    }

    /// Adds a line to the answer of a probe when the role is ready: an ability of the role, or a missing one.
    pub fn remark(&self, line: String) {
        self.shared.remarks.write().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// Returns the added lines.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        self.shared.remarks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that the process is stopping: it is not ready any more, whatever the role's condition is.
    pub fn stopping(&self) {
        self.shared.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Returns the present condition of the role.
    #[must_use]
    pub fn condition(&self) -> Condition {
        if self.shared.is_stopping.load(Ordering::Relaxed) {
            return Condition::Unready("shutting down".into());
        }
        let current = self.shared.condition.read().unwrap_or_else(PoisonError::into_inner);
        let condition =
            current.as_ref().map_or(Condition::Starting("starting".into()), |condition| condition());
        if !matches!(condition, Condition::Starting(_)) {
            self.shared.has_started.store(true, Ordering::Relaxed);
        }
        condition
    }

    /// Returns whether the role has once left the condition of starting.
    #[must_use]
    pub(crate) fn has_started(&self) -> bool {
        // A probe may be the first to ask.
        let _asked = self.condition();
        self.shared.has_started.load(Ordering::Relaxed)
    }

    /// Returns every metric, in the text format of OpenMetrics 1.0.
    ///
    /// # Errors
    ///
    /// A metric cannot be written.
    pub fn exposition(&self) -> Result<String, fmt::Error> {
        let mut written = String::new();
        text::encode(&mut written, &self.shared.registry.read().unwrap_or_else(PoisonError::into_inner))?;
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_started_once_has_started_for_good() {
        let telemetry = Telemetry::default();
        assert_eq!(telemetry.condition(), Condition::Starting("starting".into()));
        assert!(!telemetry.has_started());
        let now = Arc::new(RwLock::new(Condition::Starting("loading".into())));
        let asked = Arc::clone(&now);
        telemetry.set_condition(move || asked.read().unwrap().clone());
        assert!(!telemetry.has_started());
        *now.write().unwrap() = Condition::Ready;
        assert!(telemetry.has_started());
        *now.write().unwrap() = Condition::Starting("rebuilding".into());
        assert!(telemetry.has_started());
        assert_eq!(telemetry.condition(), Condition::Starting("rebuilding".into()));
    }

    #[test]
    fn who_waits_for_something_has_started_and_is_not_ready() {
        let telemetry = Telemetry::default();
        telemetry.set_condition(|| Condition::Unready("waits".into()));
        assert!(telemetry.has_started());
        assert_eq!(telemetry.condition(), Condition::Unready("waits".into()));
    }

    #[test]
    fn a_role_that_is_stopping_is_not_ready_whatever_its_condition_is() {
        let telemetry = Telemetry::default();
        telemetry.set_condition(|| Condition::Ready);
        assert_eq!(telemetry.condition(), Condition::Ready);
        telemetry.stopping();
        assert_eq!(telemetry.condition(), Condition::Unready("shutting down".into()));
    }
}
