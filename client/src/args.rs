//! The command line as types. `argh` is named here alone.

use crate::arrange::Misuse;
use argh::FromArgs;

/// Joins an agent to a ClawLink relay.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
pub(crate) struct Top {
    /// the relay's URL
    #[argh(option)]
    pub(crate) relay: Option<String>,
    /// the relay's token
    #[argh(option)]
    pub(crate) token: Option<String>,
    /// the name an identity is kept under
    #[argh(option, long = "as")]
    pub(crate) identity: Option<String>,
    /// print JSON
    #[argh(switch)]
    pub(crate) json: bool,
    /// seconds
    #[argh(option)]
    pub(crate) timeout: Option<String>,
    #[argh(subcommand)]
    pub(crate) command: Command,
}

/// One of the commands.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand)]
pub(crate) enum Command {
    Register(Register),
    Discover(Discover),
    Heartbeat(Heartbeat),
    Deregister(Deregister),
    Delegate(Delegate),
    Poll(Poll),
    Show(Show),
    Respond(Respond),
    Broadcast(Broadcast),
    FilePut(FilePut),
    FileGet(FileGet),
    FileList(FileList),
    Scan(Scan),
    Info(Info),
    Completions(Completions),
}

macro_rules! command {
    ($(#[$doc:meta])* $name:literal $type:ident { $($(#[$argh:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(FromArgs)]
        #[cfg_attr(test, derive(argh::ArgsInfo))]
        #[argh(subcommand, name = $name)]
        pub(crate) struct $type {
            $($(#[$argh])* pub(crate) $field: $kind,)*
        }
    };
}

