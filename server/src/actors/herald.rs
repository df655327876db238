//! Tells everybody: broadcasts to all agents that hear their topic, the notices of changed files to
//! all, who came, fell silent and left to all sockets. One actor, so that all inboxes see the same order.

use super::clock::{Clock, timestamp};
use super::directory::{Directory, Entry};
use super::lifeline::Lifeline;
use super::socket::{Dismiss, NOTICES_MAX, SocketHandle};
use crate::core::knowledge::{Log, LogLimits, Place};
use crate::core::message::{Envelope, Kind};
use crate::core::metrics::{Metrics, Slow};
use actix::dev::SendError;
use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, ResponseFuture, SpawnHandle};
use bytestring::ByteString;
use clawlink_protocol::events::SocketEvent;
use clawlink_protocol::name::AgentId;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::debug;

/// Agents told in one step; between two steps the directory is free.
const STEP: usize = 1_000;
/// Notices that wait for the herald; beyond it they are dropped, as they may be.
const CHANNEL: usize = 1_024;
/// Broadcasts and changed files told at once.
const TELLS_MAX: usize = 64;
/// Notices of comings and goings are told together while there are many: between two tellings there
/// is so much time for each socket that hears them, which costs some 5 us to write to; and at most
/// [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_micros(50);
/// The longest time between two tellings.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// As many are told before that time is over: half of what may wait for a socket.
const TOGETHER: usize = NOTICES_MAX / 2;

/// The actor.
pub struct Herald {
    directory: Arc<Directory>,
    clock: Clock,
    log: Log,
    told: Arc<AtomicU64>,
    listening: Arc<AtomicUsize>,
    sockets: HashMap<u64, Listener>,
    next_listener: u64,
    /// Notices that wait to be told together.
    news: Vec<News>,
    /// Broadcasts and changed files that wait for the same, and who wants to know of how many.
    tells: Vec<(Tell, oneshot::Sender<u64>)>,
    /// When they may be.
    next_telling: Instant,
    telling: Option<SpawnHandle>,
    lifeline: Lifeline,
    metrics: Arc<Metrics>,
}

struct Listener {
    agent: AgentId,
    socket: SocketHandle,
}

/// Somebody's coming or going.
struct News {
    /// Whose: its own socket does not hear it.
    of: AgentId,
    /// Nor do sockets from this number on, which came later.
    before: u64,
    notice: ByteString,
}

impl Herald {
    /// Starts the herald.
    pub fn start(
        directory: Arc<Directory>,
        clock: Clock,
        log: LogLimits,
        lifeline: Lifeline,
        metrics: Arc<Metrics>,
    ) -> HeraldHandle {
        let told = Arc::new(AtomicU64::new(0));
        let listening = Arc::new(AtomicUsize::new(0));
        let herald = Herald {
            directory: directory.clone(),
            clock,
            log: Log::new(log),
            told: told.clone(),
            listening: listening.clone(),
            sockets: HashMap::new(),
            next_listener: 0,
            news: Vec::new(),
            tells: Vec::new(),
            next_telling: Instant::now(),
            telling: None,
            lifeline,
            metrics: metrics.clone(),
        };
        HeraldHandle {
            address: Actor::start(herald),
            told,
            listening,
            directory,
            metrics,
        }
    }

    /// Tells everybody what waits to be told, in the order in which it came: who hears several of
    /// them gets them at once, and is woken once.
    fn tell_all(&mut self) {
        let all = std::mem::take(&mut self.tells);
        let mut told = vec![0; all.len()];
        let _ = self.directory.walk(None, STEP, &mut |entry: &Entry| {
            let theirs = || {
                let all = all.iter().enumerate();
                all.filter(|(_, (tell, _))| tell.is_for(entry))
            };
            let mut which = theirs().map(|(n, _)| n);
            let notices = theirs().map(|(_, (tell, _))| &tell.envelope);
            entry.agent.notify_all(notices, |admitted| {
                if let (Some(n), Ok(())) = (which.next(), admitted) {
                    told[n] += 1;
                }
            });
            ControlFlow::Continue(())
        });
        for ((_, reply), told) in all.into_iter().zip(told) {
            // Who asked may have gone.
            let _ = reply.send(told);
        }
    }
}

