//! The clients of a run. Each is one thread with choices of its own, and keeps its own history.

pub(crate) mod command;
pub(crate) mod mortal;
pub(crate) mod mute;
pub(crate) mod plain;
pub(crate) mod poller;
pub(crate) mod sender;
pub(crate) mod stream;

use crate::dice::Dice;
use crate::record::{
    Action, Clock, Event, Failed, Item, Mark, Micros, Name, Polled, Settled, Settlement, Span, Told,
};
use crate::wire::{self, Request};
use harness::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// How long a client waits for an answer, besides what it asked the relay to wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// What the relay can do of what is used here.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Features {
    pub(crate) idempotency: bool,
    pub(crate) ack_socket: bool,
    pub(crate) message_ttl: bool,
    pub(crate) dead_letters: bool,
}

impl Features {
    /// As `GET /` lists them.
    pub(crate) fn of(info: &Value) -> Features {
        let has = |name: &str| {
            let features = info["features"].as_array();
            features.is_some_and(|features| features.iter().any(|feature| feature == name))
        };
        Features {
            idempotency: has("idempotency"),
            ack_socket: has("ack_socket"),
            message_ttl: has("message_ttl"),
            dead_letters: has("dead_letters"),
        }
    }
}

/// What the clients of a run have in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) clock: Clock,
    pub(crate) features: Features,
    /// The relay itself, for what must not fail.
    pub(crate) relay: SocketAddr,
    /// No more is to be sent.
    pub(crate) sent_all: AtomicBool,
    /// Everybody is to come home.
    pub(crate) over: AtomicBool,
    /// The time between two messages of one sender, unless it falls behind.
    pub(crate) gap: Micros,
    /// Messages that were taken.
    pub(crate) accepted: AtomicUsize,
    /// Agents that stay, and get mail.
    pub(crate) receivers: Vec<Name>,
    /// Of those that do not stay, the one that is there now.
    pub(crate) mortal: AtomicUsize,
}

/// A client: who it is, by which way it reaches the relay, and what it remembers.
pub(crate) struct Desk {
    pub(crate) name: Name,
    pub(crate) address: SocketAddr,
    pub(crate) dice: Dice,
    pub(crate) common: Arc<Common>,
    pub(crate) events: Vec<Event>,
}

/// What is asked of a poll.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ask {
    /// Seconds.
    pub(crate) lease: Option<u64>,
    pub(crate) wait: u64,
    pub(crate) max: Option<usize>,
}

/// What is leased and not settled: the batch, and its receipts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pending {
    pub(crate) batch: String,
    pub(crate) receipts: Vec<String>,
    /// When the lease ends, as the client sees it.
    pub(crate) until: Micros,
}

impl Desk {
    /// Whether to come home.
    pub(crate) fn is_over(&self) -> bool {
        self.common.over.load(Ordering::SeqCst)
    }

    pub(crate) fn now(&self) -> Micros {
        self.common.clock.now()
    }

    /// Makes a request that may take so many seconds more than usual.
    pub(crate) fn call(&self, request: &Request, wait: u64) -> (Span, Told<Value>) {
        let from = self.now();
        let told = wire::call(self.address, request, PATIENCE + Duration::from_secs(wait));
        (self.common.clock.since(from), told)
    }

    /// Polls, after acknowledging `acks` with the same call. What is leased is to be settled.
    pub(crate) fn poll(&mut self, ask: Ask, acks: Option<Pending>) -> Option<Pending> {
        let mut query = Vec::new();
        query.extend(ask.lease.map(|lease| format!("lease={lease}")));
        query.extend(ask.max.map(|max| format!("max={max}")));
        query.extend((ask.wait > 0).then(|| format!("wait={}", ask.wait)));
        query.extend(
            acks.as_ref()
                .map(|pending| format!("ack={}", pending.batch)),
        );
        let request = Request::get(format!("/poll/{}?{}", self.name, query.join("&")));
        let (span, told) = self.call(&request, ask.wait);
        if let Some(acks) = acks {
            let told = told.clone().map(|reply| settlement(&reply["acked"]));
            self.settled(span, Action::Ack, acks.receipts, told);
        }
        let lease = ask.lease.map(|seconds| seconds * 1_000_000);
        let reply = told.done().cloned().unwrap_or_default();
        let told = told.map(|reply| self.read(&reply["messages"]));
        // Also those of messages that are told to this agent by the relay itself.
        let messages = reply["messages"].as_array().into_iter().flatten();
        let receipts = messages.filter_map(|message| message["delivery"]["receipt"].as_str());
        let receipts: Vec<String> = receipts.map(str::to_owned).collect();
        self.events.push(Event::Polled(Polled {
            agent: self.name.clone(),
            span,
            lease,
            // A question without any parameter is answered with everything.
            max: ask.max.or((!query.is_empty()).then_some(50)),
            told,
            missed: reply["missed"].as_u64().unwrap_or(0),
        }));
        let batch = reply["batch"].as_str().map(str::to_owned);
        batch.filter(|_| !receipts.is_empty()).map(|batch| Pending {
            batch,
            receipts,
            until: span.to + lease.unwrap_or(0),
        })
    }

