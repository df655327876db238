//! A message as its recipient gets it: put together, not serialised again.

use crate::actors::agent::poll::Lease;
use crate::actors::clock::timestamp_in;

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
    put(out, [r#","delivery":{"receipt":""#]);
    receipt.put(out);
    put(out, [r#"","attempt":"#]);
    put_number(out, (*attempt).into());
    if let Some(length) = length {
        let until = timestamp_in(*length);
        put(
            out,
            [r#","lease_until":""#, &until, r#"","lease_seconds":"#],
        );
        put_number(out, length.as_secs());
    }
    out.push(b'}');
}

/// Writes these texts one after the other.
pub fn put<const N: usize>(out: &mut Vec<u8>, texts: [&str; N]) {
    for text in texts {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Writes a number.
pub fn put_number(out: &mut Vec<u8>, number: u64) {
    // Writing to a Vec does not fail.
    let _ = serde_json::to_writer(out, &number);
}