impl Herald {
    /// Tells all sockets what has happened since the last time: one write for each.
    fn tell_news(&mut self, ctx: &mut Context<Self>) {
        if let Some(telling) = self.telling.take() {
            ctx.cancel_future(telling);
        }
        let news = std::mem::take(&mut self.news);
        for (&id, Listener { agent, socket }) in &self.sockets {
            let theirs = news.iter();
            let theirs = theirs.filter(|news| id < news.before && news.of != *agent);
            let dropped = socket.outlet.announce(theirs.map(|news| &news.notice));
            if dropped > 0 {
                let count = self.metrics.presence_dropped.of(Slow::Socket);
                count.add(dropped as u64);
                debug!(%agent, dropped, "notices were dropped: the socket does not keep up");
            }
        }
        let pause = PAUSE * u32::try_from(self.sockets.len()).unwrap_or(u32::MAX);
        self.next_telling = Instant::now() + pause.min(PAUSE_MAX);
    }
}

impl Actor for Herald {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(CHANNEL);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.lifeline.hub_stopped("the herald");
    }
}

#[derive(Message)]
#[rtype(result = "u64")]
struct Tell {
    envelope: Arc<Envelope>,
    but: AgentId,
    /// Only for those who hear it.
    topic: Option<String>,
}

impl Tell {
    fn is_for(&self, entry: &Entry) -> bool {
        let hears = |topic| entry.profile.topics.hear(topic);
        *entry.agent.id() != self.but && self.topic.as_deref().is_none_or(hears)
    }
}

impl Handler<Tell> for Herald {
    type Result = ResponseFuture<u64>;

    /// Told together with what else has come by now.
    fn handle(&mut self, tell: Tell, ctx: &mut Self::Context) -> Self::Result {
        if tell.envelope.kind == Kind::Broadcast {
            self.log.push(tell.envelope.clone());
            self.told.fetch_add(1, Ordering::Relaxed);
            let (count, bytes) = self.log.held();
            self.metrics.log.set(count);
            self.metrics.log_bytes.set(bytes);
        }
        let (reply, told) = oneshot::channel();
        self.tells.push((tell, reply));
        match self.tells.len() {
            1 => ctx.notify(TellAll),
            TELLS_MAX => self.tell_all(),
            _ => {}
        }
        Box::pin(async move { told.await.unwrap_or_default() })
    }
}

/// What had come is told.
#[derive(Message)]
#[rtype(result = "()")]
struct TellAll;

impl Handler<TellAll> for Herald {
    type Result = ();
    fn handle(&mut self, _: TellAll, _: &mut Self::Context) {
        if !self.tells.is_empty() {
            self.tell_all();
        }
    }
}

/// Broadcasts with their places, newest first.
pub type Snapshot = Vec<(Place, Arc<Envelope>)>;

#[derive(Message)]
#[rtype(result = "Snapshot")]
struct Look {
    before: Option<Place>,
}

impl Handler<Look> for Herald {
    type Result = Snapshot;

    /// Pointers only: whoever looks for something reads the texts itself, and the herald goes on.
    fn handle(&mut self, Look { before }: Look, _: &mut Self::Context) -> Snapshot {
        let kept = self.log.before(before);
        kept.map(|(place, envelope)| (place, envelope.clone()))
            .collect()
    }
}

