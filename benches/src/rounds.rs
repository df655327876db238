//! Rounds of two sides in turn, so that what disturbs one disturbs the other too.

use crate::Outcome;
use crate::http::Spent;
use crate::processes::Process;
use std::time::Duration;

/// For the kernel's count of what a thread used to follow its last wake-up.
const SETTLE: Duration = Duration::from_millis(20);

/// What one round cost.
#[derive(Debug, Clone)]
pub(crate) struct Cost {
    /// The server's processor time for each operation, in microseconds.
    pub(crate) cpu: f64,
    /// Operations a second.
    pub(crate) rate: f64,
    /// From request to reply, in microseconds.
    pub(crate) p50: f64,
    /// The same.
    pub(crate) p99: f64,
}

/// What `work` costs these processes for each of so many operations.
pub(crate) fn cost(
    processes: &[&Process],
    operations: usize,
    work: impl FnOnce() -> Outcome<Spent>,
) -> Outcome<Cost> {
    let used = || -> Outcome<Duration> {
        std::thread::sleep(SETTLE);
        processes.iter().map(|process| process.cpu()).sum()
    };
    let before = used()?;
    let spent = work()?;
    let cpu = used()? - before;
    Ok(Cost {
        cpu: micros(cpu) / operations as f64,
        rate: operations as f64 / spent.elapsed.as_secs_f64(),
        p50: micros(percentile(&spent.latencies, 50.0)),
        p99: micros(percentile(&spent.latencies, 99.0)),
    })
}

/// A side of a comparison: makes one round.
pub(crate) type Run<'a> = &'a mut dyn FnMut() -> Outcome<Cost>;

/// Runs all sides in turn, so many times, after a round that warms them and is not counted. The rounds
/// of each side.
pub(crate) fn interleaved(rounds: usize, sides: &mut [Run<'_>]) -> Outcome<Vec<Side>> {
    let mut found = vec![Side::default(); sides.len()];
    for round in 0..=rounds {
        for (run, side) in sides.iter_mut().zip(&mut found) {
            let cost = run()?;
            if round > 0 {
                side.0.push(cost);
            }
        }
    }
    Ok(found)
}

/// Two sides: the other, and ours.
pub(crate) fn beside(rounds: usize, other: Run<'_>, ours: Run<'_>) -> Outcome<(Side, Side)> {
    let mut sides = interleaved(rounds, &mut [other, ours])?;
    let ours = sides.pop().unwrap_or_default();
    Ok((sides.pop().unwrap_or_default(), ours))
}

/// The rounds of one side.
#[derive(Debug, Clone, Default)]
pub(crate) struct Side(Vec<Cost>);

impl Side {
    /// The median of one number of each round.
    pub(crate) fn median(&self, of: impl Fn(&Cost) -> f64) -> f64 {
        median(self.0.iter().map(of).collect())
    }

    /// The median of processor time, in microseconds.
    pub(crate) fn cpu(&self) -> f64 {
        self.median(|cost| cost.cpu)
    }

    /// The median of the ratios of the rounds that ran side by side.
    pub(crate) fn ratio(&self, other: &Side) -> f64 {
        let pairs = self.0.iter().zip(&other.0);
        median(pairs.map(|(ours, theirs)| ours.cpu / theirs.cpu).collect())
    }

    /// Rate and percentiles in words.
    pub(crate) fn pace(&self) -> String {
        format!(
            "{:.0}/s, p50 {:.0} us, p99 {:.0} us",
            self.median(|cost| cost.rate),
            self.median(|cost| cost.p50),
            self.median(|cost| cost.p99)
        )
    }
}

/// The middle of these; 0 where there are none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[odd / 2],
        even => (values[even / 2 - 1] + values[even / 2]) / 2.0,
    }
}

/// The value that so many percent of these do not exceed. They are in order.
pub(crate) fn percentile(sorted: &[Duration], percent: f64) -> Duration {
    let place = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    let found = sorted.get(place.max(1) - 1).or(sorted.last());
    found.copied().unwrap_or_default()
}

/// As microseconds.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_and_a_percentile_are_where_they_belong() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        let hundred: Vec<Duration> = (1..=100).map(Duration::from_micros).collect();
        assert_eq!(percentile(&hundred, 99.0), Duration::from_micros(99));
        assert_eq!(percentile(&hundred, 50.0), Duration::from_micros(50));
        assert_eq!(percentile(&[], 50.0), Duration::ZERO);
    }
}
