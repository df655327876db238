//! Takes connections over from the HTTP layer, which hands on each that asks for WebSocket, whatever
//! the path. The request is answered as any other; a connection on which a socket was opened goes on
//! as a [`Wire`].

use super::feed::Feed;
use super::line::Plug;
use super::link::Link;
use super::turns::Held;
use super::wire::{Wire, part};
use actix_codec::{Encoder, Framed, FramedParts};
use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::error::PayloadError;
use actix_http::h1::{Codec, Message};
use actix_http::{ConnectionType, HttpMessage, Payload, Request, Response, StatusCode};
use actix_service::{Service, always_ready};
use bytes::BytesMut;
use futures_util::future::LocalBoxFuture;
use futures_util::stream;
use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, Error, ErrorKind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::Semaphore;

/// Bytes of a reply that are put together before they are written.
const PART: usize = 4 * 1024;
/// Sockets that a worker opens at a time. Many clients come at once when a relay has started anew, and
/// what the relay holds while it answers one is several times what an open socket takes.
const AT_A_TIME: usize = 64;

/// A connection that may be taken over, as the request that asks for it carries it.
#[derive(Clone, Default)]
pub struct Offer(Rc<Cell<Option<Plug>>>);

impl Offer {
    /// The connection goes on as this line's when the request is answered.
    pub fn accept(&self, plug: Plug) {
        self.0.set(Some(plug));
    }
}

/// What connections are handed to.
pub struct Upgrades<A> {
    /// Answers the requests.
    app: Rc<A>,
    gate: Rc<Semaphore>,
}

impl<A> Upgrades<A> {
    /// Has them answered by this.
    pub fn new(app: Rc<A>) -> Self {
        let gate = Rc::new(Semaphore::new(AT_A_TIME));
        Upgrades { app, gate }
    }
}

impl<A> Clone for Upgrades<A> {
    fn clone(&self) -> Self {
        let (app, gate) = (self.app.clone(), self.gate.clone());
        Upgrades { app, gate }
    }
}

impl<A, S> Service<(Request, Framed<Link<S>, Codec>)> for Upgrades<A>
where
    A: Service<Request, Response = Response<Held>> + 'static,
    A::Error: Into<Response<BoxBody>>,
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    type Response = ();
    type Error = Infallible;
    type Future = LocalBoxFuture<'static, Result<(), Infallible>>;

    always_ready!();

    fn call(&self, (request, framed): (Request, Framed<Link<S>, Codec>)) -> Self::Future {
        let (conversation, upgrades) = (Conversation::new(framed), self.clone());
        Box::pin(async move {
            // Whatever broke, there is nobody to tell.
            let _ = conversation.hold(request, upgrades).await;
            Ok(())
        })
    }
}

/// A body that lasts until its peer ends, as it has no length: then it has broken off.
fn payload(body: Rc<Feed>) -> Payload {
    let next = move |context: &mut Context<'_>| {
        let chunk = body.poll_next(context);
        chunk.map(|chunk| Some(chunk.ok_or(PayloadError::Incomplete(None))))
    };
    let payload = Box::pin(stream::poll_fn(next));
    Payload::Stream { payload }
}

