//! Bounds the bytes of answers.
//!
//! A handler reserves memory for an answer before it builds it, and marks the point at which the answer is
//! sent. The reservation is released when the transport asks for the next part, or when the call ends. The
//! transport asks once it has sent the last part; the client's flow control holds it back. So a client that
//! does not read holds only its own reservation, and no more is produced for it.
//!
//! The reservation bounds memory but not processor time: reading, merging and writing a large answer keeps a
//! thread busy for milliseconds. So a handler also takes a [`Turn`] for a large answer. Turns are few, so
//! small calls find a processor; and the call goes on on threads of its own ([`aside`]), where it also writes
//! the answer.

use std::future::poll_fn;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::admission::budget::{Budget, HeldBytes};
use crate::admission::ledger::Sizes;
use crate::admission::shares::Client;
use crate::admission::slots::too_late;
use crate::call::aside::{self, Movable, Task};
use crate::load::Load;

/// The longest wait for a turn: the largest answers take some tens of milliseconds each.
const TURN_WAIT_MAX: Duration = Duration::from_millis(500);

/// An answer of more bytes than this is written aside.
const LARGE_BYTES: usize = 256 << 10;

/// The answers of one call. Clones share the state.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// `None` outside a server, where answers have no bound.
    of: Option<(AnswerBudget, Client)>,
    /// The reservations of answers that are being sent.
    sending: Arc<Mutex<Vec<HeldBytes>>>,
}

/// Memory that is reserved for the bytes of one answer, until this is dropped.
#[derive(Debug, Default)]
pub struct AnswerRoom(Option<HeldBytes>);

/// The right to build one large answer, until this is dropped.
#[derive(Debug, Default)]
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl AnswerRoom {
    /// Releases the reservation beyond `bytes`.
    pub fn shrink(&mut self, bytes: usize) {
        if let Some(taken) = &mut self.0 {
            taken.shrink(bytes);
        }
    }

    /// Returns the reserved bytes.
    fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, HeldBytes::bytes)
    }
}

impl Answers {
    /// Returns the answers of a request's call. Outside a server, as in a handler's own tests, they have no
    /// bound.
    #[must_use]
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// Reserves memory for an answer of at most `bytes` bytes. Waits until the call's client may have it, and
    /// fails with `DEADLINE_EXCEEDED` if that is not before `deadline`.
    pub async fn room(&self, bytes: usize, deadline: Instant) -> Result<AnswerRoom, Status> {
        let Some((budget, client)) = &self.of else { return Ok(AnswerRoom::default()) };
        let room = budget.bytes.wait(client, budget.bytes.countable(bytes), false);
        let room = tokio::time::timeout_at(deadline, room).await.map_err(|_| too_late())?;
        Ok(AnswerRoom(Some(room)))
    }

    /// Waits for a turn to build a large answer, first come, first served; then the call goes on aside.
    /// Callers have reserved memory already, so each client has few calls that wait. After half a second the
    /// call goes on without a turn: those before it are waiting for something else, and use no processor. A
    /// call of several slots gets an empty turn: it has those slots, and would keep others from their turns
    /// for long.
    pub async fn turn(&self, slots: usize) -> Turn {
        let Some((budget, _)) = &self.of else { return Turn::default() };
        let mut turn = Turn::default();
        if slots == 1 {
            let permit = Arc::clone(&budget.turns).acquire_owned();
            let permit = tokio::time::timeout(TURN_WAIT_MAX, permit).await;
            // The semaphore is never closed.
            turn._permit = permit.ok().and_then(Result::ok);
        }
        aside::step().await;
        turn
    }

    /// Marks the answer with this reservation as the one that the body of the call sends next. If this is the
    /// end of a call and the answer is large, it is written aside.
    pub fn send(&self, room: AnswerRoom) {
        if room.bytes() > LARGE_BYTES {
            aside::leave();
        }
        self.sending().extend(room.0);
    }

    fn sending(&self) -> std::sync::MutexGuard<'_, Vec<HeldBytes>> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory for the answers of one server, and the turns for its large ones. Clones share the state.
#[derive(Debug, Clone)]
pub(crate) struct AnswerBudget {
    bytes: Budget,
    turns: Arc<Semaphore>,
}

impl AnswerBudget {
    /// Allows `bytes_max` bytes of answers, and as many turns as half of the processors, at least one.
    pub(crate) fn new(bytes_max: usize, load: Load) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            bytes: Budget::new(Sizes::of_answers(bytes_max), move |bytes| load.answering(bytes)),
            turns: Arc::new(Semaphore::new((processors / 2).max(1))),
        }
    }
}

