//! The system's figures of this process, under the names that Prometheus' own client libraries use: memory,
//! processor time, open files, and the time of its start. On Linux only; elsewhere there is nothing to read
//! and nothing is reported.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Metric, Registry};

/// Registers the figures of this process, which are read at each scrape.
pub(crate) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Process));
}

#[derive(Debug)]
struct Process;

/// The figures from `/proc`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Figures {
    cpu_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    start_time_seconds: f64,
    threads: u64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut write =
            |name: &str, help: &str, figure: &dyn Figure| figure.write_to(&mut encoder, name, help);
        if let Some(figures) = Figures::now() {
            write("process_cpu_seconds", "Processor time spent.", &ConstCounter::new(figures.cpu_seconds))?;
            write(
                "process_resident_memory_bytes",
                "Resident memory.",
                &ConstGauge::new(figures.resident_bytes),
            )?;
            write(
                "process_virtual_memory_bytes",
                "Virtual memory.",
                &ConstGauge::new(figures.virtual_bytes),
            )?;
            let began = ConstGauge::new(figures.start_time_seconds);
            write("process_start_time_seconds", "When the process began, since 1970.", &began)?;
            write("process_threads", "Threads.", &ConstGauge::new(figures.threads))?;
        }
        if let Some(open) = open_files() {
            write("process_open_fds", "Open files and sockets.", &ConstGauge::new(open))?;
        }
        if let Some(most) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
            write("process_max_fds", "Files and sockets that may be open.", &ConstGauge::new(most))?;
        }
        Ok(())
    }
}

/// A metric that is created at each scrape.
trait Figure {
    fn write_to(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> fmt::Result;
}

impl<M: Metric> Figure for M {
    fn write_to(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> fmt::Result {
        self.encode(encoder.encode_descriptor(name, help, None, self.metric_type())?)
    }
}

impl Figures {
    fn now() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
        let since_boot: f64 = uptime.split_whitespace().next()?.parse().ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        Self::read(&stat, now, since_boot)
    }

    /// Reads the line of `/proc/self/stat` (proc_pid_stat(5)). `now` is the time since 1970, and `since_boot`
    /// the seconds since the machine started.
    fn read(stat: &str, now: Duration, since_boot: f64) -> Option<Self> {
        // The program's name is in parentheses, and may contain any character.
        let (_, fields) = stat.rsplit_once(')')?;
        // The third field of the manual's list is the first of these.
        let field = |number: usize| fields.split_whitespace().nth(number - 3)?.parse::<u64>().ok();
        let ticks = rustix::param::clock_ticks_per_second();
        #[expect(clippy::cast_precision_loss, reason = "2^53 ticks are millions of years")]
        let seconds = |count: u64| count as f64 / ticks as f64;
        Some(Self {
            cpu_seconds: seconds(field(14)? + field(15)?),
            threads: field(20)?,
            start_time_seconds: now.as_secs_f64() - since_boot + seconds(field(22)?),
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * u64::try_from(rustix::param::page_size()).ok()?,
        })
    }
}

fn open_files() -> Option<u64> {
    // One of them is the open directory itself.
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(open).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    #[test]
    fn the_line_of_proc_is_read_whatever_the_program_is_called() {
        let line = "17 (a ) 1 b) S 1 17 17 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 12 0 4200 8192000 100 \
                    18446744073709551615 1 1 0";
        let read = Figures::read(line, Duration::from_secs(1_000), 100.0).unwrap();
        let ticks = rustix::param::clock_ticks_per_second();
        assert_eq!((read.threads, read.virtual_bytes), (12, 8_192_000));
        assert_eq!(read.resident_bytes, 100 * rustix::param::page_size() as u64);
        if ticks == 100 {
            assert_eq!((read.cpu_seconds, read.start_time_seconds), (3.0, 942.0));
        }
        assert_eq!(Figures::read("17 (short) S 1", Duration::ZERO, 0.0), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_reports_its_memory_its_time_and_its_files() {
        let telemetry = Telemetry::default();
        telemetry.register(register);
        let written = telemetry.exposition().unwrap();
        let value = |name: &str| -> f64 {
            let line = written.lines().find(|line| line.split(' ').next() == Some(name));
            line.unwrap_or_else(|| panic!("{name} in {written}")).rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 500_000.0);
        assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") < value("process_max_fds"));
        assert!(value("process_cpu_seconds_total") >= 0.0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - value("process_start_time_seconds")).abs() < 3_600.0, "{written}");
    }
}
