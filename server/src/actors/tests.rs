//! The actors together, under a paused clock: hours pass in milliseconds, and nothing happens in
//! between that was not due.

mod acking;
mod dying;
mod finding;
mod identity;
mod names;
mod panics;
mod presence;
mod receiving;
mod routing;
mod sockets;

use super::agent::handle::AgentHandle;
use super::agent::poll::{Ask, Batch, NoMail};
use super::agent::turn::Turned;
use super::refused::Refused;
use super::relay::Relay;
use super::socket::{Dismiss, Outlet, Piece, SocketHandle};
use super::speaking::Speaker;
use crate::Server;
use crate::config::{Args, Config};
use actix::{Actor, Context, Handler};
use argh::FromArgs;
use clawlink_protocol::agents::Register;
use clawlink_protocol::messages::{Broadcast, Delegate, Delegated};
use clawlink_protocol::name::{AgentId, Word};
use futures_util::future::Either;
use parking_lot::Mutex;
use serde_json::value::{RawValue, to_raw_value};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Runs a test on a relay without HTTP, whose time passes only when nothing else can happen.
fn on_relay<F: Future<Output = ()>>(args: &[&str], test: impl FnOnce(World) -> F) {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    };
    actix::System::with_tokio_rt(runtime).block_on(async {
        let args = Args::from_args(&["clawlink-server"], args).unwrap();
        let server = Server::new(Config::new(&args, None).unwrap()).unwrap();
        test(World { server }).await;
    });
}

impl Relay {
    /// What a poll gets, however long it waits.
    async fn polled(
        &self,
        speaker: &Speaker,
        ask: Ask,
        wait: Duration,
    ) -> Result<Option<Batch>, Refused> {
        let polled = match self.poll(speaker, None, ask, wait)? {
            Either::Left(polled) => polled,
            Either::Right(waits) => self.awaited(waits).await?,
        };
        Ok(polled.batch)
    }
}

impl AgentHandle {
    /// The same, past the relay.
    async fn poll(&self, ask: Ask, wait: Duration) -> Result<Batch, NoMail> {
        match self.turn(0..0, ask, wait)?.1 {
            Turned::Now(batch) => Ok(batch),
            Turned::Later(awaited) => awaited.batch().await,
        }
    }
}

struct World {
    server: Server,
}

fn id(text: &str) -> AgentId {
    AgentId::parse(text).unwrap()
}

fn word(text: &str) -> Word {
    Word::parse(text).unwrap()
}

/// The reply to a delegation, as a test keeps it.
#[derive(Debug)]
struct Sent {
    message_id: String,
    to_agent: String,
    delivery: String,
}

impl From<Delegated<'_>> for Sent {
    fn from(reply: Delegated<'_>) -> Self {
        Sent {
            message_id: reply.message_id.to_string(),
            to_agent: reply.to_agent.to_string(),
            delivery: reply.delivery.to_owned(),
        }
    }
}

/// A task for an agent, with nothing said besides.
fn delegation<'a>(from: &str, to: &str, task: &'a RawValue) -> Delegate<'a> {
    Delegate {
        from_agent: id(from),
        to_agent: Some(word(to)),
        to_capability: None,
        task,
        context: None,
        priority: None,
        ttl: None,
        thread_id: None,
        parent_id: None,
    }
}

