//! WebSocket. The only file that names `actix-web-actors`, which its authors no longer develop:
//! whoever replaces it finds everything here.
//!
//! Four things it does not do by itself stand here and in [`incoming`]: it buffers
//! what a peer announces, spins on a protocol error that is not followed by an end, leaves
//! fragments apart, and freezes with a peer that stops reading (`TCP_USER_TIMEOUT` ends that
//! one, and the window of the agent bounds what it may hold till then).

use super::Shared;
use super::agents::peer;
use super::caller::Caller;
use super::error::ApiError;
use super::frame::{self, Frame};
use super::incoming::Incoming;
use super::line::{Line, Plug};
use super::messages::agent_id;
use super::page::parameters;
use super::upgrade::Offer;
use crate::actors::agent::handle::AgentHandle;
use crate::actors::herald::Listening;
use crate::actors::refused::Refused;
use crate::actors::socket::{Dismiss, Outlet, SocketHandle};
use crate::core::frames::{CLOSE, PONG, Violation, text, whole};
use crate::core::metrics::SocketEnd;
use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Handler, StreamHandler, WrapFuture,
};
use actix_http::ws::{Codec, Item};
use actix_web::web::Path;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse};
use actix_web_actors::ws::{
    self, CloseCode, CloseReason, Message, ProtocolError, WebsocketContext,
};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use clawlink_protocol::events::SocketEvent;
use clawlink_protocol::name::AgentId;
use futures_util::stream::poll_fn;
use futures_util::{Stream, StreamExt};
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt::Display;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, ready};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Pings that a peer that acknowledges may leave unanswered.
const UNANSWERED_MAX: u32 = 2;
/// A second socket of the same agent has come.
const REPLACED: u16 = 4001;
/// A secret has claimed the agent, and this socket has not shown it.
const NOT_YOURS: u16 = 4003;

/// The parameters of an upgrade.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Mode {
    /// 1: messages are confirmed by receipts.
    #[schemars(extend("enum" = ["0", "1"]))]
    ack: Option<String>,
}

/// `GET /ws/{agent_id}`
pub async fn upgrade(
    state: Shared,
    request: HttpRequest,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = agent_id(&id)?;
    caller.notes(&id);
    let acks = match parameters::<Mode>(request.query_string())?.ack.as_deref() {
        None | Some("0") => false,
        Some("1") => true,
        Some(_) => return Err(ApiError::bad_request("ack must be 0 or 1")),
    };
    // Judged before anybody is registered for it.
    let not_spoken = |error: &dyn Display| {
        ApiError::bad_request(format!("this path speaks WebSocket only: {error}"))
    };
    let mut response = ws::handshake(&request).map_err(|error| not_spoken(&error))?;
    let offer = request.extensions().get::<Offer>().cloned();
    let offer =
        offer.ok_or_else(|| not_spoken(&"an upgrade has no body, and no other protocol"))?;
    let receiver = state.relay.receiver(&id, peer(&request), caller.shown());
    let receiver = receiver.await?;
    let gone = || Refused::unavailable("the agent");
    let agent = receiver.agent().cloned().ok_or_else(gone)?;
    let limit = state.limits.body;
    let metrics = state.relay.metrics.clone();
    let flow = state.flow.clone();
    let outlet = Outlet::new(acks);
    let peer = request.peer_addr().map(|peer| peer.ip());
    let line = Rc::new(Line::new(state, receiver, peer, outlet.clone()));
    let plug = Plug(line.clone());
    let (seated, sits) = oneshot::channel();
    let socket = Socket {
        id,
        agent,
        acks,
        seated: Some(seated),
        listening: None,
        line: line.clone(),
        limit,
        fragments: None,
        ending: SocketEnd::Lost,
    };
    let incoming = Incoming::new(limit, line, flow, metrics);
    let codec = Codec::new().max_size(limit);
    let session = WebsocketContext::with_codec(socket, incoming, codec);
    // Boxed here: in the task it would have two places, one in which it came and one in which it runs.
    actix_web::rt::spawn(run(Box::pin(session), Finish(outlet)));
    // Whoever is told that the socket is open is told what happens from then on.
    match sits.await {
        Ok(()) => {
            offer.accept(plug);
            Ok(response.finish())
        }
        Err(_) => Err(gone().into()),
    }
}

