//! What every command that talks to the relay starts from: which relay, who we are there, and
//! how to ask it something.

use crate::api::{
    Again, Answer, Api, Deletion, NoReply, Refusal, Reply, Request, Speaker, Trouble,
};
use crate::args::Args;
use crate::environment::Environment;
use crate::escape;
use crate::failure::{Cause, Failure, Refused, usage};
use crate::json::{self, Object};
use crate::mdns;
use crate::output;
use crate::seen::{self, Seen};
use crate::state::{self, Identity, Store};
use crate::url;
use clawlink_protocol::DEFAULT_PORT;
use clawlink_protocol::agents::Register;
use clawlink_protocol::name::{AgentId, Word};
use std::cell::RefCell;
use std::time::Duration;

/// Seconds unless `--timeout` says otherwise.
const TIMEOUT: u64 = 10;
const TIMEOUT_MAX: u64 = 3600;
/// How long a search runs that nobody asked for.
const SEARCH: Duration = Duration::from_secs(1);

/// Pages of one list: a million entries and more, as many as a relay keeps of anything.
const PAGES_MAX: u32 = 1_100;

/// A relay, an identity, and the way there.
pub(crate) struct Session {
    /// Whether output is for programs.
    pub(crate) json: bool,
    /// `clawlink` with the options that lead to this identity and relay, for commands that are
    /// suggested.
    pub(crate) program: String,
    api: Api,
    store: Store,
    state: Object,
    /// Who we are at this relay, if anyone.
    known: Option<Identity>,
    /// Whether nobody ever named a relay.
    guessed: bool,
}

/// A list that the relay keeps.
pub(crate) struct List {
    /// Each entry as the relay wrote it.
    pub(crate) entries: Vec<String>,
    /// The relay's clock when it gave the last of them.
    pub(crate) server_time: String,
}

/// The relay that is assumed where none is named.
pub(crate) fn default_relay() -> String {
    format!("http://localhost:{DEFAULT_PORT}")
}

/// The store that the global options choose.
pub(crate) fn store(args: &Args, environment: &Environment) -> Result<Store, Failure> {
    let named = args.identity.clone();
    let name = named.or_else(|| environment.text("CLAWLINK_AGENT"));
    Store::open(name.as_deref(), environment)
}

/// `clawlink` with the option that leads to this identity.
pub(crate) fn program(args: &Args) -> String {
    let name = args.identity.as_ref();
    let option = name.map(|name| escape::shell_option("--as", name));
    ["clawlink", &option.unwrap_or_default()].concat()
}

impl Session {
    /// Settles the questions that need no network.
    pub(crate) fn open(args: &Args) -> Result<Session, Failure> {
        let environment = Environment::read();
        let store = store(args, &environment)?;
        let state = store.load()?;
        let saved = state.text_of("relay_url");
        let named = args.relay.clone();
        let named = named.or_else(|| environment.text("CLAWLINK_RELAY"));
        let guessed = named.is_none() && saved.is_none();
        let chosen = named
            .or_else(|| saved.clone())
            .unwrap_or_else(default_relay);
        let url = url::normalise(&chosen)
            .map_err(|(what, hint)| usage(&format!("{what}: {chosen}"), hint))?;
        let timeout = args.timeout.unwrap_or(TIMEOUT);
        if !(1..=TIMEOUT_MAX).contains(&timeout) {
            return Err(usage(
                &format!("--timeout cannot be {timeout}"),
                "it takes 1 to 3600 seconds",
            ));
        }
        let mut program = program(args);
        if args.relay.is_some() && saved.as_deref() != Some(&url) {
            program.push_str(&escape::shell_option("--relay", &url));
        }
        let token = token(args, &environment)?;
        let known = store.identity(&state, &url)?;
        let session = Session {
            json: args.json,
            program,
            api: Api {
                url,
                token,
                timeout,
                patient: !guessed,
                speaker: RefCell::default(),
            },
            store,
            state,
            known,
            guessed,
        };
        if let Some(identity) = session.known() {
            session.speak_as(identity);
        }
        Ok(session)
    }

    /// The relay's URL.
    pub(crate) fn relay(&self) -> &str {
        &self.api.url
    }

    /// The files of this identity.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Who we are at this relay, if anyone.
    pub(crate) fn known(&self) -> Option<&Identity> {
        self.known.as_ref()
    }

