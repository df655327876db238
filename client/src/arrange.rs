//! The command line people expect, from the one `argh` takes.
//!
//! `argh` wants global options before the command, knows no `--opt=value`, no bare `-`, no
//! `--version`, and takes whatever follows an option for its value. Here the arguments are
//! checked against `spec.rs`, which also says what a command has to be given, and put into the
//! order that it wants.

use crate::meant;
use crate::spec::{self, Command, Opt};

/// What is to be done with a command line.
#[derive(Debug, PartialEq)]
pub(crate) enum Arranged<'a> {
    /// To be parsed by `argh`: options and values apart, then what is neither.
    Run(&'static Command, Vec<&'a str>),
    /// Help on this command, or the overview.
    Help(Option<&'static str>),
    /// Nothing was typed: the overview, as an error.
    Nothing,
    /// Only the version was asked for.
    Version,
}

/// Wrong usage: what is wrong, and what to type.
#[derive(Debug, PartialEq)]
pub(crate) struct Misuse {
    pub(crate) what: String,
    pub(crate) hint: String,
}

#[derive(Default)]
struct Walk<'a> {
    command: Option<&'static Command>,
    /// The names of the options that were given.
    names: Vec<&'static str>,
    /// The same with their values.
    options: Vec<&'a str>,
    positionals: Vec<&'a str>,
    dashes: usize,
    help: bool,
}

/// Puts the arguments (without the program's name) in order.
pub(crate) fn arrange(args: &[String]) -> Result<Arranged<'_>, Misuse> {
    if args.is_empty() {
        return Ok(Arranged::Nothing);
    }
    let flags = || {
        args.iter()
            .map(String::as_str)
            .take_while(|arg| *arg != "--")
    };
    let mut walk = Walk {
        help: flags().any(|arg| arg == "-h" || arg == "--help"),
        ..Walk::default()
    };
    let walked = walk.all(args);
    if walk.help {
        return Ok(Arranged::Help(walk.command.map(|c| c.name)));
    }
    let asked = |arg: &str| arg == "-V" || (arg == "--version" && !walk.owns(arg));
    if flags().any(asked) {
        return Ok(Arranged::Version);
    }
    walked?;
    let Some(command) = walk.command else {
        return Err(Misuse {
            what: "no command given".to_owned(),
            hint: "clawlink --help".to_owned(),
        });
    };
    if walk.dashes > 1 {
        return Err(Misuse {
            what: "only one value can come from standard input".to_owned(),
            hint: format!(
                "use - once, and a file for the rest: clawlink {} --help",
                command.name
            ),
        });
    }
    let missing = walk.missing(command);
    if !missing.is_empty() {
        return Err(Misuse {
            what: ["missing: ", &missing.join(" ")].concat(),
            hint: command.usage_line(),
        });
    }
    let mut line = walk.options;
    if !walk.positionals.is_empty() {
        line.push("--");
        line.append(&mut walk.positionals);
    }
    Ok(Arranged::Run(command, line))
}

/// What is taken with and without any command.
const EVERYWHERE: [&str; 4] = ["-h", "--help", "-V", "--version"];

impl<'a> Walk<'a> {
    /// Whether an option is one of the command's own: `--version` is, where files have versions.
    fn owns(&self, name: &str) -> bool {
        self.command
            .is_some_and(|command| spec::option(command.options, name).is_some())
    }

