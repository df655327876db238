//! Whose an agent is: anybody's, until a secret claims it.
//!
//! A secret is 32 random bytes, written as 64 hex digits. As it is random, one SHA-256 keeps it
//! as well as any slower hash would. Hashes are compared in constant time.

use clawlink_protocol::name::AgentId;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use subtle::ConstantTimeEq;

/// Bytes of a secret.
pub const SECRET: usize = 32;

/// What is kept of a secret.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; SECRET]);

impl SecretHash {
    /// Of a secret as it is sent: 64 hex digits. `None` where it is something else.
    pub fn of(text: &str) -> Option<Self> {
        let digits: &[u8; 2 * SECRET] = text.as_bytes().try_into().ok()?;
        let mut secret = [0; SECRET];
        for (byte, pair) in secret.iter_mut().zip(digits.chunks(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            *byte = (digit(0)? << 4 | digit(1)?) as u8;
        }
        Some(SecretHash(Sha256::digest(secret).into()))
    }

    /// A secret made of random bytes, as it is sent, and its hash.
    pub fn made_of(random: [u8; SECRET]) -> (String, Self) {
        let digits = random.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let text = digits.filter_map(|digit| char::from_digit(digit.into(), 16));
        (text.collect(), SecretHash(Sha256::digest(random).into()))
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretHash {}

impl Hash for SecretHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash")
    }
}

/// What a registration brings with it.
#[derive(Debug, Clone, Copy)]
pub enum Brings {
    /// A secret of its own.
    Own(SecretHash),
    /// None; it is to be given this one.
    Asks(SecretHash),
    /// None, and there is no reply that could carry one.
    Nothing,
}

/// Whose an agent is.
#[derive(Debug, Clone, Copy, Default)]
pub enum Identity {
    /// Anybody's.
    #[default]
    Unclaimed,
    /// Anybody's, until the secret that was given out is used.
    Offered(SecretHash),
    /// Whose secret this is.
    Claimed(SecretHash),
}

/// What a call has shown of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoke {
    /// Nothing, and nothing is needed.
    Unproved,
    /// The agent's secret.
    Proved,
    /// The agent's secret, for the first time: from now on it is needed.
    Claims,
}

/// Why a call may not speak for an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotYours {
    /// Its secret is needed.
    NoSecret,
    /// Another secret than its own was shown.
    WrongSecret,
}

impl Identity {
    /// Whether a secret has claimed it.
    pub fn is_claimed(&self) -> bool {
        matches!(self, Identity::Claimed(_))
    }

    /// Whether this is the secret that has claimed it.
    pub fn is_proved_by(&self, shown: Option<&SecretHash>) -> bool {
        matches!((self, shown), (Identity::Claimed(own), Some(shown)) if own == shown)
    }

    /// Whether a registration that brings this may go on.
    pub fn may_register(&self, brings: Brings) -> Result<(), NotYours> {
        match (self, brings) {
            (Identity::Claimed(own), Brings::Own(shown)) if *own == shown => Ok(()),
            (Identity::Claimed(_), Brings::Own(_)) => Err(NotYours::WrongSecret),
            (Identity::Claimed(_), _) => Err(NotYours::NoSecret),
            _ => Ok(()),
        }
    }

    /// A registration: one that brings a secret claims at once, one that asks for one is given it,
    /// and the one given before is void. Says what it has shown.
    pub fn register(&mut self, brings: Brings) -> Result<Spoke, NotYours> {
        self.may_register(brings)?;
        let claimed = self.is_claimed();
        match brings {
            Brings::Own(own) => *self = Identity::Claimed(own),
            Brings::Asks(fresh) => *self = Identity::Offered(fresh),
            Brings::Nothing => {}
        }
        Ok(match (self.is_claimed(), claimed) {
            (true, false) => Spoke::Claims,
            (true, true) => Spoke::Proved,
            (false, _) => Spoke::Unproved,
        })
    }

    /// A call in the name of the agent, with what it shows. A secret that is shown must be the
    /// agent's own, claimed or not: who brings one wants to be told that it protects nothing.
    pub fn speak(&mut self, shown: Option<&SecretHash>) -> Result<Spoke, NotYours> {
        match (*self, shown) {
            (Identity::Claimed(own), Some(shown)) if own == *shown => Ok(Spoke::Proved),
            (Identity::Offered(given), Some(shown)) if given == *shown => {
                *self = Identity::Claimed(given);
                Ok(Spoke::Claims)
            }
            (Identity::Claimed(_), None) => Err(NotYours::NoSecret),
            (_, Some(_)) => Err(NotYours::WrongSecret),
            (_, None) => Ok(Spoke::Unproved),
        }
    }
}

