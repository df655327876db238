//! What a broadcast costs: to many inboxes; to many open sockets, beside a program that does nothing but
//! send.

use crate::agents::{id, relay_with};
use crate::http::{Load, PATIENCE, Spent, write_request};
use crate::processes::{Process, Server, own};
use crate::rounds::{Cost, cost, median, micros};
use crate::table::{Figure, Row};
use crate::{Outcome, Scale, sockets};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// The hidden command that runs the program that only sends.
pub(crate) const SENDER: &str = "sender";
/// Inboxes that a broadcast goes to.
const INBOXES: usize = 10_000;
/// Sockets that a broadcast goes to.
const SOCKETS: usize = 1_000;
/// Bytes of its content.
const CONTENT: usize = 1024;
/// Broadcasts that are sent before any has arrived.
const PENDING: usize = 16;

/// `broadcast`
pub(crate) fn broadcast(scale: Scale) -> Outcome<Vec<Row>> {
    let mut rows = vec![inboxes(scale)?];
    rows.extend(open_sockets(scale)?);
    Ok(rows)
}

/// The broadcast of this agent.
fn write_broadcast(agent: usize, out: &mut Vec<u8>) {
    let (from, content) = (id(agent), "x".repeat(CONTENT));
    let body = format!(r#"{{"from_agent":"{from}","content":"{content}"}}"#);
    write_request(out, "POST", "/broadcast", body.as_bytes());
}

fn inboxes(scale: Scale) -> Outcome<Row> {
    let relay = relay_with(INBOXES + 1, &[])?;
    let cpu = to_inboxes(&relay, INBOXES, scale.rounds * 2)?;
    let what = format!("1 KiB to {INBOXES} inboxes, CPU");
    Ok(Row::alone("broadcast", what, Figure(cpu / 1000.0, "ms")))
}

/// The processor time, in microseconds, of a broadcast by the last of a relay's agents, one beyond so many.
pub(crate) fn to_inboxes(relay: &Server, inboxes: usize, rounds: usize) -> Outcome<f64> {
    let mut load = Load::connect(relay.address, 1)?;
    let mut found = Vec::new();
    for round in 0..=rounds {
        let before = settled(&relay.process)?;
        let connection = load.connection(0);
        write_broadcast(inboxes, connection.out());
        load.answers(1)?;
        let cpu = settled(&relay.process)?.saturating_sub(before);
        if round > 0 {
            found.push(micros(cpu));
        }
    }
    Ok(median(found))
}

/// The processor time that it has used once it has nothing more to do.
fn settled(process: &Process) -> Outcome<Duration> {
    const LOOK: Duration = Duration::from_millis(10);
    const IDLE: Duration = Duration::from_micros(100);
    let mut last = process.cpu()?;
    let end = Instant::now() + PATIENCE;
    loop {
        std::thread::sleep(LOOK);
        let now = process.cpu()?;
        if now - last < IDLE {
            return Ok(now);
        }
        if Instant::now() > end {
            return Err("the relay does not come to rest".into());
        }
        last = now;
    }
}

fn open_sockets(scale: Scale) -> Outcome<Vec<Row>> {
    let relay = relay_with(SOCKETS + 1, &[])?;
    let mut ours = sockets::open(relay.address, (0..SOCKETS).map(id), "")?;
    let length = frame_length(&relay, &mut ours)?;
    let sender = own(&[SENDER, &SOCKETS.to_string(), &length.to_string()])?;
    let mut control = TcpStream::connect(sender.address)?;
    control.set_nodelay(true)?;
    let mut theirs = Load::connect(sender.address, SOCKETS)?;
    let broadcasts = scale.rounds * 16;
    let (mut bare, mut single, mut many) = (Vec::new(), Vec::new(), Vec::new());
    for counted in 0..=scale.rounds {
        let costs = [
            round(&sender.process, &mut theirs, broadcasts, 1, |_| {
                Ok(control.write_all(&[1])?)
            })?,
            by_relay(&relay, &mut ours, broadcasts, 1)?,
            by_relay(&relay, &mut ours, broadcasts, PENDING)?,
        ];
        if counted > 0 {
            let all = [&mut bare, &mut single, &mut many];
            all.into_iter()
                .zip(costs)
                .for_each(|(all, cost)| all.push(cost));
        }
    }
    let rate = |costs: &[Cost]| median(costs.iter().map(|cost| cost.rate).collect());
    let cpu = |costs: &[Cost]| median(costs.iter().map(|cost| cost.cpu).collect());
    let pairs = single
        .iter()
        .zip(&bare)
        .map(|(ours, theirs)| ours.rate / theirs.rate);
    let ratio = median(pairs.collect());
    let notes = format!(
        "CPU {:.2} us for a frame; bare sender {:.2} us",
        cpu(&single),
        cpu(&bare)
    );
    let what = format!("1 KiB to {SOCKETS} sockets, one at a time, frames a second");
    let other = ("bare sender", Figure(rate(&bare), ""));
    let one = Row::against(
        "broadcast/single",
        what,
        Figure(rate(&single), ""),
        other,
        ratio,
    );
    let what = format!("the same, {PENDING} broadcasts pending, frames a second");
    let more = Row::alone("broadcast/pending", what, Figure(rate(&many), ""));
    let more = more.noting(format!("CPU {:.2} us for a frame", cpu(&many)));
    Ok(vec![one.noting(notes), more])
}

/// Bytes of the frame of a broadcast, without its head.
fn frame_length(relay: &Server, readers: &mut Load) -> Outcome<usize> {
    let mut callers = Load::connect(relay.address, 1)?;
    send(&mut callers, 1)?;
    let mut length = 0;
    read(readers, readers.len(), |text| length = text.len())?;
    callers.answers(1)?;
    Ok(length)
}

fn by_relay(relay: &Server, readers: &mut Load, broadcasts: usize, depth: usize) -> Outcome<Cost> {
    let mut callers = Load::connect(relay.address, PENDING)?;
    round(&relay.process, readers, broadcasts, depth, |first| {
        if !first {
            callers.answers(depth)?;
        }
        send(&mut callers, depth)
    })
}

/// Makes so many broadcasts at once, each on a connection of its own.
fn send(callers: &mut Load, depth: usize) -> Outcome<()> {
    for number in 0..depth {
        let caller = callers.connection(number);
        write_broadcast(SOCKETS, caller.out());
        caller.flush()?;
    }
    Ok(())
}

/// Lets so many broadcasts reach all sockets, so many at once; the cost of a frame.
fn round(
    process: &Process,
    readers: &mut Load,
    broadcasts: usize,
    depth: usize,
    mut send: impl FnMut(bool) -> Outcome<()>,
) -> Outcome<Cost> {
    let turns = broadcasts / depth;
    let each = readers.len() * depth;
    cost(&[process], turns * each, || {
        let began = Instant::now();
        for turn in 0..turns {
            send(turn == 0)?;
            read(readers, each, |_| {})?;
        }
        Ok(Spent {
            elapsed: began.elapsed(),
            latencies: Vec::new(),
        })
    })
}

/// Reads so many broadcasts in all.
fn read(readers: &mut Load, count: usize, mut hear: impl FnMut(&[u8])) -> Outcome<()> {
    let mut events = Vec::new();
    let mut read = 0;
    while read < count {
        readers.wait(&mut events, PATIENCE)?;
        if events.is_empty() {
            return Err(format!("{} frames did not come", count - read).into());
        }
        for number in events.drain(..) {
            let reader = readers.connection(number);
            sockets::hear(reader, |text| {
                // Others have joined while these sockets were opened.
                if !text.starts_with(br#"{"type":"agent_"#) && !text.starts_with(WELCOME) {
                    read += 1;
                    hear(text);
                }
                Ok(())
            })?;
            reader.flush()?;
        }
    }
    Ok(())
}

/// What a relay says first, where it says something.
const WELCOME: &[u8] = br#"{"type":"welcome""#;

/// Sends when it is told to, and nothing else: a byte on the first connection is so many frames to each of
/// the others, each by a call of its own.
pub(crate) fn run_sender(arguments: &[String]) -> Outcome<()> {
    let [peers, length] = arguments else {
        return Err("sender wants the number of its peers, and the bytes of a frame".into());
    };
    let (peers, length): (usize, usize) = (peers.parse()?, length.parse()?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let (mut control, _) = listener.accept()?;
    let mut streams = Vec::with_capacity(peers);
    for _ in 0..peers {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        streams.push(stream);
    }
    let mut frame = vec![0x81, 126];
    frame.extend(u16::try_from(length)?.to_be_bytes());
    frame.resize(frame.len() + length, b'x');
    let mut frames = [0];
    while control.read(&mut frames)? > 0 {
        for _ in 0..frames[0] {
            for stream in &mut streams {
                send_whole(stream, &frame)?;
            }
        }
    }
    Ok(())
}

fn send_whole(stream: &mut TcpStream, mut frame: &[u8]) -> Outcome<()> {
    while !frame.is_empty() {
        match stream.write(frame) {
            Ok(count) => frame = &frame[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