    /// What the command needs and was not given.
    fn missing(&self, command: &Command) -> Vec<&'static str> {
        let given = |need: &&str| match need.starts_with('-') {
            true => self.names.contains(need),
            false => !self.positionals.is_empty(),
        };
        let needs = command.needs.split(' ').filter(|need| !need.is_empty());
        needs.filter(|need| !given(need)).collect()
    }

    fn all(&mut self, args: &'a [String]) -> Result<(), Misuse> {
        let mut rest = args.iter();
        let mut only_positionals = false;
        while let Some(arg) = rest.next() {
            if only_positionals || !arg.starts_with('-') || arg == "-" {
                self.word(arg)?;
            } else if arg == "--" {
                only_positionals = true;
            } else if self.owns(arg) || !EVERYWHERE.contains(&arg.as_str()) {
                self.option(arg, &mut rest)?;
            }
        }
        Ok(())
    }

    /// An argument that is no option: the command, then what the command takes.
    fn word(&mut self, word: &'a str) -> Result<(), Misuse> {
        let Some(command) = self.command else {
            if word == "help" {
                self.help = true;
                return Ok(());
            }
            self.command = spec::command(word);
            return match self.command {
                Some(_) => Ok(()),
                None => Err(unknown_command(word)),
            };
        };
        if self.positionals.len() >= command.positionals {
            return Err(Misuse {
                what: format!("{} does not take \"{word}\"", command.name),
                hint: [&command.usage_line(), "; a text with blanks needs quotes"].concat(),
            });
        }
        self.positionals.push(word);
        Ok(())
    }

    fn option(
        &mut self,
        arg: &'a str,
        rest: &mut std::slice::Iter<'a, String>,
    ) -> Result<(), Misuse> {
        let (name, attached) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (arg, None),
        };
        let own = self.command.and_then(|c| spec::option(c.options, name));
        let Some(option) = own.or_else(|| spec::option(spec::GLOBALS, name)) else {
            return Err(unknown_option(self.command, name));
        };
        let value = value(option, attached, rest)?;
        self.names.push(option.name);
        self.options.push(name);
        if let Some(value) = value {
            // `--output -` is standard output.
            self.dashes += usize::from(value == "-" && name != "--output");
            self.options.push(value);
        }
        Ok(())
    }
}

fn value<'a>(
    option: &Opt,
    attached: Option<&'a str>,
    rest: &mut std::slice::Iter<'a, String>,
) -> Result<Option<&'a str>, Misuse> {
    let name = option.name;
    if !option.takes_value() {
        return match attached {
            None => Ok(None),
            Some(_) => Err(Misuse {
                what: format!("{name} takes no value"),
                hint: format!("type {name} alone"),
            }),
        };
    }
    let value = match attached {
        Some(value) => value,
        None => match rest.next().map(String::as_str) {
            Some(value) if value == "-" || !value.starts_with('-') => value,
            _ => {
                return Err(Misuse {
                    what: format!("{name} needs a value"),
                    hint: format!("a value that begins with - is written {name}=-x"),
                });
            }
        },
    };
    if !option.choices.is_empty() && !option.choices.contains(&value) {
        return Err(Misuse {
            what: format!("{name} cannot be \"{value}\""),
            hint: format!("{name} is one of: {}", option.choices.join(", ")),
        });
    }
    Ok(Some(value))
}

fn unknown_command(word: &str) -> Misuse {
    Misuse {
        what: format!("there is no command \"{word}\""),
        hint: match meant::command(word) {
            Some(meant) => format!("did you mean \"{meant}\"? clawlink {meant} --help"),
            None => "clawlink --help lists the commands".to_owned(),
        },
    }
}

