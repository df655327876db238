use crate::args::{Command, Top};
use crate::arrange::{Arranged, Misuse};
use crate::spec::{self, Opt};
use crate::{arrange as arranging, help};

/// A command line, an argument on each line.
pub fn arrange(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let args: Vec<String> = text.split('\n').map(str::to_owned).collect();
    assert!(arranging::arrange(&[]) == Ok(Arranged::Nothing));
    match arranging::arrange(&args) {
        Err(misuse) => explained(&misuse),
        Ok(Arranged::Help(command)) => assert!(help::help(command).ends_with('\n')),
        Ok(Arranged::Version) => assert!(args.iter().any(|arg| arg == "-V" || arg == "--version")),
        Ok(Arranged::Nothing) => panic!("there are arguments"),
        Ok(Arranged::Run(line)) => run(&args, &line),
    }
}

fn explained(misuse: &Misuse) {
    assert!(
        !misuse.what.is_empty() && !misuse.hint.is_empty(),
        "{misuse:?}"
    );
}

fn run(args: &[String], line: &[String]) {
    let typed = Typed::of(args);
    assert_eq!(typed.line(false), line, "of {args:?}");
    assert_eq!(
        arranging::arrange(&typed.line(true)),
        Ok(Arranged::Run(line.to_vec())),
        "in order already"
    );
    match help::parse(line) {
        Ok(top) => meant(&top, &typed),
        Err(misuse) => {
            explained(&misuse);
            assert!(
                !misuse.what.contains('\n') && !misuse.what.starts_with("Usage"),
                "{misuse:?}"
            );
        }
    }
}

/// What a command line says, read without regard to its order: which options stand where does not
/// matter, as no value that stands apart begins with a hyphen.
#[derive(Default)]
struct Typed<'a> {
    globals: Vec<(&'a str, Option<&'a str>)>,
    command: &'a str,
    options: Vec<(&'a str, Option<&'a str>)>,
    words: Vec<&'a str>,
}

impl<'a> Typed<'a> {
    fn of(args: &'a [String]) -> Self {
        let mut typed = Typed::default();
        let mut own: &[Opt] = &[];
        let mut rest = args.iter().map(String::as_str);
        let mut hyphens_count = true;
        while let Some(arg) = rest.next() {
            if hyphens_count && arg == "--" {
                hyphens_count = false;
            } else if hyphens_count && arg != "-" && arg.starts_with('-') {
                let (name, attached) = arg
                    .split_once('=')
                    .map_or((arg, None), |(n, v)| (n, Some(v)));
                let of = |options: &'static [Opt]| options.iter().find(|o| o.name == name);
                let (mine, option) = match own.iter().find(|o| o.name == name) {
                    Some(option) => (true, option),
                    None => (false, of(spec::GLOBALS).expect("an option")),
                };
                let value = match option.takes_value() {
                    true => Some(attached.or_else(|| apart(&mut rest)).expect("a value")),
                    false => None,
                };
                let list = if mine {
                    &mut typed.options
                } else {
                    &mut typed.globals
                };
                list.push((name, value));
            } else if typed.command.is_empty() {
                typed.command = arg;
                own = spec::command(arg).expect("a command").options;
            } else {
                typed.words.push(arg);
            }
        }
        typed
    }

    /// Globals, the command, its options, its words.
    fn line(&self, attached: bool) -> Vec<String> {
        let push = |line: &mut Vec<String>, options: &[(&str, Option<&str>)]| {
            for (name, value) in options {
                match value {
                    Some(value) if attached => line.push(format!("{name}={value}")),
                    value => line.extend(
                        [Some(*name), *value]
                            .into_iter()
                            .flatten()
                            .map(str::to_owned),
                    ),
                }
            }
        };
        let mut line = Vec::new();
        push(&mut line, &self.globals);
        line.push(self.command.to_owned());
        push(&mut line, &self.options);
        if !self.words.is_empty() {
            line.push("--".to_owned());
            line.extend(self.words.iter().map(|word| (*word).to_owned()));
        }
        line
    }
}

/// The next argument as a value: an option never swallows the next one.
fn apart<'a>(rest: &mut impl Iterator<Item = &'a str>) -> Option<&'a str> {
    rest.next()
        .filter(|value| *value == "-" || !value.starts_with('-'))
}

/// The types hold what was typed.
fn meant(top: &Top, typed: &Typed<'_>) {
    let value = |options: &[(&str, Option<&str>)], name: &str| -> Option<String> {
        let option = options.iter().find(|(own, _)| *own == name)?;
        option.1.map(str::to_owned)
    };
    let global = |name: &str| value(&typed.globals, name);
    let own = |name: &str| value(&typed.options, name);
    assert_eq!(
        (&top.relay, &top.token),
        (&global("--relay"), &global("--token"))
    );
    assert_eq!(top.identity, global("--as"));
    assert_eq!(
        top.json,
        typed.globals.iter().any(|(name, _)| *name == "--json")
    );
    match &top.command {
        Command::Delegate(call) => {
            assert_eq!(call.to, own("--to"));
            assert_eq!(call.task, own("--task"));
            assert_eq!(call.context, own("--context"));
        }
        Command::Show(call) => assert_eq!(typed.words, [call.id.as_str()]),
        _ => {}
    }
}
