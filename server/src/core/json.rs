//! Whether a JSON text is one that every reader can read.
//!
//! A body is passed on as its sender wrote it, so the relay must not take what would break the
//! recipient's parser: a lone surrogate, a number beyond a double, deep nesting.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Nesting at most. A reader that takes 128 levels, as many do, meets a body inside a message
/// inside a list inside a reply.
pub const DEPTH_MAX: usize = 120;

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

/// Says why a JSON text cannot be passed on, if it cannot.
pub fn check(text: &str) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Sound(DEPTH_MAX).deserialize(&mut deserializer)?;
    deserializer.end()
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
            &format!("{}1{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX)),
        ] {
            assert!(check(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_passes_can_be_read_inside_a_reply() {
        let deep = |levels| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let reply = format!(r#"{{"messages":[{{"task":{}}}]}}"#, deep(DEPTH_MAX));
        assert!(serde_json::from_str::<serde_json::Value>(&reply).is_ok());
        assert!(check(&deep(DEPTH_MAX + 1)).is_err());
    }
}
