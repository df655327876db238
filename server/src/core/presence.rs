//! Whether an agent is there: heard at, time to live, and what follows from them.
//!
//! Stale from the moment it has been unheard for its `ttl`, never before; to be reaped from the
//! moment it has been unheard for `reap_after`, never before it is stale.

use super::Millis;
use std::time::Duration;

/// How an agent is, and until when unless it is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Heard within its `ttl`.
    Online {
        /// When it turns stale.
        until: Millis,
    },
    /// Unheard for its `ttl`; its inbox is kept.
    Stale {
        /// When it is removed.
        until: Millis,
    },
    /// Unheard for so long that it is removed.
    Gone,
}

impl Presence {
    /// The presence at `now` of an agent last heard at `heard`.
    pub fn at(now: Millis, heard: Millis, ttl: Duration, reap_after: Duration) -> Presence {
        let stale_at = heard.saturating_add(millis(ttl));
        let gone_at = heard.saturating_add(millis(reap_after.max(ttl)));
        if now < stale_at {
            Presence::Online { until: stale_at }
        } else if now < gone_at {
            Presence::Stale { until: gone_at }
        } else {
            Presence::Gone
        }
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Presence::Online { .. } => "online",
            Presence::Stale { .. } | Presence::Gone => "stale",
        }
    }

    /// Whether it was heard within its `ttl`.
    pub fn is_online(self) -> bool {
        matches!(self, Presence::Online { .. })
    }
}

/// A duration in [`Millis`]; the longest there is where it does not fit.
pub fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: Millis = 1_000;

    fn at(now: Millis, heard: Millis, ttl: u64, reap: u64) -> Presence {
        Presence::at(
            now,
            heard,
            Duration::from_secs(ttl),
            Duration::from_secs(reap),
        )
    }

    #[test]
    fn an_agent_turns_stale_exactly_at_its_ttl() {
        assert_eq!(
            at(120 * S - 1, 0, 120, 3600),
            Presence::Online { until: 120 * S }
        );
        assert_eq!(
            at(120 * S, 0, 120, 3600),
            Presence::Stale { until: 3600 * S }
        );
    }

    #[test]
    fn a_stale_agent_is_gone_exactly_at_reap_after() {
        assert_eq!(
            at(3600 * S - 1, 0, 120, 3600),
            Presence::Stale { until: 3600 * S }
        );
        assert_eq!(at(3600 * S, 0, 120, 3600), Presence::Gone);
    }

    #[test]
    fn only_who_is_online_is_called_so() {
        let words = [100 * S, 130 * S, 9_999 * S].map(|now| {
            let presence = at(now, 0, 120, 3600);
            (presence.as_str(), presence.is_online())
        });
        assert_eq!(
            words,
            [("online", true), ("stale", false), ("stale", false)]
        );
    }

    #[test]
    fn nobody_is_gone_before_it_is_stale() {
        assert_eq!(at(100 * S, 0, 120, 10), Presence::Online { until: 120 * S });
        assert_eq!(at(120 * S, 0, 120, 10), Presence::Gone);
    }

    proptest! {
        #[test]
        fn presence_only_ever_fades(
            heard in 0u64..1_000_000, ttl in 1u64..100_000, reap in 1u64..1_000_000,
            first in 0u64..3_000_000_000, later in 0u64..3_000_000_000,
        ) {
            let rank = |p| match p { Presence::Online { .. } => 0, Presence::Stale { .. } => 1, Presence::Gone => 2 };
            let (a, b) = (first.min(later), first.max(later));
            prop_assert!(rank(at(a, heard, ttl, reap)) <= rank(at(b, heard, ttl, reap)));
            // What it says of the future comes true, at that millisecond and not before.
            if let Presence::Online { until } | Presence::Stale { until } = at(a, heard, ttl, reap) {
                prop_assert_eq!(rank(at(until - 1, heard, ttl, reap)), rank(at(a, heard, ttl, reap)));
                prop_assert!(rank(at(until, heard, ttl, reap)) > rank(at(a, heard, ttl, reap)));
            }
        }
    }
}
