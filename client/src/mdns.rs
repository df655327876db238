//! Looking for relays in the local network: one question, and whatever answers in time.
//!
//! The question goes out from a port of its own with the unicast bit set (a one-shot query,
//! RFC 6762, section 5.1), so that no multicast group has to be joined. Everything that comes
//! back is untrusted: the parser is pure, bounded, and never panics.

use clawlink_protocol::MDNS_SERVICE;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 251), 5353);
const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
const SRV: u16 = 33;
const IN: u16 = 1;
const UNICAST: u16 = 0x8000;
/// Jumps in one name; a name of 255 bytes has no use for more.
const JUMPS_MAX: usize = 32;
/// Records in one packet, relays in one search.
const RECORDS_MAX: usize = 128;
pub(crate) const FOUND_MAX: usize = 100;

/// A relay that announced itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) url: String,
    pub(crate) name: String,
    /// Empty where it does not say.
    pub(crate) version: String,
    /// `true` or `false`; empty where it does not say.
    pub(crate) auth: String,
    pub(crate) hostname: String,
}

/// Asks in every network this machine is in, and collects answers for that long.
pub(crate) fn search(time: Duration) -> Vec<Found> {
    let question = question();
    let routes = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let mut addresses = own_addresses(&routes);
    if addresses.is_empty() {
        // The system picks the interface.
        addresses.push(Ipv4Addr::UNSPECIFIED);
    }
    let sockets: Vec<UdpSocket> = addresses
        .into_iter()
        .filter_map(|address| {
            // A socket bound to an interface's address sends its multicasts through it.
            let socket = UdpSocket::bind((address, 0)).ok()?;
            socket.set_nonblocking(true).ok()?;
            socket.send_to(&question, GROUP).ok()?;
            Some(socket)
        })
        .collect();
    collect(&sockets, time)
}