    /// Who we are at this relay.
    pub(crate) fn identity(&self) -> Result<Identity, Failure> {
        self.known.clone().ok_or_else(|| {
            let cause = Cause::NotRegistered {
                program: self.program.clone(),
                relay: self.relay().to_owned(),
                kept: self.store.names(),
            };
            cause.into()
        })
    }

    /// The same, as the file says now: it may have been changed since this process began.
    pub(crate) fn identity_now(&mut self) -> Result<Identity, Failure> {
        self.state = self.store.load()?;
        self.known = self.store.identity(&self.state, self.relay())?;
        let identity = self.identity()?;
        self.speak_as(&identity);
        Ok(identity)
    }

    /// From now on requests are this agent's, and show its secret.
    pub(crate) fn speak_as(&self, identity: &Identity) {
        *self.api.speaker.borrow_mut() = Speaker {
            id: Some(identity.id.as_str().to_owned()),
            secret: identity.secret(),
        };
    }

    /// Whoever asks goes on by itself where a relay is away: a try is one try, and no other relay
    /// is looked for.
    pub(crate) fn go_on_alone(&mut self) {
        self.api.patient = false;
        self.guessed = false;
    }

    /// Keeps a new identity; its relay is used from now on.
    pub(crate) fn remember(&self, identity: &Identity) -> Result<(), Failure> {
        self.store
            .edit(|file| state::remember(file, self.relay(), identity))
    }

    /// Keeps what was learned of an identity.
    pub(crate) fn update(&self, identity: &Identity) -> Result<(), Failure> {
        self.store
            .edit(|file| state::update(file, self.relay(), identity))
    }

    /// Forgets the identity at this relay.
    pub(crate) fn forget(&self) -> Result<(), Failure> {
        self.store.edit(|file| state::forget(file, self.relay()))
    }

    /// `GET path`; whatever it does may be done twice.
    pub(crate) fn get(&self, path: &str) -> Result<Reply, Failure> {
        self.ask(&Request {
            path,
            body: None,
            again: Again::Harmless,
            wait: 0,
        })
    }

    /// A whole list: page after page, as long as the relay says that there is more.
    pub(crate) fn list(&self, path: &str, field: &str) -> Result<List, Failure> {
        let (mut entries, mut next) = (Vec::new(), path.to_owned());
        for _ in 0..PAGES_MAX {
            let reply = self.get(&next)?;
            if reply.fields.raw(field).is_none() {
                return Err(self.not_a_relay(&format!("its list of {field} is missing")));
            }
            let page = reply.fields.list(field);
            let more = reply
                .fields
                .text_of("next_cursor")
                .filter(|_| !page.is_empty());
            entries.extend(page.into_iter().map(str::to_owned));
            let Some(cursor) = more else {
                let server_time = reply.fields.text("server_time");
                return Ok(List {
                    entries,
                    server_time,
                });
            };
            let more = if path.contains('?') { '&' } else { '?' };
            next = format!("{path}{more}limit=1000&cursor={}", url::encode(&cursor));
        }
        Err(self.not_a_relay("its list does not end"))
    }

    /// `POST path`, done only if the reply's `status` is this word, or one of these with a `|`
    /// between them: what is no relay must not pass for one that took a message.
    pub(crate) fn post(
        &self,
        path: &str,
        body: &str,
        again: Again<'_>,
        status: &str,
    ) -> Result<Reply, Failure> {
        let reply = self.ask(&Request {
            path,
            body: Some(body),
            again,
            wait: 0,
        })?;
        let said = reply.fields.text("status");
        if status.split('|').any(|status| status == said) {
            return Ok(reply);
        }
        Err(self.not_a_relay(&format!("its reply does not say \"{status}\"")))
    }

    /// A request, and its reply of status 200.
    pub(crate) fn ask(&self, request: &Request<'_>) -> Result<Reply, Failure> {
        match self.try_ask(request)? {
            Answer::Done(reply) => Ok(reply),
            Answer::Refused(refusal) => Err(self.refused(refusal)),
        }
    }

    /// A request, and what the relay says to it.
    pub(crate) fn try_ask(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        self.claiming(&|| self.api.send(request))
    }

    /// The same, to delete what the path names.
    pub(crate) fn try_delete(
        &self,
        request: &Request<'_>,
        deletion: Deletion,
    ) -> Result<Answer, Failure> {
        self.claiming(&|| self.api.delete(request, deletion))
    }

