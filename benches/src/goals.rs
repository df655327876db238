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
use Bound::AtMost;

const fn goal(name: &'static str, bound: Bound) -> Goal {
    Goal { name, bound }
}

const GOALS: &[Goal] = &[
    goal("delegate", AtMost(1.3)),
    goal("heartbeat", AtMost(1.15)),
    goal("poll", AtMost(1.4)),
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