/// Runs a session beside its connection. When that has ended it writes to nobody any more;
/// the session goes on until it has worked off what had come.
///
/// While the peer does not read, the session stands still: what it may hold is bounded by the
/// window and by its outlet, and it goes on when the connection does, or ends.
async fn run(mut session: Pin<Box<impl Stream<Item = Result<Bytes, Error>>>>, end: Finish) {
    let next = |context: &mut Context<'_>| {
        ready!(end.0.poll_room(context));
        session.as_mut().poll_next(context)
    };
    let mut frames = poll_fn(next);
    // It writes to its outlet; the context itself has nothing to say.
    while let Some(Ok(frame)) = frames.next().await {
        end.0.write(frame);
    }
}

/// The end of a session, however it comes about.
struct Finish(Arc<Outlet>);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// One open socket.
struct Socket {
    id: AgentId,
    agent: AgentHandle,
    /// Whether the peer confirms by receipts.
    acks: bool,
    /// Told when the socket has its place.
    seated: Option<oneshot::Sender<()>>,
    listening: Option<Listening>,
    /// What it shares with its connection.
    line: Rc<Line>,
    limit: usize,
    /// A message whose last fragment has not come, and whether it is text.
    fragments: Option<(bool, BytesMut)>,
    /// Why it ends, once that is known.
    ending: SocketEnd,
}

/// However it ends, it gives back what was not confirmed.
impl Drop for Socket {
    fn drop(&mut self) {
        self.line.seat.take();
    }
}

type SocketContext = WebsocketContext<Socket>;

impl Actor for Socket {
    type Context = SocketContext;

    fn started(&mut self, ctx: &mut Self::Context) {
        let handle = SocketHandle {
            outlet: self.line.outlet.clone(),
            dismiss: ctx.address().recipient(),
        };
        if self.acks {
            self.welcome();
        }
        let (agent, id, acks) = (self.agent.clone(), self.id.clone(), self.acks);
        let proved = self.line.receiver.is_verified();
        let herald = self.line.state.relay.herald.clone();
        let sit_down = async move {
            let listening = herald.listen(id, handle.clone()).await;
            (agent.attach(handle, acks, proved).await, listening)
        };
        ctx.wait(
            sit_down
                .into_actor(self)
                .map(|(seat, listening), socket, ctx| {
                    socket.listening = listening;
                    let told = socket.seated.take().map(|seated| seated.send(()));
                    match (seat, told) {
                        (Ok(seat), Some(Ok(()))) => drop(socket.line.seat.replace(Some(seat))),
                        // The agent has gone, or the caller.
                        _ => ctx.stop(),
                    }
                }),
        );
        ctx.run_later(self.line.state.ping_every, Socket::tick);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        let metrics = &self.line.state.relay.metrics;
        metrics.sockets_ended.of(self.ending).inc();
    }
}

impl Socket {
    /// The one goodbye.
    fn end(&mut self, code: CloseCode, ctx: &mut SocketContext) {
        self.ending = match code {
            CloseCode::Away => SocketEnd::Shutdown,
            CloseCode::Protocol => SocketEnd::Protocol,
            CloseCode::Invalid => SocketEnd::Encoding,
            CloseCode::Size => SocketEnd::TooBig,
            CloseCode::Other(REPLACED) => SocketEnd::Replaced,
            CloseCode::Other(NOT_YOURS) => SocketEnd::NotYours,
            _ => SocketEnd::Removed,
        };
        self.line.outlet.close(goodbye(Some(code.into())));
        ctx.stop();
    }

    fn welcome(&self) {
        let event = SocketEvent::Welcome {
            agent_id: &self.id,
            epoch: &self.line.state.relay.epoch,
        };
        let event = serde_json::to_string(&event).unwrap_or_default();
        self.line.outlet.write(text([&event]));
    }

    /// A peer that acknowledges must also answer; one of the original's may be at work for as long as
    /// it likes.
    fn tick(&mut self, ctx: &mut SocketContext) {
        if self.acks {
            let unanswered = self.line.unanswered.get();
            if unanswered == UNANSWERED_MAX {
                self.ending = SocketEnd::Unanswered;
                return ctx.stop();
            }
            self.line.unanswered.set(unanswered + 1);
        }
        self.line.outlet.ping(self.acks);
        // Not an interval: after a standstill of the relay that makes up for all it has missed, and
        // takes its own silence for the peer's.
        ctx.run_later(self.line.state.ping_every, Socket::tick);
    }

