//! JSON as this client needs it: an object whose values stay as they were written.
//!
//! Nothing is decoded before it is used, so numbers keep their digits and a field of another
//! relay that has an unexpected type spoils nothing but itself. It is also the smallest way:
//! no float is ever parsed or printed.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::fmt;

/// An object as somebody else wrote it, its fields in their order: they are few, and a map would
/// weigh more. Of two with one name the last holds. A field that is `null` reads as absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object(Vec<(String, Box<RawValue>)>);

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Object;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object, M::Error> {
        let mut object = Object::default();
        while let Some(entry) = map.next_entry()? {
            object.0.push(entry);
        }
        Ok(object)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Object, D::Error> {
        source.deserialize_map(Fields)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        target.collect_map(self.0.iter().map(|(field, value)| (field, value)))
    }
}

impl Object {
    /// Reads an object; anything else is an error.
    pub(crate) fn parse(text: &str) -> serde_json::Result<Object> {
        serde_json::from_str(text)
    }

    /// The JSON text of a field.
    pub(crate) fn raw(&self, field: &str) -> Option<&str> {
        let (_, value) = self.0.iter().rfind(|(name, _)| name == field)?;
        let text = value.get();
        (text != "null").then_some(text)
    }

    /// A field that is a string.
    pub(crate) fn text_of(&self, field: &str) -> Option<String> {
        text(self.raw(field)?)
    }

    /// A field that is a string; empty where it is absent or something else.
    pub(crate) fn text(&self, field: &str) -> String {
        self.text_of(field).unwrap_or_default()
    }

    /// A field that is a number, without its fraction.
    pub(crate) fn number(&self, field: &str) -> Option<u64> {
        whole_number(self.raw(field)?)
    }

    /// A field that is `true`.
    pub(crate) fn is_true(&self, field: &str) -> bool {
        self.raw(field) == Some("true")
    }

    /// A field that is an array; empty where it is absent or something else.
    pub(crate) fn list(&self, field: &str) -> Vec<Box<RawValue>> {
        self.raw(field)
            .and_then(|raw| serde_json::from_str(raw).ok())
            .unwrap_or_default()
    }

    /// The strings of an array.
    pub(crate) fn texts(&self, field: &str) -> Vec<String> {
        let list = self.list(field);
        list.iter().filter_map(|raw| text(raw.get())).collect()
    }

    /// The objects of an array.
    pub(crate) fn objects(&self, field: &str) -> Vec<Object> {
        let list = self.list(field);
        list.iter()
            .filter_map(|raw| Object::parse(raw.get()).ok())
            .collect()
    }

    /// A field that is an object; empty where it is absent or something else.
    pub(crate) fn object(&self, field: &str) -> Object {
        self.raw(field)
            .and_then(|raw| Object::parse(raw).ok())
            .unwrap_or_default()
    }

    /// Puts a string there.
    pub(crate) fn set_text(&mut self, field: &str, value: &str) {
        self.set(field, write_text(value));
    }

    /// Puts a value there.
    pub(crate) fn set(&mut self, field: &str, value: Box<RawValue>) {
        match self.0.iter_mut().rfind(|(name, _)| name == field) {
            Some((_, old)) => *old = value,
            None => self.0.push((field.to_owned(), value)),
        }
    }

    /// Puts a value there, or takes the field away.
    pub(crate) fn set_or_remove(&mut self, field: &str, value: Option<Box<RawValue>>) {
        match value {
            Some(value) => self.set(field, value),
            None => self.remove(field),
        }
    }

    /// Takes a field away.
    pub(crate) fn remove(&mut self, field: &str) {
        self.0.retain(|(name, _)| name != field);
    }

    /// Takes away all but so many fields, the first ones first.
    pub(crate) fn keep_last(&mut self, fields: usize) {
        self.0.drain(..self.0.len().saturating_sub(fields));
    }

    /// The object as a value.
    pub(crate) fn to_raw(&self) -> Box<RawValue> {
        write(self)
    }

    /// Whether it has no field at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The text of a JSON string; none of anything else.
pub(crate) fn text(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

/// A string as JSON.
pub(crate) fn write_text(text: &str) -> Box<RawValue> {
    write(text)
}

/// Any value as JSON. What this client writes always can be: its keys are strings.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// The whole part of a number, read from its digits: Unix seconds come as floats.
pub(crate) fn whole_number(raw: &str) -> Option<u64> {
    let digits = raw.split('.').next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_digits_and_null_is_absent() {
        let object = Object::parse(r#"{"a":1.50,"b":null,"c":"x\ny","d":[1,"z"]}"#).unwrap();
        assert_eq!(object.raw("a"), Some("1.50"));
        assert_eq!(object.number("a"), Some(1));
        assert_eq!(object.raw("b"), None);
        assert_eq!(object.text("c"), "x\ny");
        assert_eq!(object.text("a"), "", "not a string");
        assert_eq!(object.texts("d"), ["z"]);
        assert!(Object::parse("[1]").is_err());
    }

    #[test]
    fn fields_stay_in_their_order_and_the_last_of_a_name_holds() {
        let mut object = Object::parse(r#"{"z":1,"a":2,"z":3}"#).unwrap();
        assert_eq!(object.raw("z"), Some("3"));
        object.set_text("a", "x");
        assert_eq!(object.to_raw().get(), r#"{"z":1,"a":"x","z":3}"#);
        object.remove("z");
        assert_eq!(object.to_raw().get(), r#"{"a":"x"}"#);
    }

    #[test]
    fn an_object_survives_a_round_trip_with_fields_it_does_not_know() {
        let mut object = Object::parse(r#"{"theirs":{"n":1e400}}"#).unwrap();
        object.set_text("ours", "\u{1F99E}");
        let again = Object::parse(object.to_raw().get()).unwrap();
        assert_eq!(again.raw("theirs"), Some(r#"{"n":1e400}"#));
        assert_eq!(again.text("ours"), "\u{1F99E}");
    }
}
