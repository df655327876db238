use actix_http::ws::Codec;
use bytes::BytesMut;
use clawlink_server::core::frames::{FrameGuard, Violation, plain};
use tokio_util::codec::Decoder;

/// Two bytes for the limit, six for the places where the stream is cut, then the stream: against
/// a model that sees it whole, in pieces, and against the codec that gets what passes.
pub fn frames(data: &[u8]) {
    let Some((&[high, low, ref cuts @ ..], stream)) = data.split_first_chunk::<8>() else {
        return;
    };
    // A limit below the longest ping is not one that the relay takes.
    let limit = 125 + usize::from(u16::from_be_bytes([high, low]) % 2_000);

    let mut guard = FrameGuard::new(limit);
    let (passed, violation) = guard.pass(stream);
    let frames = guard.frames();
    assert_eq!((passed, violation, frames), model(limit as u64, stream));
    if violation.is_some() {
        assert_eq!(guard.pass(stream), (0, None), "after the end");
    } else {
        assert_eq!(passed, stream.len());
    }

    let (in_pieces, violation_in_pieces, frames_in_pieces) = pieces(limit, stream, cuts);
    assert_eq!((violation_in_pieces, frames_in_pieces), (violation, frames));
    // Part of a header may have passed before the rest of it came.
    assert!((passed..passed + 14).contains(&in_pieces) && in_pieces <= stream.len());

    decoded(limit, &stream[..passed], frames);
    read_as_plain(limit, stream);
}

/// What is worked off where it is read is a whole frame that the guard lets pass.
fn read_as_plain(limit: usize, stream: &[u8]) {
    if let Some(found) = plain(stream, limit) {
        let whole = found.head + found.length;
        let mut guard = FrameGuard::new(limit);
        assert_eq!(guard.pass(&stream[..whole]), (whole, None));
        assert_eq!((guard.frames(), guard.unfinished()), (1, None));
    }
}

fn pieces(limit: usize, stream: &[u8], cuts: &[u8]) -> (usize, Option<Violation>, u64) {
    let mut guard = FrameGuard::new(limit);
    let (mut at, mut passed, mut verdict) = (0, 0, None);
    for &cut in cuts.iter().cycle() {
        if at == stream.len() {
            break;
        }
        let end = (at + usize::from(cut) + 1).min(stream.len());
        let (good, violation) = guard.pass(&stream[at..end]);
        assert!(good <= end - at);
        assert!(verdict.is_none() || (good, violation) == (0, None));
        passed += good;
        verdict = verdict.or(violation);
        at = end;
    }
    (passed, verdict, guard.frames())
}

/// RFC 6455, section 5.2, on a stream that is there whole: the bytes before the violation, the
/// violation, and the frames before it.
fn model(limit: u64, stream: &[u8]) -> (usize, Option<Violation>, u64) {
    let (mut at, mut frames, mut message) = (0, 0, None);
    loop {
        let rest = &stream[at..];
        let whole = (stream.len(), None, frames);
        let &[first, second, ..] = rest else {
            return whole;
        };
        let (fin, opcode, masked) = (first >= 0x80, first & 0x0F, second >= 0x80);
        let length_bytes: usize = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let control = matches!(opcode, 8..=10);
        let known = control || opcode <= 2;
        if first & 0x70 != 0 || !known || !masked || control && (!fin || length_bytes > 0) {
            return (at, Some(Violation::Protocol), frames);
        }
        let Some(extended) = rest.get(2..2 + length_bytes) else {
            return whole;
        };
        let length = match length_bytes {
            0 => u64::from(second & 0x7F),
            _ => extended
                .iter()
                .fold(0, |n, byte| n * 256 + u64::from(*byte)),
        };
        if !control {
            let before = match (opcode, message) {
                (0, Some(before)) => before,
                (1 | 2, None) => 0,
                _ => return (at, Some(Violation::Protocol), frames),
            };
            if length > limit || before + length > limit {
                return (at, Some(Violation::TooBig), frames);
            }
            message = (!fin).then_some(before + length);
        }
        let end = at + 2 + length_bytes + 4 + length as usize;
        if end > stream.len() {
            return whole;
        }
        (at, frames) = (end, frames + 1);
    }
}

/// The codec refuses nothing of what has passed but the payload of a Close frame, and counts alike.
fn decoded(limit: usize, passed: &[u8], frames: u64) {
    let mut codec = Codec::new().max_size(limit);
    let mut buffer = BytesMut::from(passed);
    let mut decoded = 0;
    loop {
        let opcode = buffer.first().map(|first| first & 0x0F);
        match codec.decode(&mut buffer) {
            Ok(Some(_)) => decoded += 1,
            Ok(None) => break,
            Err(error) => {
                assert_eq!(opcode, Some(8), "{error}");
                return;
            }
        }
    }
    assert_eq!(decoded, frames);
}
