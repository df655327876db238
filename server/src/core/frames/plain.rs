//! The frames that most are: whole, short, no fragments. They are read where they lie.

use super::{PING, PONG, TEXT};

/// A frame that needs no more than a look: whole, no fragment, within its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plain {
    /// What it is.
    pub opcode: u8,
    /// Lies on its payload.
    pub mask: [u8; 4],
    /// Bytes before its payload.
    pub head: usize,
    /// Bytes of its payload.
    pub length: usize,
}

/// The frame at the beginning of what a client has sent, if it is a plain one, with a payload of at most
/// so many bytes. All others are for the [`FrameGuard`] to judge.
pub fn plain(bytes: &[u8], limit: usize) -> Option<Plain> {
    let &[first, second, ref rest @ ..] = bytes else {
        return None;
    };
    let opcode = first & 0x0F;
    let control = opcode & 0x8 != 0;
    let whole = first & 0xF0 == 0x80 && second & 0x80 != 0;
    if !whole || !matches!(opcode, TEXT | PING | PONG) {
        return None;
    }
    let (length, extended) = match second & 0x7F {
        127 => return None,
        126 if control => return None,
        126 => (
            usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?)),
            2,
        ),
        short => (usize::from(short), 0),
    };
    let mask = rest.get(extended..extended + 4)?.try_into().ok()?;
    let head = 2 + extended + 4;
    (length <= limit && bytes.len() - head >= length).then_some(Plain {
        opcode,
        mask,
        head,
        length,
    })
}

/// Takes a mask off a payload, or puts it on.
pub fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let (words, rest) = payload.as_chunks_mut::<4>();
    let mask_word = u32::from_ne_bytes(mask);
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ mask_word).to_ne_bytes();
    }
    rest.iter_mut()
        .zip(mask)
        .for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests {
    use super::super::FrameGuard;
    use super::super::tests::frame;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is taken for a plain frame, the guard lets pass as one frame of that length.
        #[test]
        fn a_plain_frame_is_one_that_the_guard_lets_pass(
            first in prop::sample::select(vec![0x81, 0x89, 0x8A, 0x01, 0x82, 0x88, 0x80, 0xC1]),
            length in 0..400usize,
            cut in 0..20usize,
            noise: [u8; 6],
        ) {
            let whole = frame(first, &vec![b'a'; length]);
            let mut bytes = [&whole[..], &noise].concat();
            bytes.truncate((whole.len() + 6).saturating_sub(cut));
            let is_plain = matches!(first, 0x81 | 0x89 | 0x8A)
                && (first == 0x81 || length <= 125)
                && length <= 300
                && bytes.len() >= whole.len();
            let found = plain(&bytes, 300);
            prop_assert_eq!(found.is_some(), is_plain);
            if let Some(found) = found {
                prop_assert_eq!(found.head + found.length, whole.len());
                let mut guard = FrameGuard::new(300);
                prop_assert_eq!(guard.pass(&bytes[..whole.len()]), (whole.len(), None));
                prop_assert_eq!((guard.frames(), guard.unfinished()), (1, None));
            }
        }

        #[test]
        fn a_mask_taken_off_and_put_on_is_no_change(payload: Vec<u8>, mask: [u8; 4]) {
            let mut bytes = payload.clone();
            unmask(&mut bytes, mask);
            let each = payload.iter().enumerate().map(|(n, byte)| byte ^ mask[n % 4]);
            prop_assert_eq!(&bytes, &each.collect::<Vec<_>>());
            unmask(&mut bytes, mask);
            prop_assert_eq!(bytes, payload);
        }
    }
}
