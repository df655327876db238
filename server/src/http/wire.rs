//! The connection of an open socket: reads what its client sends, and writes what its outlet gives.
//!
//! The HTTP layer has let go of it. What can be worked off where it is read goes no further, the rest
//! is left to the session; nothing is kept for a socket that is quiet.

use super::came::{Came, SLICE};
use super::line::Plug;
use super::outgoing::Outgoing;
use super::turns::Held;
use std::future::poll_fn;
use std::io::Result;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// How long a connection that is being ended may take for that.
const ENDING: Duration = Duration::from_secs(1);

/// One of them.
pub struct Wire<S> {
    stream: S,
    plug: Plug,
    outgoing: Outgoing,
    /// What it has read and not worked off.
    came: Option<Came>,
    /// Whether what was worked off was answered, and nothing was written since.
    answered: bool,
    /// The reply to the upgrade lasts as long as the socket.
    _reply: Held,
}

impl<S> Wire<S> {
    /// From the upgrade on, with what has come after its head.
    pub fn new(stream: S, plug: Plug, early: &mut [u8], reply: Held) -> Self {
        let outgoing = Outgoing::new(plug.0.outlet.clone());
        let answered = plug.0.take(early);
        Wire {
            stream,
            plug,
            outgoing,
            came: None,
            answered,
            _reply: reply,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Reads and writes until either side ends, and then a little longer.
    pub async fn run(mut self) {
        if poll_fn(|context| self.poll(context)).await.is_ok() {
            // Boxed, it takes no room before.
            Box::pin(self.end()).await;
        }
    }

    /// Reads and writes what there is, in steps; see [`Came`]. Ready when either side has ended.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        match self.poll_read(context) {
            Poll::Pending if self.came.is_none() => self.poll_write(context),
            read => read,
        }
    }

    /// Ready when the client has ended.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let mut come = 0;
        // A peer that sends without end leaves their turn to others, and to what it is sent itself.
        while come < SLICE {
            let line = &self.plug.0;
            let came = match self.came.take() {
                Some(came) => came,
                None => {
                    ready!(line.feed.poll_room(context));
                    let came = ready!(Came::poll_read(&mut self.stream, context))?;
                    if came.is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                    // What comes after it is not waited with: what is to be written would wait, too.
                    if come == 0 && came.may_wait() {
                        self.came = Some(came);
                        break;
                    }
                    came
                }
            };
            come += came.len();
            self.answered |= came.work_off(|bytes| line.take(bytes));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ready when nothing comes any more, and all that has come is written.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        if std::mem::take(&mut self.answered) {
            // What others who are read now have for this socket goes out together with it.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let now = self.plug.0.state.flow.clock.now();
        let more = ready!(self.outgoing.poll_write(now, context, &mut self.stream))?;
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        match more {
            true => Poll::Pending,
            false => Poll::Ready(Ok(())),
        }
    }

    /// Ends it: what the session says to its client's end is still written.
    async fn end(mut self) {
        self.plug.0.feed.end();
        let written = poll_fn(|context| self.poll_write(context));
        if let Ok(Ok(())) = timeout(ENDING, written).await {
            part(&mut self.stream).await;
        }
    }
}

/// Ends a connection on which all is written. What its peer still sends is read: closed over it, the
/// connection would be reset, and the peer lose what it has not read.
pub async fn part<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let ends = async {
        stream.shutdown().await?;
        let mut any = [0; 512];
        while stream.read(&mut any).await? > 0 {}
        Result::Ok(())
    };
    let _ = timeout(ENDING, ends).await;
}