    /// Settles deliveries, by their batch or by their receipts.
    pub(crate) fn settle(&mut self, pending: &Pending, action: Action, by_batch: bool) {
        let mut body = match by_batch {
            true => json!({"agent_id": &*self.name, "batch": pending.batch}),
            false => json!({"agent_id": &*self.name, "receipts": pending.receipts}),
        };
        match action {
            Action::Ack => {}
            Action::Nack(delay) => {
                body["action"] = "nack".into();
                body["delay"] = (delay / 1_000_000).into();
            }
            Action::Extend(lease) => {
                body["action"] = "extend".into();
                body["lease"] = (lease / 1_000_000).into();
            }
        }
        let (span, told) = self.call(&Request::post("/ack", &body), 0);
        let told = told.map(|reply| settlement(&reply));
        self.settled(span, action, pending.receipts.clone(), told);
    }

    pub(crate) fn settled(
        &mut self,
        span: Span,
        action: Action,
        receipts: Vec<String>,
        told: Told<Settlement>,
    ) {
        self.events.push(Event::Settled(Settled {
            agent: self.name.clone(),
            span,
            action,
            receipts,
            told,
        }));
    }

    /// The messages of a list that are of this run. Failures that are told are noted.
    pub(crate) fn read(&mut self, messages: &Value) -> Vec<Item> {
        let mut items = Vec::new();
        for message in messages.as_array().into_iter().flatten() {
            match item_of(message) {
                Some(item) => items.push(item),
                None => self.hear(message),
            }
        }
        items
    }

    /// Notes a `delivery_failed`.
    pub(crate) fn hear(&mut self, message: &Value) {
        if message["type"] != "delivery_failed" {
            return;
        }
        let many = message["message_ids"].as_array().into_iter().flatten();
        let ids = many
            .chain([&message["message_id"]])
            .filter_map(Value::as_str);
        self.events.push(Event::Failed(Failed {
            sender: self.name.clone(),
            to: message["to_agent"].as_str().unwrap_or_default().into(),
            ids: ids.map(str::to_owned).collect(),
            at: self.now(),
        }));
    }

    /// Waits for some milliseconds of this range, unless it is over.
    pub(crate) fn pause(&mut self, from: u64, to: u64) {
        let millis = self.dice.between(from, to);
        self.rest(millis);
    }

    /// Waits, unless it is over.
    pub(crate) fn rest(&self, millis: u64) {
        let end = self.now() + millis * 1_000;
        while self.now() < end && !self.is_over() {
            let left = (end - self.now().min(end)).clamp(1_000, 50_000);
            std::thread::sleep(Duration::from_micros(left));
        }
    }
}

/// What stands in the body of a message: its mark, and something to make it longer.
pub(crate) fn body_of(mark: Mark, length: usize) -> String {
    format!("m{mark} {}", "x".repeat(length))
}

/// A message of this run.
pub(crate) fn item_of(message: &Value) -> Option<Item> {
    let (body, id) = match message["type"].as_str()? {
        "task_delegation" => ("task", "message_id"),
        "task_response" => ("result", "response_id"),
        "knowledge_broadcast" => ("content", "message_id"),
        _ => return None,
    };
    let mark = message[body]
        .as_str()?
        .strip_prefix('m')?
        .split(' ')
        .next()?;
    let delivery = &message["delivery"];
    Some(Item {
        mark: mark.parse().ok()?,
        id: message[id].as_str()?.to_owned(),
        receipt: delivery["receipt"].as_str().map(str::to_owned),
        attempt: delivery["attempt"].as_u64().map(|attempt| attempt as u32),
    })
}

/// What the relay says to receipts.
pub(crate) fn settlement(reply: &Value) -> Settlement {
    let expired = reply["expired"].as_array().into_iter().flatten();
    Settlement {
        done: reply["done"].as_u64().unwrap_or(0) as usize,
        expired: expired
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    }
}
