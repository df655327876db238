//! One connection, from its first byte on.
//!
//! The calls that agents make all the time are answered here, where they are read: from the bytes that
//! came to the bytes that go, without a buffer or a future of the connection's own. Whatever else a
//! client sends is the HTTP layer's: it gets the connection for as long as that request lasts, and
//! gives it back when it has written the reply. So a connection on which nothing is asked holds nothing
//! of HTTP.

use super::Shared;
use super::alarm::{after, by};
use super::error::ApiError;
use super::flow::{Load, count};
use super::frequent::{self, Answer, Frequent, Work};
use super::front::Told;
use super::guard::may_come;
use super::head::Head;
use super::link::{Home, Link, Patience, Turn, Watch};
use super::reply::{put_error, put_json};
use super::request::{self, Request, Seen};
use super::turns::load_of;
use super::wire::part;
use crate::actors::agent::poll::Batch;
use actix_http::Protocol;
use actix_http::error::DispatchError;
use actix_service::Service;
use actix_web::ResponseError;
use actix_web::http::StatusCode;
use bytes::{Buf, BytesMut};
use futures_util::future::Either::{self, Left, Right};
use futures_util::future::LocalBoxFuture;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

/// Bytes that are read before others have their turn; and those that are read ahead while a call waits.
const SLICE: usize = 8 * 1024;
/// Room for replies that is kept for the next one.
const OUT_MAX: usize = 64 * 1024;

/// What the connections of a worker have in common.
pub struct Desk<H> {
    /// What every call reads. Once for each worker, so that its requests do not count on what others
    /// count on too.
    pub state: Rc<Shared>,
    /// The numbers of the frequent calls in the route table.
    numbers: [Option<usize>; Frequent::ALL.len()],
    /// The HTTP layer.
    http: H,
}

impl<H> Desk<H> {
    /// Of a worker.
    pub fn new(state: Shared, http: H) -> Desk<H> {
        let numbers = Frequent::ALL.map(|call| {
            let (method, pattern) = call.entry();
            state.traffic.number(method, pattern)
        });
        let state = Rc::new(state);
        Desk {
            state,
            numbers,
            http,
        }
    }
}

/// Where requests are read and replies written. They go in one step, so that one is enough for all
/// connections of a thread.
struct Room {
    read: Box<[u8]>,
    out: Vec<u8>,
    /// What goes with the replies in `out`.
    sent: Vec<Sent>,
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::new(Room {
        read: vec![0; SLICE].into(),
        out: Vec::new(),
        sent: Vec::new(),
    });
}

/// What goes with a reply until it has been written.
struct Sent {
    batch: Option<Batch>,
    _load: Option<Load>,
    _turn: Turn,
}

/// Replies that the kernel has not taken.
struct Unsent {
    bytes: Vec<u8>,
    sent: Vec<Sent>,
}

/// A frequent call that is worked off.
struct Asked {
    call: Frequent,
    began: Instant,
    turn: Turn,
    closes: bool,
}

/// Where a connection has come to.
struct Met {
    unsent: Option<Unsent>,
    then: Then,
}

/// How it goes on.
enum Then {
    /// As before.
    Read,
    /// When this call has its answer.
    Wait(Asked, Work),
    /// When the HTTP layer has answered the request that comes now, of so many bytes if that is known.
    HandOver(Option<usize>),
    /// Not.
    End,
}

/// A connection.
pub struct Conversation<H> {
    desk: Rc<Desk<H>>,
    peer: Option<SocketAddr>,
    watch: Rc<Watch>,
    /// What has been read and not been looked at.
    rest: BytesMut,
    /// Whether the client has ended its side.
    ended: bool,
    patience: Patience,
    /// The end of the relay.
    ending: LocalBoxFuture<'static, ()>,
}

impl<H> Conversation<H> {
    /// On a connection that has opened.
    pub fn new(desk: Rc<Desk<H>>, watch: Rc<Watch>, peer: Option<SocketAddr>) -> Self {
        let lifeline = desk.state.relay.lifeline.clone();
        Conversation {
            peer,
            watch,
            rest: BytesMut::new(),
            ended: false,
            patience: Patience::default(),
            ending: Box::pin(async move { lifeline.ending().await }),
            desk,
        }
    }

