//! The bytes that go to a socket's peer: taken from its [`Outlet`], framed, and written to the
//! connection, many frames at a time.

use super::delivery::{without_brace, write_delivery};
use crate::actors::socket::{Outlet, Piece};
use crate::core::Millis;
use crate::core::frames::{PING, TEXT, head};
use bytes::{Buf, Bytes};
use std::cell::RefCell;
use std::io::{ErrorKind, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// Bytes that are put together for one write; a message longer than that is written by itself.
const WRITE: usize = 64 * 1024;

thread_local! {
    /// Where they are put together: what the kernel takes at once needs no other place.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// Where the end of a message is written, as a frame begins with its length.
    static END: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes what an outlet gives.
pub struct Outgoing {
    outlet: Arc<Outlet>,
    /// What the kernel has not taken yet.
    rest: Bytes,
}

impl Outgoing {
    /// Nothing is written yet.
    pub fn new(outlet: Arc<Outlet>) -> Self {
        Outgoing {
            outlet,
            rest: Bytes::new(),
        }
    }

    /// Writes what there is. Ready when all of it has gone, and then says whether more may come; the
    /// task is woken when it does, or when that has changed.
    pub fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        now: Millis,
        context: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<Result<bool>> {
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
                if scratch.is_empty() {
                    return Poll::Ready(Ok(more));
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
                // What comes after what was taken wakes the task.
                let all = scratch.len() < WRITE;
                if scratch.capacity() > 2 * WRITE {
                    *scratch = Vec::new();
                }
                if all {
                    return Poll::Ready(Ok(more));
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
        Piece::Message(handed) if handed.lease.is_some() => END.with_borrow_mut(|end| {
            end.clear();
            write_delivery(end, handed.lease.as_ref());
            end.push(b'}');
            let open = without_brace(&handed.envelope.body);
            text(&[open.as_bytes(), end]);
        }),
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

    fn write(outgoing: &mut Outgoing, connection: &mut Connection) -> Poll<Result<bool>> {
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
        let mut connection = connection(usize::MAX);
        let over = write(&mut outgoing, &mut connection);
        assert!(matches!(over, Poll::Ready(Ok(false))), "{over:?}");
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
