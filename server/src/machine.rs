//! What the relay asks of the machine when it starts: descriptors, and who has its port.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::net::SocketAddr;

/// Descriptors that are no connections: the log, the port, what waits for events, mDNS.
const OWN: usize = 48;
/// Connections that are taken beyond the bound at most, so that they can be told.
const UNSEATED: usize = 256;

/// How many connections beyond this bound are taken to be told of it.
pub fn unseated(connections: usize) -> usize {
    UNSEATED.min(connections / 4 + 4)
}

/// Raises the bound of open files as far as the process may, and gives the connections that it
/// leaves room for.
pub fn connections() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(_) => current,
    };
    // None is as many as one likes.
    let files = files.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    });
    for_files(files)
}

fn for_files(files: usize) -> usize {
    let places = files.saturating_sub(OWN);
    let few = (places.saturating_sub(4) / 5).saturating_mul(4);
    places.saturating_sub(UNSEATED).max(few).max(1)
}

/// The program that listens at an address, and its process id, as far as the system lets one see.
/// Linux only.
pub fn listener(address: SocketAddr) -> Option<(String, u32)> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| listening(&table, address.port()).map(str::to_owned))?;
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd"));
        open.is_ok_and(|open| {
            let mut targets = open
                .flatten()
                .filter_map(|fd| fs::read_link(fd.path()).ok());
            targets.any(|target| target.as_os_str() == wanted.as_str())
        })
    };
    let pid = pids.find(has)?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    let name = name.trim().chars().filter(|c| !c.is_control()).collect();
    Some((name, pid))
}

/// The inode of the socket that listens on a port, in a table of the kernel.
fn listening(table: &str, port: u16) -> Option<&str> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let here = u16::from_str_radix(local, 16) == Ok(port);
        (here && *fields.get(3)? == LISTEN).then(|| fields.get(9).copied())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_those_that_are_told_and_the_relays_own_fit_in_the_files() {
        for files in [64, 100, 256, 1_024, 4_096, 20_000, 1_048_576, usize::MAX] {
            let connections = for_files(files);
            assert!(connections > 1, "{files}");
            assert!(
                connections + unseated(connections) + OWN <= files,
                "{files}"
            );
        }
        assert_eq!(for_files(3), 1);
    }

    #[test]
    fn the_listening_socket_is_found_among_the_others() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:2375 0100007F:A1B2 01 00000000:00000000 00:00000000 00000000  1000 0 111 1\n\
             1: 0100007F:2375 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 222 1\n";
        assert_eq!(listening(table, 0x2375), Some("222"));
        assert_eq!(listening(table, 80), None);
    }
}
