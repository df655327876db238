//! Whether a JSON text is one that every reader can read.
//!
//! A body is passed on as its sender wrote it, so the relay must not take what would break the
//! recipient's parser: a lone surrogate, a number beyond a double, deep nesting.

use bytes::Bytes;
use memchr::memchr2;
use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::fmt;

/// Levels at which the parser gives up by itself.
pub const PARSER_DEPTH: usize = 128;

/// Nesting at most. A reader that takes 128 levels, as many do, meets a body inside a message
/// inside a list inside a reply.
pub const DEPTH_MAX: usize = 120;

thread_local! {
    /// Where texts are written whose length is not known before.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}
/// Room that is kept for the next text.
const SCRATCH_MAX: usize = 64 * 1024;

/// Writes a value. The text takes as much room as it has bytes: it may wait for days.
pub fn written<T: Serialize>(value: &T) -> serde_json::Result<Bytes> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        scratch.shrink_to(SCRATCH_MAX);
        serde_json::to_writer(&mut *scratch, value)?;
        Ok(Bytes::copy_from_slice(scratch))
    })
}

/// Parses to nothing what every reader can read; `0` is how much deeper it may go.
#[derive(Clone, Copy)]
struct Sound(usize);

impl Sound {
    fn inside<E: Error>(self) -> Result<Sound, E> {
        let deeper = self.0.checked_sub(1).map(Sound);
        deeper.ok_or_else(|| E::custom(format_args!("nested deeper than {DEPTH_MAX}")))
    }
}

impl<'de> DeserializeSeed<'de> for Sound {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        while items.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        while entries.next_entry_seed(inside, inside)?.is_some() {}
        Ok(())
    }
}

/// Whether a text stands in a JSON string as it is.
pub fn is_plain(text: &[u8]) -> bool {
    // Without an early end, so that many bytes are looked at in one step.
    let odd = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
    !text.iter().fold(false, |any, byte| any | odd(*byte))
}

