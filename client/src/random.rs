//! Words that nobody else has drawn: ids, and keys of requests.

use std::fs::File;
use std::io::Read;

const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A word of at most 32 characters that a model copies right, drawn by the system; none where it
/// has no source of randomness.
pub(crate) fn word(length: usize) -> Option<String> {
    let mut random = [0; 64];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .ok()?;
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
}