fn unknown_option(command: Option<&'static Command>, name: &str) -> Misuse {
    if let Some(owner) = command
        .is_none()
        .then(|| {
            spec::COMMANDS
                .iter()
                .find(|c| spec::option(c.options, name).is_some())
        })
        .flatten()
    {
        return Misuse {
            what: format!("{name} stands before the command it belongs to"),
            hint: format!(
                "put it after the command: clawlink {} {name} ...",
                owner.name
            ),
        };
    }
    let of = command.map_or("clawlink", |c| c.name);
    let help = command.map_or(String::new(), |c| [" ", c.name].concat());
    Misuse {
        what: format!("{of} has no option {name}"),
        hint: match meant::option(command, name) {
            Some(meant) => format!("did you mean \"{meant}\"? clawlink{help} --help"),
            None => format!("clawlink{help} --help lists the options"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> Result<Arranged<'static>, Misuse> {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        arrange(words.leak())
    }

    fn run(words: &[&str]) -> Vec<&'static str> {
        match line(words) {
            Ok(Arranged::Run(_, arranged)) => arranged,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    fn misuse(words: &[&str]) -> Misuse {
        line(words).expect_err("misuse")
    }

    #[test]
    fn global_options_stand_anywhere() {
        assert_eq!(
            run(&[
                "delegate", "--to", "a", "--json", "--task", "x", "--as", "b"
            ])[..],
            ["--to", "a", "--json", "--task", "x", "--as", "b"]
        );
        assert_eq!(
            run(&["--json", "--as=b", "delegate", "--to=a", "--task=x"])[..],
            ["--json", "--as", "b", "--to", "a", "--task", "x"]
        );
    }

    #[test]
    fn a_value_may_begin_with_a_hyphen_or_hold_an_equals_sign_after_an_equals_sign() {
        let arranged = run(&[
            "delegate",
            "--to",
            "a",
            "--task=-x=y",
            "--context={\"a\":1}",
        ]);
        assert_eq!(arranged[2..], ["--task", "-x=y", "--context", "{\"a\":1}"]);
        assert_eq!(run(&["delegate", "--task=", "--to=a"])[..2], ["--task", ""]);
    }

    #[test]
    fn an_option_never_swallows_the_next_one() {
        assert!(
            misuse(&["delegate", "--task", "--priority", "high"])
                .what
                .contains("--task")
        );
        assert!(misuse(&["delegate", "--task"]).what.contains("--task"));
        assert!(misuse(&["poll", "--quiet=1"]).what.contains("no value"));
    }

    #[test]
    fn standard_input_is_read_once() {
        assert_eq!(
            run(&["delegate", "--to", "a", "--task", "-"])[2..],
            ["--task", "-"]
        );
        assert!(
            misuse(&["delegate", "--task=-", "--context", "-"])
                .what
                .contains("standard input")
        );
        run(&["file-get", "--key", "k", "--output", "-"]);
    }

    #[test]
    fn help_and_version_are_heard_anywhere() {
        assert_eq!(line(&["--help"]), Ok(Arranged::Help(None)));
        assert_eq!(
            line(&["delegate", "--to", "-h"]),
            Ok(Arranged::Help(Some("delegate")))
        );
        assert_eq!(
            line(&["-h", "poll", "--nonsense"]),
            Ok(Arranged::Help(Some("poll")))
        );
        assert_eq!(line(&["help", "poll"]), Ok(Arranged::Help(Some("poll"))));
        assert_eq!(line(&["help"]), Ok(Arranged::Help(None)));
        assert_eq!(line(&["poll", "--version"]), Ok(Arranged::Version));
        assert_eq!(
            line(&["--as", "poll", "info", "-h"]),
            Ok(Arranged::Help(Some("info")))
        );
        assert_eq!(run(&["show", "--", "-h"])[..], ["--", "-h"]);
    }

    #[test]
    fn wrong_usage_names_what_was_probably_meant() {
        assert!(
            misuse(&["delgate"])
                .hint
                .contains("did you mean \"delegate\"?")
        );
        assert!(
            misuse(&["delegate", "--taks", "x"])
                .hint
                .contains("\"--task\"")
        );
        assert!(
            misuse(&["--task", "x", "delegate"])
                .hint
                .contains("after the command")
        );
        assert!(misuse(&["poll", "extra"]).what.contains("extra"));
        assert!(misuse(&["show", "a", "b"]).what.contains("\"b\""));
        assert!(
            misuse(&["delegate", "--priority", "asap"])
                .hint
                .contains("urgent")
        );
        assert!(misuse(&["poll", "-q"]).what.contains("-q"));
        assert_eq!(misuse(&["--json"]).what, "no command given");
        assert_eq!(line(&[]), Ok(Arranged::Nothing));
    }

    #[test]
    fn a_word_that_argh_would_take_for_help_stays_a_word() {
        assert_eq!(run(&["show", "help"])[..], ["--", "help"]);
    }

    #[test]
    fn what_is_missing_is_said_with_how_the_command_is_used() {
        let register = misuse(&["register", "--description", "--name"]);
        assert!(register.what.contains("--description"), "no value for it");
        let register = misuse(&["register", "--description=--name"]);
        assert_eq!(register.what, "missing: --name");
        assert!(
            register
                .hint
                .starts_with("usage: clawlink register --name N")
        );
        assert_eq!(misuse(&["file-put"]).what, "missing: --key --file");
        assert_eq!(misuse(&["show"]).what, "missing: id");
        assert_eq!(run(&["show", "id"])[..], ["--", "id"]);
    }
}
