use crate::args::{self, Args};
use crate::arrange::{Arranged, Misuse};
use crate::spec::{self, Command, Opt, Verb};
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
        Ok(Arranged::Run(command, line)) => run(&args, command, &line),
    }
}

fn explained(misuse: &Misuse) {
    assert!(
        !misuse.what.is_empty() && !misuse.hint.is_empty(),
        "{misuse:?}"
    );
}

fn run(args: &[String], command: &'static Command, line: &[&str]) {
    let typed = Typed::of(args);
    assert_eq!(typed.command, command.name);
    assert_eq!(typed.line(), line, "of {args:?}");
    assert_eq!(
        arranging::arrange(&typed.again()),
        Ok(Arranged::Run(command, line.to_vec())),
        "in order already"
    );
    match args::parse(command, line) {
        Ok(args) => meant(command, &args, &typed),
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
                let option = own.iter().find(|o| o.name == name);
                let option = option.or_else(|| of(spec::GLOBALS)).expect("an option");
                let value = match option.takes_value() {
                    true => Some(attached.or_else(|| apart(&mut rest)).expect("a value")),
                    false => None,
                };
                typed.options.push((name, value));
            } else if typed.command.is_empty() {
                typed.command = arg;
                own = spec::command(arg).expect("a command").options;
            } else {
                typed.words.push(arg);
            }
        }
        typed
    }

    /// Options and their values as they came, then the words.
    fn line(&self) -> Vec<String> {
        let apart = |(name, value): &(&str, Option<&str>)| {
            let both = [Some(*name), *value].into_iter().flatten();
            both.map(str::to_owned).collect::<Vec<_>>()
        };
        let options = self.options.iter().flat_map(apart);
        options.chain(self.last()).collect()
    }

    /// The same command line, typed in another way.
    fn again(&self) -> Vec<String> {
        let attached = |(name, value): &(&str, Option<&str>)| match value {
            Some(value) => format!("{name}={value}"),
            None => (*name).to_owned(),
        };
        let options = self.options.iter().map(attached);
        let command = std::iter::once(self.command.to_owned());
        command.chain(options).chain(self.last()).collect()
    }

    fn last(&self) -> Vec<String> {
        let dashes = (!self.words.is_empty()).then_some("--");
        let words = dashes.into_iter().chain(self.words.iter().copied());
        words.map(str::to_owned).collect()
    }
}

/// The next argument as a value: an option never swallows the next one.
fn apart<'a>(rest: &mut impl Iterator<Item = &'a str>) -> Option<&'a str> {
    rest.next()
        .filter(|value| *value == "-" || !value.starts_with('-'))
}

/// The type holds what was typed.
fn meant(command: &Command, args: &Args, typed: &Typed<'_>) {
    let value = |name: &str| -> Option<String> {
        let option = typed.options.iter().find(|(own, _)| *own == name)?;
        option.1.map(str::to_owned)
    };
    assert_eq!(
        (&args.relay, &args.token),
        (&value("--relay"), &value("--token"))
    );
    assert_eq!(args.identity, value("--as"));
    assert_eq!(
        args.json,
        typed.options.iter().any(|(name, _)| *name == "--json")
    );
    assert_eq!(args.words, typed.words);
    if command.verb == Verb::Delegate {
        assert_eq!(args.task, value("--task"));
        assert_eq!(args.context, value("--context"));
    }
}
