//! Every command and option, with its help: what the arrangement of arguments, the help and
//! the completions know. `args.rs` holds the same as types; a test keeps the two equal.

mod commands;
mod knowing;

pub(crate) use commands::COMMANDS;

/// An option, of a command or of all.
#[derive(Debug, PartialEq)]
pub(crate) struct Opt {
    /// With its two hyphens.
    pub(crate) name: &'static str,
    /// What stands for its value in help; empty for a switch.
    pub(crate) value: &'static str,
    /// The only values it takes; empty where there are others.
    pub(crate) choices: &'static [&'static str],
    pub(crate) help: &'static str,
}

impl Opt {
    /// Whether it is followed by a value.
    pub(crate) const fn takes_value(&self) -> bool {
        !self.value.is_empty()
    }
}

const fn opt(name: &'static str, value: &'static str, help: &'static str) -> Opt {
    let choices = &[];
    Opt {
        name,
        value,
        choices,
        help,
    }
}

const fn choice(
    name: &'static str,
    choices: &'static [&'static str],
    value: &'static str,
    help: &'static str,
) -> Opt {
    Opt {
        name,
        value,
        choices,
        help,
    }
}

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verb {
    Register,
    Discover,
    Heartbeat,
    Deregister,
    Delegate,
    Poll,
    Ack,
    Nack,
    Wait,
    Watch,
    Show,
    Respond,
    Tasks,
    Task,
    Cancel,
    Input,
    Broadcast,
    Knowledge,
    Subscribe,
    FilePut,
    FileGet,
    FileList,
    Reserve,
    Reserved,
    Release,
    FileRm,
    FileLog,
    Scan,
    Info,
    Completions,
}

/// A command.
#[derive(Debug, PartialEq)]
pub(crate) struct Command {
    pub(crate) name: &'static str,
    pub(crate) verb: Verb,
    /// What stands after the name in its usage line.
    pub(crate) usage: &'static str,
    pub(crate) summary: &'static str,
    /// How many arguments it takes that are no options.
    pub(crate) positionals: usize,
    /// What has to be given: options, and what its argument is called; blanks between them.
    pub(crate) needs: &'static str,
    pub(crate) options: &'static [Opt],
    /// Paragraphs below the options; may be empty.
    pub(crate) notes: &'static str,
    /// Command lines without the program's name.
    pub(crate) examples: &'static [&'static str],
}

impl Command {
    /// How it is used, on one line.
    pub(crate) fn usage_line(&self) -> String {
        let usage = ["usage: clawlink ", self.name, " ", self.usage].concat();
        usage.trim_end().to_owned()
    }
}

/// The options of all commands.
pub(crate) const GLOBALS: &[Opt] = &[
    opt(
        "--relay",
        "URL",
        "the relay, e.g. http://host:9077; else CLAWLINK_RELAY,\nelse the one registered at, else http://localhost:9077",
    ),
    opt(
        "--token",
        "T",
        "the relay's token; else CLAWLINK_TOKEN,\nelse the content of the file CLAWLINK_TOKEN_FILE",
    ),
    opt(
        "--as",
        "NAME",
        "use the identity kept under this name (CLAWLINK_AGENT),\nso that several sessions can share a machine",
    ),
    opt("--json", "", "print JSON, one value a line"),
    opt(
        "--timeout",
        "S",
        "seconds for connecting, with retries, and for a reply (10)",
    ),
];

/// The headings of the overview, each with the first command below it.
pub(crate) const GROUPS: &[(&str, &str)] = &[
    ("register", "Who is there"),
    ("delegate", "Messages"),
    ("file-put", "Shared files"),
    ("scan", "The relay"),
];

/// The command of that name.
pub(crate) fn command(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|c| c.name == name)
}

/// The option of that name.
pub(crate) fn option(options: &'static [Opt], name: &str) -> Option<&'static Opt> {
    options.iter().find(|o| o.name == name)
}
