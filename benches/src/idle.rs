//! What an open socket holds on which nothing happens.

use crate::agents::{id, relay_with};
use crate::table::{Figure, Row};
use crate::{Outcome, Scale, sockets};
use std::time::Duration;

/// Sockets at one time.
const SOCKETS: usize = 10_000;
/// Descriptors that this program and the relay need beside them.
const BESIDE: usize = 100;
/// For what opening has left behind to be done.
const SETTLE: Duration = Duration::from_secs(2);

/// `idle`
pub(crate) fn idle(_: Scale) -> Outcome<Vec<Row>> {
    let files = crate::processes::raise_files()?;
    if files < SOCKETS + BESIDE {
        let why = format!("{files} files may be open, fewer than {SOCKETS} sockets want");
        return Ok(vec![Row::skipped("idle", why)]);
    }
    let relay = relay_with(SOCKETS, &[])?;
    std::thread::sleep(SETTLE);
    let before = relay.process.rss()?;
    let open = sockets::open(relay.address, (0..SOCKETS).map(id), "?ack=1")?;
    std::thread::sleep(SETTLE);
    let each = relay.process.rss()?.saturating_sub(before) as f64 / SOCKETS as f64;
    drop(open);
    let what = format!("RSS of each of {SOCKETS} idle sockets");
    Ok(vec![Row::alone("idle", what, Figure(each / 1024.0, "KiB"))])
}
