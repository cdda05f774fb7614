//! The state of an exchange in words, and advice for its error.

use maud::{Markup, html};
use vigie_consortium::Exchange;
use vigie_model::UnixMillis;

use crate::console::parts::{self, Tone};
use crate::console::visit::Visit;

/// The state of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Paused: it is not followed.
    Paused,
    /// Its error needs a person's attention.
    Attention,
    /// A round is running.
    Running,
    /// A round was requested and has not begun.
    Waiting,
    /// The last round reached the end of the programme's data.
    UpToDate,
    /// The last round succeeded, and more is to be fetched.
    GoesOn,
    /// The last round ended early; the next one retries.
    Early,
    /// No round has ended yet.
    NotYet,
}

impl State {
    /// The state of an exchange.
    pub(super) fn of(exchange: &Exchange) -> Self {
        let status = &exchange.status;
        if !exchange.enabled {
            return Self::Paused;
        }
        if !status.alarm.as_str().is_empty() {
            return Self::Attention;
        }
        if status.running_since.is_some() {
            return Self::Running;
        }
        if exchange.requested_rounds > status.answered_rounds {
            return Self::Waiting;
        }
        match (status.succeeded, status.up_to_date) {
            (Some(true), true) => Self::UpToDate,
            (Some(true), false) => Self::GoesOn,
            (Some(false), _) => Self::Early,
            (None, _) => Self::NotYet,
        }
    }

    /// The state in a word or two.
    pub(super) fn badge(self, visit: &Visit) -> Markup {
        let (tone, key) = match self {
            Self::Paused => (Tone::Warn, "exchanges.state.paused"),
            Self::Attention => (Tone::Bad, "exchanges.state.attention"),
            Self::Running => (Tone::Plain, "exchanges.state.running"),
            Self::Waiting => (Tone::Plain, "exchanges.state.waiting"),
            Self::UpToDate => (Tone::Good, "exchanges.state.up_to_date"),
            Self::GoesOn => (Tone::Plain, "exchanges.state.goes_on"),
            Self::Early => (Tone::Warn, "exchanges.state.early"),
            Self::NotYet => (Tone::Plain, "exchanges.state.not_yet"),
        };
        parts::badge(tone, visit.t(key))
    }
}

/// A time, or the text of `none` if there is no time.
pub(super) fn moment(visit: &Visit, at: Option<UnixMillis>, none: &str) -> Markup {
    match at {
        Some(at) => parts::time(visit, at),
        None => html! { (visit.t(none)) },
    }
}

/// The start of the next round, within a tenth of the interval.
pub(super) fn next(visit: &Visit, exchange: &Exchange) -> Markup {
    let interval_ms = u64::from(exchange.interval_seconds) * 1_000;
    let after = |at: UnixMillis| UnixMillis(at.0.saturating_add(interval_ms));
    let key = match exchange.status.completed_at.map(after) {
        _ if !exchange.enabled => "exchanges.next_paused",
        _ if exchange.status.running_since.is_some() => "exchanges.next_running",
        _ if interval_ms == 0 => "exchanges.next_own",
        Some(at) if at > visit.now => return parts::time(visit, at),
        Some(_) | None => "exchanges.next_soon",
    };
    html! { (visit.t(key)) }
}

/// The key of the advice for an error, by the exchange process's text for it (its `Alarm`). An unknown text
/// gets the general advice.
pub(super) fn advice(alarm: &str) -> &'static str {
    const KNOWN: [(&str, &str); 8] = [
        ("refuses the credentials", "exchanges.advice.credentials"),
        ("credential", "exchanges.advice.no_credentials"),
        ("settings: ", "exchanges.advice.settings"),
        ("would remove", "exchanges.advice.removals"),
        ("rounds in a row", "exchanges.advice.unreachable"),
        ("refuses the request", "exchanges.advice.refused"),
        ("refuses item", "exchanges.advice.write_back"),
        ("could not be sent", "exchanges.advice.write_back"),
    ];
    KNOWN
        .into_iter()
        .find(|(words, _)| alarm.contains(words))
        .map_or("exchanges.advice.other", |(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_lead_to_what_a_person_can_do() {
        for (alarm, key) in [
            ("the programme refuses the credentials (status 401)", "exchanges.advice.credentials"),
            ("the credentials user, password are missing", "exchanges.advice.no_credentials"),
            ("settings: unknown interface; use ncmec", "exchanges.advice.settings"),
            ("3 rounds in a row ended early: no answer", "exchanges.advice.unreachable"),
            ("something of the future", "exchanges.advice.other"),
        ] {
            assert_eq!(advice(alarm), key);
        }
    }
}
