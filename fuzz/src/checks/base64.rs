use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use clawlink_protocol::base64::{NotBase64, encode};

/// The bytes in a place of their own; the relay's take that of the text.
fn decode(text: &str) -> Result<Vec<u8>, NotBase64> {
    let mut bytes = text.as_bytes().to_vec();
    clawlink_protocol::base64::decode(&mut bytes)?;
    Ok(bytes)
}

/// The bytes once as a text and once as bytes, against another crate's base64.
pub fn base64(data: &[u8]) {
    let text = encode(data);
    assert_eq!(text, STANDARD.encode(data));
    assert_eq!(decode(&text).as_deref(), Ok(data));

    let text = String::from_utf8_lossy(data);
    let bytes = decode(&text);
    assert_eq!(bytes.clone().ok(), STANDARD.decode(text.as_bytes()).ok());
    // Of all spellings of some bytes one is taken.
    if let Ok(bytes) = bytes {
        assert_eq!(encode(&bytes), text);
    }
}
