//! Words that nobody else has drawn: ids, and keys of requests.

use std::fs::File;
use std::io::Read;

/// Bytes of a secret.
const SECRET: usize = 32;

const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A word of at most 32 characters that a model copies right, drawn by the system; none where it
/// has no source of randomness.
pub(crate) fn word(length: usize) -> Option<String> {
    let random = bytes::<64>()?;
    // Without the bytes at the end every character is as likely as any other.
    let whole_rounds = 256 - 256 % ALPHABET.len();
    let bytes = random.into_iter().map(usize::from);
    let drawn: String = bytes
        .filter(|byte| *byte < whole_rounds)
        .map(|byte| char::from(ALPHABET[byte % ALPHABET.len()]))
        .take(length)
        .collect();
    Some(drawn)
}

/// A secret: 32 bytes as hex digits.
pub(crate) fn secret() -> Option<String> {
    let digits = bytes::<SECRET>()?.map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.as_flattened().iter();
    digits
        .map(|&digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// Whether a text has the form of a secret. One that has not may hold a line break, and is not sent.
pub(crate) fn is_secret(text: &str) -> bool {
    text.len() == 2 * SECRET && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn bytes<const N: usize>() -> Option<[u8; N]> {
    let mut random = [0; N];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut random));
    read.is_ok().then_some(random)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_word_is_plain_as_long_as_it_was_asked_for_and_never_the_same() {
        let words: BTreeSet<String> = (0..100).map(|_| word(8).unwrap()).collect();
        assert_eq!(words.len(), 100);
        let plain = |word: &String| word.len() == 8 && word.bytes().all(|b| ALPHABET.contains(&b));
        assert!(words.iter().all(plain), "{words:?}");
    }

    #[test]
    fn a_secret_is_64_hex_digits_and_never_the_same() {
        let (one, two) = (secret().unwrap(), secret().unwrap());
        assert!(is_secret(&one) && is_secret(&two) && one != two);
        for bad in ["", "a\r\nX: y", &one[1..], &["g", &one[1..]].concat()] {
            assert!(!is_secret(bad), "{bad}");
        }
    }
}
