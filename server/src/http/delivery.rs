//! A message as its recipient gets it: put together, not serialised again.

use crate::actors::agent::poll::Lease;
use crate::actors::clock::timestamp_in;
use std::io::Write;

/// An object that takes more fields.
pub fn without_brace(object: &str) -> &str {
    object.strip_suffix('}').unwrap_or(object)
}

/// The field `delivery`, for who may acknowledge.
pub fn write_delivery(out: &mut Vec<u8>, lease: Option<&Lease>) {
    let Some(Lease {
        receipt,
        attempt,
        length,
    }) = lease
    else {
        return;
    };
    // Writing to a Vec does not fail.
    let _ = write!(
        out,
        ",\"delivery\":{{\"receipt\":\"{receipt}\",\"attempt\":{attempt}"
    );
    if let Some(length) = length {
        let (until, seconds) = (timestamp_in(*length), length.as_secs());
        let _ = write!(
            out,
            ",\"lease_until\":\"{until}\",\"lease_seconds\":{seconds}"
        );
    }
    out.push(b'}');
}
