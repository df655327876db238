//! What was broadcast, for those who come late.

use serde::Serialize;
use serde_json::value::RawValue;

/// The reply to `GET /broadcasts`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BroadcastList<'a> {
    /// Each as it was sent, the newest first.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Vec<crate::messages::Outgoing<'static>>")
    )]
    pub broadcasts: Vec<&'a RawValue>,
    /// How many stand in this reply.
    pub count: usize,
    /// Where to go on towards the older, if there are more than stand here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
