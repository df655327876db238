//! `GET /openapi.json`: the calls as an OpenAPI 3.1 document.
//!
//! Its schemas are made of the types that are parsed and written, its statuses of the catalogue of
//! errors; which calls there are, a test compares with the route table. Said here and nowhere else
//! is only which type belongs to which call, and the shape of a poll's reply, which is put together
//! by hand.

mod book;

use super::{agents, dead_letters, files, knowledge, page, poll, reservations, tasks, ws};
use actix_web::HttpResponse;
use book::Book;
use clawlink_protocol::Info;
use clawlink_protocol::agents::{
    AboutAgent, Discovered, Register, Registered, Status, Subscribe, Subscribed,
};
use clawlink_protocol::dead_letters::{DeadLetterList, Redeliver, Redelivered};
use clawlink_protocol::error::ErrorCode::{self, *};
use clawlink_protocol::files::{FileHistory, FileList, FileRead, FileSaved, PutFile};
use clawlink_protocol::knowledge::BroadcastList;
use clawlink_protocol::messages::{
    Ack, Acked, Broadcast, BroadcastSent, Delegate, Delegated, Outgoing, Respond, Responded,
};
use clawlink_protocol::name::{AgentId, FileKey, MessageId};
use clawlink_protocol::reservations::{ReservationList, Reserve, Reserved};
use clawlink_protocol::tasks::{Cancel, Input, OneTask, TaskList, TaskMoved};
use schemars::JsonSchema;
use serde_json::Value;
use std::sync::LazyLock;

/// The same in each relay of this version.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// `GET /openapi.json`
pub async fn openapi() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(DOCUMENT.as_str())
}

/// A reply that may be that of an earlier call with the same idempotency key.
#[derive(JsonSchema)]
#[schemars(rename = "{T}OrReplayed")]
#[expect(dead_code, reason = "written by hand, in http/once.rs")]
struct Repeatable<T> {
    #[serde(flatten)]
    reply: T,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<bool>,
}

/// The reply to `GET /poll/{agent_id}`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "written by hand, in http/poll.rs")]
struct Polled {
    /// Most urgent first.
    messages: Vec<Handed>,
    /// How many stand in this reply.
    count: usize,
    /// The relay's epoch.
    epoch: String,
    /// `unknown_agent` where nobody is registered under this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    /// Broadcasts and file notices that gave way since the last poll.
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<u64>,
    /// Messages that wait besides; with any parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<usize>,
    /// With `lease`: acknowledges all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<String>,
    /// With `ack`: what became of that batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    acked: Option<Acked>,
}

/// A message as a poll hands it over.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "written by hand, in http/poll.rs")]
struct Handed {
    #[serde(flatten)]
    message: Outgoing<'static>,
    /// RFC 3339, UTC: when the relay took it.
    queued_at: String,
    /// With `lease`.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<Delivery>,
}

/// One leased delivery of a message.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "written by hand, in http/delivery.rs")]
struct Delivery {
    /// Acknowledges it.
    receipt: String,
    /// 1 for the first.
    attempt: u32,
    /// RFC 3339, UTC: when it comes again. Informs; the seconds count.
    lease_until: String,
    /// How long the lease is.
    lease_seconds: u64,
}

/// The whole document.
pub fn document() -> Value {
    let mut book = Book::new();
    watching(&mut book);
    joining(&mut book);
    sending(&mut book);
    receiving(&mut book);
    about_tasks(&mut book);
    about_files(&mut book);
    book.close()
}

fn watching(book: &mut Book) {
    book.read("/", "What this relay is.")
        .gives::<Info>()
        .end(&[]);
    book.read(
        "/health",
        "Whether it lives: a round trip through the registry.",
    )
    .gives::<Status>()
    .end(&[]);
    book.read("/metrics", "What it counts, for Prometheus.")
        .gives_text("text/plain")
        .end(&[]);
    book.read("/openapi.json", "This document.")
        .gives_any()
        .end(&[]);
}

fn joining(book: &mut Book) {
    book.post(
        "/register",
        "Joins, or changes what an agent says of itself.",
    )
    .speaks()
    .takes::<Register>()
    .gives::<Registered>()
    .end(&[AgentClaimed, RelayFull]);
    book.post("/deregister", "Removes an agent at once.")
        .speaks()
        .takes::<AboutAgent>()
        .gives::<Status>()
        .end(&[UnknownAgent]);
    book.post("/subscribe", "Chooses the broadcasts that an agent hears.")
        .speaks()
        .takes::<Subscribe>()
        .gives::<Subscribed>()
        .end(&[UnknownAgent]);
    book.read("/discover", "Who is there.")
        .asks::<agents::Filters>()
        .asks::<page::PageQuery>()
        .gives::<Discovered>()
        .end(&[]);
    book.post("/heartbeat", "An agent is there.")
        .speaks()
        .takes::<AboutAgent>()
        .gives::<Status>()
        .end(&[]);
}

fn sending(book: &mut Book) {
    const ADDRESSED: [ErrorCode; 5] = [
        UnknownAgent,
        AmbiguousAgent,
        InboxFull,
        RelayFull,
        IdempotencyMismatch,
    ];
    book.post("/delegate", "Sends a task.")
        .once()
        .speaks()
        .takes::<Delegate<'static>>()
        .gives::<Repeatable<Delegated<'_>>>()
        .end(&[&ADDRESSED[..], &[TooDeep]].concat());
    book.post("/respond", "Answers a task.")
        .once()
        .speaks()
        .takes::<Respond<'static>>()
        .gives::<Repeatable<Responded>>()
        .end(&ADDRESSED);
    book.post("/broadcast", "Tells everybody.")
        .once()
        .speaks()
        .takes::<Broadcast<'static>>()
        .gives::<Repeatable<BroadcastSent>>()
        .end(&[IdempotencyMismatch]);
    book.read("/broadcasts", "What was broadcast, the newest first.")
        .asks::<knowledge::Filters>()
        .asks::<page::PageQuery>()
        .gives::<BroadcastList<'static>>()
        .end(&[]);
}