    /// The peer says goodbye: it has read what came before.
    fn farewell(&mut self, reason: Option<CloseReason>, ctx: &mut SocketContext) {
        let mark = self.line.outlet.farewell(goodbye(reason));
        if let Some(seat) = self.line.seat.take() {
            seat.confirm_last(mark);
        }
        self.ending = SocketEnd::Closed;
        ctx.stop();
    }

    fn fragment(&mut self, item: Item, ctx: &mut SocketContext) {
        match item {
            Item::FirstText(part) => self.fragments = Some((true, BytesMut::from(&part[..]))),
            Item::FirstBinary(part) => self.fragments = Some((false, BytesMut::from(&part[..]))),
            Item::Continue(part) => self.append(&part, ctx),
            Item::Last(part) => {
                self.append(&part, ctx);
                let Some((text, whole)) = self.fragments.take() else {
                    return;
                };
                match ByteString::try_from(whole.freeze()) {
                    Ok(whole) if text => self.frame(whole, ctx),
                    Err(_) if text => self.end(CloseCode::Invalid, ctx),
                    _ => self.not_text(),
                }
            }
        }
    }

    /// The guard bounds the sum already; this bounds it should the guard ever not.
    fn append(&mut self, part: &[u8], ctx: &mut SocketContext) {
        let Some((_, whole)) = &mut self.fragments else {
            return;
        };
        if whole.len() + part.len() > self.limit {
            self.fragments = None;
            return self.end(CloseCode::Size, ctx);
        }
        whole.extend_from_slice(part);
    }

    fn not_text(&self) {
        let error = "a binary frame is not understood; send JSON as text";
        let error = ApiError::bad_request(error);
        self.line.outlet.write(frame::failure(&error));
    }

    /// Frames are worked off one after the other, so that what one sender sends keeps its order.
    fn frame(&mut self, text: ByteString, ctx: &mut SocketContext) {
        self.agent.heard();
        let line = self.line.clone();
        line.busy.set(true);
        let work = async move {
            let turn = line.turn();
            if !turn.is_zero() {
                sleep(turn).await;
            }
            Frame::read(&line.state, &text)
                .serve(&line.state, &line.receiver)
                .await
        };
        ctx.wait(work.into_actor(self).map(|answer, socket, _| {
            socket.line.busy.set(false);
            if let Some(answer) = answer {
                socket.line.outlet.write(answer);
            }
        }));
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Socket {
    fn handle(&mut self, message: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        self.line.unanswered.set(0);
        self.line.done.update(|done| done + 1);
        match message {
            Ok(Message::Text(text)) => self.frame(text, ctx),
            Ok(Message::Continuation(item)) => self.fragment(item, ctx),
            Ok(Message::Binary(_)) => self.not_text(),
            Ok(Message::Ping(payload)) => self.line.outlet.write(whole(PONG, &payload)),
            Ok(Message::Pong(payload)) => self.line.ponged(&payload),
            Ok(Message::Close(reason)) => self.farewell(reason, ctx),
            Ok(Message::Nop) => {}
            // The codec gives text that is not UTF-8 as Io.
            Err(ProtocolError::Io(_)) => self.end(CloseCode::Invalid, ctx),
            Err(_) => self.end(CloseCode::Protocol, ctx),
        }
    }

    /// The bytes have ended: because the peer has gone, or because the guard ended them.
    fn finished(&mut self, ctx: &mut Self::Context) {
        match self.line.verdict.get() {
            Some(Violation::TooBig) => self.end(CloseCode::Size, ctx),
            Some(Violation::Protocol | Violation::Late) => self.end(CloseCode::Protocol, ctx),
            None => ctx.stop(),
        }
    }
}

impl Handler<Dismiss> for Socket {
    type Result = ();
    fn handle(&mut self, why: Dismiss, ctx: &mut Self::Context) {
        self.end(
            match why {
                Dismiss::GoingAway => CloseCode::Away,
                Dismiss::Replaced => CloseCode::Other(REPLACED),
                Dismiss::Removed => CloseCode::Normal,
                Dismiss::NotYours => CloseCode::Other(NOT_YOURS),
            },
            ctx,
        );
    }
}

/// A Close frame.
fn goodbye(reason: Option<CloseReason>) -> Bytes {
    let mut payload = Vec::new();
    if let Some(CloseReason { code, description }) = reason {
        payload.extend_from_slice(&u16::from(code).to_be_bytes());
        payload.extend_from_slice(description.unwrap_or_default().as_bytes());
    }
    whole(CLOSE, &payload)
}
