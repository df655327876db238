//! Opens a socket and never reads: all that is written to it must come again.

use super::{Desk, PATIENCE};
use crate::record::{End, Event, Stream};
use crate::socket::Socket;

pub(crate) fn run(mut desk: Desk) -> Vec<Event> {
    while !desk.is_over() {
        let from = desk.now();
        let path = format!("/ws/{}", desk.name);
        let socket = Socket::open(desk.address, &path, PATIENCE);
        let stay = desk.dice.between(500, 4_000);
        desk.rest(stay);
        let reset = desk.dice.percent(50);
        match socket {
            Some(socket) if reset => socket.reset(),
            other => drop(other),
        }
        desk.events.push(Event::Stream(Stream {
            agent: desk.name.clone(),
            span: desk.common.clock.since(from),
            acks: false,
            items: Vec::new(),
            end: End::Lost,
        }));
        // What came back is read in between, so that there is room for more.
        let ask = super::Ask {
            lease: Some(1),
            max: Some(200),
            wait: 0,
        };
        if let Some(leased) = desk.poll(ask, None) {
            desk.settle(&leased, crate::record::Action::Ack, true);
        }
    }
    desk.events
}
