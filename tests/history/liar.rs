//! Makes a sound relay look faulty: a proxy that changes what the relay is asked, or what it
//! answers. The checker must find each of these faults, or it would prove nothing.

use crate::clients::item_of;
use harness::stub::Request;
use harness::{Answer, Reply, Stub, Value, http, json};
use std::collections::HashMap;
use std::net::SocketAddr;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What is given back is forgotten instead of put back.
    DroppedRequeue,
    /// An acknowledgement is for the message, whichever delivery its receipt was of.
    AckById,
    /// A message that one poll has got comes with another, too.
    TwoPaths,
    /// A key says nothing.
    ForgottenKeys,
}

struct Liar {
    relay: SocketAddr,
    fault: Fault,
    /// The message of a receipt, and its newest receipt.
    message_of: HashMap<String, String>,
    newest: HashMap<String, String>,
    /// The receipts of a batch.
    batches: HashMap<String, Vec<String>>,
    /// By agent's path, a message that is to come once more.
    copied: HashMap<String, Value>,
    replies: usize,
}

/// A proxy before this relay with this fault.
pub(crate) fn start(relay: SocketAddr, fault: Fault) -> Stub {
    let mut liar = Liar {
        relay,
        fault,
        message_of: HashMap::new(),
        newest: HashMap::new(),
        batches: HashMap::new(),
        copied: HashMap::new(),
        replies: 0,
    };
    Stub::start(move |request| liar.answer(request))
}

impl Liar {
    fn answer(&mut self, request: &Request) -> Answer {
        let (method, path) = request.line.split_once(' ').unwrap_or_default();
        // One request at a time goes through here: none may wait.
        let path = path.replace("wait=", "waits=");
        let mut body = request.json();
        let names = match path.as_str() {
            "/ack" => self.change_ack(&mut body),
            _ => HashMap::new(),
        };
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut headers = vec![("Content-Type", "application/json")];
        let key = request.header("Idempotency-Key");
        let key = key.filter(|_| self.fault != Fault::ForgottenKeys);
        headers.extend(key.map(|key| ("Idempotency-Key", key)));
        let reply: Reply = http::request(self.relay, method, &path, &headers, text.as_bytes());
        let mut said = reply.json();
        if path.starts_with("/poll/") {
            self.note(&said);
            if self.fault == Fault::TwoPaths {
                self.copy(&path, &mut said);
            }
        }
        // The client knows its receipts by the names that it used.
        for receipt in said["expired"].as_array_mut().into_iter().flatten() {
            let own = receipt.as_str().and_then(|receipt| names.get(receipt));
            if let Some(own) = own {
                *receipt = own.as_str().into();
            }
        }
        Answer::Json(reply.status, said)
    }

    /// Changes what is done with receipts. Gives the client's names of those that were replaced.
    fn change_ack(&mut self, body: &mut Value) -> HashMap<String, String> {
        let mut names = HashMap::new();
        let is_ack = body.get("action").is_none();
        match self.fault {
            Fault::DroppedRequeue if body["action"] == "nack" => body["action"] = "ack".into(),
            Fault::AckById if is_ack => {
                let batch = body["batch"]
                    .as_str()
                    .and_then(|batch| self.batches.get(batch));
                let named = body["receipts"].as_array().into_iter().flatten();
                let named = named.filter_map(Value::as_str).map(str::to_owned);
                let receipts: Vec<String> = batch.cloned().unwrap_or_else(|| named.collect());
                for receipt in receipts {
                    names.insert(self.newest_for(&receipt), receipt);
                }
                let receipts: Vec<&String> = names.keys().collect();
                *body = json!({"agent_id": body["agent_id"], "receipts": receipts});
            }
            _ => {}
        }
        names
    }

    fn newest_for(&self, receipt: &str) -> String {
        let message = self.message_of.get(receipt);
        let newest = message.and_then(|message| self.newest.get(message));
        newest.map_or(receipt, String::as_str).to_owned()
    }

    /// Remembers which receipt is for which message.
    fn note(&mut self, said: &Value) {
        let mut receipts = Vec::new();
        for message in said["messages"].as_array().into_iter().flatten() {
            let Some(item) = item_of(message) else {
                continue;
            };
            let Some(receipt) = item.receipt else {
                continue;
            };
            self.message_of.insert(receipt.clone(), item.id.clone());
            self.newest.insert(item.id, receipt.clone());
            receipts.push(receipt);
        }
        if let Some(batch) = said["batch"].as_str() {
            self.batches.insert(batch.to_owned(), receipts);
        }
    }

    /// Every tenth reply leaves a message behind for the next poll of the same agent.
    fn copy(&mut self, path: &str, said: &mut Value) {
        let agent = path.split('?').next().unwrap_or_default().to_owned();
        let Some(messages) = said["messages"].as_array_mut() else {
            return;
        };
        if let Some(copy) = self.copied.remove(&agent) {
            messages.insert(0, copy);
        } else if let Some(message) = messages
            .first()
            .filter(|message| item_of(message).is_some())
        {
            self.replies += 1;
            if self.replies % 10 == 1 {
                self.copied.insert(agent, message.clone());
            }
        }
        let count = messages.len();
        said["count"] = count.into();
    }
}
