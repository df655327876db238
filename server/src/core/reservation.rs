//! Who edits what: advisory leases on patterns of paths. One lease keeps others from an overlapping
//! one, where either of the two is exclusive; it keeps nobody from writing.

use super::Millis;
use super::glob::Pattern;
use clawlink_protocol::name::AgentId;
use std::collections::BTreeMap;
use std::ops::Bound;

/// How many leases there may be.
#[derive(Debug, Clone, Copy)]
pub struct LeaseLimits {
    /// Of one agent.
    pub each: usize,
    /// In all: each new one is compared with every other.
    pub all: usize,
}

/// The place of a lease in the order of reserving.
pub type Place = u64;

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its handle.
    pub id: String,
    /// Whose it is.
    pub holder: AgentId,
    /// The paths.
    pub pattern: Pattern,
    /// Whether it bears no other beside it.
    pub exclusive: bool,
    /// For people and models.
    pub reason: String,
    /// When it ends by itself.
    pub until: Millis,
}

/// Why there is no lease.
#[derive(Debug, PartialEq, Eq)]
pub enum NotReserved {
    /// Of the leases in the way, the one that lasts longest.
    Taken(Lease),
    /// The agent has as many as it may.
    TooMany,
    /// All agents together have.
    Full,
}

/// Why a lease was not ended.
#[derive(Debug, PartialEq, Eq)]
pub enum NotReleased {
    /// There is none with this id, or none any more.
    Unknown,
    /// It is this agent's.
    Anothers(AgentId),
}

/// The leases.
#[derive(Debug)]
pub struct Reservations {
    limits: LeaseLimits,
    leases: BTreeMap<Place, Lease>,
    next: Place,
}

impl Reservations {
    /// None yet.
    pub fn new(limits: LeaseLimits) -> Self {
        Reservations {
            limits,
            leases: BTreeMap::new(),
            next: 0,
        }
    }

    /// Takes a lease, or renews the one that this agent has on this pattern: that keeps its id and
    /// place. Gives its id.
    pub fn reserve(&mut self, lease: Lease, now: Millis) -> Result<String, NotReserved> {
        self.expire(now);
        let in_the_way = |other: &&Lease| {
            other.holder != lease.holder
                && (other.exclusive || lease.exclusive)
                && other.pattern.overlaps(&lease.pattern)
        };
        let others = self.leases.values().filter(in_the_way);
        if let Some(longest) = others.max_by_key(|other| other.until) {
            return Err(NotReserved::Taken(longest.clone()));
        }
        let of_agent = |own: &Lease| own.holder == lease.holder;
        let same = |own: &&mut Lease| of_agent(own) && own.pattern == lease.pattern;
        if let Some(own) = self.leases.values_mut().find(same) {
            let id = own.id.clone();
            *own = Lease {
                id: id.clone(),
                ..lease
            };
            return Ok(id);
        }
        if self.leases.values().filter(|own| of_agent(own)).count() >= self.limits.each {
            return Err(NotReserved::TooMany);
        }
        if self.leases.len() >= self.limits.all {
            return Err(NotReserved::Full);
        }
        let id = lease.id.clone();
        self.leases.insert(self.next, lease);
        self.next += 1;
        Ok(id)
    }

    /// Ends a lease of this agent.
    pub fn release(&mut self, id: &str, agent: &AgentId, now: Millis) -> Result<(), NotReleased> {
        self.expire(now);
        let found = self.leases.iter().find(|(_, lease)| lease.id == id);
        let (&place, lease) = found.ok_or(NotReleased::Unknown)?;
        if lease.holder != *agent {
            return Err(NotReleased::Anothers(lease.holder.clone()));
        }
        self.leases.remove(&place);
        Ok(())
    }

    /// Ends all leases of this agent.
    pub fn end(&mut self, agent: &AgentId) {
        self.leases.retain(|_, lease| lease.holder != *agent);
    }

    /// The leases after a place, in the order of reserving.
    pub fn after(
        &mut self,
        place: Option<Place>,
        now: Millis,
    ) -> impl Iterator<Item = (Place, &Lease)> {
        self.expire(now);
        let from = place.map_or(Bound::Unbounded, Bound::Excluded);
        let leases = self.leases.range((from, Bound::Unbounded));
        leases.map(|(&place, lease)| (place, lease))
    }

    /// How many there are.
    pub fn count(&mut self, now: Millis) -> usize {
        self.expire(now);
        self.leases.len()
    }

