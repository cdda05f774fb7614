//! Threads for calls that keep a processor busy for long.
//!
//! A large answer takes milliseconds of processor time in each process that it passes: it is read, merged and
//! written. On the threads that serve calls, small calls would wait for that. So such a call goes on *aside*:
//! on few threads of its own, to which the operating system prefers all others (on Linux, by their `nice`
//! value).
//!
//! A handler learns in the middle of a call that the answer is large. Its future then moves, with all that it
//! has done. On a runtime of one thread, such as that of a simulation, no call moves. Work that waits for
//! nothing ([`spawn_blocking`]) has threads of the same kind, which are not few.

use std::cell::Cell;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;
use vigie_telemetry::trace;

/// The `nice` value of the threads aside. On a busy processor such a thread gets a third of the time of one
/// that serves calls (each step is a factor of about 1.25).
#[cfg(target_os = "linux")]
const NICE: i32 = 5;

/// The place of the future that this thread polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In no [`Movable`].
    Fixed,
    /// In a [`Movable`], on a thread that serves calls.
    Here,
    /// There too, but it asked to go on aside.
    Leaving,
    /// On a thread aside.
    Aside,
}

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(Place::Fixed) };
}

/// Lets the future of the present call go on aside, if it can move.
pub(super) async fn step() {
    if leave() {
        // The `Movable` moves a pending future.
        tokio::task::yield_now().await;
    }
}

/// Asks for the rest of the present call to be aside. Returns whether it can move.
pub(super) fn leave() -> bool {
    let moves = PLACE.get() == Place::Here && is_of_many() && threads().is_some();
    if moves {
        PLACE.set(Place::Leaving);
    }
    moves
}

/// Returns whether the present runtime has several threads.
fn is_of_many() -> bool {
    Handle::try_current().is_ok_and(|it| it.runtime_flavor() != RuntimeFlavor::CurrentThread)
}

/// Runs work that waits for nothing and takes long on a thread of the lower priority.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    match threads().filter(|_| is_of_many()) {
        Some(threads) => threads.spawn_blocking(work),
        None => tokio::task::spawn_blocking(work),
    }
}

/// Starts a task aside, in the present trace context.
pub(super) fn spawn<F>(work: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let work = trace::scope(trace::current(), work);
    Task(AbortOnDropHandle::new(threads().cloned().unwrap_or_else(Handle::current).spawn(work)))
}

/// Runs a task's work, which may go on aside: for work that is not the future of a call.
pub async fn movable<F>(work: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    Movable::new(work).await.0
}

/// Returns the runtime aside, with half as many threads for tasks as there are processors. It lasts as long
/// as the process. `None` if the system gives no threads.
fn threads() -> Option<&'static Handle> {
    static THREADS: OnceLock<Option<Runtime>> = OnceLock::new();
    let start = || {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let mut threads = Builder::new_multi_thread();
        threads.worker_threads((processors / 2).max(1)).thread_name("aside").enable_all();
        threads.on_thread_start(give_way).build().ok()
    };
    THREADS.get_or_init(start).as_ref().map(Runtime::handle)
}

/// Marks this thread as one aside.
fn give_way() {
    PLACE.set(Place::Aside);
    // On Linux this sets the value of the thread, elsewhere that of the process. If it is refused, the thread
    // competes with the others.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICE);
}

/// A task aside, which ends when this is dropped.
pub(super) struct Task<T>(AbortOnDropHandle<T>);

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match ready!(Pin::new(&mut self.0).poll(context)) {
            Ok(output) => Poll::Ready(output),
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Nobody else aborts the task, and its threads last as long as the process.
                Err(_) => Poll::Pending,
            },
        }
    }
}

/// A future that may go on aside. Its output says whether it asked for that.
pub(super) enum Movable<F: Future> {
    /// On the thread that polls this.
    Here(Pin<Box<F>>),
    /// Aside.
    Aside(Task<F::Output>),
    /// Between the two.
    Moving,
}