    /// Answers what comes until one of both ends it, or it goes on as something else.
    pub async fn hold<S>(mut self, mut stream: S) -> Result<(), DispatchError>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
        H: Service<(Link<S>, Protocol, Option<SocketAddr>), Response = (), Error = DispatchError>,
    {
        loop {
            let met = poll_fn(|context| self.poll_requests(&mut stream, context)).await?;
            if let Some(unsent) = met.unsent {
                self.send(&mut stream, unsent).await?;
            }
            match met.then {
                Then::Read => {}
                Then::Wait(asked, mut work) => {
                    let awaited = poll_fn(|context| self.wait_for(&mut stream, &mut work, context));
                    let Some(outcome) = awaited.await? else {
                        return Ok(());
                    };
                    let closes = asked.closes;
                    let mut bytes = Vec::new();
                    let (sent, refused) = self.reply(asked, outcome, &mut bytes);
                    let sent = vec![sent];
                    self.send(&mut stream, Unsent { bytes, sent }).await?;
                    if closes || refused {
                        break;
                    }
                }
                Then::HandOver(length) => match self.hand_over(stream, length).await? {
                    Some(back) => stream = back,
                    None => return Ok(()),
                },
                Then::End => break,
            }
        }
        part(&mut stream).await;
        Ok(())
    }

    /// Answers the requests that are there. Ready when something else is to be done.
    fn poll_requests<S>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Met>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        ROOM.with_borrow_mut(|Room { read, out, sent }| {
            // What a panic has left is nobody's.
            out.clear();
            out.shrink_to(OUT_MAX);
            sent.clear();
            let mut come = 0;
            while come < SLICE {
                let mut rest = mem::take(&mut self.rest);
                let then = if rest.is_empty() {
                    let length = ready!(self.poll_read(stream, read, context))?;
                    come += length;
                    let (used, then) = self.answer(&read[..length], out, sent, context);
                    self.rest.extend_from_slice(&read[used..length]);
                    match length {
                        0 => Then::End,
                        _ => then,
                    }
                } else {
                    let (used, then) = self.answer(&rest, out, sent, context);
                    rest.advance(used);
                    self.rest = rest;
                    then
                };
                let unsent = self.write(stream, out, sent, context)?;
                if unsent.is_some() || !matches!(then, Then::Read) {
                    return Poll::Ready(Ok(Met { unsent, then }));
                }
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// Reads what has come; nothing at the end.
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        into: &mut [u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut into = ReadBuf::new(into);
        if Pin::new(stream).poll_read(context, &mut into)?.is_ready() {
            return Poll::Ready(Ok(into.filled().len()));
        }
        let lifeline = &self.desk.state.relay.lifeline;
        let ends = lifeline.is_ending() || self.ending.as_mut().poll(context).is_ready();
        match ends || self.is_late(context) {
            true => Poll::Ready(Ok(0)),
            false => Poll::Pending,
        }
    }

    /// Whether no request has come for too long.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let (watch, patience) = (&self.watch, &mut self.patience);
        let late = patience.is_over(&watch.flow, watch.idle_until(), context);
        if late && watch.is_new() {
            count(&watch.flow.counts.late_heads);
        }
        late
    }

    /// Answers the frequent calls that stand at the beginning of these bytes; says how many bytes they
    /// were, and what to do then.
    fn answer(
        &self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        sent: &mut Vec<Sent>,
        context: &mut Context<'_>,
    ) -> (usize, Then) {
        let mut used = 0;
        while used < bytes.len() {
            let request = match request::read(&bytes[used..]) {
                Seen::Frequent(request) => request,
                Seen::Other(length) => return (used, Then::HandOver(length)),
            };
            if self.desk.state.relay.lifeline.is_ending() {
                // It says that it is the last one.
                return (used, Then::HandOver(Some(request.length)));
            }
            used += request.length;
            let asked = Asked {
                call: request.call,
                began: Instant::now(),
                turn: self.watch.clone().ask(),
                closes: request.closes,
            };
            let outcome = match self.work_off(&request, context) {
                Ok(Left(answer)) => Ok(answer),
                Ok(Right(work)) => return (used, Then::Wait(asked, work)),
                Err(error) => Err(error),
            };
            let (with, refused) = self.reply(asked, outcome, out);
            sent.push(with);
            if request.closes || refused {
                return (used, Then::End);
            }
        }
        (used, Then::Read)
    }

    fn work_off(
        &self,
        request: &Request<'_>,
        context: &mut Context<'_>,
    ) -> Result<Either<Answer, Work>, ApiError> {
        let state = &self.desk.state;
        let head = Head {
            path: request.path,
            query: request.query,
            authority: None,
            headers: &request.headers,
            peer: self.peer.map(|peer| peer.ip()),
            watch: Some(&self.watch),
        };
        may_come(state, &head)?;
        frequent::answer(request.call, state, &head, request.body, context)
    }

    /// Writes the reply to a call; gives what goes with it, and whether the connection ends for it.
    fn reply(
        &self,
        asked: Asked,
        outcome: Result<Answer, ApiError>,
        out: &mut Vec<u8>,
    ) -> (Sent, bool) {
        let Desk { state, numbers, .. } = &*self.desk;
        let (method, _) = asked.call.entry();
        let outcome = outcome.and_then(|answer| {
            let load = load_of(&state.flow, answer.text.len(), !asked.call.has_body())?;
            Ok((answer, load))
        });
        let now = Instant::now();
        let refused = outcome.as_ref().err().map(ApiError::code);
        let status = outcome.as_ref().err();
        let status = status.map_or(StatusCode::OK, ApiError::status_code);
        let number = numbers[asked.call as usize];
        Told {
            method,
            number,
            status,
            code: refused,
            took: now.duration_since(asked.began),
            watch: Some(&self.watch),
        }
        .tell(state);
        let (batch, load, ends) = match outcome {
            Ok((Answer { text, batch }, load)) => {
                put_json(out, now, &text, asked.closes);
                (batch, load, false)
            }
            Err(error) => {
                put_error(out, now, &error, asked.closes || error.closes());
                (None, None, error.closes())
            }
        };
        let sent = Sent {
            batch,
            _load: load,
            _turn: asked.turn,
        };
        (sent, ends)
    }

    /// Writes replies; gives those that the kernel has not taken.
    fn write<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        out: &mut Vec<u8>,
        sent: &mut Vec<Sent>,
        context: &mut Context<'_>,
    ) -> io::Result<Option<Unsent>> {
        if out.is_empty() {
            return Ok(None);
        }
        let written = match Pin::new(&mut *stream).poll_write(context, out)? {
            Poll::Ready(written) => written,
            Poll::Pending => 0,
        };
        let gone = written == out.len() && Pin::new(&mut *stream).poll_flush(context)?.is_ready();
        if !gone {
            return Ok(Some(Unsent {
                bytes: out[written..].to_vec(),
                sent: mem::take(sent),
            }));
        }
        out.clear();
        self.confirm(stream, sent, context);
        Ok(None)
    }

    /// These replies have gone. A client that has ended its side is taken for gone: it gets no mail.
    fn confirm<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        sent: &mut Vec<Sent>,
        context: &mut Context<'_>,
    ) {
        for Sent { batch, .. } in sent.drain(..) {
            if let Some(batch) = batch
                && (!batch.is_at_stake() || !self.has_ended(stream, context))
            {
                batch.written();
            }
        }
    }

