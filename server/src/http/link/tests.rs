use super::watch::{DROP, GATHER};
use super::*;
use crate::actors::clock::Clock;
use crate::config::{Args, Config};
use argh::FromArgs;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::Instant;

const HEAD: Duration = Duration::from_secs(10);

fn flow() -> Arc<Flow> {
    let args = Args::from_args(&["clawlink-server"], &["--connections-limit", "100000"]);
    let config = Config::new(&args.expect("good arguments"), None);
    let limits = config.expect("a good configuration").flow;
    assert_eq!(limits.head, HEAD);
    let clock = Clock::start();
    // Without it the time that a test passes over is a standstill.
    spawn_local(clock.clone().tick());
    Flow::new(limits, clock)
}

fn link() -> (DuplexStream, Link<DuplexStream>) {
    let (peer, stream) = duplex(64 * 1024);
    (peer, Link::new(stream, Watch::new(flow())))
}

fn paused<F: Future>(test: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build();
    let all = LocalSet::new();
    all.block_on(&runtime.expect("a runtime"), test)
}

/// How long the link takes to give what its peer has just written.
async fn time_to_read(peer: &mut DuplexStream, link: &mut Link<DuplexStream>, what: &[u8]) -> u128 {
    let began = Instant::now();
    peer.write_all(what).await.expect("there is room");
    let mut into = vec![0; what.len()];
    link.read_exact(&mut into).await.expect("it comes");
    assert_eq!(into, what);
    began.elapsed().as_millis()
}

#[test]
fn drops_are_left_to_gather_ever_longer() {
    paused(async {
        let (mut peer, mut link) = link();
        let mut waited = Vec::new();
        for _ in 0..8 {
            waited.push(time_to_read(&mut peer, &mut link, b"x").await);
        }
        // The pause stands between a drop and the next one.
        assert_eq!(waited[..=DROPS as usize], [0, 0, 0]);
        for (n, waited) in waited[DROPS as usize + 1..].iter().enumerate() {
            let (least, most) = GATHER;
            let time = u128::from((least << n).min(most));
            assert!((time..=2 * time + 1).contains(waited), "{n}: {waited} ms");
        }
    });
}

#[test]
fn what_gathered_is_read_at_once() {
    paused(async {
        let (mut peer, mut link) = link();
        for _ in 0..=DROPS {
            time_to_read(&mut peer, &mut link, b"x").await;
        }
        peer.write_all(b"y").await.expect("there is room");
        peer.write_all(b"z").await.expect("there is room");
        let mut into = [0; 8];
        assert_eq!(link.read(&mut into).await.expect("it comes"), 2);
        assert_eq!(&into[..2], b"yz");
    });
}

#[test]
fn long_reads_and_the_next_request_are_never_kept_waiting() {
    paused(async {
        let (mut peer, mut link) = link();
        let long = vec![b'x'; DROP];
        for _ in 0..20 {
            assert_eq!(time_to_read(&mut peer, &mut link, &long).await, 0);
        }
        for _ in 0..20 {
            assert_eq!(time_to_read(&mut peer, &mut link, b"a head").await, 0);
            let turn = link.watch().clone().ask();
            link.watch().body_begins();
            assert_eq!(time_to_read(&mut peer, &mut link, b"a body").await, 0);
            link.watch().body_ends();
            drop(turn);
        }
        for _ in 0..=DROPS {
            time_to_read(&mut peer, &mut link, b"x").await;
        }
        drop(link.watch().clone().ask());
        assert_eq!(time_to_read(&mut peer, &mut link, b"x").await, 0);
    });
}

#[test]
fn drops_of_many_peers_are_read_spread_over_time() {
    paused(async {
        let flow = flow();
        let times: Vec<_> = (0..128).map(|_| flow.spread(64)).collect();
        let in_quarter = |n| times.iter().filter(|time| **time / 16 == n).count();
        let counts: Vec<_> = (0..4).map(in_quarter).collect();
        assert!(counts.iter().all(|n| (31..=33).contains(n)), "{counts:?}");
        assert!(times.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > 16));
    });
}

#[test]
fn who_is_late_with_many_others_is_ended_in_turn() {
    paused(async {
        let flow = flow();
        let began = Instant::now();
        let ends: Vec<_> = (0..400)
            .map(|_| {
                let (peer, stream) = duplex(64);
                let mut link = Link::new(stream, Watch::new(flow.clone()));
                spawn_local(async move {
                    let ended = poll_fn(|context| link.end_if_late(context)).await;
                    ended.expect("as its peer would");
                    drop(peer);
                    began.elapsed()
                })
            })
            .collect();
        let mut late = Vec::new();
        for end in ends {
            late.push((end.await.expect("it ends") - HEAD).as_millis());
        }
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let each = workers * super::super::flow::TURNS as usize;
        let most = 400 / each + 2;
        assert!(late.iter().all(|late| *late <= most as u128), "{late:?}");
        for millisecond in 2..most as u128 {
            let ended = late.iter().filter(|late| **late == millisecond).count();
            assert!(ended <= each, "{ended} at once, {millisecond} ms late");
        }
    });
}

#[test]
fn a_last_reply_is_known_by_its_head() {
    for (bytes, last) in [
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\ndate: x\r\n\r\nbody",
            true,
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 X\r\nconnection: close\r\n\r\n",
            true,
        ),
        ("HTTP/1.1 100 Continue\r\n\r\n", false),
        (
            "HTTP/1.1 200 OK\r\ndate: x\r\n\r\n\r\nconnection: close\r\n",
            false,
        ),
        ("more of a body\r\nconnection: close\r\n\r\n", false),
    ] {
        assert_eq!(says_close(bytes.as_bytes()), last, "{bytes}");
    }
}
