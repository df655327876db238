//! What the user hands over: texts from arguments, files and standard input; words in bounds.

use crate::failure::{Failure, local, usage};
use crate::json;
use clawlink_protocol::name::Word;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::Path;

/// More than any relay takes.
const INPUT_MAX: u64 = 64 << 20;

/// The arguments of this process, without the program's name.
pub(crate) fn arguments() -> Result<Vec<String>, Failure> {
    let words = std::env::args_os().skip(1);
    let words: Result<_, _> = words.map(std::ffi::OsString::into_string).collect();
    words.map_err(|word| {
        let shown = word.to_string_lossy().into_owned();
        usage(
            &format!("\"{shown}\" is not UTF-8"),
            "only text can be sent",
        )
    })
}

/// Refuses the number of an option that is outside its range.
pub(crate) fn within(
    option: &str,
    value: Option<u64>,
    range: RangeInclusive<u64>,
    unit: &str,
) -> Result<(), Failure> {
    match value {
        Some(value) if !range.contains(&value) => Err(usage(
            &format!("{option} cannot be {value}"),
            &format!("it takes {} to {} {unit}", range.start(), range.end()),
        )),
        _ => Ok(()),
    }
}

/// A text given by an option (`-` is standard input) or by the option for a file of the same
/// name. Exact to the last byte.
pub(crate) fn text(
    option: &str,
    value: Option<&str>,
    file: Option<&str>,
) -> Result<Option<String>, Failure> {
    match (value, file) {
        (Some(_), Some(_)) => Err(usage(
            &format!("{option} and {option}-file say two things"),
            "give one of them",
        )),
        (Some(value), None) if value != "-" => Ok(Some(value.to_owned())),
        (Some(path), None) | (None, Some(path)) => read(path).map(Some),
        (None, None) => Ok(None),
    }
}

/// The same, where there has to be one, and an empty file is a mistake.
pub(crate) fn body(
    option: &str,
    value: Option<&str>,
    file: Option<&str>,
) -> Result<Box<RawValue>, Failure> {
    let as_argument = value.is_some_and(|value| value != "-");
    let Some(text) = text(option, value, file)? else {
        return Err(usage(
            &format!("missing: {option}"),
            &format!("{option} TEXT, {option} - for standard input, or {option}-file FILE"),
        ));
    };
    if text.is_empty() && !as_argument {
        return Err(usage(
            &format!("{option} is empty: nothing came from standard input or the file"),
            "did the command before the pipe fail?",
        ));
    }
    Ok(json::raw_text(&text))
}

/// The bytes of a file, or of standard input.
pub(crate) fn bytes(path: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let result = if path == "-" {
        io::stdin()
            .lock()
            .take(INPUT_MAX + 1)
            .read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(INPUT_MAX + 1).read_to_end(&mut bytes))
    };
    let shown = shown(path);
    result.map_err(|error| local("cannot read", Path::new(shown), error))?;
    if bytes.len() as u64 > INPUT_MAX {
        return Err(usage(
            &format!("{shown} is larger than 64 MiB"),
            "no relay takes that much",
        ));
    }
    Ok(bytes)
}

/// The UTF-8 text of a file, or of standard input.
pub(crate) fn read(path: &str) -> Result<String, Failure> {
    String::from_utf8(bytes(path)?).map_err(|error| {
        let shown = shown(path);
        usage(
            &format!(
                "{shown} is not UTF-8 text (byte {})",
                error.utf8_error().valid_up_to() + 1
            ),
            "only text can be sent",
        )
    })
}

fn shown(path: &str) -> &str {
    if path == "-" { "standard input" } else { path }
}

/// Refuses a text that is no JSON.
pub(crate) fn check_json(option: &str, text: &str) -> Result<(), Failure> {
    json::check(text).map_err(|error| {
        usage(
            &format!("{option} is not JSON: {error}"),
            &format!("for example {option} '{{\"branch\": \"main\"}}'"),
        )
    })
}

/// A name, topic, tag or capability.
pub(crate) fn word(option: &str, text: &str) -> Result<Word, Failure> {
    Word::parse(text).map_err(|why| usage(&format!("{option} {why}"), ""))
}

/// Words separated by commas; none where there is no option.
pub(crate) fn words(option: &str, list: Option<&str>) -> Result<Option<Vec<Word>>, Failure> {
    let Some(list) = list else {
        return Ok(None);
    };
    let parts = list
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts
        .map(|part| word(option, part))
        .collect::<Result<_, _>>()
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_separated_by_commas_and_blanks_do_not_count() {
        let words = words("--caps", Some("a, b c,,")).unwrap().unwrap();
        let words: Vec<&str> = words.iter().map(Word::as_str).collect();
        assert_eq!(words, ["a", "b c"]);
        assert!(super::words("--caps", Some("a\u{202e}")).is_err());
        assert!(super::words("--caps", None).unwrap().is_none());
    }

    #[test]
    fn a_text_comes_from_one_place() {
        let both = text("--task", Some("x"), Some("f"));
        assert!(both.is_err());
        assert!(body("--task", None, None).is_err());
        assert_eq!(body("--task", Some(""), None).unwrap().get(), "\"\"");
    }

    #[test]
    fn context_keeps_its_digits() {
        let context = r#" {"n":1.50} "#;
        assert!(check_json("--context", context).is_ok());
        let call = json::with("{\"task\":1}", "context", context);
        assert_eq!(call, r#"{"task":1,"context":{"n":1.50}}"#);
        assert!(check_json("--context", "{a:1}").is_err());
    }
}
