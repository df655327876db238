//! What was measured, as rows of one table.

use crate::goals::Goal;
use std::fmt;

/// A number and its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figure(pub(crate) f64, pub(crate) &'static str);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figure(value, unit) = *self;
        let text = match value.abs() {
            0.0..10.0 => format!("{value:.2}"),
            10.0..100.0 => format!("{value:.1}"),
            _ => thousands(value),
        };
        match unit {
            "" => f.write_str(&text),
            unit => write!(f, "{text} {unit}"),
        }
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut out = String::from(if value < 0.0 { "-" } else { "" });
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// One measurement.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    name: &'static str,
    what: String,
    ours: Option<Figure>,
    compared: Option<(&'static str, Figure)>,
    ratio: Option<f64>,
    /// Rates, percentiles; or why nothing was measured.
    notes: String,
}

/// The heads of its columns.
pub(crate) const COLUMNS: [&str; 7] = ["name", "what", "ours", "compared", "ratio", "goal", "met"];

impl Row {
    /// A value of ours alone.
    pub(crate) fn alone(name: &'static str, what: impl Into<String>, ours: Figure) -> Row {
        Row {
            name,
            what: what.into(),
            ours: Some(ours),
            compared: None,
            ratio: None,
            notes: String::new(),
        }
    }

    /// Ours against another's.
    pub(crate) fn against(
        name: &'static str,
        what: impl Into<String>,
        ours: Figure,
        other: (&'static str, Figure),
        ratio: f64,
    ) -> Row {
        Row {
            compared: Some(other),
            ratio: Some(ratio),
            ..Row::alone(name, what, ours)
        }
    }

    /// Nothing was measured, because something is not here.
    pub(crate) fn skipped(name: &'static str, why: impl Into<String>) -> Row {
        Row::without(name, format!("skipped: {}", why.into()))
    }

    /// Nothing was measured, because something went wrong.
    pub(crate) fn failed(name: &'static str, why: impl Into<String>) -> Row {
        Row::without(name, format!("FAILED: {}", why.into()))
    }

    fn without(name: &'static str, why: String) -> Row {
        Row {
            ours: None,
            ..Row::alone(name, why, Figure(0.0, ""))
        }
    }

    /// With what else is to be said.
    pub(crate) fn noting(mut self, notes: impl Into<String>) -> Row {
        self.notes = notes.into();
        self
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// What else is to be said.
    pub(crate) fn notes(&self) -> &str {
        &self.notes
    }

    /// Its columns.
    pub(crate) fn cells(&self) -> [String; 7] {
        let goal = Goal::of(self.name);
        let judged = self.ratio.or(self.ours.map(|Figure(value, _)| value));
        let unit = match (self.ratio, self.ours) {
            (None, Some(Figure(_, unit))) => unit,
            _ => "",
        };
        let met = match (goal, judged) {
            (Some(goal), Some(value)) if goal.met(value) => "yes",
            (Some(_), Some(_)) => "NO",
            _ => "",
        };
        [
            self.name.to_owned(),
            self.what.clone(),
            self.ours.map(|ours| ours.to_string()).unwrap_or_default(),
            self.compared
                .map(|(who, figure)| format!("{figure} ({who})"))
                .unwrap_or_default(),
            self.ratio
                .map(|ratio| format!("{ratio:.2}"))
                .unwrap_or_default(),
            goal.map(|goal| format!("{} {}", goal.sign(), Figure(goal.value(), unit)))
                .unwrap_or_default(),
            met.to_owned(),
        ]
    }
}

/// Prints rows as they come.
pub(crate) fn print(rows: &[Row]) {
    for row in rows {
        println!("{}", line(&row.cells()));
        if !row.notes.is_empty() {
            println!("    {}", row.notes);
        }
    }
}

/// Cells in columns.
pub(crate) fn line<T: AsRef<str>>(cells: &[T; 7]) -> String {
    let [name, what, ours, compared, ratio, goal, met] = cells.each_ref().map(AsRef::as_ref);
    let line =
        format!("{name:<18} {what:<52} {ours:>14} {compared:>24} {ratio:>6} {goal:>14} {met}");
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_digits_that_matter() {
        assert_eq!(Figure(1.234, "us").to_string(), "1.23 us");
        assert_eq!(Figure(1_234_567.8, "").to_string(), "1,234,568");
        assert_eq!(Figure(12.34, "%").to_string(), "12.3 %");
    }
}