/// The identity of one registration, shared with what was sent in its name and to it. A later
/// registration of the same id is another owner.
#[derive(Debug, Clone, Default)]
pub struct Owner(Arc<Mutex<Identity>>);

impl Owner {
    /// Whoever has this secret, registered or not.
    pub fn claimed(by: SecretHash) -> Self {
        Owner(Arc::new(Mutex::new(Identity::Claimed(by))))
    }

    /// See [`Identity::is_claimed`].
    pub fn is_claimed(&self) -> bool {
        self.0.lock().is_claimed()
    }

    /// See [`Identity::is_proved_by`].
    pub fn is_proved_by(&self, shown: Option<&SecretHash>) -> bool {
        self.0.lock().is_proved_by(shown)
    }

    /// Whether what belongs to it may be touched by who shows this.
    pub fn admits(&self, shown: Option<&SecretHash>) -> bool {
        let identity = self.0.lock();
        !identity.is_claimed() || identity.is_proved_by(shown)
    }
}

/// The owner of a registered agent. Whether a secret has anything to do with it is known here and not only
/// where all who share it look: that is asked for every call.
#[derive(Debug, Default)]
pub struct Registered {
    owner: Owner,
    /// Set before it is true, and for good.
    has_secret: AtomicBool,
}

impl Registered {
    /// What is shared of it.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    fn has_secret(&self) -> bool {
        self.has_secret.load(Ordering::SeqCst)
    }

    /// See [`Identity::is_claimed`].
    pub fn is_claimed(&self) -> bool {
        self.has_secret() && self.owner.is_claimed()
    }

    /// See [`Identity::may_register`].
    pub fn may_register(&self, brings: Brings) -> Result<(), NotYours> {
        self.owner.0.lock().may_register(brings)
    }

    /// See [`Identity::register`]. Of two at the same time one is first.
    pub fn register(&self, brings: Brings) -> Result<Spoke, NotYours> {
        if !matches!(brings, Brings::Nothing) {
            self.has_secret.store(true, Ordering::SeqCst);
        }
        self.owner.0.lock().register(brings)
    }

    /// See [`Identity::speak`]. Of two at the same time one is first.
    pub fn speak(&self, shown: Option<&SecretHash>) -> Result<Spoke, NotYours> {
        match self.has_secret() {
            true => self.owner.0.lock().speak(shown),
            false => Identity::Unclaimed.speak(shown),
        }
    }
}

/// Somebody who looks at what agents have sent each other.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    /// Who it says it is; if that agent is claimed, it has proved it.
    pub agent: Option<AgentId>,
    /// The secret it shows.
    pub proof: Option<SecretHash>,
    /// Whether nobody reads without a secret.
    pub strict: bool,
}

/// A sender or recipient; without an owner one that was not registered.
pub type Party<'a> = (&'a AgentId, Option<&'a Owner>);