    fn expire(&mut self, now: Millis) {
        self.leases.retain(|_, lease| lease.until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawlink_protocol::name::FileKey;
    use proptest::prelude::*;

    const LIMITS: LeaseLimits = LeaseLimits { each: 3, all: 7 };

    fn agent(n: usize) -> AgentId {
        AgentId::parse(&format!("a{n}")).unwrap()
    }

    fn lease(id: &str, holder: usize, pattern: &str, exclusive: bool, until: Millis) -> Lease {
        Lease {
            id: id.to_owned(),
            holder: agent(holder),
            pattern: Pattern::new(FileKey::parse(pattern).unwrap()),
            exclusive,
            reason: String::new(),
            until,
        }
    }

    fn ids(leases: &mut Reservations, now: Millis) -> Vec<String> {
        leases
            .after(None, now)
            .map(|(_, lease)| lease.id.clone())
            .collect()
    }

    #[test]
    fn an_overlap_is_refused_where_either_is_exclusive_and_names_the_longest() {
        let mut leases = Reservations::new(LIMITS);
        let mut reserve = |l: Lease| leases.reserve(l, 0);
        assert_eq!(reserve(lease("x", 1, "src/a.rs", true, 10)), Ok("x".into()));
        assert_eq!(
            reserve(lease("y", 1, "src/*.rs", false, 20)),
            Ok("y".into()),
            "one's own"
        );
        let refused = reserve(lease("z", 2, "src/**", false, 30));
        assert_eq!(
            refused,
            Err(NotReserved::Taken(lease("x", 1, "src/a.rs", true, 10)))
        );
        let refused = reserve(lease("z", 2, "**", true, 30));
        assert_eq!(
            refused,
            Err(NotReserved::Taken(lease("y", 1, "src/*.rs", false, 20)))
        );
        assert_eq!(
            reserve(lease("z", 2, "src/b.rs", false, 30)),
            Ok("z".into()),
            "both shared"
        );
    }

    #[test]
    fn the_same_pattern_again_renews_and_keeps_its_id_and_place() {
        let mut leases = Reservations::new(LIMITS);
        leases.reserve(lease("x", 1, "a", true, 10), 0).unwrap();
        leases.reserve(lease("y", 1, "b", true, 10), 0).unwrap();
        assert_eq!(
            leases.reserve(lease("z", 1, "a", false, 50), 5),
            Ok("x".into())
        );
        assert_eq!(ids(&mut leases, 9), ["x", "y"]);
        assert_eq!(
            leases.reserve(lease("w", 2, "a", false, 50), 9),
            Ok("w".into())
        );
        assert!(
            leases.reserve(lease("z", 1, "a", true, 50), 9).is_err(),
            "not any more"
        );
        assert_eq!(ids(&mut leases, 10), ["x", "w"]);
        assert_eq!(ids(&mut leases, 50), [""; 0]);
    }

    #[test]
    fn only_its_holder_ends_a_lease() {
        let mut leases = Reservations::new(LIMITS);
        leases.reserve(lease("x", 1, "a", true, 10), 0).unwrap();
        assert_eq!(
            leases.release("x", &agent(2), 0),
            Err(NotReleased::Anothers(agent(1)))
        );
        assert_eq!(
            leases.release("x", &agent(1), 10),
            Err(NotReleased::Unknown),
            "it is over"
        );
        leases.reserve(lease("y", 1, "a", true, 20), 10).unwrap();
        leases.reserve(lease("z", 2, "b", true, 20), 10).unwrap();
        assert_eq!(leases.release("y", &agent(1), 10), Ok(()));
        leases.end(&agent(2));
        assert_eq!(ids(&mut leases, 10), [""; 0]);
    }

    #[test]
    fn there_are_so_many_of_one_agent_and_of_all() {
        let mut leases = Reservations::new(LIMITS);
        let mut reserve = |n: usize, holder| {
            leases.reserve(lease(&n.to_string(), holder, &n.to_string(), true, 10), 0)
        };
        for n in 0..3 {
            assert!(reserve(n, 1).is_ok() && reserve(n + 3, 2).is_ok());
        }
        assert_eq!(reserve(6, 1), Err(NotReserved::TooMany));
        assert_eq!(reserve(2, 1), Ok("2".into()), "a renewal is none more");
        assert!(reserve(7, 3).is_ok());
        assert_eq!(reserve(8, 3), Err(NotReserved::Full));
    }

    const PATTERNS: [&str; 8] = ["a", "b", "*", "**", "a/*", "a/b", "**/b", "?/b"];

    proptest! {
        /// Whatever happens, a lease is refused exactly where a live one of another is in the way,
        /// and no two of two agents ever overlap of which one is exclusive.
        #[test]
        fn two_agents_never_hold_what_only_one_may(
            steps in prop::collection::vec((0usize..3, 0usize..8, any::<bool>(), 1u64..20, 0u64..5), 0..60),
        ) {
            let limits = LeaseLimits { each: 100, all: 100 };
            let (mut leases, mut model, mut now) = (Reservations::new(limits), Vec::<Lease>::new(), 0);
            for (n, (holder, which, exclusive, ttl, pass)) in steps.into_iter().enumerate() {
                now += pass;
                model.retain(|lease| lease.until > now);
                let new = lease(&n.to_string(), holder, PATTERNS[which], exclusive, now + ttl);
                let clash = |a: &Lease, b: &Lease| {
                    a.holder != b.holder && (a.exclusive || b.exclusive) && a.pattern.overlaps(&b.pattern)
                };
                let free = !model.iter().any(|other| clash(other, &new));
                prop_assert_eq!(leases.reserve(new.clone(), now).is_ok(), free);
                if free {
                    model.retain(|l| l.holder != new.holder || l.pattern != new.pattern);
                    model.push(new);
                }
                let kept: Vec<Lease> = leases.after(None, now).map(|(_, l)| l.clone()).collect();
                prop_assert_eq!(kept.len(), model.len());
                let alone = |a: &Lease| !kept.iter().any(|b| clash(a, b));
                prop_assert!(kept.iter().all(alone));
            }
        }
    }
}
