//! A bad connection between one client and the relay: a proxy that delays, stalls, cuts, half
//! closes and resets. What happens to the n-th connection of a client is fixed by the seed.

use crate::dice::Dice;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// No connection is open, and silent, for longer.
const SILENCE: Duration = Duration::from_secs(70);

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// What happens to a connection, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// Everything passes; the first bytes so much later.
    Pass(Duration),
    /// After so many bytes nothing passes for a while.
    Stall(Duration),
    /// Both ends are told that the other has closed.
    Cut,
    /// The receiving end is told so; the other direction stays open.
    HalfClose,
    /// Both ends are told that the connection never was.
    Reset,
}

#[derive(Debug, Clone, Copy)]
struct Fate {
    deed: Deed,
    way: Way,
    after: usize,
}

/// What may happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mood {
    /// Connections in a hundred that something happens to.
    pub(crate) evil: u64,
    /// Bytes after which it happens, at most.
    pub(crate) reach: u64,
}

impl Mood {
    /// Everything passes.
    pub(crate) const HONEST: Mood = Mood { evil: 0, reach: 0 };
}

fn fate(mood: Mood, dice: &mut Dice) -> Fate {
    let pause = Duration::from_millis(dice.below(40));
    let stall = Duration::from_millis(dice.between(100, 1_500));
    let deeds = [
        Deed::Stall(stall),
        Deed::Cut,
        Deed::Cut,
        Deed::HalfClose,
        Deed::Reset,
    ];
    let deed = match dice.below(100) {
        n if n < mood.evil => *dice.pick(&deeds),
        n if n < mood.evil * 2 => Deed::Pass(pause),
        _ => Deed::Pass(Duration::ZERO),
    };
    // The head of a request is some 150 bytes long, that of a reply 200.
    let after = match dice.percent(50) {
        true => dice.below(300),
        false => dice.below(mood.reach.max(1)),
    };
    Fate {
        deed,
        way: if dice.percent(50) { Way::Up } else { Way::Down },
        after: after as usize,
    }
}

struct Shared {
    relay: SocketAddr,
    mood: Mood,
    calm: AtomicBool,
    ended: AtomicBool,
    open: AtomicUsize,
    hurt: AtomicUsize,
    /// Replaced in the first bytes of each connection, where it stands there.
    change: Option<(&'static str, &'static str)>,
}

/// A proxy of one client; it ends with this value.
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// One that replaces `change.0` by `change.1`, of the same length, in what a client asks.
    ///
    /// # Panics
    /// When there is no port for it.
    pub(crate) fn start(
        relay: SocketAddr,
        (seed, who): (u64, u64),
        mood: Mood,
        change: Option<(&'static str, &'static str)>,
    ) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            relay,
            mood,
            calm: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            hurt: AtomicUsize::new(0),
            change,
        });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for (n, client) in listener.incoming().map_while(Result::ok).enumerate() {
                if own.ended.load(Ordering::SeqCst) {
                    return;
                }
                let mut dice = Dice::of(seed, (who << 32) + n as u64);
                let calm = own.calm.load(Ordering::SeqCst);
                let mood = if calm { Mood::HONEST } else { own.mood };
                own.open.fetch_add(1, Ordering::SeqCst);
                let (own, fate) = (Arc::clone(&own), fate(mood, &mut dice));
                std::thread::spawn(move || own.carry(client, fate));
            }
        });
        Proxy { address, shared }
    }

    /// From here on every new connection passes.
    pub(crate) fn calm(&self) {
        self.shared.calm.store(true, Ordering::SeqCst);
    }

    /// Waits until nothing is on its way any more; says whether that came about.
    pub(crate) fn settle(&self, end: Instant) -> bool {
        while self.shared.open.load(Ordering::SeqCst) > 0 {
            if Instant::now() > end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// Connections that were cut, half closed or reset.
    pub(crate) fn hurt(&self) -> usize {
        self.shared.hurt.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn carry(self: Arc<Self>, client: TcpStream, fate: Fate) {
        if let Ok(relay) = TcpStream::connect(self.relay) {
            for stream in [&client, &relay] {
                let _ = stream.set_read_timeout(Some(SILENCE));
                let _ = stream.set_write_timeout(Some(SILENCE));
                let _ = stream.set_nodelay(true);
            }
            let (client, relay) = (Arc::new(client), Arc::new(relay));
            let (own, up) = (Arc::clone(&self), (Arc::clone(&client), Arc::clone(&relay)));
            let pump = std::thread::spawn(move || own.pump(&up.0, &up.1, Way::Up, fate));
            self.pump(&relay, &client, Way::Down, fate);
            let _ = pump.join();
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    /// Carries bytes one way until the connection ends.
    fn pump(&self, from: &TcpStream, to: &TcpStream, way: Way, fate: Fate) {
        let (mut from, mut to) = (from, to);
        let mine = fate.way == way;
        let (mut passed, mut done, mut buffer) = (0, !mine, vec![0; 1 << 14]);
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let bytes = &mut buffer[..count];
            if passed == 0 && way == Way::Up {
                self.alter(bytes);
            }
            if passed == 0
                && let (Deed::Pass(pause), true) = (fate.deed, mine)
            {
                std::thread::sleep(pause);
            }
            let mut rest = &*bytes;
            if !done && passed + count > fate.after && !matches!(fate.deed, Deed::Pass(_)) {
                done = true;
                let (before, after) = bytes.split_at(fate.after.saturating_sub(passed));
                let _ = to.write_all(before);
                rest = after;
                if !self.act(from, to, fate.deed) {
                    return;
                }
            }
            passed += count;
            if to.write_all(rest).is_err() {
                let _ = from.shutdown(Shutdown::Both);
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    }

    /// Does what was to happen; says whether bytes go on.
    fn act(&self, from: &TcpStream, to: &TcpStream, deed: Deed) -> bool {
        if let Deed::Stall(pause) = deed {
            std::thread::sleep(pause);
            return true;
        }
        self.hurt.fetch_add(1, Ordering::SeqCst);
        match deed {
            Deed::HalfClose => {
                let _ = to.shutdown(Shutdown::Write);
                // What is still said is heard by nobody.
                let (mut from, mut buffer) = (from, [0; 1 << 12]);
                while let Ok(1..) = from.read(&mut buffer) {}
            }
            Deed::Reset => {
                for stream in [from, to] {
                    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
                    // Wakes the other thread and tells the peer nothing: the close does that.
                    let _ = stream.shutdown(Shutdown::Read);
                }
            }
            _ => {
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
            }
        }
        false
    }

    fn alter(&self, bytes: &mut [u8]) {
        let Some((old, new)) = self.change else {
            return;
        };
        let mut windows = bytes.windows(old.len());
        if let Some(at) = windows.position(|window| window == old.as_bytes()) {
            bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
        }
    }
}