fn receiving(book: &mut Book) {
    book.read("/poll/{agent_id}", "Takes what waits for an agent.")
        .in_path::<AgentId>("agent_id")
        .speaks()
        .asks::<poll::PollQuery<'_>>()
        .gives::<Polled>()
        .end(&[]);
    book.post("/ack", "Says what became of leased messages.")
        .speaks()
        .takes::<Ack>()
        .gives::<Acked>()
        .end(&[UnknownAgent]);
    book.read("/ws/{agent_id}", "Opens an agent's WebSocket.")
        .in_path::<AgentId>("agent_id")
        .speaks()
        .asks::<ws::Mode>()
        .upgrades()
        .end(&[RelayFull]);
    book.read("/dead-letters", "Mail that died, the oldest first.")
        .may_name_agent()
        .asks::<dead_letters::Whose>()
        .asks::<page::PageQuery>()
        .gives::<DeadLetterList<'static>>()
        .end(&[AmbiguousAgent]);
    book.post("/dead-letters/redeliver", "Sends dead letters again.")
        .may_name_agent()
        .takes::<Redeliver>()
        .gives::<Redelivered>()
        .end(&[]);
}

fn about_tasks(book: &mut Book) {
    book.read("/tasks", "Tasks, the newest first.")
        .may_name_agent()
        .asks::<tasks::ListQuery>()
        .asks::<page::PageQuery>()
        .gives::<TaskList<'static>>()
        .end(&[AmbiguousAgent]);
    book.read(
        "/tasks/{message_id}",
        "One task; may wait for what becomes of it.",
    )
    .in_path::<MessageId>("message_id")
    .may_name_agent()
    .asks::<tasks::WaitQuery>()
    .gives::<OneTask<'static>>()
    .end(&[NotFound]);
    book.post("/tasks/{message_id}/cancel", "Calls a task off.")
        .in_path::<MessageId>("message_id")
        .speaks()
        .takes::<Cancel>()
        .gives::<TaskMoved>()
        .end(&[NotFound, TaskEnded, InboxFull, RelayFull]);
    book.post(
        "/tasks/{message_id}/input",
        "Tells an assignee what it asked.",
    )
    .in_path::<MessageId>("message_id")
    .speaks()
    .takes::<Input<'static>>()
    .gives::<TaskMoved>()
    .end(&[
        NotFound,
        UnknownAgent,
        AmbiguousAgent,
        TaskEnded,
        InboxFull,
        RelayFull,
    ]);
}

fn about_files(book: &mut Book) {
    book.read("/files", "The files, by their keys.")
        .asks::<page::PageQuery>()
        .gives::<FileList>()
        .end(&[]);
    book.post("/files", "Writes or merges a file.")
        .once()
        .conditional()
        .speaks()
        .takes::<PutFile<Value>>()
        .gives::<Repeatable<FileSaved>>()
        .end(&[VersionConflict, IdempotencyMismatch, RelayFull]);
    book.read(
        "/files/{file_key}",
        "A file, one of its versions, or a list of them.",
    )
    .in_path::<FileKey>("file_key")
    .asks::<files::ReadQuery>()
    .gives_either::<FileRead, FileHistory>()
    .unless_known()
    .end(&[NotFound]);
    book.delete("/files/{file_key}", "Deletes a file.")
        .in_path::<FileKey>("file_key")
        .names_agent()
        .once()
        .conditional()
        .gives::<Repeatable<FileSaved>>()
        .end(&[NotFound, VersionConflict, IdempotencyMismatch]);
    book.read("/reservations", "Who edits what.")
        .asks::<reservations::Wanted>()
        .asks::<page::PageQuery>()
        .gives::<ReservationList>()
        .end(&[UnknownAgent, AmbiguousAgent]);
    book.post("/reservations", "Reserves paths.")
        .speaks()
        .takes::<Reserve>()
        .gives::<Reserved>()
        .end(&[UnknownAgent, ErrorCode::Reserved, RelayFull]);
    book.delete("/reservations/{id}", "Ends a reservation.")
        .in_path::<String>("id")
        .names_agent()
        .gives::<Status>()
        .end(&[NotFound]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::calls;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_tells_the_calls_of_the_route_table_and_no_others() {
        let document = document();
        let paths = document["paths"].as_object().unwrap().iter();
        let told: BTreeSet<String> = paths
            .flat_map(|(path, calls)| {
                let methods = calls.as_object().unwrap().keys();
                methods.map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        let calls = calls();
        let real: BTreeSet<String> = calls
            .iter()
            .map(|call| format!("{} {}", call.method, call.pattern()))
            .collect();
        assert_eq!(told, real);
        assert_eq!(real.len(), calls.len());
    }

    #[test]
    fn what_stands_in_a_path_is_told_as_a_parameter() {
        for (path, calls) in document()["paths"].as_object().unwrap() {
            let named: Vec<&str> = path
                .split('{')
                .skip(1)
                .filter_map(|part| Some(part.split_once('}')?.0))
                .collect();
            for (method, call) in calls.as_object().unwrap() {
                let all = call["parameters"].as_array().cloned().unwrap_or_default();
                let told = all.iter().filter(|one| one["in"] == "path");
                let told: Vec<&str> = told.filter_map(|one| one["name"].as_str()).collect();
                assert_eq!(told, named, "{method} {path}");
            }
        }
    }
}
