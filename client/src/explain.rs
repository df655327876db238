//! The words for each failure: what happened, and what to type next.

use crate::api::{Refusal, Trouble};
use crate::escape;
use crate::failure::{Cause, Refused};
use crate::url;
use std::io;

/// What happened, and what to type.
pub(crate) fn words(cause: &Cause) -> (String, String) {
    match cause {
        Cause::Said { what, hint, .. } => (escape::line(what), escape::lines(hint)),
        Cause::Nothing => (
            ["no command given\n\n", &crate::help::help(None)].concat(),
            String::new(),
        ),
        Cause::NotRegistered {
            program,
            relay,
            kept,
        } => (
            format!("not registered at {relay} yet"),
            match &kept[..] {
                [] => format!("{program} register --name NAME"),
                names => format!(
                    "{program} register --name NAME, or use an identity kept here: --as {}",
                    names.join(", --as ")
                ),
            },
        ),
        Cause::DamagedState { path, why } => {
            let path = path.to_string_lossy();
            (
                format!("the state file {} is damaged: {why}", escape::line(&path)),
                format!(
                    "repair it, or move it away and register again: mv {0} {0}.bad",
                    escape::shell(&path)
                ),
            )
        }
        Cause::Local { doing, error } => (format!("{doing}: {error}"), local_hint(error)),
        Cause::FoundBySearch { urls, program } => found_words(urls, program),
        Cause::NoReply {
            url,
            trouble,
            maybe_taken,
        } => {
            let (mut what, hint) = trouble_words(url, trouble);
            if *maybe_taken {
                what.push_str("; whether the relay took the request is unknown");
            }
            (what, hint)
        }
        Cause::Refused(refused) => (refusal_sentence(&refused.refusal), refusal_hint(refused)),
    }
}

fn local_hint(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "CLAWLINK_HOME=DIR keeps the client's own files elsewhere".to_owned()
        }
        _ => String::new(),
    }
}

fn found_words(urls: &[String], program: &str) -> (String, String) {
    let commands: Vec<String> = urls
        .iter()
        .map(|url| {
            format!(
                "{program}{} register --name NAME",
                escape::shell_option("--relay", url)
            )
        })
        .collect();
    (
        format!(
            "no relay is known; a search found {}. Anyone can announce one, so it is used only when you name it:",
            escape::line(&urls.join(" and "))
        ),
        commands.join("\n  "),
    )
}

fn trouble_words(url: &str, trouble: &Trouble) -> (String, String) {
    let (host, port) = url::host_and_port(url);
    let own = match host {
        "localhost" | "127.0.0.1" => String::new(),
        host => escape::shell_option("--host", host),
    };
    let start = if url::is_local(url) {
        format!(
            "start one: clawlink-server{own} --port {port}\n  or name another: clawlink --relay URL COMMAND"
        )
    } else {
        "start it there: clawlink-server --host 0.0.0.0 --token-file FILE\n  or name another: clawlink --relay URL COMMAND".to_owned()
    };
    let another = "name another relay: clawlink --relay URL COMMAND".to_owned();
    match trouble {
        Trouble::Refused => (format!("no relay is listening at {url}"), start),
        Trouble::Forbidden => (
            format!("permission denied: this sandbox forbids network connections (to {url})"),
            "allow this program to reach the relay's host and port, or run it outside the sandbox"
                .to_owned(),
        ),
        Trouble::NoSuchHost => (
            format!("the host name {host} is not known"),
            "check the spelling, or use the relay's IPv4 address: --relay http://ADDRESS:9077"
                .to_owned(),
        ),
        Trouble::Timeout(seconds) => (
            format!("no answer from {url} within {seconds} s"),
            "is the address right, and the way open? --timeout S waits longer".to_owned(),
        ),
        Trouble::Unreachable(why) => (
            format!("there is no way to {url}: {}", escape::line(why)),
            "is this machine in the relay's network? --relay URL names another relay".to_owned(),
        ),
        Trouble::Lost(why) => (
            format!("the connection to {url} broke: {}", escape::line(why)),
            format!("see whether it still answers: clawlink --relay {url} info"),
        ),
        Trouble::TooLarge => (format!("the reply of {url} is too large to read"), another),
        Trouble::NotARelay(why) => (
            format!(
                "what answers at {url} is no ClawLink relay: {}",
                escape::line(why)
            ),
            another,
        ),
        #[cfg(feature = "tls")]
        Trouble::Tls(why) if why.contains("corrupt message") => (
            format!("what answers at {url} does not speak TLS"),
            format!("without TLS: clawlink --relay http://{host}:{port} COMMAND"),
        ),
        #[cfg(feature = "tls")]
        Trouble::Tls(why) => (
            format!("no trust in what answers at {url}: {}", escape::line(why)),
            "for an authority of your own: SSL_CERT_FILE=CA.pem clawlink ...; \
             and the URL must use a name that the certificate has"
                .to_owned(),
        ),
        Trouble::Redirect(target) => (
            format!(
                "{url} answers with a redirect to {}, which is never followed",
                escape::line(target)
            ),
            another,
        ),
    }
}