impl<F: Future> Movable<F> {
    pub(super) fn new(future: F) -> Self {
        Self::Here(Box::pin(future))
    }
}

impl<F> Future for Movable<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    type Output = (F::Output, bool);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Self::Here(future) = &mut *self {
            let (polled, leaves) = poll_here(future.as_mut(), context);
            if let Poll::Ready(output) = polled {
                return Poll::Ready((output, leaves));
            }
            if leaves && let Self::Here(future) = std::mem::replace(&mut *self, Self::Moving) {
                *self = Self::Aside(spawn(future));
            }
        }
        match &mut *self {
            Self::Aside(task) => Pin::new(task).poll(context).map(|output| (output, true)),
            Self::Here(_) | Self::Moving => Poll::Pending,
        }
    }
}

/// Polls a future, and returns whether it asked to go on aside.
fn poll_here<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>) -> (Poll<F::Output>, bool) {
    let outer = PLACE.get();
    if outer == Place::Aside {
        return (future.poll(context), false);
    }
    PLACE.set(Place::Here);
    let polled = future.poll(context);
    (polled, PLACE.replace(outer) == Place::Leaving)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn thread_name() -> String {
        thread::current().name().unwrap_or_default().to_owned()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_steps_aside_goes_on_there_with_all_that_it_has() {
        let had = Arc::new(7);
        let call = async move {
            let before = thread_name();
            step().await;
            let after = (thread_name(), niceness());
            tokio::time::sleep(Duration::from_millis(1)).await;
            step().await;
            (before, after, thread_name(), *had)
        };
        let here = niceness();
        let ((before, (after, nice), later, had), was_moved) = Movable::new(call).await;
        assert_ne!(before, "aside");
        assert_eq!([after.as_str(), later.as_str()], ["aside", "aside"]);
        assert_eq!((had, was_moved), (7, true));
        assert_eq!(nice - here, if cfg!(target_os = "linux") { 5 } else { 0 });
        assert_eq!(niceness(), here, "the other threads keep theirs");
    }

    #[cfg(target_os = "linux")]
    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[cfg(not(target_os = "linux"))]
    fn niceness() -> i32 {
        0
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_does_not_ask_or_is_not_movable_stays() {
        let ((), was_moved) = Movable::new(tokio::time::sleep(Duration::from_millis(1))).await;
        assert!(!was_moved);
        // A part of a call that asked after its last wait is not moved, but says so.
        assert_eq!(Movable::new(async { leave() }).await, (true, true));
        step().await;
        assert_ne!(thread_name(), "aside");
        // A future in another, which is aside already, stays there.
        let inner = async {
            step().await;
            Movable::new(async { (leave(), thread_name()) }).await
        };
        assert_eq!(Movable::new(inner).await, (((false, "aside".to_owned()), false), true));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn long_work_gives_way_too() {
        let (name, nice) = spawn_blocking(|| (thread_name(), niceness())).await.unwrap();
        assert_eq!(
            (name.as_str(), nice - niceness()),
            ("aside", if cfg!(target_os = "linux") { 5 } else { 0 })
        );
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_keeps_all() {
        let call = async {
            step().await;
            thread_name()
        };
        let (name, was_moved) = Movable::new(call).await;
        assert_ne!(name, "aside");
        assert!(!was_moved);
        assert_ne!(spawn_blocking(thread_name).await.unwrap(), "aside");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_call_that_is_dropped_ends_aside_too_and_a_panic_is_passed_on() {
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let call = async move {
            step().await;
            std::future::pending::<()>().await;
            drop(held);
        };
        let waited = tokio::time::timeout(Duration::from_millis(20), Movable::new(call)).await;
        assert!(waited.is_err());
        while Arc::strong_count(&alive) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let call = async {
            step().await;
            panic!("a fault of the handler");
        };
        let ended = tokio::spawn(Movable::new(call)).await;
        assert!(ended.unwrap_err().is_panic());
    }
}