    /// Whether the client has ended its side, as far as that can be known now.
    fn has_ended<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> bool {
        let _ = self.read_ahead(stream, context);
        self.ended
    }

    /// Reads what comes meanwhile, as far as there is room for it.
    fn read_ahead<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> io::Result<()> {
        let mut some = [0; 512];
        while self.rest.len() < SLICE && !self.ended {
            let mut some = ReadBuf::new(&mut some);
            match Pin::new(&mut *stream).poll_read(context, &mut some) {
                Poll::Pending => break,
                Poll::Ready(read) => {
                    self.ended = read.is_err() || some.filled().is_empty();
                    read?;
                    self.rest.extend_from_slice(some.filled());
                }
            }
        }
        Ok(())
    }

    /// What a call comes to; nothing if its client ends before.
    fn wait_for<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        work: &mut Work,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Result<Answer, ApiError>>>> {
        if let Poll::Ready(outcome) = work.as_mut().poll(context) {
            return Poll::Ready(Ok(Some(outcome)));
        }
        self.read_ahead(stream, context)?;
        match self.ended {
            true => Poll::Ready(Ok(None)),
            false => Poll::Pending,
        }
    }

    /// Writes replies for as long as the client may take for them.
    async fn send<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        unsent: Unsent,
    ) -> io::Result<()> {
        let Unsent { bytes, mut sent } = unsent;
        let flow = self.watch.flow.clone();
        let due = after(&flow.clock, flow.limits.body_total);
        let written = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        let Some(written) = by(&flow.clock, due, pin!(written)).await else {
            count(&flow.counts.late_replies);
            return Err(ErrorKind::TimedOut.into());
        };
        written?;
        poll_fn(|context| {
            self.confirm(stream, &mut sent, context);
            Poll::Ready(())
        })
        .await;
        Ok(())
    }

    /// Has the HTTP layer answer a request. Gives the connection if it goes on.
    async fn hand_over<S>(
        &mut self,
        stream: S,
        length: Option<usize>,
    ) -> Result<Option<S>, DispatchError>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
        H: Service<(Link<S>, Protocol, Option<SocketAddr>), Response = (), Error = DispatchError>,
    {
        let there = length.unwrap_or(usize::MAX).min(self.rest.len());
        let request = self.rest.split_to(there);
        let left = length.map(|length| length - there);
        let home = Home::default();
        let link = Link::new(stream, self.watch.clone()).lent(request, left, home.clone());
        Box::pin(self.desk.http.call((link, Protocol::Http1, self.peer))).await?;
        let Some((stream, early)) = home.take() else {
            return Ok(None);
        };
        self.rest.extend(early);
        Ok(Some(stream))
    }
}
