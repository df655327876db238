//! Shared files.

use super::Shared;
use super::body::Body;
use super::error::ApiError;
use super::guard::speaks_for;
use super::once::{json, key_of, once, written};
use super::page::{COMPLETE, Page, cursor};
use crate::actors::relay::file_of;
use crate::core::shelf::File;
use actix_web::web::Json;
use actix_web::{HttpRequest, HttpResponse, Responder};
use clawlink_protocol::error::ErrorCode;
use clawlink_protocol::files::{FileEntry, FileList, FileRead, FileSaved, PutFile};
use clawlink_protocol::name::FileKey;

/// `POST /files`
pub async fn put(
    state: Shared,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let call: PutFile<'_> = body.parse()?;
    speaks_for(&request, &call.agent_id);
    let key = key_of(&request, &call.agent_id, "files")?;
    let (relay, put) = (state.clone(), file_of(call)?);
    let save = async move {
        let version = relay.relay.put_file(put).await?;
        written(&FileSaved {
            status: "saved".to_owned(),
            version,
            epoch: Some(relay.relay.epoch.clone()),
        })
    };
    let saved = match key {
        None => save.await?,
        Some(key) => {
            let digest = state.relay.replays.digest(body.bytes());
            once(&state, key, digest, save).await?
        }
    };
    Ok(json(saved))
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

/// `GET /files/{file_key}`
pub async fn get(state: Shared, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let path = request.path();
    let text = path.strip_prefix("/files/").and_then(decoded);
    let text = text.ok_or_else(|| ApiError::bad_request("file_key: not UTF-8"))?;
    let key =
        FileKey::parse(&text).map_err(|why| ApiError::bad_request(format!("file_key: {why}")))?;
    let Some(file) = state.relay.library.get(key).await else {
        let error = format!("no file is kept under \"{text}\"; GET /files lists the keys");
        return Err(ApiError::new(ErrorCode::NotFound, error));
    };
    Ok(HttpResponse::Ok().json(FileRead {
        file_key: text,
        content: &file.content,
        file_type: file.file_type.clone(),
        last_editor: file.last_editor.to_string(),
        version: file.version,
        updated_at: file.updated_at.clone(),
    }))
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
