//! Whether a JSON text is one that every reader can read.
//!
//! A body is passed on as its sender wrote it, so the relay must not take what would break the
//! recipient's parser: a lone surrogate, a number beyond a double, nesting beyond 128.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Parses to nothing what [`serde_json::Value`] would take, and fails where that would fail.
pub struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Sound)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = Sound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_unit<E: Error>(self) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Sound, A::Error> {
        while items.next_element::<Sound>()?.is_some() {}
        Ok(Sound)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Sound, A::Error> {
        while entries.next_entry::<Sound, Sound>()?.is_some() {}
        Ok(Sound)
    }
}

/// Says why a JSON text cannot be passed on, if it cannot.
pub fn check(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<Sound>(text).map(|Sound| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_would_refuse_is_refused() {
        for text in [
            r#""\ud800""#,
            r#"{"\udc00":1}"#,
            "1e999",
            &format!("{}1{}", "[".repeat(200), "]".repeat(200)),
        ] {
            assert!(check(text).is_err(), "{}", &text[..8.min(text.len())]);
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
            &format!("{}1{}", "[".repeat(100), "]".repeat(100)),
        ] {
            assert!(check(text).is_ok(), "{text}");
        }
    }
}
