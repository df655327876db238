//! Other agents' text on its way to a terminal, a table or a line of JSON.
//!
//! Control characters (C0, DEL, C1), line and paragraph separators and the bidirectional
//! controls never pass as they are: they can move the cursor, forge lines, or make text read
//! other than it is.

use clawlink_protocol::name::reorders_or_breaks;
use std::fmt::Write;

fn is_dangerous(c: char) -> bool {
    c.is_control() || reorders_or_breaks(c)
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ => {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
    }
}

/// Text that stays on its line.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_dangerous(c) {
            push_escaped(&mut out, c);
        } else {
            out.push(c);
        }
    }
    out
}

/// Text of several lines: line breaks and tabs stay. The caller indents the lines where
/// something else stands above or below that must not be forged.
pub(crate) fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' if chars.peek() == Some(&'\n') => {}
            _ if is_dangerous(c) => push_escaped(&mut out, c),
            _ => out.push(c),
        }
    }
    out
}

/// JSON on one line. Inside a string the dangerous characters become `\uXXXX`, which means the
/// same; outside they can only be white space, which becomes a blank.
pub(crate) fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c < ' ' {
            out.push(' ');
        } else if is_dangerous(c) {
            // All of them are in the basic plane, so four digits do.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// A word as a shell takes it: quoted unless it is plainly harmless.
pub(crate) fn shell(word: &str) -> String {
    let word = line(word);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-/:@,+".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word;
    }
    ["'", &word.replace('\'', "'\\''"), "'"].concat()
}

/// An option with its value, as a shell takes it: ` --to x`, or ` --to=-x`.
pub(crate) fn shell_option(name: &str, value: &str) -> String {
    let join = if value.starts_with('-') { "=" } else { " " };
    [" ", name, join, &shell(value)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str = "a\u{1b}[2Jb\u{7f}c\u{9b}d\u{202e}e\u{2028}f\u{0}g\r";

    #[test]
    fn no_dangerous_character_passes_any_form() {
        for out in [line(NASTY), lines(NASTY), json(NASTY), shell(NASTY)] {
            assert!(!out.contains(is_dangerous), "{out:?}");
        }
    }

    #[test]
    fn harmless_text_stays_as_it_is() {
        let text = "Gr\u{f6}\u{df}e \u{1F99E} \\ \"q\"";
        assert_eq!(line(text), text);
        assert_eq!(json(text), text);
        assert_eq!(lines("a\r\nb\tc"), "a\nb\tc");
        assert_eq!(line("a\nb"), "a\\nb");
        assert_eq!(line("\u{1b}"), "\\u{1b}");
    }

    #[test]
    fn escaped_json_means_the_same_on_one_line() {
        let escaped = json("{\n\t\"a\": \"x\u{7f}\u{9b}\u{202e}\"}");
        assert_eq!(escaped, "{  \"a\": \"x\\u007f\\u009b\\u202e\"}");
        let read: serde_json::Value = serde_json::from_str(&escaped).unwrap();
        assert_eq!(read["a"], "x\u{7f}\u{9b}\u{202e}");
    }

    #[test]
    fn a_word_from_others_cannot_leave_its_quotes() {
        assert_eq!(shell("k3v9x2ab"), "k3v9x2ab");
        assert_eq!(shell("x; rm -rf ~"), "'x; rm -rf ~'");
        assert_eq!(shell("a'$(b)"), "'a'\\''$(b)'");
        assert_eq!(shell(""), "''");
        assert_eq!(shell_option("--to", "-x"), " --to=-x");
        assert_eq!(shell_option("--to", "x y"), " --to 'x y'");
    }
}
