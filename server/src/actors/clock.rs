//! The relay's two clocks: a monotonic one for deadlines, the wall clock for people.

use crate::core::Millis;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use parking_lot::Mutex;
use std::cell::{Cell, RefCell};
use std::fmt::{Display, Formatter};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tracing::warn;

/// A longer gap between two looks at the clock, in milliseconds, is a standstill of the relay.
pub const STANDSTILL: Millis = 5_000;
/// How often somebody looks at it, whatever else happens.
const TICK: Duration = Duration::from_secs(1);
/// A shorter time since the last look is not looked at.
const LOOK: Millis = 250;

/// Time since the relay's start, without the time in which the relay itself stood still: a suspended
/// machine, a stopped process. Nobody could be heard then, so nobody grows stale by it and no lease
/// ends. Reads [`tokio::time`], so that a test may pause it.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    /// Written under the lock only, `skipped` before `last_look`: whoever sees a look sees what it
    /// found.
    look: Mutex<()>,
    last_look: AtomicU64,
    skipped: AtomicU64,
    latest: AtomicU64,
}

impl Clock {
    /// A clock that starts now. [`Clock::tick`] must run beside it.
    pub fn start() -> Self {
        Clock(Arc::new(Inner {
            start: Instant::now(),
            look: Mutex::new(()),
            last_look: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            latest: AtomicU64::new(0),
        }))
    }

    /// Looks at the clock every second, so that a gap is a standstill.
    pub async fn tick(self) {
        loop {
            tokio::time::sleep(TICK).await;
            self.now();
        }
    }

    /// Does something during which this clock stands still for this thread. A call reads it from many
    /// places, and all of it happens at one time.
    pub fn still<T>(&self, work: impl FnOnce() -> T) -> T {
        let _after = GoesOn(STILL.replace(Some((self.0.as_ref(), self.now()))));
        work()
    }

    /// Milliseconds since the start.
    pub fn now(&self) -> Millis {
        let inner = &*self.0;
        if let Some((clock, now)) = STILL.get()
            && ptr::eq(clock, inner)
        {
            return now;
        }
        let elapsed = u64::try_from(inner.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        if elapsed.saturating_sub(inner.last_look.load(Ordering::SeqCst)) >= LOOK {
            inner.look(elapsed);
        }
        // A thread that was held up between two reads must not find itself in the past.
        let now = elapsed.saturating_sub(inner.skipped.load(Ordering::SeqCst));
        let latest = inner.latest.load(Ordering::SeqCst);
        if now <= latest {
            // As it is nearly always: whoever only reads it leaves it to the other threads too.
            return latest;
        }
        inner.latest.fetch_max(now, Ordering::SeqCst).max(now)
    }

    /// The wall-clock time of a moment on this clock, as [`timestamp`] writes it.
    pub fn timestamp_of(&self, at: Millis) -> String {
        let ago = self.now().saturating_sub(at);
        let at = Utc::now() - Duration::from_millis(ago);
        rfc3339(at)
    }

    /// The wall-clock time of a moment on this clock, as Unix seconds.
    pub fn unix(&self, at: Millis) -> f64 {
        let ago = self.now().saturating_sub(at);
        (Utc::now().timestamp_millis() - i64::try_from(ago).unwrap_or(i64::MAX)) as f64 / 1000.0
    }
}

thread_local! {
    /// The clock that stands still on this thread, and at what time.
    static STILL: Cell<Option<(*const Inner, Millis)>> = const { Cell::new(None) };
}

/// Dropped, however that comes about, it leaves what stood still before.
struct GoesOn(Option<(*const Inner, Millis)>);

impl Drop for GoesOn {
    fn drop(&mut self) {
        STILL.set(self.0);
    }
}

impl Inner {
    fn look(&self, elapsed: Millis) {
        let _alone = self.look.lock();
        let gap = elapsed.saturating_sub(self.last_look.load(Ordering::SeqCst));
        if gap > STANDSTILL {
            self.skipped.fetch_add(gap, Ordering::SeqCst);
            warn!(
                seconds = gap / 1000,
                "the relay stood still; every deadline moves on by that"
            );
        }
        self.last_look.fetch_add(gap, Ordering::SeqCst);
    }
}

/// As [`timestamp`] writes it. Put together by hand: each message that goes out has several, and the
/// library's formatting takes five times as long.
fn rfc3339(time: DateTime<Utc>) -> String {
    let micros = time.timestamp_subsec_micros();
    // A second of a leap is written as the library does.
    if micros >= 1_000_000 {
        return time.to_rfc3339_opts(SecondsFormat::Micros, false);
    }
    let day = time.timestamp().div_euclid(DAY_SECONDS);
    let second = time.timestamp().rem_euclid(DAY_SECONDS) as u32;
    DAY.with_borrow_mut(|(known, date)| {
        if *known != Some(day) {
            *known = Some(day);
            *date = time.format("%Y-%m-%dT").to_string();
        }
        let mut time = *TIME;
        for (at, number) in [
            (0, second / 3600),
            (3, second / 60 % 60),
            (6, second % 60),
            (9, micros / 10_000),
            (11, micros / 100 % 100),
            (13, micros % 100),
        ] {
            time[at] = b'0' + (number / 10) as u8;
            time[at + 1] = b'0' + (number % 10) as u8;
        }
        let mut stamp = String::with_capacity(date.len() + time.len());
        stamp.push_str(date);
        stamp.push_str(std::str::from_utf8(&time).unwrap_or_default());
        stamp
    })
}

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// What stands behind the date.
const TIME: &[u8; 21] = b"00:00:00.000000+00:00";

thread_local! {
    /// The day that is written most of the time, and how.
    static DAY: RefCell<(Option<i64>, String)> = const { RefCell::new((None, String::new())) };
}

/// The wall-clock time so far from now, as [`timestamp`] writes it.
pub fn timestamp_in(time: Duration) -> String {
    rfc3339(Utc::now() + time)
}

/// The wall-clock time, RFC 3339 with microseconds. UTC is written `+00:00`, which every
/// version of Python reads.
pub fn timestamp() -> String {
    rfc3339(Utc::now())
}

/// A moment on the wall clock. Displayed, it is what [`timestamp`] would have said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Since 1970.
    micros: i64,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        let micros = Utc::now().timestamp_micros();
        Moment { micros }
    }
}

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let time = DateTime::from_timestamp_micros(self.micros).unwrap_or_default();
        f.write_str(&rfc3339(time))
    }
}

