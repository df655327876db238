use crate::mdns::{FOUND_MAX, answers};
use crate::url::normalise;

/// A packet from anybody in the network.
pub fn mdns(data: &[u8]) {
    let found = answers(data);
    assert!(found.len() <= FOUND_MAX, "{} relays", found.len());
    for (at, relay) in found.iter().enumerate() {
        assert!(normalise(&relay.url).is_ok(), "{}", relay.url);
        assert!(
            found[..at].iter().all(|other| other.url != relay.url),
            "twice"
        );
    }
}