fn refusal_sentence(refusal: &Refusal) -> String {
    // What the relay says after the first clause is for callers of its HTTP; ours have a hint.
    let hinted = [
        "unknown_agent",
        "unauthorized",
        "not_found",
        "agent_claimed",
    ];
    let hinted = hinted.contains(&refusal.code.as_str()) || refusal.is_about_secrets();
    let said = match refusal.error.split_once("; ") {
        Some((clause, _)) if hinted => clause,
        _ => &refusal.error,
    };
    let said = escape::line(said.trim());
    if said.is_empty() {
        format!("the relay refused with status {}", refusal.status)
    } else {
        format!("the relay refused: {said}")
    }
}

fn refusal_hint(refused: &Refused) -> String {
    let Refused {
        refusal,
        program,
        token_sent,
    } = refused;
    match (refusal.code.as_str(), refusal.status) {
        // Whatever is wrong with one, the list of them tells.
        _ if refusal.error.contains("reservation") => {
            format!("who holds what: {program} reserved")
        }
        (_, 401) if *token_sent => {
            "the token sent is wrong; check --token, CLAWLINK_TOKEN or CLAWLINK_TOKEN_FILE"
                .to_owned()
        }
        (_, 401) => {
            "this relay needs a token: set CLAWLINK_TOKEN=T, or CLAWLINK_TOKEN_FILE=F".to_owned()
        }
        ("agent_claimed", _) => {
            "only the session that made it is this agent; be another: clawlink --as NAME register --name NAME"
                .to_owned()
        }
        // One that has a secret has been tried with it already.
        _ if refusal.is_about_secrets() => format!(
            "this session has no secret; to take one, if nobody else has: {program} register --name NAME"
        ),
        // Of a host or a web page. All else that is another's says whose.
        (_, 403) if refusal.code.is_empty() || refusal.error.contains("--allow-") => {
            "use the relay's address, or start it with --allow-host NAME".to_owned()
        }
        ("unknown_agent", _) => {
            let names: Vec<String> = refusal
                .did_you_mean
                .iter()
                .map(|n| escape::shell(n))
                .collect();
            match names.is_empty() {
                true => format!("who is there: {program} discover"),
                false => format!(
                    "did you mean {}? All that are there: {program} discover",
                    names.join(" or ")
                ),
            }
        }
        ("ambiguous_agent", _) => {
            let mut hint = "use one of these ids instead:".to_owned();
            for candidate in &refusal.candidates {
                hint.push_str("\n  ");
                hint.push_str(&escape::line(candidate));
            }
            hint
        }
        ("inbox_full", _) | (_, 429) => match &refusal.retry_after {
            Some(seconds) => format!("try again in {} s", escape::line(seconds)),
            None => "try again later; mail goes out of an inbox when its agent polls".to_owned(),
        },
        (_, 413) => format!(
            "share long text as a file and send its key: {program} file-put --key K --file F"
        ),
        (_, 404) => format!("what is there: {program} file-list"),
        (_, 507) => "the relay is full; try again when others have taken their mail".to_owned(),
        _ if refusal.error.is_empty() => {
            format!("is it a ClawLink relay? {program} info")
        }
        _ => String::new(),
    }
}
