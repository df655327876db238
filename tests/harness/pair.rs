//! Two agents, as most tests of messages need them.

use crate::{Client, Outcome, Relay};

/// A machine with two agents on a relay: `anna` and `bernd`, each under `--as`.
pub struct Pair {
    /// The relay.
    pub relay: Relay,
    /// Their machine.
    pub client: Client,
}

impl Pair {
    /// Both of them, registered on this relay.
    pub fn on(relay: Relay) -> Pair {
        let client = Client::of(&relay);
        let pair = Pair { relay, client };
        pair.anna(&["register", "--name", "anna"]).ok();
        pair.bernd(&["register", "--name", "bernd"]).ok();
        pair
    }

    /// Runs a command of hers.
    pub fn anna(&self, line: &[&str]) -> Outcome {
        self.client.run(&[&["--as", "anna"], line].concat())
    }

    /// Runs a command of his.
    pub fn bernd(&self, line: &[&str]) -> Outcome {
        self.client.run(&[&["--as", "bernd"], line].concat())
    }

    /// The id of one of them.
    ///
    /// # Panics
    /// When there is none.
    pub fn id(&self, name: &str) -> String {
        let info = self
            .client
            .run(&["--as", name, "info", "--json"])
            .ok()
            .json();
        info[0]["agent_id"].as_str().expect("an id").to_owned()
    }
}
