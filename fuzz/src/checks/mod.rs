//! One function for each target.

mod arrange;
mod base64;
mod bodies;
mod cursors;
mod escape;
mod frames;
mod glob;
mod mdns;
mod merge;
mod requests;
mod url;

pub use self::arrange::arrange;
pub use self::base64::base64;
pub use self::bodies::bodies;
pub use self::cursors::cursors;
pub use self::escape::escape;
pub use self::frames::frames;
pub use self::glob::glob;
pub use self::mdns::mdns;
pub use self::merge::merge;
pub use self::requests::requests;
pub use self::url::url;

/// Panics where these bytes break a promise.
pub type Check = fn(&[u8]);

/// All targets by their names, which are those of their corpora.
pub const ALL: [(&str, Check); 11] = [
    ("arrange", arrange),
    ("base64", base64),
    ("bodies", bodies),
    ("cursors", cursors),
    ("escape", escape),
    ("frames", frames),
    ("glob", glob),
    ("mdns", mdns),
    ("merge", merge),
    ("requests", requests),
    ("url", url),
];
