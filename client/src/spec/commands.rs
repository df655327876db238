//! The table of commands.

use super::knowing::{KNOWLEDGE, RELEASE, RESERVE, RESERVED, SUBSCRIBE};
use super::{Command, Opt, choice, opt};

const STDIN_NOTE: &str = "\
A text given as an argument passes through your shell, which runs `backticks`
and $(...) in it. Standard input (-) or a file is exact.";

const TASK: Opt = opt(
    "--task",
    "T|-",
    "what is to be done; - reads standard input",
);
const CONTEXT: Opt = opt("--context", "JSON|-", "what helps to do it, as JSON");
const STATUS: &[&str] = &[
    "completed",
    "in_progress",
    "input_required",
    "failed",
    "rejected",
];
const PRIORITY: &[&str] = &["low", "normal", "high", "urgent"];

/// The commands, in the order of the overview.
pub(crate) const COMMANDS: &[Command] = &[
    Command {
        name: "register",
        usage: "--name N [options]",
        summary: "join the relay; keeps its id on a second call",
        positionals: 0,
        options: &[
            opt("--name", "N", "how others see and address this agent"),
            opt("--caps", "A,B", "capabilities, separated by commas"),
            opt("--description", "D", "one sentence about this agent"),
            opt(
                "--ttl",
                "S",
                "seconds of silence until it counts as stale (30 to 86400)",
            ),
            opt(
                "--topics",
                "A,B",
                "hear only broadcasts of these topics; see subscribe",
            ),
            opt(
                "--shared",
                "",
                "take no secret: others may speak for it too",
            ),
        ],
        notes: "\
Unless it is --shared, the agent is claimed by a secret that is kept beside its
id and sent to this relay only: nobody else can read its mail or speak for it.
--shared is for an identity that scripts use as well which know no secrets.",
        examples: &[
            "register --name researcher --caps search,summaries",
            "--relay http://10.0.0.5:9077 register --name builder --ttl 3600",
            "--as second register --name reviewer",
        ],
    },
    Command {
        name: "discover",
        usage: "[--all] [--cap C,...]",
        summary: "list the agents that are online",
        positionals: 0,
        options: &[
            opt(
                "--all",
                "",
                "also those that have not been heard for a while",
            ),
            opt(
                "--cap",
                "C,...",
                "only those with all of these capabilities",
            ),
        ],
        notes: "A stale agent keeps its inbox: what is sent to it waits until it polls again.",
        examples: &[
            "discover",
            "discover --cap search --json",
            "discover --all --cap rust,tests",
        ],
    },
    Command {
        name: "heartbeat",
        usage: "",
        summary: "stay online; registers again where the relay forgot the agent",
        positionals: 0,
        options: &[],
        notes: "A poll counts as a heartbeat too.",
        examples: &["heartbeat"],
    },
    Command {
        name: "deregister",
        usage: "",
        summary: "leave the relay and forget the identity",
        positionals: 0,
        options: &[],
        notes: "",
        examples: &["deregister", "--as second deregister"],
    },
    Command {
        name: "delegate",
        usage: "--to A|--to-cap C --task T|- [options]",
        summary: "give a task to another agent",
        positionals: 0,
        options: &[
            opt("--to", "A", "the agent: its id or its name"),
            opt(
                "--to-cap",
                "C",
                "or anybody online with this capability, who has least to do",
            ),
            TASK,
            opt("--task-file", "F", "read the task from a file"),
            CONTEXT,
            opt("--context-file", "F", "read the context from a file"),
            choice(
                "--priority",
                PRIORITY,
                "P",
                "low, normal, high or urgent (normal)",
            ),
            opt(
                "--wait",
                "S",
                "wait up to S seconds for the result, and print it",
            ),
            opt("--thread", "I", "an id that groups tasks"),
            opt("--parent", "I", "the task that this one is a part of"),
        ],
        notes: STDIN_NOTE,
        examples: &[
            "delegate --to builder --task 'Run the tests on main'",
            "delegate --to builder --task 'Which branch is broken?' --wait 300",
            "delegate --to-cap rust --task-file task.md --priority high",
            "delegate --to builder --context '{\"branch\":\"fix-7\"}' --task - < task.md",
        ],
    },
    Command {
        name: "poll",
        usage: "[options]",
        summary: "print the messages that wait, and take them",
        positionals: 0,
        options: &[
            opt("--wait", "S", "wait up to S seconds for mail"),
            opt("--max", "N", "at most N messages (50)"),
            opt("--peek", "", "only look: nothing is taken"),
            opt(
                "--keep",
                "",
                "leave them leased for an hour, until ack or nack",
            ),
            opt("--quiet", "", "print nothing when there is no mail"),
            opt("--full", "", "print long bodies whole"),
        ],
        notes: "What was printed is acknowledged; what could not be printed comes again. A long\n\
            body is printed short; `clawlink show ID` prints the whole of it, also later. With\n\
            --json nothing is shortened.",
        examples: &["poll", "poll --quiet --json", "poll --wait 300 --keep"],
    },
    Command {
        name: "ack",
        usage: "RECEIPT...",
        summary: "say that kept messages are done with",
        positionals: usize::MAX,
        options: &[],
        notes: "Receipts stand below the messages that poll --keep prints.",
        examples: &["ack x7q21 x7q22"],
    },
    Command {
        name: "nack",
        usage: "RECEIPT... [--delay S]",
        summary: "give kept messages back, to come again",
        positionals: usize::MAX,
        options: &[opt(
            "--delay",
            "S",
            "not before S seconds have passed, to 3600",
        )],
        notes: "",
        examples: &["nack x7q21 --delay 600"],
    },
    Command {
        name: "wait",
        usage: "[--for S]",
        summary: "wait until there is mail, and take none",
        positionals: 0,
        options: &[opt(
            "--for",
            "S",
            "give up after S seconds, with exit code 4",
        )],
        notes: "For hooks and loops: exit code 0 and one line when there is mail.",
        examples: &["wait --for 600"],
    },
    Command {
        name: "watch",
        usage: "[--exec CMD]",
        summary: "receive until stopped: print each message, or run CMD for it",
        positionals: 0,
        options: &[opt(
            "--exec",
            "CMD",
            "run sh -c CMD for each message, one after the other, with\n\
            the message as a line of JSON on its standard input",
        )],
        notes: "Where CMD fails, its message comes again, in 10, 30, 90 and 270 s; the fifth\n\
            time it is given up. CMD may take hours. While the relay is away, watch waits\n\
            for it. SIGTERM lets CMD finish; with nothing in hand it ends watch at once.",
        examples: &[
            "watch",
            "watch --json >> mail.jsonl",
            "watch --exec './on-message'",
            "--as second watch --exec 'cat >> mail.jsonl'",
        ],
    },
    Command {
        name: "show",
        usage: "ID",
        summary: "print the whole of a message that poll printed short",
        positionals: 1,
        options: &[],
        notes: "The last 200 are kept in messages/ of ~/.clawlink.",
        examples: &["show k3v9x2ab"],
    },
    Command {
        name: "respond",
        usage: "--msg-id I --result R|- [options]",
        summary: "answer a task",
        positionals: 0,
        options: &[
            opt(
                "--to",
                "A",
                "who gave the task; found by the relay unless given",
            ),
            opt("--msg-id", "I", "the task's id"),
            opt("--result", "R|-", "the answer; - reads standard input"),
            opt("--result-file", "F", "read the answer from a file"),
            choice(
                "--status",
                STATUS,
                "S",
                "completed, in_progress, input_required, failed or\nrejected (completed)",
            ),
        ],
        notes: STDIN_NOTE,
        examples: &[
            "respond --msg-id k3v9x2ab --result 'All 212 tests pass'",
            "respond --to researcher --msg-id k3v9x2ab --status failed --result - < log.txt",
        ],
    },
    Command {
        name: "tasks",
        usage: "[options]",
        summary: "list tasks, newest first",
        positionals: 0,
        options: &[
            opt("--open", "", "only those that have not ended"),
            opt("--to-me", "", "only those given to this agent"),
            opt("--from-me", "", "only those this agent has given"),
        ],
        notes: "A task is queued, delivered, in_progress or input_required while it is open;\n\
            completed, failed, rejected, canceled, expired or undeliverable in the end.\n\
            Delivered means handed over: nobody has answered yet.",
        examples: &["tasks --open --to-me", "tasks --from-me"],
    },
    Command {
        name: "task",
        usage: "ID [--wait S]",
        summary: "show a task and its result",
        positionals: 1,
        options: &[opt(
            "--wait",
            "S",
            "wait up to S seconds for its end, print its result",
        )],
        notes: "With --wait it exits 0 when the task was completed, 1 when it ended otherwise or\n\
            its agent needs input, 4 when it has not ended in time.",
        examples: &["task k3v9x2ab", "task k3v9x2ab --wait 300"],
    },
    Command {
        name: "cancel",
        usage: "ID",
        summary: "call off a task that this agent has given",
        positionals: 1,
        options: &[],
        notes: "",
        examples: &["cancel k3v9x2ab"],
    },
    Command {
        name: "input",
        usage: "ID --content C|-",
        summary: "tell an agent what it asked about its task",
        positionals: 1,
        options: &[
            opt("--content", "C|-", "what to tell; - reads standard input"),
            opt("--content-file", "F", "read it from a file"),
        ],
        notes: STDIN_NOTE,
        examples: &["input k3v9x2ab --content 'on the branch fix-7'"],
    },
    Command {
        name: "broadcast",
        usage: "--content C|- [options]",
        summary: "tell every other agent something",
        positionals: 0,
        options: &[
            opt("--content", "C|-", "what to tell; - reads standard input"),
            opt("--content-file", "F", "read it from a file"),
            opt("--topic", "T", "what it is about (general)"),
            opt("--tags", "A,B", "tags, separated by commas"),
        ],
        notes: STDIN_NOTE,
        examples: &[
            "broadcast --topic build --content 'main is green again'",
            "broadcast --tags api,v2 --content - < findings.md",
        ],
    },
    KNOWLEDGE,
    SUBSCRIBE,
    Command {
        name: "file-put",
        usage: "--key K --file F|- [options]",
        summary: "store a file for all agents",
        positionals: 0,
        options: &[
            opt("--key", "K", "the name to store it under; may contain /"),
            opt("--file", "F|-", "the file; - reads standard input"),
            opt("--type", "T", "what kind of text it is (text)"),
            opt(
                "--base",
                "N",
                "the version it was made from (the one last seen here)",
            ),
            opt("--force", "", "overwrite whatever is there"),
            opt(
                "--merge",
                "",
                "merge it with what others have changed since, line by line",
            ),
        ],
        notes: "What somebody else has changed since you last read or wrote the file here is not\n\
            overwritten: exit code 5 says whose version it is. Where a merge fails, the text\n\
            goes to standard output, with both sides between markers.",
        examples: &[
            "file-put --key plan.md --file plan.md",
            "git diff | clawlink file-put --key patches/7.diff --file - --type diff",
        ],
    },
    Command {
        name: "file-get",
        usage: "--key K [--output F|-] [--version N]",
        summary: "print a shared file, or write it to a file",
        positionals: 0,
        options: &[
            opt("--key", "K", "the name it is stored under"),
            opt(
                "--output",
                "F|-",
                "where to write it; - is standard output (the default)",
            ),
            opt("--version", "N", "an earlier version; file-log lists them"),
        ],
        notes: "On a terminal, control characters are shown escaped; a pipe or a file gets them\n\
            as they are.",
        examples: &[
            "file-get --key plan.md",
            "file-get --key patches/7.diff --output 7.diff",
        ],
    },
    Command {
        name: "file-list",
        usage: "",
        summary: "list the shared files",
        positionals: 0,
        options: &[],
        notes: "",
        examples: &["file-list"],
    },
    RESERVE,
    RESERVED,
    RELEASE,
    Command {
        name: "file-rm",
        usage: "--key K",
        summary: "delete a shared file; its versions can still be read",
        positionals: 0,
        options: &[opt("--key", "K", "the name it is stored under")],
        notes: "",
        examples: &["file-rm --key patches/7.diff"],
    },
    Command {
        name: "file-log",
        usage: "--key K",
        summary: "list the versions of a shared file that are kept",
        positionals: 0,
        options: &[opt("--key", "K", "the name it is stored under")],
        notes: "",
        examples: &[
            "file-log --key plan.md",
            "file-get --key plan.md --version 3",
        ],
    },
    Command {
        name: "scan",
        usage: "[--for S]",
        summary: "look for relays in the local network (mDNS)",
        positionals: 0,
        options: &[opt("--for", "S", "seconds to collect answers (3)")],
        notes: "mDNS finds nothing in WSL2 and in most containers; --relay URL always works.",
        examples: &["scan", "scan --for 10 --json"],
    },
    Command {
        name: "info",
        usage: "",
        summary: "show the relay, and who this agent is there",
        positionals: 0,
        options: &[],
        notes: "",
        examples: &["info", "--relay http://10.0.0.5:9077 info"],
    },
    Command {
        name: "completions",
        usage: "SHELL",
        summary: "print completions for bash, zsh or fish",
        positionals: 1,
        options: &[],
        notes: "",
        examples: &[
            "completions bash > ~/.local/share/bash-completion/completions/clawlink",
            "completions fish > ~/.config/fish/completions/clawlink.fish",
        ],
    },
];
