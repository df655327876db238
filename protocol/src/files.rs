//! Shared files.

use crate::name::{AgentId, FileKey, Word};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// `POST /files`.
#[derive(Debug, Serialize, Deserialize)]
pub struct PutFile<'a> {
    /// Where it is kept.
    pub file_key: FileKey,
    /// A string, as a rule; any JSON value but `null`. Empty is valid.
    #[serde(borrow)]
    pub content: &'a RawValue,
    /// Who writes.
    pub agent_id: AgentId,
    /// `text` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_type: Option<Word>,
}

/// The reply to `POST /files`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileSaved {
    /// `saved`.
    pub status: String,
    /// 1, 2, ...
    pub version: u64,
    /// The relay's epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
}

/// A file without its content, as `GET /files` lists it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FileEntry {
    /// Where it is kept.
    pub file_key: String,
    /// As given when it was written.
    #[serde(default)]
    pub file_type: String,
    /// Who wrote this version.
    #[serde(default)]
    pub last_editor: String,
    /// 1, 2, ...
    #[serde(default)]
    pub version: u64,
    /// RFC 3339, UTC.
    #[serde(default)]
    pub updated_at: String,
}

/// The reply to `GET /files`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FileList {
    /// In the order of their keys.
    pub files: Vec<FileEntry>,
    /// How many stand in this reply.
    pub count: usize,
    /// Where to go on, if there are more than stand here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// The reply to `GET /files/{file_key}`. The relay writes the content as it holds it, a client
/// reads any JSON value.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FileRead<Content = Value> {
    /// Where it is kept.
    pub file_key: String,
    /// As it was written; a string, as a rule.
    pub content: Content,
    /// As given when it was written.
    #[serde(default)]
    pub file_type: String,
    /// Who wrote this version.
    #[serde(default)]
    pub last_editor: String,
    /// 1, 2, ...
    #[serde(default)]
    pub version: u64,
    /// RFC 3339, UTC.
    #[serde(default)]
    pub updated_at: String,
}