impl Reader {
    /// Whether it may read what went between these two: with the secret of either; without one if
    /// it names the one of them that is not claimed, or if neither is.
    pub fn may_read(&self, parties: [Party<'_>; 2]) -> bool {
        let proof = self.proof.as_ref();
        let claimed = |owner: Option<&Owner>| owner.is_some_and(Owner::is_claimed);
        if parties
            .iter()
            .any(|(_, owner)| owner.is_some_and(|owner| owner.is_proved_by(proof)))
        {
            return true;
        }
        let open = |(id, owner): &Party<'_>| !claimed(*owner) && self.agent.as_ref() == Some(*id);
        !self.strict
            && (parties.iter().any(open) || !parties.iter().any(|(_, owner)| claimed(*owner)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The secret of this number.
    fn secret(n: u8) -> SecretHash {
        SecretHash::made_of([n; SECRET]).1
    }

    #[test]
    fn a_secret_is_64_hex_digits_and_comes_back_as_its_hash() {
        let (text, hash) = SecretHash::made_of(std::array::from_fn(|n| n as u8 * 8));
        assert_eq!(text.len(), 64);
        assert!(text.starts_with("0008101820"), "{text}");
        assert_eq!(SecretHash::of(&text), Some(hash));
        assert_eq!(SecretHash::of(&text.to_uppercase()), Some(hash));
        for bad in [
            "",
            &text[1..],
            &format!("{text}0"),
            &format!("{}g", &text[1..]),
            &format!("{}é", &text[2..]),
            &format!("+{}", &text[1..]),
        ] {
            assert_eq!(SecretHash::of(bad), None, "{bad}");
        }
        assert_eq!(format!("{hash:?}"), "SecretHash");
        assert_ne!(secret(1), secret(2));
    }

    /// `head -c 32 /dev/zero | sha256sum`.
    #[test]
    fn what_is_kept_is_the_sha_256_of_the_bytes() {
        let SecretHash(kept) = secret(0);
        assert_eq!(kept[..4], [0x66, 0x68, 0x7a, 0xad]);
    }

    #[derive(Debug, Clone, Copy)]
    enum Call {
        Register(Brings),
        Speak(Option<u8>),
    }

    fn call() -> impl Strategy<Value = Call> {
        prop_oneof![
            (0..4u8).prop_map(|n| Call::Register(Brings::Own(secret(n)))),
            (4..8u8).prop_map(|n| Call::Register(Brings::Asks(secret(n)))),
            Just(Call::Register(Brings::Nothing)),
            prop::option::of(0..8u8).prop_map(Call::Speak),
        ]
    }

    proptest! {
        /// The rules once more, as words: who has claimed it, and which secret was given out last.
        #[test]
        fn only_the_secret_that_claimed_an_agent_speaks_for_it(calls in prop::collection::vec(call(), 0..40)) {
            let identity = Registered::default();
            let (mut owner, mut given): (Option<SecretHash>, Option<SecretHash>) = (None, None);
            for call in calls {
                let shown = match call {
                    Call::Register(Brings::Own(own)) => Some(own),
                    Call::Register(_) | Call::Speak(None) => None,
                    Call::Speak(Some(n)) => Some(secret(n)),
                };
                let done = match call {
                    Call::Register(brings) => {
                        prop_assert_eq!(identity.may_register(brings).is_ok(), owner.is_none() || owner == shown);
                        identity.register(brings)
                    }
                    Call::Speak(_) => identity.speak(shown.as_ref()),
                };
                if let Some(owner) = owner {
                    prop_assert_eq!(done.ok(), (shown == Some(owner)).then_some(Spoke::Proved));
                    prop_assert_eq!(done.err() == Some(NotYours::NoSecret), shown.is_none());
                } else {
                    match call {
                        Call::Register(Brings::Asks(fresh)) => given = Some(fresh),
                        Call::Register(Brings::Own(own)) => owner = Some(own),
                        Call::Speak(Some(_)) if shown == given => owner = given,
                        _ => {}
                    }
                    let right = match (call, owner) {
                        (_, Some(_)) => Ok(Spoke::Claims),
                        (Call::Speak(Some(_)), None) => Err(NotYours::WrongSecret),
                        _ => Ok(Spoke::Unproved),
                    };
                    prop_assert_eq!(done, right);
                }
                prop_assert_eq!(identity.is_claimed(), owner.is_some());
                prop_assert_eq!(identity.owner().is_claimed(), owner.is_some());
                for n in 0..8 {
                    prop_assert_eq!(identity.owner().is_proved_by(Some(&secret(n))), owner == Some(secret(n)));
                }
                prop_assert!(!identity.owner().is_proved_by(None));
            }
        }

        #[test]
        fn what_a_claimed_agent_has_sent_or_got_is_read_with_a_secret_of_its_own(
            named in prop::option::of(0..3usize),
            shown in prop::option::of(0..3u8),
            claims in prop::array::uniform2(prop::option::of(any::<bool>())),
            strict: bool,
        ) {
            let ids = ["a", "b", "c"].map(|id| AgentId::parse(id).unwrap());
            // Absent: not registered. Each is claimed, if it is, by the secret of its place.
            let owners: Vec<Option<Owner>> = (0..2u8).map(|n| {
                claims[usize::from(n)].map(|claimed| match claimed {
                    true => Owner::claimed(secret(n)),
                    false => Owner::default(),
                })
            }).collect();
            let claimed = |n: usize| claims[n] == Some(true);
            let reader = Reader { agent: named.map(|n| ids[n].clone()), proof: shown.map(secret), strict };
            let may = reader.may_read([(&ids[0], owners[0].as_ref()), (&ids[1], owners[1].as_ref())]);
            let proved = shown.is_some_and(|n| n < 2 && claimed(n.into()));
            let as_party = named.is_some_and(|n| n < 2 && !claimed(n));
            prop_assert_eq!(may, proved || !strict && (as_party || !claimed(0) && !claimed(1)));
        }
    }

    #[test]
    fn of_two_that_claim_at_the_same_time_one_wins() {
        for _ in 0..100 {
            let identity = Registered::default();
            let given = secret(9);
            identity.register(Brings::Asks(given)).unwrap();
            let claims: Vec<bool> = std::thread::scope(|scope| {
                let own = |n| {
                    let identity = &identity;
                    scope.spawn(move || identity.register(Brings::Own(secret(n))).is_ok())
                };
                let (one, two) = (own(1), own(2));
                let first_use = identity.speak(Some(&given)).is_ok();
                vec![one.join().unwrap(), two.join().unwrap(), first_use]
            });
            assert_eq!(claims.iter().filter(|won| **won).count(), 1, "{claims:?}");
        }
    }
}
