//! The commands about what is known, and about who edits what.

use super::{Command, Verb, opt};

pub(super) const KNOWLEDGE: Command = Command {
    name: "knowledge",
    verb: Verb::Knowledge,
    usage: "[options]",
    summary: "show what was broadcast, also before you came",
    positionals: 0,
    needs: "",
    options: &[
        opt("--topic", "T", "only this topic"),
        opt("--tag", "G", "only with this tag"),
        opt("--grep", "X", "only with this text, upper or lower case"),
        opt("--since", "T", "only since 30m, 2h, 1d or an RFC 3339 time"),
        opt("--max", "N", "the last N of them, to 1000 (50)"),
        opt("--full", "", "print long bodies whole"),
    ],
    notes: "The newest comes last. Nothing is taken: it is there for everybody.",
    examples: &[
        "knowledge --topic build --since 2h",
        "knowledge --grep rustc --json",
    ],
};

pub(super) const SUBSCRIBE: Command = Command {
    name: "subscribe",
    verb: Verb::Subscribe,
    usage: "TOPIC... | --all | --none",
    summary: "choose the topics whose broadcasts reach you",
    positionals: usize::MAX,
    needs: "",
    options: &[
        opt("--all", "", "every topic again, as at first"),
        opt("--none", "", "no topic; tasks and file notices still come"),
    ],
    notes: "The topics replace those chosen before. What you do not hear is in knowledge.",
    examples: &["subscribe build api", "subscribe --all"],
};

pub(super) const RESERVE: Command = Command {
    name: "reserve",
    verb: Verb::Reserve,
    usage: "PATTERN... [options]",
    summary: "say which paths you are about to edit",
    positionals: usize::MAX,
    needs: "",
    options: &[
        opt("--ttl", "S", "for S seconds, to 86400 (3600)"),
        opt("--shared", "", "beside others who share them, too"),
        opt("--reason", "R", "what you do there, for the others"),
    ],
    notes: "Paths begin where the tree does, for all agents in it. * stands for any text in\n\
        a segment, ? for a character, ** for any number of segments; directory/ means\n\
        all below it. Exit code 5 where another agent is in the way; what was named\n\
        before that is yours. Again: renews. It stops nobody who does not ask.",
    examples: &[
        "reserve src/parser.rs 'tests/parser/**' --reason 'new grammar'",
        "reserve --shared docs/ --ttl 600",
    ],
};

pub(super) const RESERVED: Command = Command {
    name: "reserved",
    verb: Verb::Reserved,
    usage: "[PATH]",
    summary: "show who has reserved a path, or all that is",
    positionals: 1,
    needs: "",
    options: &[],
    notes: "For hooks: exit code 5 where another agent holds PATH for itself, 0 where it is\n\
        free, yours or shared.",
    examples: &["reserved src/parser.rs", "reserved"],
};

pub(super) const RELEASE: Command = Command {
    name: "release",
    verb: Verb::Release,
    usage: "[ID...]",
    summary: "end your reservations, or all of them",
    positionals: usize::MAX,
    needs: "",
    options: &[],
    notes: "They end by themselves too, and when you leave.",
    examples: &["release", "release k3v9x2ab"],
};
