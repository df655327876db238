//! A text that comes in parts, each of which may end within a character.
//!
//! A part is looked at when it comes: then the processor has it at hand. Of a long text that is looked at
//! when all of it is there, each part would have to be fetched once more.

use std::fmt;
use std::mem;

/// The text so far.
#[derive(Debug, Default)]
pub struct Joined {
    text: String,
    /// The beginning of a character whose end has not come.
    cut: Vec<u8>,
    /// Nothing is added after that.
    wrong: Option<NotUtf8>,
}

/// What came is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotUtf8 {
    /// Bytes before what is wrong.
    pub at: usize,
}

impl fmt::Display for NotUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "what follows its first {} bytes is no character",
            self.at
        )
    }
}

/// Looks whether these bytes are a text.
pub fn text(bytes: &[u8]) -> Result<&str, NotUtf8> {
    let at = |error: std::str::Utf8Error| error.valid_up_to();
    std::str::from_utf8(bytes).map_err(|error| NotUtf8 { at: at(error) })
}

impl Joined {
    /// Bytes that there is room for.
    pub fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Makes room for so many bytes in all.
    pub fn make_room(&mut self, bytes: usize) {
        self.text
            .reserve_exact(bytes.saturating_sub(self.text.len()));
    }

    /// Adds the next part.
    pub fn push(&mut self, part: &[u8]) {
        // A character says with its first byte how many it has.
        let missing = (self.cut.first()).map_or(0, |first| first.leading_ones() as usize);
        let missing = missing.saturating_sub(self.cut.len()).min(part.len());
        let (end, rest) = part.split_at(missing);
        if missing > 0 {
            let mut whole = mem::take(&mut self.cut);
            whole.extend_from_slice(end);
            self.add(&whole);
        }
        self.add(rest);
    }

    /// Adds bytes that begin with a character.
    fn add(&mut self, bytes: &[u8]) {
        if self.wrong.is_some() || bytes.is_empty() {
            return;
        }
        let error = match std::str::from_utf8(bytes) {
            Ok(text) => return self.text.push_str(text),
            Err(error) => error,
        };
        let (good, rest) = bytes.split_at(error.valid_up_to());
        self.text
            .push_str(std::str::from_utf8(good).unwrap_or_default());
        match error.error_len() {
            None => self.cut = rest.to_vec(),
            Some(_) => {
                self.wrong = Some(NotUtf8 {
                    at: self.text.len(),
                })
            }
        }
    }

    /// The whole, as no more comes.
    pub fn end(self) -> Result<String, NotUtf8> {
        let at = self.text.len();
        match self.wrong {
            Some(wrong) => Err(wrong),
            None if self.cut.is_empty() => Ok(self.text),
            None => Err(NotUtf8 { at }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Texts of all kinds of characters, some of them with a mistake.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let mistake = prop::sample::select(vec![
            &b""[..],
            b"\xFF",
            b"\xE2\x82",
            b"\xC0\x80",
            b"\xED\xA0\x80",
            b"\x80",
            b"\xF4\x90\x80\x80",
        ]);
        let text = || "[aé€🦞\u{0}]{0,12}".prop_map(String::into_bytes);
        (text(), mistake, text())
            .prop_map(|(before, wrong, after)| [&before[..], wrong, &after].concat())
    }

    proptest! {
        #[test]
        fn it_is_the_text_that_it_would_be_in_one(
            bytes in bytes(),
            cuts in prop::collection::vec(1..9_usize, 1..40),
        ) {
            let (mut joined, mut rest) = (Joined::default(), &bytes[..]);
            joined.make_room(bytes.len());
            let room = joined.capacity();
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (part, after) = rest.split_at(cut.min(rest.len()));
                joined.push(part);
                rest = after;
            }
            prop_assert_eq!(joined.capacity(), room);
            let wanted = text(&bytes).map(str::to_owned);
            prop_assert_eq!(joined.end(), wanted);
        }
    }
}
