//! The bytes that go to a socket's peer: taken from its [`Outlet`], framed, and written to the
//! connection, many frames at a time.
//!
//! They do not go through the reply's body: the layer below would copy them into a buffer of its own,
//! write every 4 KiB of it, and keep it. The body only lasts as long as the socket does.

use super::delivery::{without_brace, write_delivery};
use super::link::Watch;
use crate::actors::socket::{Outlet, Piece};
use crate::core::Millis;
use crate::core::frames::{PING, TEXT, head};
use bytes::{Buf, Bytes};
use futures_util::Stream;
use std::cell::RefCell;
use std::convert::Infallible;
use std::io::{ErrorKind, Result};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// Bytes that are put together for one write; a message longer than that is written by itself.
const WRITE: usize = 64 * 1024;

thread_local! {
    /// Where they are put together: what the kernel takes at once needs no other place.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes what an outlet gives.
pub struct Outgoing {
    outlet: Arc<Outlet>,
    /// What the kernel has not taken yet.
    rest: Bytes,
    /// Whether the task was woken at the end.
    ended: bool,
}

/// Lasts as long as an outlet does. Dropped, it tells that nobody writes any more.
pub(super) struct Body {
    outlet: Arc<Outlet>,
    watch: Option<Rc<Watch>>,
}

impl Body {
    /// A reply's body on the connection with this record, which writes what the outlet gives.
    pub(super) fn new(outlet: Arc<Outlet>, watch: Rc<Watch>) -> Self {
        let watch = Some(watch);
        Body { outlet, watch }
    }
}

impl Stream for Body {
    type Item = std::result::Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Not before the reply's head stands in the buffer of the layer above.
        if let Some(watch) = self.watch.take() {
            watch.stream_to(Outgoing::new(self.outlet.clone()));
        }
        match self.outlet.is_over() {
            true => Poll::Ready(None),
            // Its task is woken by the outlet.
            false => Poll::Pending,
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.outlet.cut();
    }
}

impl Outgoing {
    /// Nothing is written yet.
    pub fn new(outlet: Arc<Outlet>) -> Self {
        Outgoing {
            outlet,
            rest: Bytes::new(),
            ended: false,
        }
    }

    /// Writes what there is. Ready when all of it has gone; the task is woken when there is more, and
    /// once again when the last of it has gone.
    pub fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        now: Millis,
        context: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<Result<()>> {
        while !self.rest.is_empty() {
            let Poll::Ready(written) = Pin::new(&mut *stream).poll_write(context, &self.rest)?
            else {
                return Poll::Pending;
            };
            self.rest.advance(some(written)?);
        }
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                scratch.clear();
                let more = self.outlet.take(now, context, |piece| {
                    put(scratch, &piece);
                    scratch.len() >= WRITE
                });
                if !more && !self.ended {
                    // The body was asked before this, and could not say that it is over.
                    self.ended = true;
                    context.waker().wake_by_ref();
                }
                if scratch.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let mut written = 0;
                while written < scratch.len() {
                    match Pin::new(&mut *stream).poll_write(context, &scratch[written..])? {
                        Poll::Ready(step) => written += some(step)?,
                        Poll::Pending => {
                            self.rest = Bytes::copy_from_slice(&scratch[written..]);
                            return Poll::Pending;
                        }
                    }
                }
                if scratch.capacity() > 2 * WRITE {
                    *scratch = Vec::new();
                }
            }
        })
    }
}

fn some(written: usize) -> Result<usize> {
    match written {
        0 => Err(ErrorKind::WriteZero.into()),
        some => Ok(some),
    }
}

