//! The command line as types. `argh` is named here alone.
//!
//! It is one type for all commands: an option means the same wherever it is taken, and which
//! command takes it is said in `spec`, which `arrange` has looked at before. A type for each
//! command would be thirty parsers, 15 KB of them.

use crate::arrange::Misuse;
use crate::spec::{Command, Verb};
use argh::FromArgs;

/// Joins an agent to a ClawLink relay.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
pub(crate) struct Args {
    /// the relay's URL
    #[argh(option)]
    pub(crate) relay: Option<String>,
    /// the relay's token
    #[argh(option)]
    pub(crate) token: Option<String>,
    /// the name an identity is kept under
    #[argh(option, long = "as")]
    pub(crate) identity: Option<String>,
    /// print JSON
    #[argh(switch)]
    pub(crate) json: bool,
    /// seconds
    #[argh(option)]
    pub(crate) timeout: Option<u64>,

    // Those of the commands, by name. One that is no `Option` has to be given where it is taken.
    /// registered ones too, or every topic
    #[argh(switch)]
    pub(crate) all: bool,
    /// a version
    #[argh(option)]
    pub(crate) base: Option<u64>,
    /// capabilities
    #[argh(option)]
    pub(crate) cap: Option<String>,
    /// capabilities
    #[argh(option)]
    pub(crate) caps: Option<String>,
    /// what to tell
    #[argh(option)]
    pub(crate) content: Option<String>,
    /// a file
    #[argh(option)]
    pub(crate) content_file: Option<String>,
    /// JSON
    #[argh(option)]
    pub(crate) context: Option<String>,
    /// a file
    #[argh(option)]
    pub(crate) context_file: Option<String>,
    /// seconds
    #[argh(option)]
    pub(crate) delay: Option<u64>,
    /// about the agent
    #[argh(option)]
    pub(crate) description: Option<String>,
    /// a line for the shell
    #[argh(option)]
    pub(crate) exec: Option<String>,
    /// where to read
    #[argh(option, default = "String::new()")]
    pub(crate) file: String,
    /// seconds
    #[argh(option, long = "for")]
    pub(crate) seconds: Option<u64>,
    /// whatever is there
    #[argh(switch)]
    pub(crate) force: bool,
    /// own ones
    #[argh(switch)]
    pub(crate) from_me: bool,
    /// shorten nothing
    #[argh(switch)]
    pub(crate) full: bool,
    /// a text
    #[argh(option)]
    pub(crate) grep: Option<String>,
    /// leave them leased
    #[argh(switch)]
    pub(crate) keep: bool,
    /// of a file
    #[argh(option, default = "String::new()")]
    pub(crate) key: String,
    /// so many
    #[argh(option)]
    pub(crate) max: Option<u64>,
    /// with what is there
    #[argh(switch)]
    pub(crate) merge: bool,
    /// a task
    #[argh(option, default = "String::new()")]
    pub(crate) msg_id: String,
    /// of the agent
    #[argh(option, default = "String::new()")]
    pub(crate) name: String,
    /// no topic
    #[argh(switch)]
    pub(crate) none: bool,
    /// not the ended ones
    #[argh(switch)]
    pub(crate) open: bool,
    /// where to write
    #[argh(option)]
    pub(crate) output: Option<String>,
    /// a task
    #[argh(option)]
    pub(crate) parent: Option<String>,
    /// only look
    #[argh(switch)]
    pub(crate) peek: bool,
    /// a word
    #[argh(option)]
    pub(crate) priority: Option<String>,
    /// nothing without mail
    #[argh(switch)]
    pub(crate) quiet: bool,
    /// a sentence
    #[argh(option)]
    pub(crate) reason: Option<String>,
    /// the answer
    #[argh(option)]
    pub(crate) result: Option<String>,
    /// a file
    #[argh(option)]
    pub(crate) result_file: Option<String>,
    /// without a secret, or beside others
    #[argh(switch)]
    pub(crate) shared: bool,
    /// a time
    #[argh(option)]
    pub(crate) since: Option<String>,
    /// a word
    #[argh(option)]
    pub(crate) status: Option<String>,
    /// a word
    #[argh(option)]
    pub(crate) tag: Option<String>,
    /// words
    #[argh(option)]
    pub(crate) tags: Option<String>,
    /// the task
    #[argh(option)]
    pub(crate) task: Option<String>,
    /// a file
    #[argh(option)]
    pub(crate) task_file: Option<String>,
    /// a group of tasks
    #[argh(option)]
    pub(crate) thread: Option<String>,
    /// the agent
    #[argh(option)]
    pub(crate) to: Option<String>,
    /// a capability
    #[argh(option)]
    pub(crate) to_cap: Option<String>,
    /// what is to be done here
    #[argh(switch)]
    pub(crate) to_me: bool,
    /// a word
    #[argh(option)]
    pub(crate) topic: Option<String>,
    /// words
    #[argh(option)]
    pub(crate) topics: Option<String>,
    /// seconds
    #[argh(option)]
    pub(crate) ttl: Option<u64>,
    /// a word
    #[argh(option, long = "type")]
    pub(crate) kind: Option<String>,
    /// an earlier one
    #[argh(option)]
    pub(crate) version: Option<u64>,
    /// seconds
    #[argh(option)]
    pub(crate) wait: Option<u64>,
    /// what is no option
    #[argh(positional)]
    pub(crate) words: Vec<String>,
}

