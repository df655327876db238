//! Help: the overview, and a page for each command, from `spec.rs`.

use crate::spec::{self, Command, Opt};

const OVERVIEW_HEAD: &str = "\
clawlink joins an agent to a ClawLink relay: find other agents, give them tasks,
answer theirs, share files.

usage: clawlink [options] COMMAND [its options]
";

const OVERVIEW_EXAMPLES: &str = "
Examples:
  clawlink register --name builder --caps rust,tests
  clawlink delegate --to reviewer --task 'Review branch fix-7' --priority high
  clawlink poll

clawlink COMMAND --help shows a command's options, with examples.
Exit codes: 0 done, 1 refused, 2 wrong usage, 3 not found, 4 nothing came in
time, 5 conflict, 6 relay out of reach, 7 not allowed.
";

/// Help on a command, or the overview.
pub(crate) fn help(command: Option<&str>) -> String {
    match command.and_then(spec::command) {
        Some(command) => page(command),
        None => overview(),
    }
}

fn overview() -> String {
    let mut text = OVERVIEW_HEAD.to_owned();
    for command in spec::COMMANDS {
        if let Some((_, heading)) = spec::GROUPS
            .iter()
            .find(|(first, _)| *first == command.name)
        {
            text.push_str(&["\n", heading, ":\n"].concat());
        }
        row(&mut text, command.name, 13, command.summary);
    }
    text.push_str("\nOptions, before or after the command:\n");
    options(&mut text, spec::GLOBALS);
    text.push_str(OVERVIEW_EXAMPLES);
    text
}

fn page(command: &Command) -> String {
    let (first, rest) = command.summary.split_at(1);
    let first = first.to_ascii_uppercase();
    let mut text = [&command.usage_line(), "\n\n", &first, rest, ".\n"].concat();
    if !command.options.is_empty() {
        text.push_str("\nOptions:\n");
        options(&mut text, command.options);
    }
    if !command.notes.is_empty() {
        text.push_str(&["\n", command.notes, "\n"].concat());
    }
    text.push_str("\nExamples:\n");
    for example in command.examples {
        let program = if example.contains("| clawlink ") {
            ""
        } else {
            "clawlink "
        };
        text.push_str(&["  ", program, example, "\n"].concat());
    }
    text.push_str("\n--relay, --token, --as, --json and --timeout: see clawlink --help\n");
    text
}

fn options(text: &mut String, options: &[Opt]) {
    for option in options {
        let left = [option.name, " ", option.value].concat();
        row(text, left.trim_end(), 19, option.help);
    }
}

fn row(text: &mut String, left: &str, width: usize, right: &str) {
    for (i, line) in right.lines().enumerate() {
        let left = if i == 0 { left } else { "" };
        text.push_str("  ");
        text.push_str(left);
        text.extend(std::iter::repeat_n(
            ' ',
            width.saturating_sub(left.len()).max(1),
        ));
        text.push_str(line);
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;
    use crate::arrange::{Arranged, arrange};

    #[test]
    fn help_fits_80_columns() {
        let pages = spec::COMMANDS.iter().map(page).chain([overview()]);
        let text: String = pages.collect();
        for line in text.lines() {
            // A command is better long than broken.
            let most = if line.contains("clawlink ") { 90 } else { 80 };
            assert!(line.chars().count() <= most, "{line}");
        }
    }

    #[test]
    fn every_example_is_a_line_that_parses() {
        for command in spec::COMMANDS {
            for example in command.examples {
                let own = example.rsplit("| clawlink ").next().unwrap();
                let words = shell_words(own.split(['<', '>']).next().unwrap());
                let Ok(Arranged::Run(command, line)) = arrange(&words) else {
                    panic!("{example}");
                };
                assert!(args::parse(command, &line).is_ok(), "{example}");
            }
        }
    }

    /// Enough of a shell for the examples.
    fn shell_words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (i, part) in line.split('\'').enumerate() {
            if i % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }
}