/// A request on a connection that was handed on with it.
struct Conversation<S> {
    link: Link<S>,
    codec: Codec,
    /// What has come after the head.
    early: BytesMut,
    /// What is to be written.
    out: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Conversation<S> {
    fn new(framed: Framed<Link<S>, Codec>) -> Self {
        let parts: FramedParts<_, _> = framed.into_parts();
        Conversation {
            link: parts.io,
            codec: parts.codec,
            early: parts.read_buf,
            out: parts.write_buf,
        }
    }

    /// Has the request answered, and the connection go on as what was opened by it.
    async fn hold<A>(mut self, mut request: Request, upgrades: Upgrades<A>) -> io::Result<()>
    where
        A: Service<Request, Response = Response<Held>>,
        A::Error: Into<Response<BoxBody>>,
    {
        // Replies to the requests before it. While it waits nothing is kept of both buffers.
        self.link.write_all_buf(&mut self.out).await?;
        self.link.flush().await?;
        self.out = BytesMut::new();
        self.early = BytesMut::from(&self.early[..]);
        let (offer, body) = (Offer::default(), Rc::new(Feed::default()));
        request.extensions_mut().insert(offer.clone());
        *request.payload() = payload(body.clone());
        // To open a socket nobody waits for the peer, who could hold up others otherwise.
        let turn = match request.path().starts_with("/ws/") {
            true => upgrades.gate.acquire().await.ok(),
            false => None,
        };
        let answer = self.wait_for(upgrades.app.call(request), &body).await?;
        drop(turn);
        let response = match answer {
            Ok(response) => response,
            Err(error) => return Box::pin(self.refuse(error.into())).await,
        };
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        match offer.0.take().filter(|_| switches) {
            Some(plug) => self.open(response, plug).await,
            None => Box::pin(self.refuse(response)).await,
        }
    }

    /// What the request comes to. It comes to nothing when its peer ends before.
    async fn wait_for<T>(&mut self, asked: impl Future<Output = T>, body: &Feed) -> io::Result<T> {
        let mut asked = pin!(asked);
        let mut ended = false;
        poll_fn(|context| {
            loop {
                if let Poll::Ready(answer) = asked.as_mut().poll(context) {
                    return Poll::Ready(Ok(answer));
                }
                if ended {
                    return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
                }
                match ready!(self.poll_body(context, body))? {
                    0 => ended = true,
                    _ => continue,
                }
                body.end();
            }
        })
        .await
    }

    /// Reads what there is of a body, if anybody reads it, or the end; gives how much.
    fn poll_body(&mut self, context: &mut Context<'_>, body: &Feed) -> Poll<io::Result<usize>> {
        ready!(body.poll_room(context));
        if self.link.watch().reads_body() && !self.early.is_empty() {
            let early = std::mem::take(&mut self.early);
            body.put(&early);
            return Poll::Ready(Ok(early.len()));
        }
        let mut some = [0; PART];
        let mut some = ReadBuf::new(&mut some);
        ready!(Pin::new(&mut self.link).poll_read(context, &mut some))?;
        body.put(some.filled());
        Poll::Ready(Ok(some.filled().len()))
    }

    /// Tells that it is a socket from now on.
    async fn open(mut self, response: Response<Held>, plug: Plug) -> io::Result<()> {
        let (head, reply) = response.into_parts();
        let head = Message::Item((head, BodySize::None));
        self.codec.encode(head, &mut self.out)?;
        self.link.write_all_buf(&mut self.out).await?;
        self.link.flush().await?;
        let watch = self.link.watch().clone();
        let Some((stream, byte)) = self.link.into_parts() else {
            return Ok(());
        };
        self.early.extend(byte);
        let wire = Wire::new(stream, plug, &mut self.early, reply);
        watch.go_on(Box::pin(wire.run()));
        Ok(())
    }

    /// Tells what has come of it instead, and ends.
    async fn refuse<B: MessageBody>(mut self, mut response: Response<B>) -> io::Result<()> {
        response
            .head_mut()
            .set_connection_type(ConnectionType::Close);
        self.write(response).await?;
        if let Some((mut stream, _)) = self.link.into_parts() {
            part(&mut stream).await;
        }
        Ok(())
    }

    async fn write<B: MessageBody>(&mut self, response: Response<B>) -> io::Result<()> {
        let (head, body) = response.into_parts();
        let mut body = pin!(body);
        let head = Message::Item((head, body.size()));
        self.codec.encode(head, &mut self.out)?;
        while let Some(chunk) = poll_fn(|context| body.as_mut().poll_next(context)).await {
            let chunk = chunk.map_err(|_| Error::from(ErrorKind::Other))?;
            self.codec
                .encode(Message::Chunk(Some(chunk)), &mut self.out)?;
            if self.out.len() >= PART {
                self.link.write_all_buf(&mut self.out).await?;
            }
        }
        self.codec.encode(Message::Chunk(None), &mut self.out)?;
        self.link.write_all_buf(&mut self.out).await?;
        self.link.flush().await
    }
}
