//! Who edits what. No actor: a lock that only calls about reservations take. A lease has nothing to
//! do by itself, neither a timer nor a message to send; the longest thing that happens is to compare
//! one pattern with all others, and a lock keeps that from everybody else's channel.

use super::clock::{Clock, timestamp_in};
use super::directory::{Directory, Entry};
use super::refused::Refused;
use super::relay::at_most;
use crate::core::glob::Pattern;
use crate::core::ids::Ids;
use crate::core::presence::millis;
use crate::core::reservation::{Lease, LeaseLimits, NotReleased, NotReserved, Place, Reservations};
use clawlink_protocol::error::ErrorCode;
use clawlink_protocol::name::AgentId;
use clawlink_protocol::reservations::{
    REASON_MAX, RESERVATION_TTL, RESERVATION_TTL_RANGE, Reservation, Reserve, Reserved,
};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::Duration;

/// The typed handle of the reservations. Its calls may take long enough to be made where nobody
/// waits.
#[derive(Debug, Clone)]
pub struct ReservationsHandle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    table: Mutex<Reservations>,
    /// Agents that have left, whose leases end before the table is next looked at.
    left: Mutex<Vec<AgentId>>,
    limits: LeaseLimits,
    directory: Arc<Directory>,
    clock: Clock,
    ids: Arc<Ids>,
}

impl ReservationsHandle {
    /// None yet.
    pub fn new(
        limits: LeaseLimits,
        directory: Arc<Directory>,
        clock: Clock,
        ids: Arc<Ids>,
    ) -> Self {
        ReservationsHandle(Arc::new(Inner {
            table: Mutex::new(Reservations::new(limits)),
            left: Mutex::default(),
            limits,
            directory,
            clock,
            ids,
        }))
    }

    /// Takes or renews a lease.
    pub fn reserve(&self, call: Reserve) -> Result<Reserved, Refused> {
        let ttl = call.ttl.unwrap_or(RESERVATION_TTL);
        if !RESERVATION_TTL_RANGE.contains(&ttl) {
            let (from, to) = (RESERVATION_TTL_RANGE.start(), RESERVATION_TTL_RANGE.end());
            let error = format!("ttl must be {from} to {to} seconds, not {ttl}");
            return Err(Refused::bad_request(error));
        }
        let reason = call.reason.unwrap_or_default();
        at_most("reason", reason.len(), REASON_MAX, "bytes")?;
        let ttl = Duration::from_secs(ttl);
        let mut table = self.table();
        // Under the lock: whoever leaves is out of the directory before its leases end.
        if self.0.directory.get(call.agent_id.as_str()).is_none() {
            return Err(Refused::unknown(call.agent_id.as_str(), Vec::new()));
        }
        let now = self.0.clock.now();
        let pattern = Pattern::new(call.pattern);
        let lease = Lease {
            id: self.0.ids.next(),
            holder: call.agent_id,
            pattern: pattern.clone(),
            exclusive: call.exclusive.unwrap_or(true),
            reason,
            until: now + millis(ttl),
        };
        let id = table.reserve(lease, now);
        drop(table);
        Ok(Reserved {
            status: "reserved".to_owned(),
            id: id.map_err(|why| self.not_reserved(why, &pattern))?,
            until: timestamp_in(ttl),
        })
    }

    fn not_reserved(&self, why: NotReserved, pattern: &Pattern) -> Refused {
        let full = |error: String| Refused::new(ErrorCode::RelayFull, error);
        match why {
            NotReserved::Taken(lease) => self.taken(&self.shown(&lease), pattern),
            NotReserved::TooMany => full(format!(
                "an agent may hold {} reservations (--reservations-limit); release some",
                self.0.limits.each
            )),
            NotReserved::Full => full(format!(
                "all agents together hold their limit of {} reservations (--reservations-total)",
                self.0.limits.all
            )),
        }
    }

    fn taken(&self, by: &Reservation, pattern: &Pattern) -> Refused {
        let what = match by.pattern == pattern.as_str() {
            true => format!("\"{}\"", by.pattern),
            false => format!(
                "\"{}\" overlaps \"{}\", which",
                pattern.as_str(),
                by.pattern
            ),
        };
        let reason = match by.reason.is_empty() {
            true => String::new(),
            false => format!(": {}", by.reason),
        };
        let (name, id, until) = (&by.name, &by.agent_id, &by.until);
        let error = format!("{what} is reserved by {name} ({id}) until {until}{reason}");
        let mut refused = Refused::new(ErrorCode::Reserved, error);
        refused.0.reservation = Some(by.clone());
        refused
    }

    /// Ends a lease of this agent.
    pub fn release(&self, id: &str, agent: &AgentId) -> Result<(), Refused> {
        let released = self.table().release(id, agent, self.0.clock.now());
        released.map_err(|why| match why {
            NotReleased::Unknown => {
                let error = "there is no such reservation; it may have ended";
                Refused::new(ErrorCode::NotFound, error)
            }
            NotReleased::Anothers(holder) => {
                let error =
                    format!("this reservation is {holder}'s; only its holder can release it");
                Refused::new(ErrorCode::Forbidden, error)
            }
        })
    }

    /// An agent has left, and is out of the directory: its leases end. Does not wait for whoever is
    /// comparing patterns.
    pub(in crate::actors) fn end(&self, agent: &AgentId) {
        self.0.left.lock().push(agent.clone());
        if let Some(mut table) = self.0.table.try_lock() {
            self.settle(&mut table);
        }
    }

    /// How many there are. Waits for whoever is comparing patterns.
    pub fn count(&self) -> usize {
        self.table().count(self.0.clock.now())
    }

    fn table(&self) -> MutexGuard<'_, Reservations> {
        let mut table = self.0.table.lock();
        self.settle(&mut table);
        table
    }

    fn settle(&self, table: &mut Reservations) {
        let left = std::mem::take(&mut *self.0.left.lock());
        left.iter().for_each(|agent| table.end(agent));
    }

    /// Up to `limit` leases after a place, in the order of reserving: those that overlap a pattern,
    /// those of an agent.
    pub fn list(
        &self,
        after: Option<Place>,
        limit: usize,
        pattern: Option<&Pattern>,
        agent: Option<&AgentId>,
    ) -> Vec<(Place, Reservation)> {
        let mut table = self.table();
        let leases = table.after(after, self.0.clock.now());
        let wanted = leases.filter(|(_, lease)| {
            agent.is_none_or(|agent| lease.holder == *agent)
                && pattern.is_none_or(|pattern| lease.pattern.overlaps(pattern))
        });
        let found: Vec<_> = wanted
            .take(limit)
            .map(|(place, lease)| (place, lease.clone()))
            .collect();
        drop(table);
        let shown = found
            .iter()
            .map(|(place, lease)| (*place, self.shown(lease)));
        shown.collect()
    }

    /// A lease as others see it.
    fn shown(&self, lease: &Lease) -> Reservation {
        let left = lease.until.saturating_sub(self.0.clock.now());
        let holder = self.0.directory.get(lease.holder.as_str());
        Reservation {
            id: lease.id.clone(),
            agent_id: lease.holder.to_string(),
            name: holder.as_deref().map_or("", Entry::name).to_owned(),
            pattern: lease.pattern.as_str().to_owned(),
            exclusive: lease.exclusive,
            reason: lease.reason.clone(),
            seconds: left.div_ceil(1000),
            until: timestamp_in(Duration::from_millis(left)),
        }
    }
}
