//! Words that travel in fields, parsed once: a value of one of these types is within bounds.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;
use std::fmt;

/// Why a word was refused. Reads as the end of a sentence that names the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameError(&'static str);

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NameError {}

/// Characters in an id of an agent or a message.
pub const ID_MAX: usize = 64;
/// Characters in a name, topic, tag or capability.
pub const WORD_MAX: usize = 128;
/// Bytes in a file key.
pub const FILE_KEY_MAX: usize = 256;

const BAD_ID: NameError = NameError("must be 1 to 64 of A-Z a-z 0-9 . _ -, and not . or ..");
const BAD_WORD: NameError = NameError("must be 1 to 128 printable characters");
const BAD_KEY: NameError = NameError(
    "must be 1 to 256 bytes without control characters and without an empty, \".\" or \"..\" segment",
);

fn is_id(s: &str) -> bool {
    // A segment of a path that is "." or ".." never arrives: URLs fold it away.
    (1..=ID_MAX).contains(&s.len())
        && s != "."
        && s != ".."
        && s.bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Printable here means: no control character, no line or paragraph separator, nothing that
/// reorders text (bidirectional controls), and not only white space.
fn is_word(s: &str) -> bool {
    // As nearly all are, and the rest need not be asked.
    if s.bytes().all(|b| b.is_ascii_graphic()) {
        return (1..=WORD_MAX).contains(&s.len());
    }
    let mut count = 0;
    for c in s.chars() {
        if c.is_control() || reorders_or_breaks(c) || is_unseen(c) {
            return false;
        }
        count += 1;
    }
    (1..=WORD_MAX).contains(&count) && !s.trim().is_empty()
}

/// What shows nothing of its own, or is nobody's character: with it two names that look alike could
/// differ. The joiner of emoji and its selectors stay.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{115F}' | '\u{1160}' | '\u{180E}' | '\u{200B}' | '\u{200C}' | '\u{2060}'..='\u{2064}'
        | '\u{206A}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{E000}'..='\u{F8FF}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}' | '\u{F0000}'..='\u{10FFFF}')
        || (c as u32) & 0xFFFE == 0xFFFE
}

/// Line and paragraph separators and the bidirectional controls: printable to
/// [`char::is_control`], yet able to disguise what stands beside them.
pub fn reorders_or_breaks(c: char) -> bool {
    matches!(c,
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}' | '\u{2029}'
        | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn is_file_key(s: &str) -> bool {
    (1..=FILE_KEY_MAX).contains(&s.len())
        && !s.chars().any(char::is_control)
        && s.split('/')
            .all(|segment| !matches!(segment, "" | "." | ".."))
}

macro_rules! word_type {
    ($(#[doc = $doc:literal])* $name:ident, $check:ident, $error:ident, $max:ident, $pattern:literal) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// Takes the text if it is within bounds.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                if $check(text) { Ok(Self(text.into())) } else { Err($error) }
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let doc: &[&str] = &[$($doc),*];
                schemars::json_schema!({
                    "type": "string",
                    "description": doc.concat().trim(),
                    "minLength": 1,
                    "maxLength": $max,
                    "pattern": $pattern,
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a string")
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

word_type!(
    /// The id of an agent: 1 to 64 of `[A-Za-z0-9._-]`.
    AgentId, is_id, BAD_ID, ID_MAX, r"^[A-Za-z0-9._-]+$"
);
word_type!(
    /// The id of a message or task: 1 to 64 of `[A-Za-z0-9._-]`; the relay's own have at most
    /// 16 of `[a-z0-9]`.
    MessageId, is_id, BAD_ID, ID_MAX, r"^[A-Za-z0-9._-]+$"
);
word_type!(
    /// A name, topic, tag or capability: 1 to 128 printable Unicode characters. Also the form
    /// of `to_agent`, which may be an id or a name.
    Word, is_word, BAD_WORD, WORD_MAX, r"^[^\x00-\x1f\x7f]+$"
);
word_type!(
    /// The key of a shared file: 1 to 256 bytes, no control character, no empty, `.` or `..`
    /// segment.
    FileKey, is_file_key, BAD_KEY, FILE_KEY_MAX, r"^[^\x00-\x1f\x7f]+$"
);

impl From<&AgentId> for Word {
    /// Every id is a word.
    fn from(id: &AgentId) -> Word {
        Word(id.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_1_to_64_of_its_alphabet() {
        assert!(AgentId::parse("a").is_ok());
        assert!(AgentId::parse(&"a".repeat(64)).is_ok());
        assert!(AgentId::parse("A.b_c-9").is_ok());
        for bad in [
            "",
            ".",
            "..",
            &"a".repeat(65),
            "a b",
            "a/b",
            "ä",
            "a\n",
            "*",
        ] {
            assert_eq!(AgentId::parse(bad), Err(BAD_ID), "{bad:?}");
        }
    }

    #[test]
    fn a_word_is_1_to_128_printable_characters() {
        assert!(Word::parse("Größe 🦞 👩\u{200d}🔬").is_ok());
        assert!(Word::parse(&"ü".repeat(128)).is_ok());
        for bad in [
            "",
            " ",
            "\u{3000}",
            &"ü".repeat(129),
            "a\nb",
            "a\u{1b}[2J",
            "a\u{9b}",
            "\u{202e}abc",
            "a\u{2028}b",
            "\u{7f}",
            "j\u{200b}",
            "\u{feff}j",
            "a\u{fffe}",
            "\u{e0041}x",
        ] {
            assert_eq!(Word::parse(bad), Err(BAD_WORD), "{bad:?}");
        }
    }

    #[test]
    fn a_file_key_has_no_hidden_way_out() {
        assert!(FileKey::parse("src/main.rs").is_ok());
        assert!(FileKey::parse("...").is_ok());
        assert!(FileKey::parse(&"k".repeat(256)).is_ok());
        for bad in [
            "",
            "/",
            "a//b",
            "/a",
            "a/",
            ".",
            "..",
            "a/../b",
            "./a",
            "a\0b",
            &"k".repeat(257),
        ] {
            assert_eq!(FileKey::parse(bad), Err(BAD_KEY), "{bad:?}");
        }
    }

    #[test]
    fn a_bad_word_in_json_says_what_is_wrong() {
        let error = serde_json::from_str::<AgentId>("\"a b\"").unwrap_err();
        assert!(error.to_string().starts_with(BAD_ID.0), "{error}");
        assert!(serde_json::from_str::<AgentId>("7").is_err());
    }
}
