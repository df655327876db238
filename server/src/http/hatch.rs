//! A hatch between two tasks of one thread: what is put in waits until it is taken out, one thing
//! at a time. What a channel does, in the bytes of one thing and two wakers: a channel of one place
//! allocates thirty-two, and a relay has ten thousand idle sockets.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

struct Hatch<T> {
    thing: Option<T>,
    /// Whether one of the two sides has gone.
    closed: bool,
    putter: Option<Waker>,
    taker: Option<Waker>,
}

/// The side that puts in.
pub struct Putter<T>(Rc<RefCell<Hatch<T>>>);

/// The side that takes out.
pub struct Taker<T>(Rc<RefCell<Hatch<T>>>);

/// A hatch with nothing in it.
pub fn hatch<T>() -> (Putter<T>, Taker<T>) {
    let hatch = Rc::new(RefCell::new(Hatch {
        thing: None,
        closed: false,
        putter: None,
        taker: None,
    }));
    (Putter(hatch.clone()), Taker(hatch))
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<T> Putter<T> {
    /// Puts a thing in when there is room for it. It is lost where nobody will take it.
    pub async fn put(&self, thing: T) {
        let mut thing = Some(thing);
        poll_fn(|context| {
            let mut hatch = self.0.borrow_mut();
            if hatch.closed {
                return Poll::Ready(());
            }
            if hatch.thing.is_some() {
                hatch.putter = Some(context.waker().clone());
                return Poll::Pending;
            }
            hatch.thing = thing.take();
            let taker = hatch.taker.take();
            drop(hatch);
            wake(taker);
            Poll::Ready(())
        })
        .await;
    }
}

impl<T> Taker<T> {
    /// Takes out what is there; `None` when nothing will come any more.
    pub fn poll_take(&self, context: &Context<'_>) -> Poll<Option<T>> {
        let mut hatch = self.0.borrow_mut();
        let Some(thing) = hatch.thing.take() else {
            if hatch.closed {
                return Poll::Ready(None);
            }
            hatch.taker = Some(context.waker().clone());
            return Poll::Pending;
        };
        let putter = hatch.putter.take();
        drop(hatch);
        wake(putter);
        Poll::Ready(Some(thing))
    }
}

impl<T> Drop for Putter<T> {
    fn drop(&mut self) {
        let mut hatch = self.0.borrow_mut();
        hatch.closed = true;
        let taker = hatch.taker.take();
        drop(hatch);
        wake(taker);
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        let mut hatch = self.0.borrow_mut();
        hatch.closed = true;
        let (thing, putter) = (hatch.thing.take(), hatch.putter.take());
        drop(hatch);
        drop(thing);
        wake(putter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::{LocalSet, spawn_local, yield_now};

    #[tokio::test]
    async fn things_come_out_in_order_and_the_end_after_them() {
        let both = async {
            let (putter, taker) = hatch();
            spawn_local(async move {
                for n in 0..100 {
                    putter.put(n).await;
                }
            });
            for n in 0..100 {
                if n % 7 == 0 {
                    yield_now().await;
                }
                assert_eq!(poll_fn(|context| taker.poll_take(context)).await, Some(n));
            }
            assert_eq!(poll_fn(|context| taker.poll_take(context)).await, None);
        };
        LocalSet::new().run_until(both).await;
    }

    #[tokio::test]
    async fn whoever_puts_in_waits_for_room_and_for_nobody_who_has_gone() {
        let both = async {
            let (putter, taker) = hatch();
            let puts = spawn_local(async move {
                for n in 0..100 {
                    putter.put(n).await;
                }
            });
            for _ in 0..10 {
                yield_now().await;
            }
            assert!(
                !puts.is_finished(),
                "one thing waits, and the next for its place"
            );
            drop(taker);
            puts.await.unwrap();
        };
        LocalSet::new().run_until(both).await;
    }
}
