//! Contents as they come and as they are written, above all where one piece ends.

use super::*;
use proptest::prelude::*;

fn written(content: &Content) -> String {
    let mut bytes = content.quote().as_bytes().to_vec();
    let mut length = 0;
    if let Content::Text(text) = content {
        assert_eq!(text.json_len, quoted_len(text));
    }
    for piece in content.clone().pieces() {
        assert!(!piece.is_empty() && piece.len() <= 6 * PIECE);
        length += piece.len();
        bytes.extend_from_slice(&piece);
    }
    assert_eq!(length, content.json_len());
    bytes.extend_from_slice(content.quote().as_bytes());
    String::from_utf8(bytes).unwrap()
}

fn json(text: &str) -> ByteString {
    ByteString::from(serde_json::to_string(text).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What differs stands where a piece ends.
    #[test]
    fn a_text_comes_back_whatever_stands_at_the_end_of_a_piece(
        before in PIECE - 40..PIECE,
        pieces in 0..2_usize,
        edge in prop::collection::vec(prop_oneof![
            prop::sample::select(vec!['"', '\\', '\u{1}', '\n', 'ä', '\u{2028}', '\u{1f99e}']),
            any::<char>(),
        ], 0..60),
        after in 0..PIECE,
    ) {
        let edge = String::from_iter(edge);
        let text = "x".repeat(pieces * PIECE + before) + &edge + &"\n".repeat(after);
        let content = Content::of_string(json(&text)).unwrap();
        prop_assert_eq!(content.size(), text.len());
        let read: String = serde_json::from_str(&written(&content)).unwrap();
        prop_assert!(read == text);
    }

    #[test]
    fn bytes_come_back_whatever_their_number(length in 2 * PIECE - 9..2 * PIECE + 9, seed: u8) {
        let bytes: Vec<u8> = (0..length).map(|n| (n as u8).wrapping_mul(7) ^ seed).collect();
        let text = base64::encode(&bytes);
        let content = Content::of_base64(json(&text)).unwrap();
        prop_assert!(matches!(&content, Content::Bytes(kept) if *kept == bytes));
        let wanted = format!("\"{text}\"");
        prop_assert!(written(&content) == wanted);
    }
}

#[test]
fn a_value_is_written_as_it_came() {
    let long = format!("[\"{}\u{1f99e}\",1.50]", "ä".repeat(PIECE));
    for value in ["{\"a\": [1.50]}", "7", "true", &long] {
        let content = Content::of_value(value.into()).unwrap();
        assert_eq!(
            (written(&content).as_str(), content.size()),
            (value, value.len())
        );
    }
    assert!(Content::of_value(ByteString::from_static("[1e999]")).is_err());
}

#[test]
fn the_empty_content_has_no_piece() {
    for content in [
        Content::of_string(json("")).unwrap(),
        Content::of_base64(json("")).unwrap(),
        Content::of_text(String::new()),
    ] {
        assert_eq!((written(&content).as_str(), content.size()), ("\"\"", 0));
    }
}

/// The room a content takes, which a buffer tells only where nobody shares it.
fn room(content: Content) -> usize {
    let bytes = match content {
        Content::Text(text) => text.text.into_bytes(),
        Content::Json(json) => json.into_bytes(),
        Content::Bytes(bytes) => bytes,
    };
    Vec::from(bytes).capacity()
}

#[test]
fn what_is_kept_takes_no_more_room_than_it_counts() {
    for length in [0, 1, 100, COPIED_BELOW - 1, COPIED_BELOW, 1 << 20] {
        let text = "\n".repeat(length);
        // Six times as long, in a body with other fields, and room beyond it.
        let mut body = Vec::with_capacity(8 * length + 1000);
        body.extend_from_slice(b"{\"content\":");
        let escaped = format!("\"{}\"", "\\u000a".repeat(length));
        body.extend_from_slice(escaped.as_bytes());
        body.extend_from_slice(b",\"file_key\":\"k\"}");
        let body = ByteString::try_from(body).unwrap();
        let part = body.slice_ref(&body[11..11 + escaped.len()]);
        drop(body);
        let content = Content::of_string(part).unwrap();
        assert!(matches!(&content, Content::Text(kept) if **kept == text));
        assert_eq!(room(content), length);
        let bytes = Content::of_base64(json(&base64::encode(text.as_bytes()))).unwrap();
        assert_eq!(room(bytes), length);
        let mut merged = String::with_capacity(2 * length + 10);
        merged.push_str(&text);
        assert_eq!(room(Content::of_text(merged)), length);
    }
}

#[test]
fn a_string_that_another_holds_is_left_as_it_is() {
    let body = json("a\nb");
    let shared = body.clone();
    assert!(matches!(Content::of_string(body), Ok(Content::Text(text)) if *text == "a\nb"));
    assert_eq!(shared, "\"a\\nb\"");
}
