//! Reads from a socket: without receipts, where a pong confirms, or with them. Leaves in good
//! order, breaks off, or opens a second socket beside the first.

use super::{Desk, PATIENCE, item_of, settlement};
use crate::record::{Action, End, Event, Item, Micros, SECOND, Stream, Told};
use crate::socket::{Frame, Socket};
use harness::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// One socket, and what came on it.
struct Session<'a> {
    desk: &'a mut Desk,
    acks: bool,
    from: Micros,
    items: Vec<(Micros, Item)>,
    /// Receipts that are to be named in the next frame.
    due: Vec<String>,
    /// Frames without an answer so far: when they were sent, and what they named.
    asked: HashMap<u64, (Micros, Action, Vec<String>)>,
    refs: u64,
    /// Pings are answered.
    answers: bool,
}

pub(crate) fn run(mut desk: Desk, acks: bool) -> Vec<Event> {
    while !desk.is_over() {
        let from = desk.now();
        let query = if acks { "?ack=1" } else { "" };
        let path = format!("/ws/{}{query}", desk.name);
        let answers = !desk.dice.percent(10);
        let socket = Socket::open(desk.address, &path, PATIENCE);
        let mut session = Session {
            desk: &mut desk,
            acks,
            from,
            items: Vec::new(),
            due: Vec::new(),
            asked: HashMap::new(),
            refs: 0,
            answers,
        };
        let end = match socket {
            Some(socket) => session.live(socket),
            None => End::Lost,
        };
        session.conclude(end);
        desk.pause(0, 150);
    }
    desk.events
}

impl Session<'_> {
    fn live(&mut self, mut socket: Socket) -> End {
        let until = self.desk.now() + self.desk.dice.between(300, 6_000) * 1_000;
        while self.desk.now() < until && !self.desk.is_over() {
            if !self.turn(&mut socket, Duration::from_millis(100)) {
                return End::Lost;
            }
            if !self.due.is_empty() && self.desk.dice.percent(60) {
                self.name_receipts(&mut socket);
            }
        }
        match self.desk.dice.below(10) {
            0..5 => self.leave(socket),
            5..7 => {
                socket.reset();
                End::Lost
            }
            7 => self.replaced(socket),
            _ => End::Lost,
        }
    }

    /// Reads a frame; says whether the socket is still there.
    fn turn(&mut self, socket: &mut Socket, within: Duration) -> bool {
        match socket.next(within) {
            Frame::Text(frame) => self.take(&frame),
            Frame::Ping(payload) if self.answers => socket.pong(&payload),
            Frame::Ping(_) | Frame::Nothing => {}
            Frame::Close | Frame::Gone => return false,
        }
        true
    }

    fn take(&mut self, frame: &Value) {
        let now = self.desk.now();
        if frame["type"] == "reply" {
            let asked = frame["ref"].as_u64().and_then(|n| self.asked.remove(&n));
            let Some((from, action, receipts)) = asked else {
                return;
            };
            let told = match frame["status"] == "ok" {
                true => Told::Done(settlement(frame)),
                false => Told::Refused(0, frame["code"].to_string()),
            };
            let span = self.desk.common.clock.since(from);
            self.desk.settled(span, action, receipts, told);
            return;
        }
        match item_of(frame) {
            Some(item) => {
                // Some are left, to come again.
                let due = item.receipt.clone().filter(|_| !self.desk.dice.percent(4));
                self.due.extend(due);
                self.items.push((now, item));
            }
            None => self.desk.hear(frame),
        }
    }

    fn name_receipts(&mut self, socket: &mut Socket) {
        let receipts = std::mem::take(&mut self.due);
        self.refs += 1;
        let from = self.desk.now();
        let mut frame = json!({"type": "ack", "receipts": receipts, "ref": self.refs});
        let mut action = Action::Ack;
        if self.desk.dice.percent(6) {
            let delay = self.desk.dice.below(2);
            frame["action"] = "nack".into();
            frame["delay"] = delay.into();
            action = Action::Nack(delay * SECOND);
        }
        socket.say(&frame);
        self.asked.insert(self.refs, (from, action, receipts));
    }

    /// Says goodbye and reads until that is answered.
    fn leave(&mut self, mut socket: Socket) -> End {
        if !self.due.is_empty() {
            self.name_receipts(&mut socket);
        }
        socket.close();
        let until = self.desk.now() + 2_000_000;
        while self.desk.now() < until {
            match socket.next(Duration::from_millis(200)) {
                Frame::Text(frame) => self.take(&frame),
                Frame::Close => return End::Closed,
                Frame::Gone => return End::Leaving,
                Frame::Ping(_) | Frame::Nothing => {}
            }
        }
        End::Leaving
    }

    /// Another socket of the same agent takes the place of this one, which is read to its end.
    fn replaced(&mut self, mut socket: Socket) -> End {
        let path = format!(
            "/ws/{}{}",
            self.desk.name,
            if self.acks { "?ack=1" } else { "" }
        );
        let from = self.desk.now();
        let second = Socket::open(self.desk.address, &path, PATIENCE);
        let until = self.desk.now() + 1_000_000;
        while self.desk.now() < until && self.turn(&mut socket, Duration::from_millis(100)) {}
        drop(second);
        let span = self.desk.common.clock.since(from);
        self.desk.events.push(Event::Stream(Stream {
            agent: self.desk.name.clone(),
            span,
            acks: self.acks,
            items: Vec::new(),
            end: End::Lost,
        }));
        End::Lost
    }

    fn conclude(self, end: End) {
        let span = self.desk.common.clock.since(self.from);
        for (from, action, receipts) in self.asked.into_values() {
            let span = self.desk.common.clock.since(from);
            self.desk.settled(span, action, receipts, Told::Unknown);
        }
        self.desk.events.push(Event::Stream(Stream {
            agent: self.desk.name.clone(),
            span,
            acks: self.acks,
            items: self.items,
            end,
        }));
    }
}
