//! The goals, all of them.

/// What a measurement is held against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal {
    /// The measurement, as its row calls it.
    name: &'static str,
    bound: Bound,
}

/// In the unit of the row: its ratio where it has one, else its own value.
#[derive(Debug, Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}
use Bound::{AtLeast, AtMost};

const fn goal(name: &'static str, bound: Bound) -> Goal {
    Goal { name, bound }
}

const GOALS: &[Goal] = &[
    goal("delegate", AtMost(1.3)),
    goal("heartbeat", AtMost(1.15)),
    goal("poll", AtMost(1.4)),
    goal("turn", AtMost(1.3)),
    goal("turn/redis", AtMost(1.0)),
    goal("turn/nats", AtMost(2.0)),
    goal("turn/sockets", AtMost(0.5)),
    goal("turn/mute", AtMost(0.5)),
    goal("wake/p50", AtMost(200.0)),
    goal("wake/p99", AtMost(2_000.0)),
    goal("broadcast", AtMost(10.0)),
    goal("broadcast/single", AtLeast(0.5)),
    goal("broadcast/pending", AtLeast(300_000.0)),
    goal("million/memory", AtMost(1_600.0)),
    goal("million/delegate", AtMost(1.2)),
    goal("million/poll", AtMost(1.2)),
    goal("million/discover", AtMost(5.0)),
    goal("million/idle", AtMost(1.0)),
    goal("idle", AtMost(16.0)),
    goal("files/memory", AtMost(3.0)),
    goal("files/cpu", AtMost(2.0)),
    goal("client/size", AtMost(360_000.0)),
    goal("client/size-musl", AtMost(640_000.0)),
    goal("client/size-glibc", AtMost(1_600_000.0)),
    goal("client/instructions", AtMost(150_000.0)),
    goal("client/exchange", AtMost(5.0)),
    goal("client/memory", AtMost(700.0)),
    goal("client/curl", AtLeast(5.0)),
];

impl Goal {
    /// The goal of this measurement, if it has one.
    pub(crate) fn of(name: &str) -> Option<Goal> {
        GOALS.iter().find(|goal| goal.name == name).copied()
    }

    /// The bound.
    pub(crate) fn value(self) -> f64 {
        match self.bound {
            Bound::AtMost(value) | Bound::AtLeast(value) => value,
        }
    }

    /// Its sign.
    pub(crate) fn sign(self) -> &'static str {
        match self.bound {
            Bound::AtMost(_) => "≤",
            Bound::AtLeast(_) => "≥",
        }
    }

    /// Whether a measurement reaches it.
    pub(crate) fn met(self, value: f64) -> bool {
        match self.bound {
            Bound::AtMost(bound) => value <= bound,
            Bound::AtLeast(bound) => value >= bound,
        }
    }
}
