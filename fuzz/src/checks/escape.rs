use crate::escape::{json, line, lines, shell, shell_option};
use crate::table::{Column, cut, render, width_of};
use serde_json::Value;

/// Another agent's text on its way to a terminal.
pub fn escape(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    safe(&line(&text), &[]);
    safe(&lines(&text), &['\n', '\t']);
    safe(&json(&text), &[]);
    safe(&shell(&text), &[]);

    // JSON means the same.
    if let Ok(value) = serde_json::from_str::<Value>(&text) {
        assert_eq!(
            serde_json::from_str::<Value>(&json(&text)).ok(),
            Some(value)
        );
    }

    assert_eq!(words(&shell(&text)), [line(&text)]);
    match &words(&shell_option("--to", &text))[..] {
        [option, value] => assert_eq!((option.as_str(), value), ("--to", &line(&text))),
        [both] => assert_eq!(both.strip_prefix("--to="), Some(line(&text).as_str())),
        words => panic!("{words:?}"),
    }

    table(&text);
}

/// Nothing that moves a cursor, makes a line of its own, or turns text round.
fn safe(text: &str, but: &[char]) {
    for c in text.chars().filter(|c| !but.contains(c)) {
        let bidi =
            matches!(u32::from(c), 0x61C | 0x200E | 0x200F | 0x202A..=0x202E | 0x2066..=0x2069);
        let breaks = matches!(u32::from(c), 0..=0x1F | 0x7F..=0x9F | 0x2028 | 0x2029);
        assert!(!bidi && !breaks, "{c:?} in {text:?}");
    }
}

/// The words that a POSIX shell makes of a line in which nothing is special but blanks, quotes and
/// backslashes; panics where something else is.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut quoted) = (None, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            _ if quoted => String::push(word.get_or_insert_default(), c),
            ' ' => words.extend(word.take()),
            '\\' => word
                .get_or_insert_default()
                .push(chars.next().expect("escaped")),
            _ => {
                assert!(
                    c.is_ascii_alphanumeric() || "._-/:@,+=".contains(c),
                    "{c:?} is bare"
                );
                word.get_or_insert_default().push(c);
            }
        }
    }
    assert!(!quoted, "an open quote: {line:?}");
    words.extend(word);
    words
}

/// Rows of cells with tabs between them.
fn table(text: &str) {
    let columns = [
        Column("NAME", false),
        Column("ID", true),
        Column("CAPABILITIES", false),
    ];
    let rows: Vec<Vec<String>> = text
        .split('\n')
        .map(|row| row.splitn(columns.len(), '\t').map(line).collect())
        .collect();
    let rendered = render(&columns, &rows);
    assert_eq!(rendered.len(), rows.len() + 1);
    for line in rendered {
        safe(&line, &[]);
        assert!(width_of(&line) <= 80, "{line:?}");
    }
    for width in [1, 2, 7, 80] {
        let short = cut(text, width);
        assert!(width_of(&short) <= width, "{short:?}");
    }
}
