//! Shared files.

use super::clock::timestamp;
use super::herald::HeraldHandle;
use super::lifeline::Lifeline;
use crate::core::content::Content;
use crate::core::message::{Envelope, Kind};
use crate::core::metrics::{Gone, Metrics};
use crate::core::shelf::{Base, Change, File, Shelf, ShelfError, ShelfLimits, Written};
use actix::{Actor, Addr, AtomicResponse, Context, Handler, Message, WrapFuture};
use clawlink_protocol::messages::{Outgoing, Priority};
use clawlink_protocol::name::{AgentId, FileKey};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The actor.
pub struct Library {
    shelf: Shelf,
    count: Arc<AtomicUsize>,
    herald: HeraldHandle,
    lifeline: Lifeline,
    metrics: Arc<Metrics>,
}

impl Library {
    /// Starts the library.
    pub fn start(
        limits: ShelfLimits,
        herald: HeraldHandle,
        lifeline: Lifeline,
        metrics: Arc<Metrics>,
    ) -> LibraryHandle {
        let count = Arc::new(AtomicUsize::new(0));
        let library = Library {
            shelf: Shelf::new(limits),
            count: count.clone(),
            herald,
            lifeline,
            metrics,
        };
        LibraryHandle {
            address: Actor::start(library),
            count,
        }
    }

    fn note_held(&self, gone: (u64, u64)) {
        let (versions, bytes) = self.shelf.held();
        self.count.store(self.shelf.len(), Ordering::Relaxed);
        self.metrics.versions.set(versions);
        self.metrics.files_bytes.set(bytes);
        let now = self.shelf.gone();
        let left = &self.metrics.versions_gone;
        left.of(Gone::Count).add(now.0 - gone.0);
        left.of(Gone::Bytes).add(now.1 - gone.1);
    }

    fn write(&mut self, write: Write) -> Result<(Written, Arc<Envelope>, AgentId), NotWritten> {
        let now = timestamp();
        let Write {
            key,
            base,
            content,
            file_type,
            editor,
            verified,
        } = write;
        let deleted = content.is_none().then_some(true);
        let change = Change {
            content,
            file_type,
            editor: editor.clone(),
            at: now.clone(),
        };
        let gone = self.shelf.gone();
        let written = self
            .shelf
            .write(&key, base, change)
            .map_err(NotWritten::Refused)?;
        self.note_held(gone);
        let notice = Outgoing::FileUpdated {
            file_key: key.as_str(),
            version: written.version,
            from_version: written.from,
            last_editor: &editor,
            sender_verified: verified,
            deleted,
            timestamp: &now,
        };
        let body = serde_json::to_string(&notice).map_err(|_| NotWritten::Unavailable)?;
        let envelope = Envelope {
            body: body.into(),
            kind: Kind::FileUpdated(key.as_str().into()),
            priority: Priority::Normal,
            accepted_at: now,
            expires: None,
            task: None,
        };
        Ok((written, Arc::new(envelope), editor))
    }
}

impl Actor for Library {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        self.lifeline.hub_stopped("the library");
    }
}

/// Why a file was not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotWritten {
    /// It does not fit, or is not at its base.
    Refused(ShelfError),
    /// The library is gone.
    Unavailable,
}

/// A file to write or to delete.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Written, NotWritten>")]
pub struct Write {
    /// Where.
    pub key: FileKey,
    /// What its writer has seen.
    pub base: Base,
    /// What; nothing deletes it.
    pub content: Option<Content>,
    /// As given; empty for a deletion.
    pub file_type: String,
    /// Who.
    pub editor: AgentId,
    /// Whether the editor has shown its secret.
    pub verified: bool,
}

impl Handler<Write> for Library {
    type Result = AtomicResponse<Self, Result<Written, NotWritten>>;

    /// Ends when everybody has been told, and the next begins only then: the notices of one file
    /// come in the order of its versions.
    fn handle(&mut self, write: Write, _: &mut Self::Context) -> Self::Result {
        let done = self.write(write);
        let herald = self.herald.clone();
        let told = async move {
            let (written, envelope, editor) = done?;
            herald.tell(envelope, editor).await;
            Ok(written)
        };
        AtomicResponse::new(Box::pin(told.into_actor(self)))
    }
}

#[derive(Message)]
#[rtype(result = "Option<Arc<File>>")]
struct Get(FileKey);

impl Handler<Get> for Library {
    type Result = Option<Arc<File>>;
    fn handle(&mut self, Get(key): Get, _: &mut Self::Context) -> Self::Result {
        self.shelf.get(&key)
    }
}

#[derive(Message)]
#[rtype(result = "Vec<Arc<File>>")]
struct History(FileKey);

impl Handler<History> for Library {
    type Result = Vec<Arc<File>>;
    fn handle(&mut self, History(key): History, _: &mut Self::Context) -> Self::Result {
        self.shelf.history(&key)
    }
}

type Listing = Vec<(FileKey, Arc<File>)>;

#[derive(Message)]
#[rtype(result = "Listing")]
struct List {
    after: Option<FileKey>,
    limit: usize,
}

impl Handler<List> for Library {
    type Result = Listing;
    fn handle(&mut self, List { after, limit }: List, _: &mut Self::Context) -> Listing {
        self.shelf.list(after.as_ref(), limit)
    }
}

/// The typed handle of the library.
#[derive(Debug, Clone)]
pub struct LibraryHandle {
    address: Addr<Library>,
    count: Arc<AtomicUsize>,
}

impl LibraryHandle {
    /// Changes a file.
    pub async fn write(&self, write: Write) -> Result<Written, NotWritten> {
        let written = self.address.send(write).await;
        written.unwrap_or(Err(NotWritten::Unavailable))
    }

    /// The versions of a file that are kept, the newest first.
    pub async fn history(&self, key: FileKey) -> Vec<Arc<File>> {
        self.address.send(History(key)).await.unwrap_or_default()
    }

    /// The file under this key.
    pub async fn get(&self, key: FileKey) -> Option<Arc<File>> {
        self.address.send(Get(key)).await.ok().flatten()
    }

    /// Up to `limit` files after a key, in the order of their keys.
    pub async fn list(&self, after: Option<FileKey>, limit: usize) -> Listing {
        self.address
            .send(List { after, limit })
            .await
            .unwrap_or_default()
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[cfg(test)]
    pub(in crate::actors) fn address(&self) -> Addr<Library> {
        self.address.clone()
    }
}
