//! What changes for who is there when a secret claims the agent.

use super::Agent;
use super::inside::Inside;
use crate::actors::socket::Dismiss;
use actix::{Handler, Message};

impl Inside<'_> {
    /// Once the agent is claimed, nobody receives for it who has not shown its secret.
    pub(super) fn turn_out(&mut self) {
        let Some(own) = self.own.as_deref_mut() else {
            return;
        };
        let unproved = own.seat.as_ref().is_some_and(|seat| !seat.proved);
        let all_proved = !unproved && own.waiters.iter().all(|waiter| waiter.ask.proved);
        if all_proved || !self.door.identity.is_claimed() {
            return;
        }
        // Asked anew, they are told why.
        own.waiters.retain(|waiter| waiter.ask.proved);
        if unproved && let Some(socket) = self.vacate() {
            socket.dismiss.do_send(Dismiss::NotYours);
        }
    }
}

/// A secret has claimed the agent.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Claimed;

impl Handler<Claimed> for Agent {
    type Result = ();
    fn handle(&mut self, _: Claimed, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}
