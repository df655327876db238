//! Tables that fit a terminal of 80 columns.

/// Columns of a terminal.
const WIDTH: usize = 80;
/// The least a column is cut down to, unless its content is shorter.
const NARROWEST: usize = 6;
const GAP: usize = 2;

/// A column's heading, and whether its cells are meant to be copied: those are cut last.
pub(crate) struct Column(pub(crate) &'static str, pub(crate) bool);

/// The table as lines, the headings first. Cells must be escaped already.
pub(crate) fn render(columns: &[Column], rows: &[Vec<String>]) -> Vec<String> {
    let widths = fit(columns, rows);
    let mut lines = Vec::with_capacity(rows.len() + 1);
    let headings: Vec<String> = columns.iter().map(|c| c.0.to_owned()).collect();
    for row in std::iter::once(&headings).chain(rows) {
        let mut line = String::new();
        for (cell, &width) in row.iter().zip(&widths) {
            let cell = cut(cell, width);
            let padding = width - width_of(&cell).min(width);
            line.push_str(&cell);
            line.extend(std::iter::repeat_n(' ', padding + GAP));
        }
        line.truncate(line.trim_end().len());
        lines.push(line);
    }
    lines
}

/// The widths of the columns, cut down one by one, the widest first, until they fit.
fn fit(columns: &[Column], rows: &[Vec<String>]) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(|c| width_of(c.0)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(width_of(cell));
        }
    }
    let room = WIDTH.saturating_sub(GAP * columns.len().saturating_sub(1));
    for copied in [false, true] {
        while widths.iter().sum::<usize>() > room {
            let widest = widths
                .iter_mut()
                .zip(columns)
                .filter(|(width, column)| column.1 == copied && **width > NARROWEST)
                .map(|(width, _)| width)
                .max_by_key(|width| **width);
            match widest {
                Some(width) => *width -= 1,
                None => break,
            }
        }
    }
    widths
}

/// The text, with `…` at its end where it was too long.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let mut kept = String::new();
    for c in text.chars() {
        used += char_width(c);
        if used + 1 > width {
            break;
        }
        kept.push(c);
    }
    kept.push('\u{2026}');
    kept
}

/// Columns a text takes on a terminal.
pub(crate) fn width_of(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// The ranges that matter: East Asian and emoji are wide, marks that join take nothing.
fn char_width(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036F | 0x200B..=0x200D | 0xFE00..=0xFE0F => 0,
        0x1100..=0x115F
        | 0x2E80..=0x303E
        | 0x3041..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1F64F
        | 0x1F680..=0x1F6FF
        | 0x1F900..=0x1FAFF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> [Column; 3] {
        [
            Column("NAME", false),
            Column("ID", true),
            Column("CAPABILITIES", false),
        ]
    }

    fn row(cells: [&str; 3]) -> Vec<String> {
        cells.iter().map(|c| (*c).to_owned()).collect()
    }

    #[test]
    fn a_table_fits_80_columns_whatever_stands_in_it() {
        let wide = "\u{65e5}".repeat(300);
        let long = "x".repeat(300);
        let rows = [row([&wide, &long, &long]), row(["\u{1F99E}", "id", ""])];
        for line in render(&columns(), &rows) {
            assert!(width_of(&line) <= WIDTH, "{line}");
        }
    }

    #[test]
    fn what_is_meant_to_be_copied_is_cut_last() {
        let id = "i".repeat(50);
        let rows = [row([&"n".repeat(60), &id, &"c".repeat(60)])];
        let lines = render(&columns(), &rows);
        assert!(lines[1].contains(&id), "{}", lines[1]);
        assert!(lines[1].contains("n\u{2026}"), "{}", lines[1]);
    }

    #[test]
    fn a_short_table_is_as_narrow_as_its_cells() {
        let lines = render(&columns(), &[row(["a", "b", "c"])]);
        assert_eq!(lines, ["NAME  ID  CAPABILITIES", "a     b   c"]);
    }

    #[test]
    fn a_cut_text_ends_with_an_ellipsis_and_never_in_half_a_character() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde\u{2026}");
        assert_eq!(cut("\u{65e5}\u{65e5}\u{65e5}", 4), "\u{65e5}\u{2026}");
    }
}