/// Gives each call its [`Answers`].
#[derive(Debug, Clone)]
pub(crate) struct AnswersLayer(pub(crate) AnswerBudget);

impl<S> Layer<S> for AnswersLayer {
    type Service = AnswersService<S>;

    fn layer(&self, inner: S) -> AnswersService<S> {
        AnswersService { inner, budget: self.0.clone() }
    }
}

/// The service of [`AnswersLayer`].
#[derive(Debug, Clone)]
pub(crate) struct AnswersService<S> {
    inner: S,
    budget: AnswerBudget,
}

impl<S> Service<Request<Body>> for AnswersService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = AnswersFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let client = Client::of(request.extensions());
        let answers = Answers { of: Some((self.budget.clone(), client)), ..Answers::default() };
        request.extensions_mut().insert(answers.clone());
        AnswersFuture { state: State::Called(Movable::new(self.inner.call(request))), answers: Some(answers) }
    }
}

/// The future of a call. The call's body then holds the reservations of its answers.
pub(crate) struct AnswersFuture<F: Future> {
    state: State<F>,
    answers: Option<Answers>,
}

/// What the future of a call waits for.
enum State<F: Future> {
    /// Its handler.
    Called(Movable<F>),
    /// The first part of its answer, which is written aside.
    Begun(Task<F::Output>),
}

impl<F, E> Future for AnswersFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>> + Send + 'static,
    E: Send + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let answered = loop {
            match &mut self.state {
                State::Called(call) => match ready!(Pin::new(call).poll(context)) {
                    (answered, false) => break answered,
                    (answered, true) => self.state = State::Begun(aside::spawn(begun(answered))),
                },
                State::Begun(task) => break ready!(Pin::new(task).poll(context)),
            }
        };
        let answers = self.answers.take().unwrap_or_default();
        Poll::Ready(answered.map(|response| {
            response.map(|body| {
                // The answer of a failed call is its head alone.
                if body.is_end_stream() {
                    body
                } else {
                    Body::new(SentBody { body, answers, sent: Vec::new() })
                }
            })
        }))
    }
}

/// Writes the first part of an answer.
async fn begun<E>(answered: Result<Response<Body>, E>) -> Result<Response<Body>, E> {
    let (head, mut body) = answered?.into_parts();
    if body.is_end_stream() {
        return Ok(Response::from_parts(head, body));
    }
    let first = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
    Ok(Response::from_parts(head, Body::new(BegunBody { first: Some(first), rest: body })))
}

/// A body of which the first part has been written.
struct BegunBody {
    first: Option<Option<Result<Frame<Bytes>, Status>>>,
    rest: Body,
}

impl http_body::Body for BegunBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(first),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }
}

/// A body that releases the reservations of the bytes that it has sent.
struct SentBody {
    body: Body,
    answers: Answers,
    /// The reservations of the bytes that were given to the transport last.
    sent: Vec<HeldBytes>,
}

