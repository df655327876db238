//! A message as its recipient gets it: put together, not serialised again.

use crate::actors::agent::poll::{Handed, Lease};
use crate::actors::clock::timestamp_in;
use bytestring::ByteString;
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

/// The message as a frame.
pub fn frame(handed: Handed) -> ByteString {
    if handed.lease.is_none() {
        return handed.envelope.body.clone();
    }
    let open = without_brace(&handed.envelope.body);
    let mut out = Vec::with_capacity(open.len() + 64);
    out.extend_from_slice(open.as_bytes());
    write_delivery(&mut out, handed.lease.as_ref());
    out.push(b'}');
    // Made of text, so it is.
    ByteString::try_from(out).unwrap_or_default()
}
