//! Against the reader and the writer of `serde_json`.

use super::*;
use proptest::prelude::*;

fn unquoted(json: &str) -> Result<String, NotText> {
    let mut bytes = json.as_bytes().to_vec();
    unquote(&mut bytes)?;
    Ok(String::from_utf8(bytes).unwrap())
}

fn quoted(text: &str) -> String {
    let json = quote(text).map(|json| String::from_utf8(json.to_vec()).unwrap());
    json.unwrap_or_else(|| text.to_owned())
}

/// Texts with characters of every kind: escaped in two ways, special to some readers, of one to four
/// bytes.
fn texts() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        '"',
        '\\',
        '/',
        '\u{0}',
        '\u{8}',
        '\t',
        '\n',
        '\u{b}',
        '\u{c}',
        '\r',
        '\u{1f}',
        ' ',
        '\u{7f}',
        '\u{80}',
        'ä',
        '\u{2028}',
        '\u{2029}',
        '\u{d7ff}',
        '\u{e000}',
        '\u{ffff}',
        '\u{1f99e}',
        '\u{10ffff}',
    ]);
    let one = prop_oneof![special, any::<char>(), prop::char::range('a', 'z')];
    prop::collection::vec(one, 0..60).prop_map(String::from_iter)
}

/// A text as a string of JSON, each character written in one of the ways there are.
fn written() -> impl Strategy<Value = (String, String)> {
    let ways = prop::collection::vec(0..4_u8, 60);
    (texts(), ways).prop_map(|(text, ways)| {
        let mut json = String::from("\"");
        for (said, way) in text.chars().zip(ways) {
            let mut units = [0; 2];
            for unit in said.encode_utf16(&mut units) {
                match way {
                    0 => json.push_str(&format!("\\u{unit:04x}")),
                    1 => json.push_str(&format!("\\u{unit:04X}")),
                    _ => {}
                }
            }
            match (way, said) {
                (0 | 1, _) => {}
                (_, '/') => json.push_str("\\/"),
                _ => json.push_str(&quoted(said.encode_utf8(&mut [0; 4]))),
            }
        }
        (text, json + "\"")
    })
}

proptest! {
    #[test]
    fn a_string_is_read_as_by_any_reader((text, json) in written()) {
        prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text.as_str());
        prop_assert_eq!(unquoted(&json), Ok(text));
    }

    #[test]
    fn what_is_written_says_the_text_and_has_the_length_that_was_told(text in texts()) {
        let json = quoted(&text);
        prop_assert_eq!(json.len(), quoted_len(&text));
        prop_assert_eq!(format!("\"{json}\""), serde_json::to_string(&text).unwrap());
    }

    #[test]
    fn any_escapes_are_read_or_refused_as_by_any_reader(
        units in prop::collection::vec(prop::sample::select(
            vec![0x41, 0xd7ff, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000_u32]), 1..5),
        gap in 0..5_usize,
    ) {
        let escaped = units.iter().map(|unit| format!("\\u{unit:04x}"));
        let mut parts: Vec<String> = escaped.collect();
        parts.insert(gap.min(units.len()), if gap < 2 { "x" } else { "\\n" }.to_owned());
        let json = format!("\"{}\"", parts.concat());
        let read = serde_json::from_str::<String>(&json);
        prop_assert_eq!(unquoted(&json).ok(), read.ok());
    }
}

#[test]
fn half_of_a_pair_is_no_text() {
    for json in [
        r#""\ud83e""#,
        r#""\udd9e""#,
        r#""\ud83ex""#,
        r#""\ud83e\n""#,
        r#""\ud83e\u0041""#,
        r#""\ud83e\ud83e\udd9e""#,
    ] {
        assert_eq!(unquoted(json), Err(NotText), "{json}");
    }
    assert_eq!(unquoted(r#""\ud83e\udd9e""#).as_deref(), Ok("\u{1f99e}"));
    assert_eq!(unquoted(r#""""#).as_deref(), Ok(""));
}

#[test]
fn what_is_no_string_does_no_harm() {
    for json in [
        "",
        "\"",
        "\"\\",
        "\"\\\"",
        "\"\\u",
        "\"\\u12\"",
        "\"\\ud83e\\u\"",
    ] {
        let _ = unquote(&mut json.as_bytes().to_vec());
    }
}

#[test]
fn a_piece_ends_where_a_character_does() {
    for before in PIECE - 4..=PIECE {
        let text = "a".repeat(before) + "\u{1f99e}b";
        let first = piece(&text, 0);
        assert!((PIECE - 3..=PIECE).contains(&first.len()));
        assert_eq!([first, piece(&text, first.len())].concat(), text);
        assert_eq!(piece(&text, text.len()), "");
    }
}
