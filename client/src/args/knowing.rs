//! What is known, and who edits what.

use argh::FromArgs;

/// Shows what was broadcast.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "knowledge")]
pub(crate) struct Knowledge {
    /// a word
    #[argh(option)]
    pub(crate) topic: Option<String>,
    /// a word
    #[argh(option)]
    pub(crate) tag: Option<String>,
    /// a text
    #[argh(option)]
    pub(crate) grep: Option<String>,
    /// a time
    #[argh(option)]
    pub(crate) since: Option<String>,
    /// broadcasts
    #[argh(option)]
    pub(crate) max: Option<u64>,
    /// shorten nothing
    #[argh(switch)]
    pub(crate) full: bool,
}

/// Chooses what is heard.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "subscribe")]
pub(crate) struct Subscribe {
    /// topics
    #[argh(positional)]
    pub(crate) topics: Vec<String>,
    /// all topics
    #[argh(switch)]
    pub(crate) all: bool,
    /// no topic
    #[argh(switch)]
    pub(crate) none: bool,
}

/// Reserves paths.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "reserve")]
pub(crate) struct Reserve {
    /// patterns of paths
    #[argh(positional)]
    pub(crate) patterns: Vec<String>,
    /// seconds
    #[argh(option)]
    pub(crate) ttl: Option<u64>,
    /// beside others
    #[argh(switch)]
    pub(crate) shared: bool,
    /// a sentence
    #[argh(option)]
    pub(crate) reason: Option<String>,
}

/// Tells who has reserved what.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "reserved")]
pub(crate) struct Reserved {
    /// a path
    #[argh(positional)]
    pub(crate) path: Option<String>,
}

/// Releases reservations.
#[derive(FromArgs)]
#[cfg_attr(test, derive(argh::ArgsInfo))]
#[argh(subcommand, name = "release")]
pub(crate) struct Release {
    /// their ids
    #[argh(positional)]
    pub(crate) ids: Vec<String>,
}
