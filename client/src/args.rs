//! The command line as types. `argh` is named here and below alone.

mod knowing;

use crate::arrange::Misuse;
use argh::FromArgs;
pub(crate) use knowing::{Knowledge, Release, Reserve, Reserved, Subscribe};

/// Joins an agent to a ClawLink relay.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
pub(crate) struct Top {
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
    #[argh(subcommand)]
    pub(crate) command: Command,
}

/// One of the commands.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand)]
pub(crate) enum Command {
    Register(Register),
    Discover(Discover),
    Heartbeat(Heartbeat),
    Deregister(Deregister),
    Delegate(Delegate),
    Poll(Poll),
    Ack(Ack),
    Nack(Nack),
    Wait(Wait),
    Watch(Watch),
    Show(Show),
    Respond(Respond),
    Tasks(Tasks),
    Task(Task),
    Cancel(Cancel),
    Input(Input),
    Broadcast(Broadcast),
    Knowledge(Knowledge),
    Subscribe(Subscribe),
    FilePut(FilePut),
    FileGet(FileGet),
    FileList(FileList),
    Reserve(Reserve),
    Reserved(Reserved),
    Release(Release),
    FileRm(FileRm),
    FileLog(FileLog),
    Scan(Scan),
    Info(Info),
    Completions(Completions),
}

/// Joins the relay.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "register")]
pub(crate) struct Register {
    /// name
    #[argh(option)]
    pub(crate) name: String,
    /// capabilities
    #[argh(option)]
    pub(crate) caps: Option<String>,
    /// about the agent
    #[argh(option)]
    pub(crate) description: Option<String>,
    /// seconds
    #[argh(option)]
    pub(crate) ttl: Option<u64>,
    /// words
    #[argh(option)]
    pub(crate) topics: Option<String>,
    /// without a secret
    #[argh(switch)]
    pub(crate) shared: bool,
}

/// Lists agents.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "discover")]
pub(crate) struct Discover {
    /// stale ones too
    #[argh(switch)]
    pub(crate) all: bool,
    /// a capability
    #[argh(option)]
    pub(crate) cap: Option<String>,
}

/// Stays online.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "heartbeat")]
pub(crate) struct Heartbeat {}

/// Leaves the relay.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "deregister")]
pub(crate) struct Deregister {}

/// Gives a task to an agent.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "delegate")]
pub(crate) struct Delegate {
    /// the agent
    #[argh(option)]
    pub(crate) to: Option<String>,
    /// a capability
    #[argh(option)]
    pub(crate) to_cap: Option<String>,
    /// the task
    #[argh(option)]
    pub(crate) task: Option<String>,
    /// a file
    #[argh(option)]
    pub(crate) task_file: Option<String>,
    /// JSON
    #[argh(option)]
    pub(crate) context: Option<String>,
    /// a file
    #[argh(option)]
    pub(crate) context_file: Option<String>,
    /// a word
    #[argh(option)]
    pub(crate) priority: Option<String>,
    /// seconds
    #[argh(option)]
    pub(crate) wait: Option<u64>,
    /// a group of tasks
    #[argh(option)]
    pub(crate) thread: Option<String>,
    /// a task
    #[argh(option)]
    pub(crate) parent: Option<String>,
}

/// Takes and prints messages.
#[derive(FromArgs, Default)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "poll")]
pub(crate) struct Poll {
    /// seconds
    #[argh(option)]
    pub(crate) wait: Option<u64>,
    /// messages
    #[argh(option)]
    pub(crate) max: Option<u64>,
    /// only look
    #[argh(switch)]
    pub(crate) peek: bool,
    /// leave them leased
    #[argh(switch)]
    pub(crate) keep: bool,
    /// nothing without mail
    #[argh(switch)]
    pub(crate) quiet: bool,
    /// shorten nothing
    #[argh(switch)]
    pub(crate) full: bool,
}

/// Acknowledges messages.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "ack")]
pub(crate) struct Ack {
    /// receipts
    #[argh(positional)]
    pub(crate) receipts: Vec<String>,
}

/// Gives messages back.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "nack")]
pub(crate) struct Nack {
    /// receipts
    #[argh(positional)]
    pub(crate) receipts: Vec<String>,
    /// seconds
    #[argh(option)]
    pub(crate) delay: Option<u64>,
}

/// Waits for mail.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "wait")]
pub(crate) struct Wait {
    /// seconds
    #[argh(option, long = "for")]
    pub(crate) seconds: Option<u64>,
}

/// Receives for as long as it is let.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "watch")]
pub(crate) struct Watch {
    /// a line for the shell
    #[argh(option)]
    pub(crate) exec: Option<String>,
}

/// Prints a kept message.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "show")]
pub(crate) struct Show {
    /// its id
    #[argh(positional)]
    pub(crate) id: String,
}

/// Answers a task.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "respond")]
pub(crate) struct Respond {
    /// who gave the task
    #[argh(option)]
    pub(crate) to: Option<String>,
    /// the task
    #[argh(option)]
    pub(crate) msg_id: String,
    /// the answer
    #[argh(option)]
    pub(crate) result: Option<String>,
    /// a file
    #[argh(option)]
    pub(crate) result_file: Option<String>,
    /// a word
    #[argh(option)]
    pub(crate) status: Option<String>,
}

/// Lists tasks.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "tasks")]
pub(crate) struct Tasks {
    /// not the ended ones
    #[argh(switch)]
    pub(crate) open: bool,
    /// own ones
    #[argh(switch)]
    pub(crate) from_me: bool,
    /// what is to be done here
    #[argh(switch)]
    pub(crate) to_me: bool,
}

/// Shows a task.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "task")]
pub(crate) struct Task {
    /// its id
    #[argh(positional)]
    pub(crate) id: String,
    /// seconds
    #[argh(option)]
    pub(crate) wait: Option<u64>,
}

