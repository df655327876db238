//! Shared files.

use super::Shared;
use super::body::Body;
use super::caller::Caller;
use super::conditions;
use super::error::ApiError;
use super::once::{self, json, key_of, written};
use super::page::{COMPLETE, Page, cursor, parameters};
use crate::actors::library::Write;
use crate::actors::merging::Merge;
use crate::actors::refused::Refused;
use crate::core::content::Content;
use crate::core::replay::{Digest, Key};
use crate::core::shelf::{Base, File};
use actix_web::body::{MessageBody, SizedStream};
use actix_web::http::Method;
use actix_web::http::header::ETAG;
use actix_web::web::Json;
use actix_web::{HttpRequest, HttpResponse, Responder};
use bytes::Bytes;
use clawlink_protocol::files::{
    FileEntry, FileHistory, FileList, FileRead, FileSaved, FileVersion, PutFile,
};
use clawlink_protocol::name::FileKey;
use futures_util::stream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::convert::Infallible;
use std::iter::once;

/// What an idempotency key counts for, beside its sender.
const WRITE: &str = "files";
/// The same.
const DELETE: &str = "files_delete";

/// `POST /files`
pub async fn put(
    state: Shared,
    request: HttpRequest,
    caller: Caller,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let asked = conditions::of_write(&request)?;
    let call: PutFile<&RawValue> = body.parse()?;
    let speaker = caller.speak_for(&state, &call.agent_id)?;
    let key = key_of(&caller, &speaker, WRITE)?;
    let key = key.map(|key| keyed(&state, key, body.text().as_bytes(), asked));
    let (merge, typed) = (call.merge == Some(true), call.file_type.is_some());
    let call = call.with(|content| body.part(content.get()));
    // What is stored takes the place of the body, which nobody else may have then.
    drop(body);
    let write = state.relay.file_of(call, asked, &speaker)?;
    let what = match merge {
        true => What::Merge(Merge { write, typed }),
        false => What::Write(write),
    };
    change(state, what, asked, key).await
}

/// `DELETE /files/{file_key}`
pub async fn delete(
    state: Shared,
    request: HttpRequest,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let asked = conditions::of_write(&request)?;
    let file_key = key_in(&request)?;
    let editor = caller.agent("deletes")?;
    let speaker = caller.speak_for(&state, &editor)?;
    let key = key_of(&caller, &speaker, DELETE)?;
    let key = key.map(|key| keyed(&state, key, file_key.as_str().as_bytes(), asked));
    let write = Write {
        key: file_key,
        base: asked.unwrap_or(Base::Any),
        content: None,
        file_type: String::new(),
        editor,
        verified: speaker.is_verified(),
    };
    change(state, What::Write(write), asked, key).await
}

/// A key with what its call must repeat. What headers ask is part of that.
fn keyed(state: &Shared, key: Key, body: &[u8], asked: Option<Base>) -> (Key, Digest) {
    let replays = &state.relay.replays;
    let asked = asked.map(|base| format!("{base:?}"));
    let asked = asked.map_or(0, |text| replays.digest(text.as_bytes()));
    (key, replays.digest(body) ^ asked)
}

/// What is asked of the library.
enum What {
    Write(Write),
    Merge(Merge),
}

/// Does it, and gives the reply.
async fn done(state: &Shared, what: What) -> Result<FileSaved, Refused> {
    let (status, version, size) = match what {
        What::Write(write) => {
            let status = match write.content.is_some() {
                true => "saved",
                false => "deleted",
            };
            (status, state.relay.write_file(write).await?.version, None)
        }
        What::Merge(merge) => {
            let done = state.relay.merge_file(merge).await?;
            let status = if done.size.is_some() {
                "merged"
            } else {
                "saved"
            };
            (status, done.written.version, done.size)
        }
    };
    Ok(FileSaved {
        status: status.to_owned(),
        version,
        size,
        epoch: Some(state.relay.epoch.clone()),
    })
}

/// Writes, merges or deletes, once for each key.
async fn change(
    state: Shared,
    what: What,
    asked: Option<Base>,
    key: Option<(Key, Digest)>,
) -> Result<HttpResponse, ApiError> {
    let relay = state.clone();
    let work = async move {
        let saved = done(&relay, what).await.map_err(|refused| {
            let refused = ApiError::from(refused);
            match asked {
                Some(_) => refused.of_precondition(),
                None => refused,
            }
        })?;
        written(&saved)
    };
    let reply = match key {
        None => work.await?,
        Some((key, digest)) => once::once(&state, key, digest, work).await?,
    };
    Ok(json(reply))
}

/// A path without its escapes. Done here, as the router replaces what is not UTF-8.
fn decoded(path: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(path.len()), path.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| first == b'%');
        let escaped =
            escaped.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() {
            &after[2..]
        } else {
            after
        };
    }
    String::from_utf8(bytes).ok()
}

