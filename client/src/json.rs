//! JSON as this client needs it: an object whose values stay as they were written.
//!
//! `serde_json` checks a text, and writes all that this client says. Between the two nothing is
//! decoded before it is used, so numbers keep their digits and a field of another relay that has
//! an unexpected type spoils nothing but itself. It is also the smallest way: no type of a reply
//! has a parser of its own, and no float is ever parsed or printed.

use serde::de::IgnoredAny;
use serde::ser::Serialize;
use serde_json::value::RawValue;
use std::ops::Range;

/// An object as somebody else wrote it: its text, and where in it the fields are, in their order.
/// Of two with one name the last holds. A field that is `null` reads as absent.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// JSON, an object.
    text: String,
    fields: Vec<Field>,
}

/// Where a field is.
#[derive(Clone, Debug)]
struct Field {
    /// A JSON string.
    name: Range<usize>,
    /// Whether there is an escape in it.
    escaped: bool,
    value: Range<usize>,
}

/// Why a text is no object.
#[derive(Debug, PartialEq)]
pub(crate) enum NoObject {
    /// It ends too early.
    Cut,
    /// It is no JSON, or something else.
    Other,
}

impl Default for Object {
    fn default() -> Object {
        Object {
            text: "{}".to_owned(),
            fields: Vec::new(),
        }
    }
}

impl Object {
    /// Reads an object; anything else is an error.
    pub(crate) fn parse(text: &str) -> Result<Object, NoObject> {
        match check(text) {
            Ok(()) => Object::of(text.trim_ascii()).ok_or(NoObject::Other),
            Err(error) if error.is_eof() => Err(NoObject::Cut),
            Err(_) => Err(NoObject::Other),
        }
    }

    /// The object that a JSON text is which was checked: a part of another.
    pub(crate) fn of(json: &str) -> Option<Object> {
        json.starts_with('{')
            .then(|| Object::from_text(json.to_owned()))
    }

    fn from_text(text: String) -> Object {
        let mut parts = Parts::of(&text);
        // Most replies have fewer.
        let mut fields = Vec::with_capacity(8);
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            let mut bytes = text.as_bytes()[name.clone()].iter();
            fields.push(Field {
                escaped: bytes.any(|byte| *byte == b'\\'),
                name,
                value,
            });
        }
        Object { text, fields }
    }

    /// The object as JSON.
    pub(crate) fn json(&self) -> &str {
        &self.text
    }

    /// Where the value of a field is in the order of all.
    fn position(&self, field: &str) -> Option<usize> {
        self.fields.iter().rposition(|found| {
            let (begin, end) = (found.name.start, found.name.end);
            match found.escaped {
                true => text(&self.text[begin..end]).as_deref() == Some(field),
                false => self.text.as_bytes()[begin + 1..end - 1] == *field.as_bytes(),
            }
        })
    }

    /// The JSON text of a field.
    pub(crate) fn raw(&self, field: &str) -> Option<&str> {
        let found = &self.fields[self.position(field)?];
        let text = &self.text[found.value.clone()];
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
    pub(crate) fn list(&self, field: &str) -> Vec<&str> {
        let raw = self.raw(field).filter(|raw| raw.starts_with('['));
        let text = raw.unwrap_or_default();
        Parts::of(text).map(|part| &text[part]).collect()
    }

    /// The strings of an array.
    pub(crate) fn texts(&self, field: &str) -> Vec<String> {
        self.list(field).into_iter().filter_map(text).collect()
    }

    /// The objects of an array.
    pub(crate) fn objects(&self, field: &str) -> Vec<Object> {
        let list = self.list(field);
        list.into_iter().filter_map(Object::of).collect()
    }

    /// A field that is an object; empty where it is absent or something else.
    pub(crate) fn object(&self, field: &str) -> Object {
        self.raw(field).and_then(Object::of).unwrap_or_default()
    }

    /// The same of an object that is a field itself, which is not read for it.
    pub(crate) fn object_in(&self, field: &str, inner: &str) -> Object {
        let outer = self.raw(field).filter(|raw| raw.starts_with('{'));
        let json = outer.unwrap_or_default();
        let (mut parts, mut found) = (Parts::of(json), None);
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            if text(&json[name]).as_deref() == Some(inner) {
                found = Object::of(&json[value]);
            }
        }
        found.unwrap_or_default()
    }

    /// Puts a string there.
    pub(crate) fn set_text(&mut self, field: &str, value: &str) {
        self.set(field, &write(value));
    }

    /// Puts a value there, which is JSON.
    pub(crate) fn set(&mut self, field: &str, value: &str) {
        match self.position(field) {
            Some(last) => self
                .text
                .replace_range(self.fields[last].value.clone(), value),
            None => {
                let comma = if self.is_empty() { "" } else { "," };
                self.text.pop();
                for part in [comma, &write(field), ":", value, "}"] {
                    self.text.push_str(part);
                }
            }
        }
        *self = Object::from_text(std::mem::take(&mut self.text));
    }

    /// Puts a value there, or takes the field away.
    pub(crate) fn set_or_remove(&mut self, field: &str, value: Option<&str>) {
        match value {
            Some(value) => self.set(field, value),
            None => self.remove(field),
        }
    }

    /// Takes a field away.
    pub(crate) fn remove(&mut self, field: &str) {
        while let Some(last) = self.position(field) {
            self.fields.remove(last);
            self.write_anew();
        }
    }

    /// Takes away all but so many fields, the first ones first.
    pub(crate) fn keep_last(&mut self, fields: usize) {
        self.fields
            .drain(..self.fields.len().saturating_sub(fields));
        self.write_anew();
    }

    /// Makes the text again of the fields that are left.
    fn write_anew(&mut self) {
        let parts = self.fields.iter().map(|field| {
            let (name, value) = (field.name.clone(), field.value.clone());
            [&self.text[name], ":", &self.text[value]].concat()
        });
        let parts: Vec<String> = parts.collect();
        *self = Object::from_text(["{", &parts.join(","), "}"].concat());
    }

    /// Whether it has no field at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