/// Says why a JSON text that was parsed cannot be passed on, if it cannot.
pub fn check(text: &str) -> Result<(), serde_json::Error> {
    if is_simple(text.as_bytes()) {
        return Ok(());
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Sound(DEPTH_MAX).deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Whether a JSON text can hold nothing of that kind, as most cannot: it has no escape, and is a string or
/// too short for so many levels, or digits, and without an exponent.
fn is_simple(text: &[u8]) -> bool {
    if let [b'"', string @ .., b'"'] = text {
        return is_plain(string);
    }
    let odd = |pair: &[u8]| {
        let exponent = pair[0].is_ascii_digit() & (pair[1].eq_ignore_ascii_case(&b'e'));
        (pair[1] == b'\\') | exponent
    };
    // Each level takes two bytes. Without an early end, as in `is_plain`.
    text.len() <= 2 * DEPTH_MAX && !text.windows(2).fold(false, |any, pair| any | odd(pair))
}

/// Whether a JSON text has more levels of arrays and objects than this. One pass, and no step into
/// the levels: it may be asked before anything is parsed. What it says of a text that is no JSON is
/// true of what stands before its first mistake, which is as far as a parser comes.
pub fn is_deeper(text: &[u8], than: usize) -> bool {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > than {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => at += string(&text[at..]),
            _ => {}
        }
    }
    false
}

/// Bytes of a string and its closing quote; all there are where it does not end.
fn string(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(next) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += next + 1;
        match text[at - 1] {
            b'"' => return at,
            // What is escaped ends nothing.
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::value::RawValue;

    fn checks(text: &str) -> serde_json::Result<()> {
        check(serde_json::from_str::<&RawValue>(text)?.get())
    }

    #[test]
    fn what_a_reader_would_refuse_is_refused() {
        for text in [
            r#""\ud800""#,
            r#"{"\udc00":1}"#,
            "1e999",
            &format!("{}1{}", "[".repeat(200), "]".repeat(200)),
        ] {
            assert!(checks(text).is_err(), "{}", &text[..8.min(text.len())]);
            assert!(serde_json::from_str::<serde_json::Value>(text).is_err());
        }
    }

    #[test]
    fn what_a_reader_can_read_passes() {
        for text in [
            "null",
            r#""\u0000\ud83e\udd9e""#,
            "123456789012345678901234567890",
            r#"{"a":1,"a":2}"#,
            &format!("{}1{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX)),
        ] {
            assert!(checks(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_passes_can_be_read_inside_a_reply() {
        let deep = |levels| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let reply = format!(r#"{{"messages":[{{"task":{}}}]}}"#, deep(DEPTH_MAX));
        assert!(serde_json::from_str::<serde_json::Value>(&reply).is_ok());
        assert!(checks(&deep(DEPTH_MAX + 1)).is_err());
    }

    #[test]
    fn levels_are_counted_outside_strings() {
        for (text, levels) in [
            ("", 0),
            ("1", 0),
            ("[]", 1),
            (r#"{"a":[1,[2]],"b":{}}"#, 3),
            (r#"["[[[["]"#, 1),
            (r#"["\"[[[[","\\",[]]"#, 2),
            (r#"["\\\"[[[["#, 1),
            ("]]]]{[", 2),
        ] {
            assert!(!is_deeper(text.as_bytes(), levels), "{text}");
            assert!(
                levels == 0 || is_deeper(text.as_bytes(), levels - 1),
                "{text}"
            );
        }
    }

    #[test]
    fn the_parser_refuses_by_itself_what_has_as_many_levels() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let read = |levels| serde_json::from_str::<Value>(&deep(levels));
        assert!(read(PARSER_DEPTH - 1).is_ok() && read(PARSER_DEPTH).is_err());
    }

    fn levels(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
            Value::Object(fields) => 1 + fields.values().map(levels).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            r#"[\[\]{}"\\a]{0,6}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 40, 4, |inner| {
            let key = r#"[\[{"\\]{0,3}"#;
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(key, inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_plain_text_is_one_that_needs_no_escape(text: String) {
            let quoted = format!("\"{text}\"");
            prop_assert_eq!(is_plain(text.as_bytes()), serde_json::to_string(&text).unwrap() == quoted);
        }

        #[test]
        fn what_passes_is_what_the_parser_reads(
            text in r#"\[?(("?[a\\"u0-9\n]{0,8}"?)|(-?[0-9]{1,3}(\.[0-9])?[eE][+-]?[0-9]{1,3})|"1e9")\]?"#,
        ) {
            prop_assert_eq!(checks(&text).is_ok(), serde_json::from_str::<Value>(&text).is_ok());
        }

        #[test]
        fn what_is_long_passes_where_the_parser_reads_it(
            digits in 300_usize..320, levels in 115_usize..130, inside: bool,
        ) {
            let text = match inside {
                true => format!("[{}]", "9".repeat(digits)),
                false => format!("{}{}", "[".repeat(levels), "]".repeat(levels)),
            };
            let read = serde_json::from_str::<Value>(&text).is_ok();
            prop_assert_eq!(checks(&text).is_ok(), read && (inside || levels <= DEPTH_MAX));
        }

        #[test]
        fn as_many_levels_are_seen_as_there_are(value in value()) {
            let (text, levels) = (value.to_string(), levels(&value));
            prop_assert!(!is_deeper(text.as_bytes(), levels));
            if levels > 0 {
                prop_assert!(is_deeper(text.as_bytes(), levels - 1));
            }
        }

        #[test]
        fn any_bytes_have_an_answer(text in prop::collection::vec(any::<u8>(), 0..60), than in 0usize..9) {
            let brackets = text.iter().filter(|byte| b"[{".contains(byte)).count();
            prop_assert!(!is_deeper(&text, than) || brackets > than);
        }
    }
}