/// The relays that answer at these sockets in that time.
fn collect(sockets: &[UdpSocket], time: Duration) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let deadline = Instant::now() + time;
    let mut packet = [0; 9000];
    while !sockets.is_empty() && Instant::now() < deadline {
        for socket in sockets {
            // A peer may answer faster than it is read.
            while Instant::now() < deadline
                && let Ok((length, _)) = socket.recv_from(&mut packet)
            {
                for relay in answers(&packet[..length]) {
                    if found.len() < FOUND_MAX && !found.iter().any(|known| known.url == relay.url)
                    {
                        found.push(relay);
                    }
                }
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    found
}

/// The addresses of this machine but loopback, from Linux's table of routes: each stands on
/// the line above its `/32 host LOCAL`.
fn own_addresses(routes: &str) -> Vec<Ipv4Addr> {
    let mut addresses: Vec<Ipv4Addr> = Vec::new();
    let mut above = "";
    for line in routes.lines() {
        if line.trim() == "/32 host LOCAL"
            && let Some(text) = above.trim().strip_prefix("|-- ")
            && let Ok(address) = text.parse::<Ipv4Addr>()
            && !address.is_loopback()
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
        above = line;
    }
    addresses
}

fn question() -> Vec<u8> {
    let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in MDNS_SERVICE.trim_end_matches('.').split('.') {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend_from_slice(&PTR.to_be_bytes());
    packet.extend_from_slice(&(IN | UNICAST).to_be_bytes());
    packet
}

/// A record's owner and type, and where its data stands.
struct Record {
    owner: String,
    kind: u16,
    start: usize,
    end: usize,
}

/// The relays that a packet speaks of, each once, and at most [`FOUND_MAX`]: some hundred records
/// can name many thousands, each address with each port.
pub(crate) fn answers(packet: &[u8]) -> Vec<Found> {
    let records = records(packet).unwrap_or_default();
    let of = |kind: u16, owner: &str| {
        let owner = owner.to_owned();
        records
            .iter()
            .filter(move |r| r.kind == kind && r.owner.eq_ignore_ascii_case(&owner))
    };
    let instances: Vec<String> = of(PTR, MDNS_SERVICE)
        .filter_map(|pointer| Some(name(packet, pointer.start)?.0))
        .collect();
    let mut found: Vec<Found> = Vec::new();
    for service in records.iter().filter(|r| r.kind == SRV) {
        let instance = &service.owner;
        if !instances.iter().any(|i| i.eq_ignore_ascii_case(instance)) {
            continue;
        }
        let Some(port) = number(packet, service.start + 4).filter(|port| *port > 0) else {
            continue;
        };
        let Some((host, _)) = name(packet, service.start + 6) else {
            continue;
        };
        let texts: Vec<(String, String)> = of(TXT, instance)
            .flat_map(|r| pairs(packet.get(r.start..r.end)))
            .collect();
        let said = |key: &str| {
            let pair = texts.iter().find(|(k, _)| k.eq_ignore_ascii_case(key));
            pair.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let scheme = match said("tls").as_str() {
            "true" => "https",
            _ => "http",
        };
        for address in of(A, &host).filter_map(|r| ipv4(packet, r)) {
            let url = format!("{scheme}://{address}:{port}");
            if found.iter().any(|known| known.url == url) {
                continue;
            }
            if found.len() == FOUND_MAX {
                return found;
            }
            found.push(Found {
                url,
                name: instance
                    .strip_suffix(&format!(".{MDNS_SERVICE}"))
                    .unwrap_or(instance)
                    .to_owned(),
                version: said("version"),
                auth: said("auth"),
                hostname: match said("hostname") {
                    said if !said.is_empty() => said,
                    _ => host.trim_end_matches('.').to_owned(),
                },
            });
        }
    }
    found
}

/// All records of an answer.
fn records(packet: &[u8]) -> Option<Vec<Record>> {
    // The first bit of the flags: an answer, not a question.
    if packet.get(2)? & 0x80 == 0 {
        return None;
    }
    let questions = number(packet, 4)?;
    let total = [6, 8, 10].iter().try_fold(0_usize, |sum, at| {
        Some(sum + usize::from(number(packet, *at)?))
    })?;
    let mut at = 12;
    for _ in 0..questions {
        at = name(packet, at)?.1 + 4;
    }
    let mut records = Vec::new();
    for _ in 0..total.min(RECORDS_MAX) {
        // What follows a broken record cannot be found; what stood before it counts.
        let Some((record, next)) = record(packet, at) else {
            break;
        };
        records.push(record);
        at = next;
    }
    Some(records)
}

fn record(packet: &[u8], at: usize) -> Option<(Record, usize)> {
    let (owner, at) = name(packet, at)?;
    let kind = number(packet, at)?;
    let start = at + 10;
    let end = start + usize::from(number(packet, at + 8)?);
    packet.get(start..end)?;
    Some((
        Record {
            owner,
            kind,
            start,
            end,
        },
        end,
    ))
}

fn number(packet: &[u8], at: usize) -> Option<u16> {
    let bytes = packet.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// The name at a place, with a dot after each label, and the place after it.
fn name(packet: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut after = None;
    let mut jumps = 0;
    loop {
        let length = usize::from(*packet.get(at)?);
        match length {
            0 => return Some((name, after.unwrap_or(at + 1))),
            1..=63 => {
                let label = packet.get(at + 1..at + 1 + length)?;
                name.push_str(&String::from_utf8_lossy(label));
                name.push('.');
                at += 1 + length;
            }
            0xC0.. => {
                after.get_or_insert(at + 2);
                at = usize::from(number(packet, at)? & 0x3FFF);
                jumps += 1;
            }
            _ => return None,
        }
        if jumps > JUMPS_MAX || name.len() > 1024 {
            return None;
        }
    }
}

/// The `key=value` strings of a TXT record.
fn pairs(data: Option<&[u8]>) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = data.unwrap_or_default();
    while let Some((&length, tail)) = rest.split_first() {
        let Some((text, next)) = tail.split_at_checked(usize::from(length)) else {
            break;
        };
        if let Some((key, value)) = String::from_utf8_lossy(text).split_once('=') {
            pairs.push((key.to_owned(), value.to_owned()));
        }
        rest = next;
    }
    pairs
}

fn ipv4(packet: &[u8], record: &Record) -> Option<Ipv4Addr> {
    let bytes: [u8; 4] = packet.get(record.start..record.end)?.try_into().ok()?;
    Some(Ipv4Addr::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One relay, its names compressed as responders do: the service at 12, the instance at
    /// 46, the host at 80.
    fn reply() -> Vec<u8> {
        let mut p = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 3];
        p.extend(b"\x09_clawlink\x04_tcp\x05local\x00");
        p.extend([0, 12, 0, 1, 0, 0, 0, 10, 0, 7]);
        let instance = p.len();
        p.extend(b"\x04desk\xC0\x0C");
        let pointer = [0xC0, instance as u8];
        p.extend(pointer);
        p.extend([0, 33, 0x80, 1, 0, 0, 0, 10, 0, 17, 0, 0, 0, 0, 0x23, 0x75]);
        let host = p.len();
        p.extend(b"\x05box-1\xC0\x1B");
        p.extend([0; 2]);
        let at = p.len() - 2;
        p.truncate(at);
        let srv_length = p.len() - (host - 6);
        p[host - 7] = srv_length as u8;
        p.extend(pointer);
        let text = b"\x0dversion=0.1.0\x09auth=true\x05flag!";
        p.extend([0, 16, 0x80, 1, 0, 0, 0, 10, 0, text.len() as u8]);
        p.extend(text);
        p.extend([0xC0, host as u8]);
        p.extend([0, 1, 0x80, 1, 0, 0, 0, 10, 0, 4, 10, 0, 0, 5]);
        p
    }

    #[test]
    fn a_relay_is_read_from_an_answer_with_compressed_names() {
        assert_eq!(
            answers(&reply()),
            [Found {
                url: "http://10.0.0.5:9077".to_owned(),
                name: "desk".to_owned(),
                version: "0.1.0".to_owned(),
                auth: "true".to_owned(),
                hostname: "box-1.local".to_owned(),
            }]
        );
    }

    #[test]
    fn no_packet_makes_the_parser_panic_or_run_for_ever() {
        let whole = reply();
        for length in 0..whole.len() {
            let _ = answers(&whole[..length]);
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x3F, 0x40, 0x80, 0xC0, 0xFF, at as u8] {
                let mut changed = whole.clone();
                changed[at] = value;
                let _ = answers(&changed);
            }
        }
        assert_eq!(name(&[0xC0, 0], 0), None, "a name that points at itself");
        assert_eq!(name(&[1, b'a', 0xC0, 0], 0), None, "a name that goes round");
        assert_eq!(name(&[0xC0], 0), None);
        assert_eq!(name(&[], usize::MAX - 9), None);
    }

    /// An answer of these records, each a type, its owner's name and its data.
    fn packet(records: &[(u16, &[u8], &[u8])]) -> Vec<u8> {
        let mut p = vec![0, 0, 0x84, 0, 0, 0, 0, records.len() as u8, 0, 0, 0, 0];
        for (kind, owner, data) in records {
            p.extend(*owner);
            p.extend(kind.to_be_bytes());
            p.extend([0, 1, 0, 0, 0, 10, 0, data.len() as u8]);
            p.extend(*data);
        }
        p
    }

    const SERVICE: &[u8] = b"\x09_clawlink\x04_tcp\x05local\x00";

    /// A packet of relays beyond measure.
    fn crowd() -> Vec<u8> {
        let address: [[u8; 4]; 42] = std::array::from_fn(|n| [10, 0, 0, n as u8]);
        let port: [[u8; 9]; 42] = std::array::from_fn(|n| [0, 0, 0, 0, 1, n as u8, 1, b'h', 0]);
        let mut records: Vec<(u16, &[u8], &[u8])> = Vec::new();
        for n in 0..42 {
            records.push((PTR, SERVICE, b"\x01x\x00"));
            records.push((SRV, b"\x01x\x00", &port[n]));
            records.push((A, b"\x01h\x00", &address[n]));
        }
        packet(&records)
    }

    #[test]
    fn one_packet_cannot_make_more_relays_than_a_search_takes() {
        let found = answers(&crowd());
        assert_eq!(found.len(), FOUND_MAX);
        let mut urls: Vec<&String> = found.iter().map(|relay| &relay.url).collect();
        urls.sort();
        urls.dedup();
        assert_eq!(urls.len(), FOUND_MAX, "each once");
    }

    #[test]
    fn a_relay_without_a_port_is_none() {
        let service = |port: u8| [0, 0, 0, 0, 0, port, 1, b'h', 0];
        for (port, relays) in [(0, 0), (80, 1)] {
            let found = answers(&packet(&[
                (PTR, SERVICE, b"\x01x\x00"),
                (SRV, b"\x01x\x00", &service(port)),
                (A, b"\x01h\x00", &[10, 0, 0, 5]),
            ]));
            assert_eq!(found.len(), relays, "{port}");
        }
    }

    #[test]
    fn a_peer_that_never_stops_answering_does_not_prolong_a_search() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let to = socket.local_addr().unwrap();
        let (stop, asked) = std::sync::mpsc::channel::<()>();
        let flood = std::thread::spawn(move || {
            let (from, reply) = (UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), crowd());
            // Bounded, should the search never come back.
            let end = Instant::now() + Duration::from_secs(5);
            while asked.try_recv().is_err() && Instant::now() < end {
                let _ = from.send_to(&reply, to);
            }
        });
        let began = Instant::now();
        let found = collect(&[socket], Duration::from_millis(200));
        let took = began.elapsed();
        let _ = stop.send(());
        flood.join().unwrap();
        assert_eq!(found.len(), FOUND_MAX);
        assert!(took < Duration::from_secs(4), "{took:?}");
    }

    #[test]
    fn a_question_is_no_answer() {
        assert!(answers(&question()).is_empty());
        let mut asked = reply();
        asked[2] = 0;
        assert!(answers(&asked).is_empty());
    }

    #[test]
    fn the_question_asks_for_relays_and_a_direct_answer() {
        assert_eq!(name(&question(), 12), Some((MDNS_SERVICE.to_owned(), 34)));
        assert_eq!(question()[34..], [0, 12, 0x80, 1]);
    }

    #[test]
    fn the_interfaces_are_found_but_for_loopback() {
        let routes = "Main:\n  +-- 0.0.0.0/0\n     |-- 127.0.0.1\n        /32 host LOCAL\n\
            \x20    |-- 10.1.2.0\n        /24 link UNICAST\n     |-- 10.1.2.3\n        /32 host LOCAL\n\
            Local:\n     |-- 10.1.2.3\n        /32 host LOCAL\n";
        assert_eq!(own_addresses(routes), [Ipv4Addr::new(10, 1, 2, 3)]);
        assert!(own_addresses("nonsense").is_empty());
    }
}