/// The moment that a text means, as [`timestamp`] writes it: an RFC 3339 time, or whole seconds ago.
/// `None` for any other text.
pub fn moment(text: &str) -> Option<String> {
    if let Ok(seconds) = text.parse::<u32>() {
        let ago = Utc::now() - TimeDelta::seconds(seconds.into());
        return Some(rfc3339(ago));
    }
    let time = DateTime::parse_from_rfc3339(text)
        // In a query a plus sign that was not escaped is a blank.
        .or_else(|_| DateTime::parse_from_rfc3339(&text.replace(' ', "+")));
    Some(rfc3339(time.ok()?.with_timezone(&Utc)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use proptest::prelude::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    proptest! {
        #[test]
        fn a_time_is_written_as_the_library_writes_it(
            second in -70_000_000_000_i64..300_000_000_000,
            nanos in 0_u32..2_000_000_000,
        ) {
            // From year -249 to 11476, leaps among them.
            for time in [second, second + 1].map(|second| DateTime::from_timestamp(second, nanos)) {
                let Some(time) = time else { continue };
                let library = time.to_rfc3339_opts(SecondsFormat::Micros, false);
                prop_assert_eq!(rfc3339(time), library);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_stands_still_for_one_call_and_no_other_clock_with_it() {
        let later = || tokio::time::advance(Duration::from_millis(5)).now_or_never();
        let (clock, other) = (Clock::start(), Clock::start());
        clock.still(|| {
            later();
            assert_eq!((clock.now(), other.now()), (0, 5));
            other.still(|| assert_eq!((clock.now(), other.now()), (5, 5)));
            later();
            assert_eq!((clock.now(), other.now()), (0, 10));
        });
        assert_eq!((clock.now(), other.now()), (10, 10));
        let panics = AssertUnwindSafe(|| clock.still(|| panic!("a test")));
        let panics = catch_unwind(panics);
        assert!(panics.is_err());
        later();
        assert_eq!(clock.now(), 15);
    }

    #[test]
    fn a_moment_is_displayed_as_a_timestamp() {
        let (before, moment, after) = (timestamp(), Moment::now().to_string(), timestamp());
        assert!(before <= moment && moment <= after);
        let noon = Moment {
            micros: 1_795_348_800_000_120,
        };
        assert_eq!(noon.to_string(), "2026-11-22T12:00:00.000120+00:00");
    }

    #[test]
    fn a_moment_is_a_time_or_seconds_ago() {
        let noon = "2026-11-22T12:00:00.000000+00:00";
        for same in [
            "2026-11-22T12:00:00Z",
            "2026-11-22T12:00:00 00:00",
            "2026-11-22T12:00:00+00:00",
            "2026-11-22 12:00:00Z",
            "2026-11-22T14:00:00.0000001+02:00",
        ] {
            assert_eq!(moment(same).as_deref(), Some(noon), "{same}");
        }
        let (before, ago, now) = (timestamp(), moment("0").unwrap(), timestamp());
        assert!(before <= ago && ago <= now);
        assert!(moment("3600").unwrap() < before && moment("4294967295").unwrap() < before);
        for bad in [
            "",
            "yesterday",
            "-5",
            "1.5",
            "2026-11-22",
            "2026-13-22T12:00:00Z",
        ] {
            assert_eq!(moment(bad), None, "{bad}");
        }
    }
}