    /// A request, and once more where the relay does not know our secret, but takes it: it was
    /// restarted, and asks everyone for one, or somebody was there before us.
    fn claiming(&self, send: &dyn Fn() -> Result<Answer, NoReply>) -> Result<Answer, Failure> {
        let send = || send().map_err(|failed| self.no_reply(failed));
        let answer = send()?;
        let (Answer::Refused(refusal), Some(identity)) = (&answer, self.known()) else {
            return Ok(answer);
        };
        if !refusal.is_about_secrets() || identity.secret().is_none() {
            return Ok(answer);
        }
        let body = registration(Some(identity.id.clone()), &identity.entry);
        let register = self.api.send(&Request {
            path: "/register",
            body: Some(&body),
            again: Again::Harmless,
            wait: 0,
        });
        match register.map_err(|failed| self.no_reply(failed))? {
            Answer::Done(_) => send(),
            refused => Ok(refused),
        }
    }

    /// What this session has seen of a file.
    pub(crate) fn seen(&self, key: &str) -> Option<Seen> {
        seen::of(&self.state, self.relay(), key)
    }

    /// Takes note of the version of a file that a reply tells; of none where the file is gone. Where
    /// that fails the file counts as not seen, and is not overwritten unasked.
    pub(crate) fn note_seen(&self, key: &str, reply: &Object, version: Option<u64>) {
        if let Some(epoch) = reply.text_of("epoch") {
            let note = |file: &mut Object| seen::note(file, self.relay(), key, &epoch, version);
            let _ = self.store.edit(note);
        }
    }

    /// A refusal, with what this session can say to it.
    pub(crate) fn refused(&self, refusal: Box<Refusal>) -> Failure {
        let refused = Refused {
            refusal,
            program: self.program.clone(),
            token_sent: self.api.token.is_some(),
        };
        Cause::Refused(refused).into()
    }

    /// A reply that no relay gives.
    pub(crate) fn not_a_relay(&self, why: &str) -> Failure {
        self.silent(Trouble::NotARelay(why.to_owned()), false)
    }

    fn silent(&self, trouble: Trouble, maybe_taken: bool) -> Failure {
        let url = self.relay().to_owned();
        let cause = Cause::NoReply {
            url,
            trouble,
            maybe_taken,
        };
        cause.into()
    }

    /// Where nobody named a relay and none runs here, one may be in the network. It is never
    /// used unasked: whoever announces it would get this session's mail.
    fn no_reply(&self, failed: NoReply) -> Failure {
        if self.guessed && failed.trouble == Trouble::Refused {
            output::note("no relay is named and none listens here; looking for one in the network");
            let found = mdns::search(SEARCH);
            if !found.is_empty() {
                let cause = Cause::FoundBySearch {
                    urls: found.into_iter().map(|relay| relay.url).collect(),
                    program: self.program.clone(),
                };
                return cause.into();
            }
        }
        self.silent(failed.trouble, failed.maybe_taken)
    }
}

/// What an agent says of itself when it registers: what the entry says.
pub(crate) fn registration(id: Option<AgentId>, entry: &Object) -> String {
    let word = |text: &String| Word::parse(text).ok();
    let words = |field: &str| {
        let words = entry.texts(field);
        let given = entry.raw(field);
        given.map(|_| words.iter().filter_map(word).collect())
    };
    json::write(&Register {
        agent_id: id,
        name: entry.text_of("agent_name").as_ref().and_then(word),
        capabilities: words("capabilities"),
        machine: machine(),
        description: entry.text_of("description"),
        ttl: entry.number("ttl"),
        topics: words("topics"),
    })
}

/// This machine's name, where the system tells it.
fn machine() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The token, from the first place that has one.
fn token(args: &Args, environment: &Environment) -> Result<Option<String>, Failure> {
    let named = args.token.clone();
    let named = named.or_else(|| environment.text("CLAWLINK_TOKEN"));
    let token = match (named, environment.text("CLAWLINK_TOKEN_FILE")) {
        (Some(token), _) => token,
        (None, None) => return Ok(None),
        (None, Some(path)) => {
            let path = std::path::Path::new(&path);
            let text = std::fs::read_to_string(path).map_err(|error| {
                crate::failure::local("cannot read the token file", path, error)
            })?;
            // The relay takes the first line of such a file too.
            text.lines().next().unwrap_or_default().trim().to_owned()
        }
    };
    // Also what keeps a line break out of the request's head.
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(usage(
            "the token is empty or holds something other than visible ASCII characters",
            "check --token, CLAWLINK_TOKEN or CLAWLINK_TOKEN_FILE",
        ));
    }
    Ok(Some(token))
}
