//! What HTTP calls for files, on the face of the relay.

use super::library::Write;
use super::refused::Refused;
use super::relay::Relay;
use super::speaking::Speaker;
use crate::core::content::Content;
use crate::core::shelf::{Base, File, Written};
use bytestring::ByteString;
use clawlink_protocol::files::{BASE64, PutFile};
use clawlink_protocol::name::FileKey;
use std::fmt::Display;
use std::sync::Arc;

/// The type of a file whose writer gives none.
const FILE_TYPE: &str = "text";

impl Relay {
    /// Writes or deletes a file.
    pub async fn write_file(&self, write: Write) -> Result<Written, Refused> {
        let key = write.key.clone();
        let written = self.library.write(write).await;
        written.map_err(|why| Refused::not_written(why, &key))
    }

    /// A file, in its current version or in one that is still kept.
    pub async fn file(&self, key: &FileKey, version: Option<u64>) -> Result<Arc<File>, Refused> {
        let Some(version) = version else {
            let file = self.library.get(key.clone()).await;
            return file.ok_or_else(|| Refused::no_file(key.as_str()));
        };
        let kept = self.file_history(key).await?;
        match kept.iter().find(|file| file.version == version) {
            Some(file) if file.is_deletion() => Err(Refused::no_version(format!(
                "\"{key}\" was deleted in version {version} by {}; ?history=1 lists what is kept",
                file.last_editor
            ))),
            Some(file) => Ok(file.clone()),
            None => Err(Refused::no_version(format!(
                "version {version} of \"{key}\" is not kept; ?history=1 lists those that are"
            ))),
        }
    }

    /// The versions of a file that are kept, the newest first; one at least.
    pub async fn file_history(&self, key: &FileKey) -> Result<Vec<Arc<File>>, Refused> {
        let kept = self.library.history(key.clone()).await;
        match kept.is_empty() {
            true => Err(Refused::no_file(key.as_str())),
            false => Ok(kept),
        }
    }

    /// The file that a call brings, its content as JSON. `asked` is what its headers say of the version
    /// it was made from.
    pub fn file_of(
        &self,
        call: PutFile<ByteString>,
        asked: Option<Base>,
        speaker: &Speaker,
    ) -> Result<Write, Refused> {
        let here = |epoch: &String| *epoch == self.epoch;
        let told = match call.base_version {
            Some(_) if !call.base_epoch.as_ref().is_none_or(here) => Some(Base::Version(0)),
            told => told.map(Base::Version),
        };
        if told.is_some() && asked.is_some() && told != asked {
            let error = "base_version and If-Match say two things; give one of them";
            return Err(Refused::bad_request(error));
        }
        let file_type = call.file_type.map(|word| word.to_string());
        Ok(Write {
            key: call.file_key,
            base: told.or(asked).unwrap_or(Base::Any),
            content: Some(content_of(call.content, call.encoding.as_deref())?),
            file_type: file_type.unwrap_or_else(|| FILE_TYPE.to_owned()),
            editor: call.agent_id,
            verified: speaker.is_verified(),
        })
    }
}

/// The text of a content that is text.
pub(super) fn content_text(content: &Content) -> Option<ByteString> {
    match content {
        Content::Text(text) => Some(ByteString::clone(text)),
        Content::Bytes(_) | Content::Json(_) => None,
    }
}

fn content_of(json: ByteString, encoding: Option<&str>) -> Result<Content, Refused> {
    let bad = |why: &dyn Display| Refused::bad_request(format!("content{why}"));
    let is_string = json.starts_with('"');
    match encoding {
        _ if json == "null" => Err(bad(&" is required")),
        None if is_string => Content::of_string(json).map_err(|why| bad(&format_args!(": {why}"))),
        None => Content::of_value(json).map_err(|why| bad(&format_args!(": {why}"))),
        Some(BASE64) if is_string => {
            Content::of_base64(json).map_err(|why| bad(&format_args!(" {why}")))
        }
        Some(BASE64) => Err(bad(&" must be a string of base64")),
        Some(_) => Err(Refused::bad_request("encoding must be base64, or absent")),
    }
}
