//! The frames of WebSocket: [`FrameGuard`] watches the bytes that a client sends, before the codec
//! buffers them; [`head`] begins what the relay sends.
//!
//! The codec checks a frame's length only when the whole frame is there, so that a peer could
//! make the relay hold as much as it cares to announce. Here the header alone is read: a frame
//! or a fragmented message over the limit, and whatever RFC 6455 forbids, is found at its first
//! bytes, and nothing of it goes on to the codec.

mod plain;

use bytes::Bytes;
pub use plain::{Plain, plain, unmask};

/// Text.
pub const TEXT: u8 = 0x1;
/// A goodbye.
pub const CLOSE: u8 = 0x8;
/// Asks for an answer.
pub const PING: u8 = 0x9;
/// Answers a ping.
pub const PONG: u8 = 0xA;

/// Writes the head of a whole frame of the relay's, which are not masked, with so many bytes of
/// payload after it.
pub fn head(out: &mut Vec<u8>, opcode: u8, length: usize) {
    out.push(0x80 | opcode);
    match length {
        0..126 => out.push(length as u8),
        126..=0xFFFF => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// Bytes of that head.
fn head_length(length: usize) -> usize {
    match length {
        0..126 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    }
}

/// A whole frame of the relay's with this payload.
pub fn whole(opcode: u8, payload: &[u8]) -> Bytes {
    put_together(opcode, &[payload])
}

/// A whole frame of the relay's with the text that these parts make.
pub fn text<const N: usize>(parts: [&str; N]) -> Bytes {
    put_together(TEXT, &parts.map(str::as_bytes))
}

fn put_together(opcode: u8, parts: &[&[u8]]) -> Bytes {
    let length = parts.iter().map(|part| part.len()).sum();
    // No room besides, which would have to be noted elsewhere.
    let mut frame = Vec::with_capacity(head_length(length) + length);
    head(&mut frame, opcode, length);
    parts.iter().for_each(|part| frame.extend_from_slice(part));
    frame.into()
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// A message over the limit: close code 1009.
    TooBig,
    /// What RFC 6455 forbids: close code 1002.
    Protocol,
    /// A message that was begun and not ended in time; told by who has a clock.
    Late,
}

#[derive(Debug)]
enum State {
    Header { bytes: [u8; 14], have: usize },
    Payload { left: u64 },
}

const HEADER: State = State::Header {
    bytes: [0; 14],
    have: 0,
};

/// Reads the frame headers of one connection.
#[derive(Debug)]
pub struct FrameGuard {
    limit: u64,
    state: State,
    /// Bytes so far of a message whose last fragment has not come.
    message: Option<u64>,
    ended: bool,
    frames: u64,
    /// The frame with which the unfinished message began.
    first: u64,
    /// Bytes of the unfinished message that have passed.
    held: usize,
}

impl FrameGuard {
    /// `limit` bounds a message, in one frame or in many, in bytes.
    pub fn new(limit: usize) -> Self {
        FrameGuard {
            limit: limit as u64,
            state: HEADER,
            message: None,
            ended: false,
            frames: 0,
            first: 0,
            held: 0,
        }
    }

    /// Whole frames that have gone on to the codec.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The number of the frame with which a message began that is not at its end; `None` where what
    /// has come is whole.
    pub fn unfinished(&self) -> Option<u64> {
        let within = !matches!(self.state, State::Header { have: 0, .. });
        match self.message {
            Some(_) => Some(self.first),
            None => within.then_some(self.frames),
        }
    }

    /// Bytes of the payload of that message that have passed, a ping's within it included.
    pub fn held(&self) -> usize {
        self.held
    }

    /// A whole frame has passed.
    fn frame_ends(&mut self) {
        self.state = HEADER;
        self.frames += 1;
        if self.message.is_none() {
            self.first = self.frames;
            self.held = 0;
        }
    }

    /// Looks at the next bytes. Gives how many of them may go on to the codec, and the violation
    /// that ends the stream there, if there is one; after that nothing goes on any more.
    pub fn pass(&mut self, chunk: &[u8]) -> (usize, Option<Violation>) {
        if self.ended {
            return (0, None);
        }
        let mut at = 0;
        while at < chunk.len() {
            match &mut self.state {
                State::Payload { left } => {
                    let step = (*left).min((chunk.len() - at) as u64);
                    *left -= step;
                    let over = *left == 0;
                    at += step as usize;
                    self.held += step as usize;
                    if over {
                        self.frame_ends();
                    }
                }
                State::Header { bytes, have } => {
                    bytes[*have] = chunk[at];
                    *have += 1;
                    let (header, have) = (*bytes, *have);
                    match self.header(&header[..have]) {
                        Ok(None) => at += 1,
                        Ok(Some(0)) => {
                            at += 1;
                            self.frame_ends();
                        }
                        Ok(Some(left)) => (at, self.state) = (at + 1, State::Payload { left }),
                        Err(violation) => {
                            self.ended = true;
                            // What stood of this header before is cut off where it began.
                            return ((at + 1).saturating_sub(have), Some(violation));
                        }
                    }
                }
            }
        }
        (at, None)
    }

    /// The payload length of a header that is complete; `None` while it is not.
    fn header(&mut self, bytes: &[u8]) -> Result<Option<u64>, Violation> {
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0F);
        let control = opcode & 0x8 != 0;
        let short = second & 0x7F;
        let reserved = first & 0x70 != 0 || !matches!(opcode, 0..=2 | 8..=10);
        let unmasked = second & 0x80 == 0;
        if reserved || unmasked || control && (!fin || short > 125) {
            return Err(Violation::Protocol);
        }
        let extended = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if rest.len() < extended {
            return Ok(None);
        }
        let length = match extended {
            0 => u64::from(short),
            _ => rest[..extended]
                .iter()
                .fold(0, |n, &b| n << 8 | u64::from(b)),
        };
        // The length is judged before the mask has come: there is nothing to wait for.
        if rest.len() == extended {
            self.judge(fin, opcode, control, length)?;
        }
        Ok((rest.len() == extended + 4).then_some(length))
    }

    fn judge(
        &mut self,
        fin: bool,
        opcode: u8,
        control: bool,
        length: u64,
    ) -> Result<(), Violation> {
        if control {
            return Ok(());
        }
        let so_far = match (opcode, self.message) {
            (0, Some(so_far)) => so_far,
            (1 | 2, None) => 0,
            _ => return Err(Violation::Protocol),
        };
        let total = so_far.saturating_add(length);
        if total > self.limit {
            return Err(Violation::TooBig);
        }
        self.message = (!fin).then_some(total);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            n @ 0..=125 => out.push(0x80 | n as u8),
            n @ 126..=65_535 => {
                out.push(0x80 | 126);
                out.extend((n as u16).to_be_bytes());
            }
            n => {
                out.push(0x80 | 127);
                out.extend((n as u64).to_be_bytes());
            }
        }
        out.extend([1, 2, 3, 4]);
        out.extend(payload);
        out
    }

    fn pass_all(limit: usize, bytes: &[u8]) -> (usize, Option<Violation>) {
        FrameGuard::new(limit).pass(bytes)
    }

    #[test]
    fn a_head_is_as_short_as_its_length_allows() {
        let written = |length| {
            let mut out = Vec::new();
            head(&mut out, TEXT, length);
            assert_eq!(head_length(length), out.len());
            out
        };
        assert_eq!(written(0), [0x81, 0]);
        assert_eq!(written(125), [0x81, 125]);
        assert_eq!(written(126), [0x81, 126, 0, 126]);
        assert_eq!(written(65_535), [0x81, 126, 0xFF, 0xFF]);
        assert_eq!(written(65_536), [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_frame_over_the_limit_is_found_at_its_header() {
        let mut header = vec![0x81, 0x80 | 127];
        header.extend((1u64 << 30).to_be_bytes());
        assert_eq!(pass_all(1 << 20, &header), (0, Some(Violation::TooBig)));
        assert_eq!(pass_all(100, &frame(0x81, &[0; 100])), (106, None));
        assert_eq!(
            pass_all(100, &frame(0x81, &[0; 101])),
            (0, Some(Violation::TooBig))
        );
    }

    #[test]
    fn fragments_count_together_and_a_ping_between_them_does_not() {
        let mut stream = frame(0x01, &[0; 60]);
        stream.extend(frame(0x89, &[0; 50]));
        let good = stream.len();
        stream.extend(frame(0x00, &[0; 41]));
        assert_eq!(pass_all(100, &stream), (good, Some(Violation::TooBig)));

        let mut stream = frame(0x01, &[0; 60]);
        stream.extend(frame(0x80, &[0; 40]));
        stream.extend(frame(0x81, &[0; 100]));
        assert_eq!(pass_all(100, &stream), (stream.len(), None));
    }

    #[test]
    fn what_the_standard_forbids_is_a_protocol_error() {
        let unmasked = vec![0x81, 0x01, b'x'];
        let mut twice = frame(0x01, b"a");
        twice.extend(frame(0x01, b"b"));
        for (what, bytes, good) in [
            ("unmasked", unmasked, 0),
            ("reserved bit", frame(0xC1, b"x"), 0),
            ("reserved opcode", frame(0x83, b"x"), 0),
            ("long ping", frame(0x89, &[0; 126]), 0),
            ("fragmented ping", frame(0x09, b"x"), 0),
            ("continuation of nothing", frame(0x80, b"x"), 0),
            ("message inside a message", twice, 7),
        ] {
            assert_eq!(
                pass_all(1000, &bytes),
                (good, Some(Violation::Protocol)),
                "{what}"
            );
        }
    }

    #[test]
    fn every_length_passes_up_to_the_limit_and_a_ping_of_125() {
        for length in [0, 1, 125, 126, 300, 65_535, 65_536, 70_000] {
            let bytes = frame(0x82, &vec![0; length]);
            let mut guard = FrameGuard::new(70_000);
            assert_eq!(guard.pass(&bytes), (bytes.len(), None), "{length}");
            assert_eq!(guard.frames(), 1);
        }
        let ping = frame(0x89, &[0; 125]);
        assert_eq!(pass_all(10, &ping), (ping.len(), None));
    }

    #[test]
    fn what_came_before_a_violation_passes_whole() {
        let mut bytes = frame(0x81, b"good");
        let good = bytes.len();
        bytes.extend(frame(0x81, &[0; 300]));
        let (passed, violation) = FrameGuard::new(200).pass(&bytes);
        assert_eq!((passed, violation), (good, Some(Violation::TooBig)));
    }

    #[test]
    fn what_is_unfinished_is_told_by_the_frame_it_began_with_and_by_its_bytes() {
        let mut guard = FrameGuard::new(1000);
        let mut told = |bytes: &[u8]| {
            assert_eq!(guard.pass(bytes), (bytes.len(), None));
            (guard.unfinished(), guard.held())
        };
        assert_eq!(told(&frame(0x81, b"whole")), (None, 0));
        let text = frame(0x81, b"text");
        assert_eq!(told(&text[..1]), (Some(1), 0), "half a header");
        assert_eq!(told(&text[1..8]), (Some(1), 2));
        assert_eq!(told(&text[8..]), (None, 0));
        assert_eq!(told(&frame(0x01, b"one")), (Some(2), 3));
        assert_eq!(told(&frame(0x89, b"")), (Some(2), 3), "a ping ends nothing");
        assert_eq!(told(&frame(0x00, b"two")), (Some(2), 6));
        assert_eq!(
            told(&[frame(0x80, b"end"), frame(0x01, b"x")].concat()),
            (Some(6), 1)
        );
    }

    #[test]
    fn after_a_violation_nothing_passes() {
        let mut guard = FrameGuard::new(10);
        assert!(guard.pass(&[0x81, 0x01]).1.is_some());
        assert_eq!(guard.pass(&frame(0x81, b"ok")), (0, None));
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_changes_nothing(
            payloads in prop::collection::vec((0usize..200, any::<bool>()), 1..6),
            cuts in prop::collection::vec(1usize..40, 1..60),
        ) {
            let mut stream = Vec::new();
            for (len, ping) in payloads {
                stream.extend(frame(if ping { 0x89 } else { 0x81 }, &vec![0xAA; len]));
            }
            let whole = pass_all(150, &stream);
            let (mut guard, mut at, mut passed, mut verdict) = (FrameGuard::new(150), 0, 0, None);
            for cut in cuts.into_iter().cycle() {
                if at == stream.len() { break }
                let end = (at + cut).min(stream.len());
                let (good, violation) = guard.pass(&stream[at..end]);
                passed += good;
                verdict = verdict.or(violation);
                at = end;
            }
            prop_assert_eq!(verdict, whole.1);
            // A header cut in two may have passed in part; the codec does nothing with a part.
            prop_assert!(passed >= whole.0 && passed - whole.0 < 14, "{} {}", passed, whole.0);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let (good, _) = pass_all(100, &bytes);
            prop_assert!(good <= bytes.len());
        }
    }
}
