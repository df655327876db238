//! What the system says of this process. Read from `/proc`; where that is not there, or cannot be
//! opened as there are no descriptors left, nothing is told.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// The ticks of a second of processor time, as Linux counts them for programs.
const TICKS: f64 = 100.0;

/// When the process began.
#[derive(Debug)]
pub struct Process {
    at: Instant,
    wall: SystemTime,
}

/// What it uses.
#[derive(Debug, Default, PartialEq)]
pub struct Usage {
    /// Bytes of memory that are in use.
    pub resident: Option<u64>,
    /// Descriptors that are open, without the one that was opened to count them.
    pub descriptors: Option<u64>,
    /// Descriptors that may be open.
    pub descriptors_max: Option<u64>,
    /// Seconds of processor time, its own and the system's for it.
    pub cpu: Option<f64>,
}

impl Process {
    /// It begins.
    pub fn started() -> Self {
        Process {
            at: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// How long it has run.
    pub fn uptime(&self) -> Duration {
        self.at.elapsed()
    }

    /// When it began, in seconds since 1970.
    pub fn start_time(&self) -> f64 {
        let since = self.wall.duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or_default().as_secs_f64()
    }

    /// What it uses now. May take a while where many descriptors are open.
    pub fn usage(&self) -> Usage {
        usage(Path::new("/proc/self"))
    }
}

fn usage(folder: &Path) -> Usage {
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let resident = || {
        let status = text("status")?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
        let kib = line.split_whitespace().next()?.parse::<u64>().ok()?;
        Some(kib * 1024)
    };
    let descriptors = || {
        let open = std::fs::read_dir(folder.join("fd")).ok()?.count() as u64;
        Some(open.saturating_sub(1))
    };
    let descriptors_max = || {
        let limits = text("limits")?;
        let line = limits
            .lines()
            .find_map(|l| l.strip_prefix("Max open files"))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let cpu = || {
        // The name of the program, in brackets, may hold anything.
        let stat = text("stat")?;
        let fields = stat.rsplit_once(") ")?.1;
        let mut ticks = fields.split(' ').skip(11);
        let mut next = || ticks.next()?.parse::<u64>().ok();
        Some((next()? + next()?) as f64 / TICKS)
    };
    Usage {
        resident: resident(),
        descriptors: descriptors(),
        descriptors_max: descriptors_max(),
        cpu: cpu(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_system_says_nothing_nothing_is_told() {
        assert_eq!(usage(Path::new("/nonexistent")), Usage::default());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_says_what_this_process_uses() {
        let usage = Process::started().usage();
        assert!(usage.resident > Some(100_000) && usage.cpu.is_some());
        assert!(usage.descriptors >= Some(3) && usage.descriptors < usage.descriptors_max);
    }
}
