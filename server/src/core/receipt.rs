//! Receipts: the tokens of deliveries, short enough for a model to copy.
//!
//! A receipt is the salt of its inbox and the number of the delivery, a batch the salt, the first
//! number and how many. The salt, drawn when an inbox begins, tells the receipts of an inbox from
//! those of one that was there before a restart under the same id.

use super::ids::ALPHABET;
use super::inbox::Delivery;
use std::fmt::{self, Display, Formatter};
use std::ops::Range;

/// Characters of a salt.
pub const SALT: usize = 4;
/// Deliveries of one batch at most.
pub const BATCH_MAX: u64 = 500;

/// What tells the receipts of an inbox from those of others.
#[derive(Debug, Clone, Copy)]
pub struct Salt([u8; SALT]);

impl Salt {
    /// Of an id of the relay's own, whose last characters differ most.
    pub fn of(id: &str) -> Self {
        let mut salt = [b'0'; SALT];
        let ends = salt.iter_mut().zip(id.bytes().rev());
        ends.filter(|(_, byte)| byte.is_ascii_alphanumeric())
            .for_each(|(place, byte)| *place = byte);
        Salt(salt)
    }
}

const RADIX: u64 = ALPHABET.len() as u64;
/// Those of the greatest number.
const DIGITS: usize = 13;

/// The receipt of a delivery.
#[derive(Debug, Clone, Copy)]
pub struct Receipt {
    /// That of its inbox.
    pub salt: Salt,
    /// Which one.
    pub delivery: Delivery,
}

impl Receipt {
    /// Writes it behind what is there.
    pub fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.salt.0);
        out.extend_from_slice(digits(self.delivery, &mut [0; DIGITS]));
    }
}

/// The token of deliveries that came in one reply.
#[derive(Debug, Clone)]
pub struct Token {
    /// That of their inbox.
    pub salt: Salt,
    /// Which ones; not none.
    pub deliveries: Range<Delivery>,
}

impl Token {
    /// Writes it behind what is there.
    pub fn put(&self, out: &mut Vec<u8>) {
        let Range { start, end } = self.deliveries;
        let first = Receipt {
            salt: self.salt,
            delivery: start,
        };
        first.put(out);
        out.push(b'-');
        out.extend_from_slice(digits(end - start, &mut [0; DIGITS]));
    }
}

/// As it is written.
fn display(f: &mut Formatter<'_>, put: impl FnOnce(&mut Vec<u8>)) -> fmt::Result {
    let mut out = Vec::new();
    put(&mut out);
    f.write_str(&String::from_utf8_lossy(&out))
}

impl Display for Receipt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        display(f, |out| self.put(out))
    }
}

impl Display for Token {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        display(f, |out| self.put(out))
    }
}

/// The delivery that a receipt of this inbox names.
pub fn parse_receipt(salt: Salt, text: &str) -> Option<Delivery> {
    number(text.as_bytes().strip_prefix(&salt.0)?)
}

/// The deliveries that a batch of this inbox names.
pub fn parse_batch(salt: Salt, text: &str) -> Option<Range<Delivery>> {
    let numbers = text.as_bytes().strip_prefix(&salt.0)?;
    let dash = numbers.iter().position(|byte| *byte == b'-')?;
    let (first, count) = (number(&numbers[..dash])?, number(&numbers[dash + 1..])?);
    (1..=BATCH_MAX).contains(&count).then_some(())?;
    Some(first..first.checked_add(count)?)
}

/// Writes a number, and gives what it wrote.
fn digits(mut n: u64, room: &mut [u8; DIGITS]) -> &[u8] {
    let mut at = room.len();
    loop {
        at -= 1;
        room[at] = ALPHABET[(n % RADIX) as usize];
        n /= RADIX;
        if n == 0 || at == 0 {
            return &room[at..];
        }
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    (!digits.is_empty()).then_some(())?;
    digits.iter().try_fold(0_u64, |n, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'z' => byte - b'a' + 10,
            _ => return None,
        };
        n.checked_mul(RADIX)?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SALT: Salt = Salt(*b"ab1c");

    fn receipt(delivery: Delivery) -> Receipt {
        let salt = SALT;
        Receipt { salt, delivery }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(delivery: u64, count in 1..=BATCH_MAX) {
            let written = receipt(delivery).to_string();
            prop_assert_eq!(parse_receipt(SALT, &written), Some(delivery));
            let Some(end) = delivery.checked_add(count) else { return Ok(()) };
            let token = Token { salt: SALT, deliveries: delivery..end };
            prop_assert_eq!(parse_batch(SALT, &token.to_string()), Some(delivery..end));
        }

        #[test]
        fn a_number_is_what_the_library_reads(text in "[0-9a-z]{0,14}", other: String) {
            let library = u64::from_str_radix(&text, 36).ok();
            prop_assert_eq!(number(text.as_bytes()), library);
            // What has a sign, or capitals, is none of ours.
            let plain = other.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            let library = u64::from_str_radix(&other, 36).ok().filter(|_| plain);
            prop_assert_eq!(number(other.as_bytes()), library);
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            for text in [format!("ab1c{text}"), text] {
                let _ = (parse_receipt(SALT, &text), parse_batch(SALT, &text));
            }
        }
    }

    #[test]
    fn a_token_says_its_first_delivery_and_how_many() {
        let deliveries = 37..40;
        let token = Token {
            salt: SALT,
            deliveries,
        };
        assert_eq!(token.to_string(), "ab1c11-3");
        assert_eq!(receipt(0).to_string(), "ab1c0");
        assert_eq!(receipt(u64::MAX).to_string(), "ab1c3w5e11264sgsf");
        assert_eq!(parse_batch(SALT, "ab1c3w5e11264sgsf-1"), None);
    }

    #[test]
    fn what_is_not_of_this_inbox_is_not_read() {
        for text in [
            "",
            "ab1",
            "xxxx1",
            "ab1c",
            "ab1c+1",
            "ab1cA",
            "ab1c1-",
            "ab1c1-0",
            "ab1c1-zzz",
        ] {
            assert_eq!(parse_receipt(SALT, text), None, "{text}");
            assert_eq!(parse_batch(SALT, text), None, "{text}");
        }
    }
}
