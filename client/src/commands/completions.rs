//! `completions`: small scripts for the shells, from `spec.rs`.

use super::Done;
use crate::failure::usage;
use crate::spec::{COMMANDS, Command, GLOBALS, Opt};

pub(super) fn completions(shell: &str) -> Done {
    match shell {
        "bash" => Ok(bash()),
        "zsh" => Ok(zsh()),
        "fish" => Ok(fish()),
        _ => Err(usage(
            &format!("there are no completions for \"{shell}\""),
            "there are some for: bash, zsh, fish",
        )),
    }
}

fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    words.join(" ")
}

fn names(options: &[Opt]) -> String {
    joined(options.iter().map(|o| o.name))
}

/// Options whose value is the name of a file.
fn takes_file(option: &Opt) -> bool {
    option.value.starts_with('F')
}

fn own_words(command: &Command) -> String {
    match command.name {
        "completions" => "bash zsh fish".to_owned(),
        _ => names(command.options),
    }
}

/// The `case` that bash and zsh share: what may stand after each command and some options.
fn cases(files: &str, words: [&str; 2]) -> String {
    let [before, after] = words;
    let mut text = String::from("  case \"$prev\" in\n");
    let all = || COMMANDS.iter().flat_map(|c| c.options);
    let with_files: Vec<&str> = all().filter(|o| takes_file(o)).map(|o| o.name).collect();
    text.push_str(&["    ", &with_files.join("|"), ") ", files, " ;;\n"].concat());
    for option in all().filter(|o| !o.choices.is_empty()) {
        let choices = option.choices.join(" ");
        text.push_str(
            &[
                "    ",
                option.name,
                ") ",
                before,
                &choices,
                after,
                "; return ;;\n",
            ]
            .concat(),
        );
    }
    text.push_str("  esac\n  case \"$cmd\" in\n");
    for command in COMMANDS {
        let words = [&own_words(command), " ", &names(GLOBALS), " --help"].concat();
        text.push_str(
            &[
                "    ",
                command.name,
                ") ",
                before,
                words.trim(),
                after,
                " ;;\n",
            ]
            .concat(),
        );
    }
    let top = [
        &joined(COMMANDS.iter().map(|c| c.name)),
        " ",
        &names(GLOBALS),
        " --help --version",
    ]
    .concat();
    text.push_str(&["    *) ", before, &top, after, " ;;\n  esac\n"].concat());
    text
}

fn command_pattern() -> String {
    let names: Vec<&str> = COMMANDS.iter().map(|c| c.name).collect();
    names.join("|")
}

fn bash() -> String {
    [
        "_clawlink() {\n  local cur prev cmd word\n  cur=\"${COMP_WORDS[COMP_CWORD]}\"\n  \
         prev=\"${COMP_WORDS[COMP_CWORD-1]}\"\n  cmd=\n  \
         for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n    case \"$word\" in\n      ",
        &command_pattern(),
        ") cmd=\"$word\"; break ;;\n    esac\n  done\n",
        &cases(
            "COMPREPLY=($(compgen -f -- \"$cur\")); return",
            ["COMPREPLY=($(compgen -W '", "' -- \"$cur\"))"],
        ),
        "}\ncomplete -F _clawlink clawlink\n",
    ]
    .concat()
}

fn zsh() -> String {
    [
        "#compdef clawlink\n_clawlink() {\n  local prev cmd word\n  prev=\"${words[CURRENT-1]}\"\n  cmd=\n  \
         for word in \"${words[@]:1:$((CURRENT-2))}\"; do\n    case \"$word\" in\n      ",
        &command_pattern(),
        ") cmd=\"$word\"; break ;;\n    esac\n  done\n",
        &cases("_files; return", ["compadd -- ", ""]),
        "}\ncompdef _clawlink clawlink\n",
    ]
    .concat()
}

fn fish() -> String {
    let mut text = String::from("complete -c clawlink -f\n");
    for option in GLOBALS {
        fish_option(&mut text, "", option);
    }
    for command in COMMANDS {
        text.push_str(&format!(
            "complete -c clawlink -n __fish_use_subcommand -a {} -d \"{}\"\n",
            command.name, command.summary
        ));
        let condition = format!(" -n '__fish_seen_subcommand_from {}'", command.name);
        for option in command.options {
            fish_option(&mut text, &condition, option);
        }
        if command.name == "completions" {
            text.push_str(&format!(
                "complete -c clawlink{condition} -a 'bash zsh fish'\n"
            ));
        }
    }
    text
}

fn fish_option(text: &mut String, condition: &str, option: &Opt) {
    let name = option.name.trim_start_matches('-');
    let value = match option {
        o if !o.takes_value() => String::new(),
        o if takes_file(o) => " -r -F".to_owned(),
        o if !o.choices.is_empty() => format!(" -x -a '{}'", o.choices.join(" ")),
        _ => " -x".to_owned(),
    };
    let help = option
        .help
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches(',');
    text.push_str(&format!(
        "complete -c clawlink{condition} -l {name}{value} -d \"{help}\"\n"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_option_is_in_every_script() {
        for script in [bash(), zsh(), fish()] {
            for command in COMMANDS {
                assert!(script.contains(command.name), "{}", command.name);
                for option in command.options {
                    let name = option.name.trim_start_matches('-');
                    assert!(script.contains(name), "{name}");
                }
            }
        }
        assert!(completions("powershell").is_err());
    }
}