/// What stands between the brackets, commas and colons of the outermost level of a JSON text that
/// was checked: the elements of an array, or the names and values of an object in turn.
struct Parts<'a> {
    text: &'a str,
    /// Where the next one begins: behind a bracket, a comma or a colon.
    at: usize,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Parts<'a> {
        Parts { text, at: 1 }
    }
}

impl Iterator for Parts<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let bytes = self.text.as_bytes();
        let (mut end, mut depth) = (self.at, 0);
        loop {
            match bytes.get(end)? {
                b'"' => end = end_of_string(bytes, end)?,
                b',' | b':' | b'}' | b']' if depth == 0 => break,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            end += 1;
        }
        let part = bytes[self.at..end].trim_ascii_start();
        let begin = end - part.len();
        self.at = end + 1;
        // Only between the brackets of what is empty there is nothing.
        let length = part.trim_ascii_end().len();
        (length > 0).then(|| begin..begin + length)
    }
}

/// Where the string ends that begins there: at the next quotation mark that is not escaped.
fn end_of_string(bytes: &[u8], begin: usize) -> Option<usize> {
    let mut at = begin;
    loop {
        at += 1;
        if *bytes.get(at)? == b'"' {
            let before = bytes[..at].iter().rev();
            let backslashes = before.take_while(|byte| **byte == b'\\').count();
            // Two of them stand for one, and one more for the mark.
            if backslashes % 2 == 0 {
                return Some(at);
            }
        }
    }
}

/// Whether a text is JSON. To ask for nothing of it costs least: what `serde_json` would say of a
/// type that it did not expect would bring the printing of floats along.
pub(crate) fn check(text: &str) -> serde_json::Result<()> {
    serde_json::from_str::<IgnoredAny>(text).map(|_| ())
}

/// The text of a JSON string; none of anything else.
pub(crate) fn text(raw: &str) -> Option<String> {
    let mut rest = raw.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::with_capacity(rest.len());
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let (c, behind) = unescape(escape)?;
        text.push(c);
        rest = behind;
    }
    text.push_str(rest);
    Some(text)
}

/// The character for which an escape stands, without its backslash, and what follows it. None for
/// half of a surrogate pair, which is no character.
fn unescape(escape: &str) -> Option<(char, &str)> {
    let (letter, rest) = escape.split_at_checked(1)?;
    let c = match letter {
        "b" => '\u{8}',
        "f" => '\u{c}',
        "n" => '\n',
        "r" => '\r',
        "t" => '\t',
        "u" => {
            let (first, rest) = utf16_unit(rest)?;
            return match char::from_u32(u32::from(first)) {
                Some(c) => Some((c, rest)),
                None => {
                    let (second, rest) = utf16_unit(rest.strip_prefix("\\u")?)?;
                    let c = char::decode_utf16([first, second]).next()?.ok()?;
                    Some((c, rest))
                }
            };
        }
        itself => itself.chars().next()?,
    };
    Some((c, rest))
}