/// What has become of an agent.
#[derive(Debug, Clone, Copy)]
enum Change {
    Joined,
    Stale,
    Left,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Tidings {
    change: Change,
    entry: Arc<Entry>,
}

impl Handler<Tidings> for Herald {
    type Result = ();
    fn handle(&mut self, Tidings { change, entry }: Tidings, ctx: &mut Self::Context) {
        let (agent, timestamp) = (&entry.record(&self.clock), &*timestamp());
        let sender_verified = entry.agent.identity().is_claimed();
        let event = match change {
            Change::Joined => SocketEvent::AgentJoined {
                agent,
                sender_verified,
                timestamp,
            },
            Change::Stale => SocketEvent::AgentStale {
                agent,
                sender_verified,
                timestamp,
            },
            Change::Left => SocketEvent::AgentLeft {
                agent,
                sender_verified,
                timestamp,
            },
        };
        let Ok(notice) = serde_json::to_string(&event).map(ByteString::from) else {
            return;
        };
        self.news.push(News {
            of: entry.agent.id().clone(),
            before: self.next_listener,
            notice,
        });
        let left = self.next_telling.duration_since(Instant::now());
        if left.is_zero() || self.news.len() >= TOGETHER {
            self.tell_news(ctx);
        } else if self.telling.is_none() {
            let telling = ctx.run_later(left, |herald, ctx| {
                herald.telling = None;
                herald.tell_news(ctx);
            });
            self.telling = Some(telling);
        }
    }
}

#[derive(Message)]
#[rtype(result = "Listening")]
struct Listen {
    agent: AgentId,
    socket: SocketHandle,
}

impl Handler<Listen> for Herald {
    type Result = actix::MessageResult<Listen>;
    fn handle(&mut self, msg: Listen, ctx: &mut Self::Context) -> Self::Result {
        let Listen { agent, socket } = msg;
        let id = self.next_listener;
        self.next_listener += 1;
        if self.lifeline.is_ending() {
            socket.dismiss.do_send(Dismiss::GoingAway);
        }
        self.sockets.insert(id, Listener { agent, socket });
        self.listening.store(self.sockets.len(), Ordering::Relaxed);
        actix::MessageResult(Listening {
            id,
            herald: ctx.address(),
        })
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Unlisten(u64);

impl Handler<Unlisten> for Herald {
    type Result = ();
    fn handle(&mut self, Unlisten(id): Unlisten, _: &mut Self::Context) {
        self.sockets.remove(&id);
        self.listening.store(self.sockets.len(), Ordering::Relaxed);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct DismissAll;

impl Handler<DismissAll> for Herald {
    type Result = ();
    fn handle(&mut self, _: DismissAll, _: &mut Self::Context) {
        for listener in self.sockets.values() {
            listener.socket.dismiss.do_send(Dismiss::GoingAway);
        }
    }
}

/// A socket that hears notices. Dropped, it hears no more.
#[derive(Debug)]
pub struct Listening {
    id: u64,
    herald: Addr<Herald>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.herald.do_send(Unlisten(self.id));
    }
}

/// The typed handle of the herald.
#[derive(Debug, Clone)]
pub struct HeraldHandle {
    address: Addr<Herald>,
    told: Arc<AtomicU64>,
    listening: Arc<AtomicUsize>,
    directory: Arc<Directory>,
    metrics: Arc<Metrics>,
}

impl HeraldHandle {
    /// Gives a notice to every agent but one; says how many they are. `None` if the herald is gone.
    pub async fn tell(&self, envelope: Arc<Envelope>, but: AgentId) -> Option<u64> {
        let topic = None;
        let tell = Tell {
            envelope,
            but,
            topic,
        };
        self.address.send(tell).await.ok()
    }

    /// The same with a broadcast, which only those get who hear its topic.
    pub async fn broadcast(
        &self,
        envelope: Arc<Envelope>,
        but: AgentId,
        topic: &str,
    ) -> Option<u64> {
        let topic = Some(topic.to_owned());
        let tell = Tell {
            envelope,
            but,
            topic,
        };
        self.address.send(tell).await.ok()
    }

    /// The log of broadcasts, or what of it was sent before a place. `None` if the herald is gone.
    pub async fn log(&self, before: Option<Place>) -> Option<Snapshot> {
        self.address.send(Look { before }).await.ok()
    }

    /// Sockets that are open.
    pub fn sockets(&self) -> usize {
        self.listening.load(Ordering::Relaxed)
    }

    /// Broadcasts since the start.
    pub fn broadcasts(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// Tells all sockets but its own that an agent has come.
    pub(in crate::actors) fn joined(&self, entry: &Arc<Entry>) {
        self.spread(Change::Joined, entry);
    }

    /// Tells all sockets but its own that an agent has fallen silent.
    pub(in crate::actors) fn stale(&self, id: &AgentId) {
        if self.listening.load(Ordering::Relaxed) > 0
            && let Some(entry) = self.directory.get(id.as_str())
        {
            self.spread(Change::Stale, &entry);
        }
    }

    /// Tells all sockets that an agent has left.
    pub(in crate::actors) fn left(&self, entry: &Arc<Entry>) {
        self.spread(Change::Left, entry);
    }

    /// Dropped where the herald cannot keep up, as these may be.
    fn spread(&self, change: Change, entry: &Arc<Entry>) {
        if self.listening.load(Ordering::Relaxed) > 0 {
            let entry = entry.clone();
            let told = self.address.try_send(Tidings { change, entry });
            if let Err(SendError::Full(_)) = told {
                self.metrics.presence_dropped.of(Slow::Herald).inc();
            }
        }
    }

    /// From now on this socket hears who comes and goes, and when the relay ends.
    pub async fn listen(&self, agent: AgentId, socket: SocketHandle) -> Option<Listening> {
        self.address.send(Listen { agent, socket }).await.ok()
    }

    /// The relay ends: every socket is told.
    pub async fn dismiss_all(&self) {
        let _ = self.address.send(DismissAll).await;
    }

    #[cfg(test)]
    pub(in crate::actors) fn address(&self) -> Addr<Herald> {
        self.address.clone()
    }
}
