//! What was probably meant by a word that is no command or option.

use crate::spec::{COMMANDS, Command, GLOBALS};

/// Words that people type for a command of ours.
const MEANT: &[(&str, &str)] = &[
    ("join", "register"),
    ("login", "register"),
    ("agents", "discover"),
    ("list", "discover"),
    ("ls", "discover"),
    ("who", "discover"),
    ("send", "delegate"),
    ("task", "delegate"),
    ("message", "delegate"),
    ("ask", "delegate"),
    ("inbox", "poll"),
    ("receive", "poll"),
    ("messages", "poll"),
    ("read", "poll"),
    ("listen", "watch"),
    ("follow", "watch"),
    ("reply", "respond"),
    ("answer", "respond"),
    ("announce", "broadcast"),
    ("publish", "broadcast"),
    ("put", "file-put"),
    ("upload", "file-put"),
    ("get", "file-get"),
    ("download", "file-get"),
    ("files", "file-list"),
    ("status", "info"),
    ("whoami", "info"),
    ("ping", "info"),
    ("leave", "deregister"),
    ("unregister", "deregister"),
    ("completion", "completions"),
];

/// The command that was probably meant.
pub(crate) fn command(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    let known = MEANT.iter().find(|(said, _)| *said == word);
    known
        .map(|(_, meant)| *meant)
        .or_else(|| nearest(&word, COMMANDS.iter().map(|c| c.name)))
}

/// The option that was probably meant.
pub(crate) fn option(command: Option<&'static Command>, word: &str) -> Option<&'static str> {
    let own = command.map_or(&[][..], |c| c.options);
    nearest(word, own.iter().chain(GLOBALS).map(|o| o.name))
}

/// The candidate that is fewer than about a third of its letters away.
fn nearest(word: &str, candidates: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    candidates
        .map(|candidate| (distance(word.as_bytes(), candidate.as_bytes()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance. Words far longer than any of ours are not compared.
fn distance(a: &[u8], b: &[u8]) -> usize {
    if a.len() > 32 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec;

    #[test]
    fn a_mistyped_command_finds_the_one_that_was_meant() {
        assert_eq!(command("delegat"), Some("delegate"));
        assert_eq!(command("fileput"), Some("file-put"));
        assert_eq!(command("Pol"), Some("poll"));
        assert_eq!(command("send"), Some("delegate"));
        assert_eq!(command("xyzzy"), None);
        assert_eq!(command(&"x".repeat(1000)), None);
        assert!(
            MEANT
                .iter()
                .all(|(_, meant)| spec::command(meant).is_some())
        );
    }

    #[test]
    fn a_mistyped_option_finds_the_one_that_was_meant() {
        assert_eq!(option(spec::command("delegate"), "--taks"), Some("--task"));
        assert_eq!(option(spec::command("poll"), "--jsno"), Some("--json"));
        assert_eq!(option(None, "--frobnicate"), None);
    }
}