impl http_body::Body for SentBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        // The transport asks for more, so it has sent what it had.
        this.sent.clear();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        this.sent.append(&mut this.answers.sending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::authorization::identity::ClientIdentity;

    #[tokio::test(start_paused = true)]
    async fn room_is_held_until_the_transport_asks_for_more() {
        let load = Load::default();
        let budget = AnswerBudget::new(1_000, load.clone());
        let answers = Answers { of: Some((budget, Client::Unknown)), ..Answers::default() };
        let soon = Instant::now() + Duration::from_secs(1);
        let mut room = answers.room(100, soon).await.unwrap();
        room.shrink(60);
        answers.send(room);
        let body = Body::new(http_body_util::Full::new(Bytes::from_static(b"answer")));
        let mut body = SentBody { body, answers: answers.clone(), sent: Vec::new() };
        assert_eq!(load.answer_bytes(), 60);
        assert!(body.frame().await.unwrap().is_ok());
        assert_eq!(load.answer_bytes(), 60, "it may lie in the transport");
        assert!(body.frame().await.is_none());
        assert_eq!(load.answer_bytes(), 0);
        answers.send(answers.room(100, soon).await.unwrap());
        drop((body, answers));
        assert_eq!(load.answer_bytes(), 0, "nobody sends it any more");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_its_share_waits_until_something_of_it_was_sent() {
        let load = Load::default();
        let budget = AnswerBudget::new(1_000, load.clone());
        let named = |name: &str| {
            let client = Client::Named(ClientIdentity(name.into()));
            Answers { of: Some((budget.clone(), client)), ..Answers::default() }
        };
        let (first, second) = (named("first"), named("second"));
        let soon = Instant::now() + Duration::from_secs(1);
        let mut held = first.room(10_000, soon).await.unwrap();
        assert_eq!(load.answer_bytes(), 250, "more than the largest is never given");
        let more = first.room(150, soon).await.unwrap();
        let late = first.room(150, soon).await.map(drop).unwrap_err();
        assert_eq!(late.code(), tonic::Code::DeadlineExceeded);
        let other = second.room(150, soon + Duration::from_secs(1)).await.unwrap();
        assert_eq!(load.answer_bytes(), 550);
        let again = tokio::spawn({
            let first = first.clone();
            async move { first.room(100, Instant::now() + Duration::from_secs(1)).await }
        });
        tokio::task::yield_now().await;
        held.shrink(100);
        assert_eq!(load.answer_bytes(), 400);
        drop(other);
        let again = again.await.unwrap().unwrap();
        assert_eq!(load.answer_bytes(), 350);
        drop((held, more, again));
        assert_eq!(load.answer_bytes(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn few_large_answers_are_built_at_once() {
        let budget = AnswerBudget::new(1_000, Load::default());
        let turns = budget.turns.available_permits();
        let answers = Answers { of: Some((budget, Client::Unknown)), ..Answers::default() };
        let mut held = Vec::new();
        for _ in 0..turns {
            held.push(answers.turn(1).await);
        }
        let begun = Instant::now();
        let waiting = tokio::spawn({
            let answers = answers.clone();
            async move { answers.turn(1).await }
        });
        tokio::time::sleep(TURN_WAIT_MAX / 2).await;
        held.pop();
        let next = waiting.await.unwrap();
        assert_eq!(begun.elapsed(), TURN_WAIT_MAX / 2);
        answers.turn(1).await;
        assert_eq!(begun.elapsed(), TURN_WAIT_MAX + TURN_WAIT_MAX / 2, "it goes on without one");
        drop(next);
        answers.turn(1).await;
        assert_eq!(begun.elapsed(), TURN_WAIT_MAX + TURN_WAIT_MAX / 2);
    }

    /// A body of one part, which is the name of the thread that writes it.
    struct Named(Option<()>);

    impl http_body::Body for Named {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            Poll::Ready(self.0.take().map(|()| Ok(Frame::data(name.into()))))
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn only_large_answers_are_written_aside() {
        let load = Load::default();
        let budget = AnswerBudget::new(64 << 20, load.clone());
        let service = tower::service_fn(|request: Request<Body>| async move {
            let bytes = request.headers()["bytes"].to_str().unwrap().parse().unwrap();
            let answers = request.extensions().get::<Answers>().unwrap();
            let soon = Instant::now() + Duration::from_secs(1);
            answers.send(answers.room(bytes, soon).await.unwrap());
            Ok::<_, Status>(Response::new(Body::new(Named(Some(())))))
        });
        let mut service = AnswersLayer(budget).layer(service);
        for (bytes, is_aside) in [(LARGE_BYTES, false), (LARGE_BYTES + 1, true)] {
            let request = Request::builder().header("bytes", bytes).body(Body::empty()).unwrap();
            let mut body = service.call(request).await.unwrap().into_body();
            let written = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(&written[..] == b"aside", is_aside, "{bytes} bytes");
            assert_eq!(load.answer_bytes(), bytes, "they may lie in the transport");
            assert!(body.frame().await.is_none());
            assert_eq!(load.answer_bytes(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn outside_a_server_answers_have_no_bound() {
        let answers = Answers::of(&tonic::Request::new(()));
        answers.send(answers.room(usize::MAX, Instant::now()).await.unwrap());
        answers.turn(1).await;
    }
}