/// The same for whoever can do it.
fn for_anyone<'a>(from: &str, capability: &str, task: &'a RawValue) -> Delegate<'a> {
    Delegate {
        to_agent: None,
        to_capability: Some(word(capability)),
        ..delegation(from, capability, task)
    }
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Lets everything happen that can happen without time passing, and a moment more.
async fn quiet() {
    pass(Duration::from_millis(5)).await;
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl World {
    fn relay(&self) -> &Relay {
        &self.server.state.relay
    }

    /// Somebody who shows no secret.
    fn anybody(&self, agent_id: &str) -> Speaker {
        self.relay().may_speak_for(&id(agent_id), None).unwrap()
    }

    /// Deregisters an agent that nobody has claimed.
    async fn deregister(&self, agent_id: &str) -> Result<(), String> {
        let gone = self.relay().deregister(&self.anybody(agent_id)).await;
        gone.map_err(|refused| refused.0.error)
    }

    async fn register(&self, agent_id: &str) {
        self.register_as(agent_id, None, None).await.unwrap();
    }

    async fn register_as(
        &self,
        agent_id: &str,
        name: Option<&str>,
        ttl: Option<u64>,
    ) -> Result<(), String> {
        let call = Register {
            agent_id: Some(id(agent_id)),
            name: name.map(word),
            ttl,
            ..Register::default()
        };
        let done = self.relay().register(call, "test".into(), None).await;
        done.map(|_| ()).map_err(|refused| refused.0.error)
    }

    async fn delegate(&self, to: &str, task: &str) -> Result<String, String> {
        let sent = self.send("sender", to, task, None).await;
        sent.map(|reply| reply.delivery)
    }

    /// Delegates a task that may wait for so many seconds.
    async fn send(
        &self,
        from: &str,
        to: &str,
        task: &str,
        ttl: Option<u64>,
    ) -> Result<Sent, String> {
        let task = to_raw_value(task).unwrap();
        let call = Delegate {
            ttl,
            ..delegation(from, to, &task)
        };
        let sent = self.relay().delegate(&call, None, &self.anybody(from));
        sent.map(Sent::from).map_err(|refused| refused.0.error)
    }

    async fn broadcast(&self, content: &str) -> u64 {
        let content = to_raw_value(content).unwrap();
        let call = Broadcast {
            from_agent: id("sender"),
            content: &content,
            topic: None,
            tags: None,
            ttl: None,
        };
        self.relay()
            .broadcast(&call, None, &self.anybody("sender"))
            .await
            .unwrap()
            .recipients
    }

    /// The tasks and contents of what a poll takes; `None` for an unknown agent.
    async fn poll(&self, agent: &str) -> Option<Vec<String>> {
        let batch = self
            .relay()
            .polled(&self.anybody(agent), Ask::PLAIN, Duration::ZERO)
            .await
            .unwrap()?;
        let bodies = batch
            .messages
            .iter()
            .map(|handed| body_of(&handed.envelope.body))
            .collect();
        batch.written();
        Some(bodies)
    }

    /// Its status, looked at without being heard.
    fn status(&self, agent: &str) -> Option<&'static str> {
        self.relay()
            .directory
            .get(agent)
            .map(|entry| entry.agent.presence().as_str())
    }

    /// Opens a socket that writes down what it gets.
    async fn socket(&self, agent: &str) -> (FakeSocket, super::agent::handle::Session) {
        self.socket_that(agent, false).await
    }

    /// The same, with receipts.
    async fn socket_that(
        &self,
        agent: &str,
        acks: bool,
    ) -> (FakeSocket, super::agent::handle::Session) {
        let fake = FakeSocket::default();
        let handle = fake.opened(acks);
        let entry = self.relay().directory.get(agent).unwrap();
        (fake, entry.agent.attach(handle, acks, false).await.unwrap())
    }
}

fn body_of(message: &str) -> String {
    let message: serde_json::Value = serde_json::from_str(message).unwrap();
    let body = message
        .get("task")
        .or(message.get("content"))
        .unwrap_or(&message["file_key"]);
    body.as_str().unwrap_or_default().to_owned()
}

/// Stands for a socket: a peer that answers a ping only when the test says so.
#[derive(Clone, Default)]
struct FakeSocket {
    outlet: Arc<Mutex<Option<Arc<Outlet>>>>,
    got: Arc<Mutex<Vec<String>>>,
    receipts: Arc<Mutex<Vec<(String, u32)>>>,
    announced: Arc<Mutex<Vec<String>>>,
    dismissed: Arc<Mutex<Option<Dismiss>>>,
}

impl FakeSocket {
    /// What an agent gets of it.
    fn opened(&self, acks: bool) -> SocketHandle {
        let outlet = Outlet::new(acks);
        *self.outlet.lock() = Some(outlet.clone());
        SocketHandle {
            outlet,
            dismiss: self.clone().start().recipient(),
        }
    }

    /// Reads what was written.
    fn read(&self) {
        let outlet = self.outlet.lock().clone().unwrap();
        let context = std::task::Context::from_waker(std::task::Waker::noop());
        outlet.take(0, &context, |piece| {
            match piece {
                Piece::Message(handed) => {
                    self.got.lock().push(body_of(&handed.envelope.body));
                    let lease = handed.lease;
                    let lease = lease.map(|lease| (lease.receipt.to_string(), lease.attempt));
                    self.receipts.lock().extend(lease);
                }
                Piece::Notice(notice) => self.announced.lock().push(notice.to_string()),
                Piece::Frame(_) | Piece::Ping(_) => {}
            }
            false
        });
    }

    fn got(&self) -> Vec<String> {
        self.read();
        self.got.lock().clone()
    }

    /// Receipts and attempts of what it got.
    fn receipts(&self) -> Vec<(String, u32)> {
        self.read();
        self.receipts.lock().clone()
    }

    /// The notices that it got.
    fn announced(&self) -> Vec<String> {
        self.read();
        self.announced.lock().clone()
    }

    fn mark(&self) -> u64 {
        self.read();
        self.outlet.lock().as_ref().unwrap().sent()
    }
}

impl Actor for FakeSocket {
    type Context = Context<Self>;
}

impl Handler<Dismiss> for FakeSocket {
    type Result = ();
    fn handle(&mut self, why: Dismiss, _: &mut Self::Context) {
        *self.dismissed.lock() = Some(why);
    }
}
