//! The client, run as a user runs it, in a home of the test's own.

use crate::tls::Authority;
use crate::{PATIENCE, Relay, binaries, eventually};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

/// A user's machine: a home, and a relay that is used there.
pub struct Client {
    home: TempDir,
    relay: Option<String>,
    options: Vec<String>,
    program: PathBuf,
    authority: Option<PathBuf>,
}

/// What a command did.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its exit code; -1 after a signal.
    pub code: i32,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

impl Outcome {
    /// The exit code was 0.
    ///
    /// # Panics
    /// When it was not.
    pub fn ok(self) -> Outcome {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// The exit code was this.
    ///
    /// # Panics
    /// When it was not.
    pub fn exits(self, code: i32) -> Outcome {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// The lines of standard output, each as JSON.
    ///
    /// # Panics
    /// When one is not JSON.
    pub fn json(&self) -> Vec<Value> {
        let parse =
            |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        self.out.lines().map(parse).collect()
    }
}

impl Client {
    /// A machine whose `CLAWLINK_RELAY` is this relay.
    pub fn of(relay: &Relay) -> Client {
        Client::at(Some(relay.url()))
    }

    /// A machine with this `CLAWLINK_RELAY`, or none.
    ///
    /// # Panics
    /// When there is no room for its home.
    pub fn at(relay: Option<String>) -> Client {
        Client {
            home: TempDir::new().expect("a home"),
            relay,
            options: Vec::new(),
            program: binaries::client(),
            authority: None,
        }
    }

    /// A machine on which a session is this agent of that relay, as a Python client writes it.
    ///
    /// # Panics
    /// When the state file cannot be written.
    pub fn member(url: &str, agent_id: &str, agent_name: &str) -> Client {
        let client = Client::at(Some(url.to_owned()));
        std::fs::create_dir(client.folder()).expect("a folder");
        let state = json!({"relay_url": url, "agent_id": agent_id, "agent_name": agent_name});
        let file = client.folder().join("agent_state.json");
        std::fs::write(file, state.to_string()).expect("a state file");
        client
    }

    /// A machine on which a session is this agent, which is registered there.
    pub fn joined(relay: &Relay, agent_id: &str) -> Client {
        relay.register(agent_id);
        Client::member(&relay.url(), agent_id, agent_id)
    }

    /// The same with a client that has TLS, and that trusts this authority, if any, alone.
    pub fn with_tls(mut self, authority: Option<&Authority>) -> Client {
        self.program = binaries::client_with_tls();
        self.authority = authority.map(Authority::file);
        self
    }

    /// The same with these options before every command.
    pub fn options(mut self, options: &[&str]) -> Client {
        self.options = options.iter().map(ToString::to_string).collect();
        self
    }

    /// Its home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where the client keeps its state.
    pub fn folder(&self) -> PathBuf {
        self.home().join(".clawlink")
    }

    /// What a file in its home says, as soon as that ends with a line.
    pub fn written(&self, name: &str) -> String {
        eventually(name, || {
            let text = std::fs::read_to_string(self.home().join(name)).ok()?;
            text.ends_with('\n').then_some(text)
        })
    }

    /// Runs a command.
    pub fn run(&self, args: &[&str]) -> Outcome {
        self.run_with(args, "", &[])
    }

    /// Runs a command with this standard input.
    pub fn pipe(&self, args: &[&str], input: &str) -> Outcome {
        self.run_with(args, input, &[])
    }

    /// The command, ready to be changed and run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.home());
        if let Some(relay) = &self.relay {
            command.env("CLAWLINK_RELAY", relay);
        }
        if let Some(file) = &self.authority {
            command.env("SSL_CERT_FILE", file);
        }
        command.args(&self.options).args(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A line for a shell that finds the client, ready to be changed and run.
    pub fn shell(&self, line: &str) -> Command {
        self.like_itself("sh", &["-c", line])
    }

    /// The same with a terminal for standard output and standard error.
    pub fn terminal(&self, line: &str) -> Command {
        let mut script = self.like_itself("script", &["-qec", line, "/dev/null"]);
        script.env("TERM", "xterm");
        script
    }

    /// Another program where the client would run.
    fn like_itself(&self, program: &str, args: &[&str]) -> Command {
        let own = self.command(&[]);
        let mut command = Command::new(program);
        command.args(args).env_clear().current_dir(self.home());
        let set = own
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        command.envs(set).env(
            "PATH",
            format!("{}:/usr/bin:/bin", binaries::folder().display()),
        );
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command with this standard input and environment.
    ///
    /// # Panics
    /// When it does not end.
    pub fn run_with(&self, args: &[&str], input: &str, environment: &[(&str, &str)]) -> Outcome {
        let mut child = self
            .command(args)
            .envs(environment.iter().copied())
            .spawn()
            .expect("the client runs");
        let mut stdin = child.stdin.take().expect("its input");
        let input = input.to_owned();
        let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let mut out = child.stdout.take().expect("its output");
        let mut err = child.stderr.take().expect("its errors");
        let read = |stream: &mut dyn Read| {
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let errors = std::thread::spawn(move || read(&mut err));
        let began = Instant::now();
        let out = read(&mut out);
        let err = errors.join().expect("its errors");
        let status = child.wait().expect("it ends");
        let _ = writer.join();
        assert!(
            began.elapsed() < PATIENCE * 3,
            "{args:?} took {:?}",
            began.elapsed()
        );
        Outcome {
            code: status.code().unwrap_or(-1),
            out,
            err,
        }
    }
}