/// Writes it as a frame.
fn put(out: &mut Vec<u8>, piece: &Piece) {
    let mut text = |parts: &[&[u8]]| {
        head(out, TEXT, parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| out.extend_from_slice(part));
    };
    match piece {
        Piece::Message(handed) if handed.lease.is_some() => {
            let mut delivery = Vec::with_capacity(64);
            write_delivery(&mut delivery, handed.lease.as_ref());
            let open = without_brace(&handed.envelope.body);
            text(&[open.as_bytes(), &delivery, b"}"]);
        }
        Piece::Message(handed) => text(&[handed.envelope.body.as_bytes()]),
        Piece::Notice(notice) => text(&[notice.as_bytes()]),
        Piece::Frame(frame) => out.extend_from_slice(frame),
        Piece::Ping(mark) => {
            head(out, PING, size_of_val(mark));
            out.extend_from_slice(&mark.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::agent::poll::Handed;
    use crate::core::message::{Envelope, Kind};
    use crate::core::window::WINDOW_COUNT;
    use clawlink_protocol::messages::Priority;
    use std::task::Waker;

    /// A connection that takes so many bytes, and writes down each write.
    struct Connection {
        takes: usize,
        writes: Vec<Vec<u8>>,
    }

    impl AsyncWrite for Connection {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<Result<usize>> {
            let step = bytes.len().min(self.takes);
            if step == 0 {
                return Poll::Pending;
            }
            self.takes -= step;
            self.writes.push(bytes[..step].to_vec());
            Poll::Ready(Ok(step))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn message(body: &str) -> Handed {
        let envelope = Envelope {
            body: body.into(),
            kind: Kind::Broadcast,
            priority: Priority::Normal,
            accepted_at: String::new(),
            expires: None,
            task: None,
        };
        Handed {
            envelope: Arc::new(envelope),
            lease: None,
        }
    }

    fn write(outgoing: &mut Outgoing, connection: &mut Connection) -> Poll<Result<()>> {
        outgoing.poll_write(0, &mut Context::from_waker(Waker::noop()), connection)
    }

    fn connection(takes: usize) -> Connection {
        let writes = Vec::new();
        Connection { takes, writes }
    }

    /// Opcodes and payloads of short frames.
    fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut frames = Vec::new();
        while let [first, length, rest @ ..] = bytes {
            let (payload, rest) = rest.split_at(usize::from(*length));
            frames.push((first & 0x0F, payload.to_vec()));
            bytes = rest;
        }
        frames
    }

    #[test]
    fn what_waits_goes_in_one_write_in_its_order_and_the_ping_after_it() {
        let outlet = Outlet::new(false);
        let mut outgoing = Outgoing::new(outlet.clone());
        let bodies: Vec<_> = (0..20).map(|n| format!("message {n}")).collect();
        outlet.deliver(bodies.iter().map(|body| message(body)));
        let mut connection = connection(usize::MAX);
        assert!(write(&mut outgoing, &mut connection).is_ready());
        let [once] = &connection.writes[..] else {
            panic!("{} writes", connection.writes.len());
        };
        let mut written = frames(once);
        assert_eq!(written.pop(), Some((PING, 20u64.to_be_bytes().to_vec())));
        let expected = bodies.iter().map(|body| (TEXT, body.clone().into_bytes()));
        assert_eq!(written, expected.collect::<Vec<_>>());
    }

    #[test]
    fn what_the_kernel_does_not_take_waits_and_nothing_overtakes_it() {
        let outlet = Outlet::new(false);
        let mut outgoing = Outgoing::new(outlet.clone());
        outlet.deliver(["one", "two"].map(message));
        let mut connection = connection(7);
        assert!(write(&mut outgoing, &mut connection).is_pending());
        outlet.deliver([message("three")]);
        assert!(write(&mut outgoing, &mut connection).is_pending());
        connection.takes = usize::MAX;
        assert!(write(&mut outgoing, &mut connection).is_ready());
        let texts: Vec<_> = frames(&connection.writes.concat())
            .into_iter()
            .filter(|(opcode, _)| *opcode == TEXT)
            .map(|(_, payload)| String::from_utf8(payload).unwrap())
            .collect();
        assert_eq!(texts, ["one", "two", "three"]);
    }

    #[test]
    fn a_long_message_is_written_whole() {
        let outlet = Outlet::new(false);
        let mut outgoing = Outgoing::new(outlet.clone());
        let long = "x".repeat(3 * WRITE);
        outlet.deliver([message(&long), message("short")]);
        let mut connection = connection(usize::MAX);
        assert!(write(&mut outgoing, &mut connection).is_ready());
        let all = connection.writes.concat();
        assert_eq!(&all[..2], &[0x80 | TEXT, 127]);
        assert_eq!(&all[10..10 + long.len()], long.as_bytes());
        assert_eq!(frames(&all[10 + long.len()..])[0].1, b"short");
    }

    #[test]
    fn the_goodbye_is_the_last_and_the_end_comes_when_it_has_gone() {
        let outlet = Outlet::new(true);
        let mut outgoing = Outgoing::new(outlet.clone());
        outlet.deliver([message("before")]);
        outlet.close(Bytes::from_static(&[0x88, 0]));
        outlet.deliver([message("after")]);
        outlet.finish();
        assert!(!outlet.is_over());
        let mut connection = connection(usize::MAX);
        assert!(write(&mut outgoing, &mut connection).is_ready());
        assert!(outlet.is_over());
        let written = frames(&connection.writes.concat());
        assert_eq!(written, [(TEXT, b"before".to_vec()), (8, Vec::new())]);
    }

    #[test]
    fn after_the_peers_goodbye_nothing_goes_out_that_it_is_not_known_to_have_read() {
        let outlet = Outlet::new(false);
        let mut outgoing = Outgoing::new(outlet.clone());
        outlet.deliver(["taken", "taken too"].map(message));
        let mut connection = connection(3);
        assert!(write(&mut outgoing, &mut connection).is_pending());
        outlet.deliver([message("not taken")]);
        assert_eq!(outlet.farewell(Bytes::from_static(&[0x88, 0])), 2);
        connection.takes = usize::MAX;
        assert!(write(&mut outgoing, &mut connection).is_ready());
        let written = frames(&connection.writes.concat());
        let texts = written.iter().filter(|(opcode, _)| *opcode == TEXT);
        assert_eq!(texts.count(), 2);
        assert_eq!(written.last(), Some(&(8, Vec::new())));
    }

    #[test]
    fn of_notices_so_many_wait_and_of_the_sessions_own_frames_a_few() {
        let outlet = Outlet::new(false);
        let notice = "{}".into();
        let many = vec![&notice; WINDOW_COUNT + 6];
        assert_eq!(outlet.announce(many.iter().copied()), 6);
        let mut outgoing = Outgoing::new(outlet.clone());
        let mut connection = connection(usize::MAX);
        assert!(write(&mut outgoing, &mut connection).is_ready());
        assert_eq!(
            outlet.announce(many.iter().copied()),
            6,
            "there is room again"
        );
        let context = Context::from_waker(Waker::noop());
        outlet.write(vec![0; 20_000].into());
        assert!(outlet.poll_room(&context).is_pending());
        outlet.cut();
        assert!(
            outlet.poll_room(&context).is_ready(),
            "nobody takes it any more"
        );
    }
}