/// Calls a task off.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "cancel")]
pub(crate) struct Cancel {
    /// its id
    #[argh(positional)]
    pub(crate) id: String,
}

/// Tells an assignee what it asked.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "input")]
pub(crate) struct Input {
    /// the task
    #[argh(positional)]
    pub(crate) id: String,
    /// what to tell
    #[argh(option)]
    pub(crate) content: Option<String>,
    /// a file
    #[argh(option)]
    pub(crate) content_file: Option<String>,
}

/// Tells every agent something.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "broadcast")]
pub(crate) struct Broadcast {
    /// what to tell
    #[argh(option)]
    pub(crate) content: Option<String>,
    /// a file
    #[argh(option)]
    pub(crate) content_file: Option<String>,
    /// a word
    #[argh(option)]
    pub(crate) topic: Option<String>,
    /// words
    #[argh(option)]
    pub(crate) tags: Option<String>,
}

/// Stores a shared file.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "file-put")]
pub(crate) struct FilePut {
    /// its key
    #[argh(option)]
    pub(crate) key: String,
    /// where to read it
    #[argh(option)]
    pub(crate) file: String,
    /// a word
    #[argh(option, long = "type")]
    pub(crate) kind: Option<String>,
    /// a version
    #[argh(option)]
    pub(crate) base: Option<u64>,
    /// whatever is there
    #[argh(switch)]
    pub(crate) force: bool,
    /// with what is there
    #[argh(switch)]
    pub(crate) merge: bool,
}

/// Reads a shared file.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "file-get")]
pub(crate) struct FileGet {
    /// its key
    #[argh(option)]
    pub(crate) key: String,
    /// where to write it
    #[argh(option)]
    pub(crate) output: Option<String>,
    /// an earlier one
    #[argh(option)]
    pub(crate) version: Option<u64>,
}

/// Lists shared files.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "file-list")]
pub(crate) struct FileList {}

/// Deletes a shared file.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "file-rm")]
pub(crate) struct FileRm {
    /// its key
    #[argh(option)]
    pub(crate) key: String,
}

/// Lists the versions of a shared file.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "file-log")]
pub(crate) struct FileLog {
    /// its key
    #[argh(option)]
    pub(crate) key: String,
}

/// Looks for relays.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "scan")]
pub(crate) struct Scan {
    /// seconds
    #[argh(option, long = "for")]
    pub(crate) duration: Option<u64>,
}

/// Shows the relay.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "info")]
pub(crate) struct Info {}

/// Prints completions.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "completions")]
pub(crate) struct Completions {
    /// the shell
    #[argh(positional)]
    pub(crate) shell: String,
}

/// Parses what `arrange` put in order.
pub(crate) fn parse(line: &[String]) -> Result<Top, Misuse> {
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let misuse = |what| Misuse {
        what,
        hint: String::new(),
    };
    let top = Top::from_args(&["clawlink"], &line);
    let top = top.map_err(|exit| misuse(sentence(&exit.output)))?;
    // The one pair of options of which there must be one.
    if let Command::Delegate(Delegate { to, to_cap, .. }) = &top.command
        && to.is_some() == to_cap.is_some()
    {
        let what = match to {
            None => "missing: --to or --to-cap",
            Some(_) => "--to and --to-cap exclude each other",
        };
        return Err(misuse(what.to_owned()));
    }
    Ok(top)
}

/// `argh`'s words, which come in several lines, on one.
fn sentence(output: &str) -> String {
    let words: Vec<&str> = output.split_whitespace().collect();
    let line = words.join(" ");
    match line.strip_prefix("Required options not provided:") {
        Some(missing) => ["missing:", missing].concat(),
        None => match line.strip_prefix("Required positional arguments not provided:") {
            Some(missing) => ["missing:", missing].concat(),
            None => line,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec;
    use argh::ArgsInfo;

    fn parsed(words: &[&str]) -> Result<Top, Misuse> {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        parse(&words)
    }

    fn long_names(info: &argh::CommandInfoWithArgs) -> Vec<String> {
        let mut names: Vec<String> = info
            .flags
            .iter()
            .filter(|flag| !flag.hidden && flag.long != "--help")
            .map(|flag| {
                let switch = matches!(flag.kind, argh::FlagInfoKind::Switch);
                format!("{}{}", flag.long, if switch { "" } else { " value" })
            })
            .collect();
        names.sort();
        names
    }

    fn spec_names(options: &[spec::Opt]) -> Vec<String> {
        let mut names: Vec<String> = options
            .iter()
            .map(|o| format!("{}{}", o.name, if o.takes_value() { " value" } else { "" }))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_types_and_the_table_of_commands_say_the_same() {
        let top = Top::get_args_info();
        assert_eq!(long_names(&top), spec_names(spec::GLOBALS));
        assert_eq!(top.commands.len(), spec::COMMANDS.len());
        for (info, command) in top.commands.iter().zip(spec::COMMANDS) {
            assert_eq!(info.name, command.name);
            assert_eq!(
                long_names(&info.command),
                spec_names(command.options),
                "{}",
                info.name
            );
            assert_eq!(
                info.command.positionals.is_empty(),
                command.positionals == 0
            );
        }
    }

    #[test]
    fn what_is_missing_or_malformed_is_said_on_one_line() {
        let misuse = parsed(&["register"]).err().unwrap();
        assert_eq!(misuse.what, "missing: --name");
        let misuse = parsed(&["show"]).err().unwrap();
        assert_eq!(misuse.what, "missing: id");
        let misuse = parsed(&["scan", "--for", "soon"]).err().unwrap();
        assert!(misuse.what.contains("--for") && !misuse.what.contains('\n'));
    }
}