fn utf16_unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
}

/// A string as JSON, to be a part of what is written.
pub(crate) fn raw_text(text: &str) -> Box<RawValue> {
    serde_json::value::to_raw_value(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Any value as JSON. What this client writes always can be: its keys are strings.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// An object that was written here with one more field, of JSON as somebody else wrote it.
pub(crate) fn with(object: &str, field: &str, value: &str) -> String {
    let mut object = Object::from_text(object.to_owned());
    object.set(field, value.trim_ascii());
    object.text
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
        assert_eq!(object.json(), r#"{"z":1,"a":"x","z":3}"#);
        object.remove("z");
        assert_eq!(object.json(), r#"{"a":"x"}"#);
    }

    #[test]
    fn what_stands_in_a_text_is_not_taken_for_structure() {
        let object =
            Object::parse(r#" { "a" : "},]\"{[:\\" , "b{" : [ [1, {"x": "]"}], {} , "" ] } "#);
        let object = object.unwrap();
        assert_eq!(object.text("a"), "},]\"{[:\\");
        assert_eq!(object.list("b{"), [r#"[1, {"x": "]"}]"#, "{}", "\"\""]);
        assert_eq!(object.objects("b{").len(), 1);
        let empty = Object::parse(r#"{"list":[ ],"object":{ }}"#).unwrap();
        assert!(empty.list("list").is_empty() && empty.object("object").is_empty());
        let strings = Object::parse(r#"{"a\\":"\\\\","b":"\\\"","c":"x\"\",:"}"#).unwrap();
        assert_eq!(strings.raw(r"a\"), Some(r#""\\\\""#));
        assert_eq!(strings.text("b"), r#"\""#);
        assert_eq!(strings.text("c"), r#"x"",:"#);
        let nested =
            Object::parse(r#"{"a":{"b":1,"c":{"d":2},"c":{"d":3}},"l":["c",{}]}"#).unwrap();
        assert_eq!(nested.object_in("a", "c").number("d"), Some(3));
        for (field, inner) in [("a", "b"), ("a", "x"), ("l", "c"), ("x", "c")] {
            assert!(nested.object_in(field, inner).is_empty(), "{field} {inner}");
        }
        assert_eq!(Object::parse(r#"{"a":1"#).unwrap_err(), NoObject::Cut);
        assert_eq!(Object::parse("[1]").unwrap_err(), NoObject::Other);
        assert_eq!(Object::parse("{} {}").unwrap_err(), NoObject::Other);
    }

    #[test]
    fn escapes_are_read_as_serde_json_reads_them() {
        for raw in [
            r#""\"\\\/\b\f\n\r\t""#,
            r#""a\u00e9\u20ac\ud83e\udd9eb""#,
            r#""\ud83e""#,
            r#""\udd9e\ud83e""#,
            r#""\ud83ex\udd9e""#,
            r#""\u0000 \\u0041""#,
            "\"plain \u{1F99E}\"",
            "7",
        ] {
            assert_eq!(text(raw), serde_json::from_str(raw).ok(), "{raw}");
        }
    }

    #[test]
    fn a_name_may_be_escaped() {
        let mut object = Object::parse(r#"{"\u0061\n":1}"#).unwrap();
        assert_eq!(object.number("a\n"), Some(1));
        object.set("a\n", "2");
        object.set_text("\"", "\\");
        assert_eq!(object.json(), r#"{"\u0061\n":2,"\"":"\\"}"#);
        object.keep_last(1);
        assert_eq!(object.json(), r#"{"\"":"\\"}"#);
        object.remove("\"");
        assert_eq!(object.json(), "{}");
    }

    #[test]
    fn an_object_survives_a_round_trip_with_fields_it_does_not_know() {
        let mut object = Object::parse(r#"{"theirs":{"n":1e400}}"#).unwrap();
        object.set_text("ours", "\u{1F99E}");
        let again = Object::parse(object.json()).unwrap();
        assert_eq!(again.raw("theirs"), Some(r#"{"n":1e400}"#));
        assert_eq!(again.text("ours"), "\u{1F99E}");
    }
}