/// The key of a file in a path.
fn key_in(request: &HttpRequest) -> Result<FileKey, ApiError> {
    let text = request.path().strip_prefix("/files/").and_then(decoded);
    let text = text.ok_or_else(|| ApiError::bad_request("file_key: not UTF-8"))?;
    FileKey::parse(&text).map_err(|why| ApiError::bad_request(format!("file_key: {why}")))
}

/// The parameters of a read.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadQuery {
    /// One of the versions that are kept.
    #[schemars(with = "Option<u64>")]
    version: Option<String>,
    /// 1: lists the versions that are kept.
    #[schemars(extend("enum" = ["0", "1"]))]
    history: Option<String>,
}

/// `GET /files/{file_key}`
pub async fn get(state: Shared, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let key = key_in(&request)?;
    let ReadQuery { version, history } = parameters(request.query_string())?;
    let version = match version.as_deref().map(str::parse) {
        None => None,
        Some(Ok(version)) => Some(version),
        Some(Err(_)) => return Err(ApiError::bad_request("version must be a number")),
    };
    match (history.as_deref(), version) {
        (None | Some("0"), version) => read(&state, &request, &key, version).await,
        (Some("1"), None) => list_versions(&state, &key).await,
        (Some("1"), Some(_)) => Err(ApiError::bad_request(
            "version and history ask for two things; give one of them",
        )),
        (Some(_), _) => Err(ApiError::bad_request("history must be 0 or 1")),
    }
}

async fn read(
    state: &Shared,
    request: &HttpRequest,
    key: &FileKey,
    version: Option<u64>,
) -> Result<HttpResponse, ApiError> {
    let file = state.relay.file(key, version).await?;
    let tag = (ETAG, conditions::tag(file.version));
    if conditions::has(request, file.version) {
        return Ok(HttpResponse::NotModified().insert_header(tag).finish());
    }
    let Some(content) = file.content.clone() else {
        return Err(Refused::no_file(key.as_str()).into());
    };
    let about = FileRead {
        file_key: key.to_string(),
        encoding: content.encoding().map(str::to_owned),
        file_type: file.file_type.clone(),
        last_editor: file.last_editor.to_string(),
        version: file.version,
        updated_at: file.updated_at.clone(),
        epoch: Some(state.relay.epoch.clone()),
        content: (),
    };
    Ok(HttpResponse::Ok()
        .insert_header(tag)
        .content_type("application/json")
        .body(streamed(&about, content, request.method() == Method::HEAD)?))
}

/// The reply to a read. Its content is written when it is sent, piece by piece; where only the head
/// is, not at all.
fn streamed(
    about: &FileRead<()>,
    content: Content,
    only_head: bool,
) -> Result<impl MessageBody + use<>, ApiError> {
    let about = written(about)?;
    let quote = content.quote();
    // The content stands last.
    let before = [about.strip_suffix("null}").unwrap_or(&about), quote].concat();
    let after = [quote, "}"].concat();
    let pieces = content.pieces();
    let length = before.len() + pieces.length() + after.len();
    let parts = once(before.into()).chain(pieces).chain(once(after.into()));
    let parts = parts.take(if only_head { 0 } else { usize::MAX });
    let parts = stream::iter(parts.map(Ok::<Bytes, Infallible>));
    Ok(SizedStream::new(length as u64, parts))
}

async fn list_versions(state: &Shared, key: &FileKey) -> Result<HttpResponse, ApiError> {
    let kept = state.relay.file_history(key).await?;
    let versions: Vec<FileVersion> = kept.iter().map(|file| version(file)).collect();
    Ok(HttpResponse::Ok().json(FileHistory {
        file_key: key.to_string(),
        count: versions.len(),
        versions,
        epoch: Some(state.relay.epoch.clone()),
    }))
}

fn version(file: &File) -> FileVersion {
    let deleted = file.is_deletion();
    FileVersion {
        version: file.version,
        last_editor: file.last_editor.to_string(),
        updated_at: file.updated_at.clone(),
        size: file.size(),
        file_type: (!deleted).then(|| file.file_type.clone()),
        deleted: deleted.then_some(true),
    }
}

/// `GET /files`
pub async fn list(state: Shared, request: HttpRequest) -> Result<impl Responder, ApiError> {
    let page = Page::of(request.query_string(), COMPLETE, |key| {
        FileKey::parse(key).ok()
    })?;
    let mut kept = state.relay.library.list(page.after, page.limit + 1).await;
    let more = kept.len() > page.limit;
    kept.truncate(page.limit);
    let next_cursor = kept
        .last()
        .filter(|_| more)
        .map(|(key, _)| cursor(key.as_str()));
    let files: Vec<FileEntry> = kept.iter().map(|(key, file)| entry(key, file)).collect();
    let count = files.len();
    Ok(Json(FileList {
        files,
        count,
        next_cursor,
    }))
}

fn entry(key: &FileKey, file: &File) -> FileEntry {
    FileEntry {
        file_key: key.to_string(),
        file_type: file.file_type.clone(),
        last_editor: file.last_editor.to_string(),
        version: file.version,
        updated_at: file.updated_at.clone(),
    }
}
