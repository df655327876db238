//! A frame's head and its call, read in one pass.
//!
//! What a frame is stands among its fields, so that it is read twice: for its head, and then as the call
//! that this names. Where that can be told beforehand the fields of both are parted as they come.

use clawlink_protocol::events::FrameHead;
use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::marker::PhantomData;

/// Both. What is read as one would have been read as each of the two; what is not may still be, as a field
/// whose name has escapes.
#[derive(Debug)]
pub struct Whole<'a, T> {
    /// What it says it is.
    pub head: FrameHead<'a>,
    /// The rest, as the call.
    pub call: T,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Whole<'de, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Parted(PhantomData))
    }
}

struct Parted<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Parted<T> {
    type Value = Whole<'de, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a frame")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        let mut head = Head::default();
        let call = T::deserialize(MapAccessDeserializer::new(Rest {
            fields,
            head: &mut head,
        }))?;
        let head = FrameHead {
            kind: head.kind.flatten(),
            reference: head.reference.flatten(),
            idempotency_key: head.idempotency_key.flatten(),
        };
        Ok(Whole { head, call })
    }
}

/// The fields of the head that have come.
#[derive(Default)]
struct Head<'de> {
    kind: Option<Option<&'de RawValue>>,
    reference: Option<Option<&'de RawValue>>,
    idempotency_key: Option<Option<String>>,
}

/// All other fields.
struct Rest<'a, 'de, A> {
    fields: A,
    head: &'a mut Head<'de>,
}

impl<'de, A: MapAccess<'de>> Rest<'_, 'de, A> {
    /// Reads the value of a field of the head, which stands there once.
    fn take<V: Deserialize<'de>>(
        fields: &mut A,
        place: &mut Option<V>,
        name: &'static str,
    ) -> Result<(), A::Error> {
        match place.replace(fields.next_value()?) {
            None => Ok(()),
            Some(_) => Err(A::Error::duplicate_field(name)),
        }
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Rest<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let Rest { fields, head } = self;
        while let Some(name) = fields.next_key::<&'de str>()? {
            match name {
                "type" => Self::take(fields, &mut head.kind, "type")?,
                "ref" => Self::take(fields, &mut head.reference, "ref")?,
                "idempotency_key" => {
                    Self::take(fields, &mut head.idempotency_key, "idempotency_key")?;
                }
                _ => {
                    return seed
                        .deserialize(BorrowedStrDeserializer::new(name))
                        .map(Some);
                }
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.fields.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawlink_protocol::events::{AckFrame, DelegateFrame};
    use proptest::prelude::*;
    use std::fmt::Debug;

    /// Whether it is read as one; if so, it is read as each of the two, and says the same.
    fn read<'a, T: Deserialize<'a> + Debug>(text: &'a str) -> bool {
        let Ok(Whole { head, call }) = serde_json::from_str::<Whole<'_, T>>(text) else {
            return false;
        };
        let apart = serde_json::from_str::<FrameHead<'_>>(text).expect("a head");
        assert_eq!(format!("{head:?}"), format!("{apart:?}"), "{text}");
        let apart = serde_json::from_str::<T>(text).expect("a call");
        assert_eq!(format!("{call:?}"), format!("{apart:?}"), "{text}");
        true
    }

    #[test]
    fn a_frame_is_read_as_its_head_and_its_call() {
        for text in [
            r#"{"type":"delegate","ref":[1, 2],"to_agent":"b","task":{"a":null},"ttl":5}"#,
            r#"{"task":"t","idempotency_key":"k","type":"delegate","other":[{"type":1}]}"#,
            r#"{"task":null,"ref":null}"#,
        ] {
            assert!(read::<DelegateFrame<'_>>(text), "{text}");
        }
        assert!(read::<AckFrame>(
            r#"{"type":"ack","receipts":["a-1","b\n"],"ref":7}"#
        ));
    }

    #[test]
    fn what_either_would_refuse_is_refused() {
        for text in [
            r#"{"type":"delegate"}"#,
            r#"{"task":1,"type":"a","type":"b"}"#,
            r#"{"task":1,"task":2}"#,
            r#"{"task":1,"ref":1,"ref":1}"#,
            r#"{"task":1,"idempotency_key":1}"#,
            r#"{"task":1,"ttl":"x"}"#,
            r#"{"task":1"#,
            r#"{"task":1} x"#,
            r#"[1]"#,
        ] {
            assert!(!read::<DelegateFrame<'_>>(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_as_one_is_read_as_two(
            fields in prop::collection::vec(
                r#""(type|ref|task|ttl|idempotency_key|receipts|x)" ?: ?(1|"a"|null|\["b"\])"#,
                0..5,
            ),
        ) {
            let text = format!("{{{}}}", fields.join(","));
            read::<DelegateFrame<'_>>(&text);
            read::<AckFrame>(&text);
        }
    }
}
