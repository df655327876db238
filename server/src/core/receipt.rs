//! Receipts: the tokens of deliveries, short enough for a model to copy.
//!
//! A receipt is the salt of its inbox and the number of the delivery, a batch the salt, the first
//! number and how many. The salt, drawn when an inbox begins, tells the receipts of an inbox from
//! those of one that was there before a restart under the same id.

use super::inbox::Delivery;

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

    /// Its characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

const RADIX: u32 = 36;
/// Those of the greatest number.
const DIGITS: usize = 13;

/// The receipt of a delivery.
pub fn receipt(salt: &str, delivery: Delivery) -> String {
    [salt, digits(delivery, &mut [0; DIGITS])].concat()
}

/// The token of deliveries that came in one reply.
pub fn batch(salt: &str, first: Delivery, count: u64) -> String {
    let (mut one, mut other) = ([0; DIGITS], [0; DIGITS]);
    [
        salt,
        digits(first, &mut one),
        "-",
        digits(count, &mut other),
    ]
    .concat()
}

/// The delivery that a receipt of this inbox names.
pub fn parse_receipt(salt: &str, text: &str) -> Option<Delivery> {
    number(text.strip_prefix(salt)?)
}

/// The deliveries that a batch of this inbox names.
pub fn parse_batch(salt: &str, text: &str) -> Option<std::ops::Range<Delivery>> {
    let (first, count) = text.strip_prefix(salt)?.split_once('-')?;
    let (first, count) = (number(first)?, number(count)?);
    (1..=BATCH_MAX).contains(&count).then_some(())?;
    Some(first..first.checked_add(count)?)
}

/// Writes a number, and gives what it wrote.
fn digits(mut n: u64, room: &mut [u8; DIGITS]) -> &str {
    let mut at = room.len();
    loop {
        at -= 1;
        let digit = char::from_digit((n % u64::from(RADIX)) as u32, RADIX);
        room[at] = digit.map_or(b'0', |digit| digit as u8);
        n /= u64::from(RADIX);
        if n == 0 || at == 0 {
            return std::str::from_utf8(&room[at..]).unwrap_or_default();
        }
    }
}

fn number(text: &str) -> Option<u64> {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    plain
        .then(|| u64::from_str_radix(text, RADIX).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(delivery: u64, count in 1..=BATCH_MAX) {
            prop_assert_eq!(parse_receipt("ab1c", &receipt("ab1c", delivery)), Some(delivery));
            let read = parse_batch("ab1c", &batch("ab1c", delivery, count));
            prop_assert_eq!(read, delivery.checked_add(count).map(|end| delivery..end));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = (parse_receipt("ab1c", &text), parse_batch("ab1c", &text));
            let _ = parse_batch("ab1c", &format!("ab1c{text}"));
        }
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
            assert_eq!(parse_receipt("ab1c", text), None, "{text}");
            assert_eq!(parse_batch("ab1c", text), None, "{text}");
        }
    }
}