impl Args {
    /// The argument of a command that needs one.
    pub(crate) fn word(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }
}

/// Parses what `arrange` put in order; on wrong usage the hint is how the command is used. They are
/// a kilobyte, which every place that they pass through by themselves copies.
pub(crate) fn parse(command: &Command, line: &[&str]) -> Result<Box<Args>, Misuse> {
    let misuse = |what| Misuse {
        what,
        hint: command.usage_line(),
    };
    let args = match Args::from_args(&["clawlink"], line) {
        Ok(args) => Box::new(args),
        Err(exit) => return Err(misuse(sentence(&exit.output))),
    };
    // The one pair of options of which there must be one.
    if command.verb == Verb::Delegate && args.to.is_some() == args.to_cap.is_some() {
        let what = match args.to {
            None => "missing: --to or --to-cap",
            Some(_) => "--to and --to-cap exclude each other",
        };
        return Err(misuse(what.to_owned()));
    }
    Ok(args)
}

/// `argh`'s words, which come in several lines, on one.
fn sentence(output: &str) -> String {
    let words: Vec<&str> = output.split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec;
    use argh::ArgsInfo;

    fn named(name: &str, takes_value: bool) -> String {
        format!("{name}{}", if takes_value { " value" } else { "" })
    }

    #[test]
    fn the_types_and_the_table_of_commands_say_the_same() {
        let info = Args::get_args_info();
        let flags = info.flags.iter().filter(|flag| flag.long != "--help");
        let mut typed: Vec<String> = flags
            .map(|flag| {
                let switch = matches!(flag.kind, argh::FlagInfoKind::Switch);
                named(flag.long, !switch)
            })
            .collect();
        let options = spec::COMMANDS.iter().flat_map(|command| command.options);
        let mut listed: Vec<String> = spec::GLOBALS
            .iter()
            .chain(options)
            .map(|option| named(option.name, option.takes_value()))
            .collect();
        typed.sort();
        listed.sort();
        listed.dedup();
        assert_eq!(typed, listed);
    }

    #[test]
    fn what_is_no_optional_value_has_to_be_given_to_each_command_that_takes_it() {
        for command in spec::COMMANDS {
            for option in command.options {
                let always = ["--file", "--key", "--msg-id", "--name"].contains(&option.name);
                assert_eq!(
                    command.needs.split(' ').any(|need| need == option.name),
                    always,
                    "{} {}",
                    command.name,
                    option.name
                );
            }
        }
    }

    #[test]
    fn what_is_malformed_is_said_on_one_line() {
        let scan = spec::command("scan").unwrap();
        let misuse = parse(scan, &["--for", "soon"]).err().unwrap();
        assert!(misuse.what.contains("--for") && !misuse.what.contains('\n'));
        assert_eq!(misuse.hint, "usage: clawlink scan [--for S]");
    }
}
