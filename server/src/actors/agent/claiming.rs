//! What changes for who is there when a secret claims the agent.

use super::Agent;
use super::inside::Inside;
use crate::actors::socket::Dismiss;
use actix::{Handler, Message};

impl Inside<'_> {
    /// Once the agent is claimed, nobody receives for it who has not shown its secret.
    pub(super) fn turn_out(&mut self) {
        if !self.door.owner.is_claimed() {
            return;
        }
        let Some(own) = self.own.as_deref_mut() else {
            return;
        };
        // Asked anew, they are told why.
        own.waiters.retain(|waiter| waiter.ask.proved);
        if own.seat.as_ref().is_some_and(|seat| !seat.proved)
            && let Some(socket) = self.vacate()
        {
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
        self.door.enter().turn_out();
        self.look(ctx);
    }
}
