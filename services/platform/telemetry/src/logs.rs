//! The destination and the format of log lines.

use std::fmt;
use std::io::IsTerminal as _;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer, format};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::trace;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text, for a person at a terminal.
    Text,
    /// JSON, one object on each line, for a collector.
    Json,
}

/// Sends logs to standard error, filtered by `filter` (in `tracing-subscriber`'s syntax, such as
/// `info,vigie_bank=debug`). A line that is logged within a traced call has its `trace_id` and `span_id`.
///
/// # Errors
///
/// The filter does not parse, or logs were set up before.
pub fn init_logs(format: LogFormat, filter: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::builder().parse(filter)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // At a terminal, colours are the default unless NO_COLOR is set; in a file they are noise.
    let lines = if std::io::stderr().is_terminal() { lines } else { lines.with_ansi(false) };
    match format {
        LogFormat::Text => lines.event_format(Traced(self::format().with_target(false))).try_init(),
        LogFormat::Json => lines.fmt_fields(JsonFields::new()).event_format(json()).try_init(),
    }
}

fn json() -> Traced<Format<Json>> {
    Traced(format().json().flatten_event(true))
}

/// Adds the ids of the current trace to the lines of another format.
struct Traced<F>(F);

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(ids) = trace::current().map(|traced| traced.ids()) else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        let whole = Writer::new(&mut line);
        self.0.format_event(context, whole, event)?;
        let (trace_id, span_id) = ids;
        match line.strip_prefix('{') {
            Some(fields) => write!(writer, r#"{{"trace_id":"{trace_id}","span_id":"{span_id}",{fields}"#),
            None => writeln!(writer, "{} trace_id={trace_id} span_id={span_id}", line.trim_end()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::CapturedLog;
    use crate::trace::Tracer;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    /// Returns three lines: logged outside a trace, inside, and outside again.
    fn lines(format: LogFormat) -> Vec<String> {
        let log = CapturedLog::default();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone());
        let subscriber: Box<dyn Subscriber + Send + Sync> = match format {
            LogFormat::Text => {
                Box::new(lines.event_format(Traced(self::format().with_target(false))).finish())
            }
            LogFormat::Json => Box::new(lines.fmt_fields(JsonFields::new()).event_format(json()).finish()),
        };
        let _here = tracing::subscriber::set_default(subscriber);
        tracing::info!(figure = 1, "before");
        let header = format!("00-{TRACE}-b7ad6b7169203331-01").parse().unwrap();
        let headers = http::HeaderMap::from_iter([(http::HeaderName::from_static("traceparent"), header)]);
        let span = Tracer::default().serve(&"a.B/C".into(), &headers, false);
        span.context().unwrap().enter(|| tracing::info!(figure = 2, "during \"it\""));
        tracing::info!(figure = 3, "after");
        log.lines("")
    }

    #[test]
    fn a_line_of_a_call_has_the_ids_of_its_trace_and_others_have_none() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let lines = lines(format);
            assert_eq!(lines.len(), 3, "{lines:?}");
            let with_ids = lines.iter().map(|line| line.contains(TRACE) && line.contains("b7ad6b7169203331"));
            assert_eq!(with_ids.collect::<Vec<_>>(), [false, true, false], "{lines:?}");
            assert_eq!(lines[1].matches("trace_id").count(), 1, "{lines:?}");
        }
    }

    #[test]
    fn every_line_is_an_object_with_the_fields_of_its_event() {
        for (number, line) in lines(LogFormat::Json).iter().enumerate() {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(object["figure"], number + 1, "{line}");
            assert_eq!(object["level"], "INFO", "{line}");
        }
    }
}
