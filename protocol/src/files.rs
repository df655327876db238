//! Shared files.

use crate::name::{AgentId, FileKey, Word};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /files`.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PutFile<Content> {
    /// Where it is kept.
    pub file_key: FileKey,
    /// A string, as a rule; any JSON value but `null`. Empty is valid.
    pub content: Content,
    /// Who writes.
    pub agent_id: AgentId,
    /// `text` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_type: Option<Word>,
    /// [`BASE64`] where `content` is bytes written so; absent where it is itself meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("enum" = [BASE64, null])))]
    pub encoding: Option<String>,
    /// The version that the writer has seen: the file is written only if it is still the current
    /// one. 0: only if there is no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_version: Option<u64>,
    /// Where the file is at another version than that: merge the two changes, line by line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<bool>,
    /// The epoch of the relay in which that version was seen. In another one there is no such
    /// version, whatever the numbers say: it counts as 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_epoch: Option<String>,
}

impl<Content> PutFile<Content> {
    /// The same call with its content in another form.
    pub fn with<Other>(self, form: impl FnOnce(Content) -> Other) -> PutFile<Other> {
        PutFile {
            file_key: self.file_key,
            content: form(self.content),
            agent_id: self.agent_id,
            file_type: self.file_type,
            encoding: self.encoding,
            base_version: self.base_version,
            merge: self.merge,
            base_epoch: self.base_epoch,
        }
    }
}

/// The `encoding` of bytes.
pub const BASE64: &str = "base64";

/// The header in which a call without a body names its agent.
pub const AGENT_HEADER: &str = "X-Agent-Id";

/// The reply to `POST /files`, and to `DELETE /files/{file_key}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileSaved {
    /// `saved`, `merged` or `deleted`.
    pub status: String,
    /// 1, 2, ...
    pub version: u64,
    /// Bytes of the text that came of a merge: it is not the one that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// The relay's epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
}

/// A file without its content, as `GET /files` lists it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileList {
    /// In the order of their keys.
    pub files: Vec<FileEntry>,
    /// How many stand in this reply.
    pub count: usize,
    /// Where to go on, if there are more than stand here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// The reply to `GET /files/{file_key}`. A client reads any JSON value as its content; the relay, which
/// writes it in pieces, has `()` there. It stands last, as it may be long.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileRead<Content = Value> {
    /// Where it is kept.
    pub file_key: String,
    /// [`BASE64`] where the content is bytes written so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
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
    /// The relay's epoch, in which the version counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// As it was written; a string, as a rule.
    pub content: Content,
}

/// One version of a file, as `GET /files/{file_key}?history=1` lists it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileVersion {
    /// 1, 2, ...
    pub version: u64,
    /// Who wrote or deleted it.
    pub last_editor: String,
    /// RFC 3339, UTC.
    pub updated_at: String,
    /// Bytes, decoded.
    pub size: usize,
    /// As given when it was written; absent where it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_type: Option<String>,
    /// Where the version is the file's deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
}

/// The reply to `GET /files/{file_key}?history=1`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileHistory {
    /// Where it is kept.
    pub file_key: String,
    /// Those that are kept, the newest first.
    pub versions: Vec<FileVersion>,
    /// How many stand in this reply.
    pub count: usize,
    /// The relay's epoch, in which the versions count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
}
