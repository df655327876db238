//! Shared files.

use super::clock::timestamp;
use super::herald::HeraldHandle;
use super::lifeline::Lifeline;
use crate::core::message::{Envelope, Kind};
use crate::core::shelf::{Content, File, Shelf, ShelfError, ShelfLimits};
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
}

impl Library {
    /// Starts the library.
    pub fn start(limits: ShelfLimits, herald: HeraldHandle, lifeline: Lifeline) -> LibraryHandle {
        let count = Arc::new(AtomicUsize::new(0));
        let library = Library {
            shelf: Shelf::new(limits),
            count: count.clone(),
            herald,
            lifeline,
        };
        LibraryHandle {
            address: Actor::start(library),
            count,
        }
    }

    fn put(&mut self, put: Put) -> Result<(u64, Arc<Envelope>, AgentId), NotSaved> {
        let now = timestamp();
        let Put {
            key,
            content,
            file_type,
            editor,
        } = put;
        let version = self
            .shelf
            .put(key.clone(), content, file_type, editor.clone(), now.clone())
            .map_err(NotSaved::Refused)?;
        self.count.store(self.shelf.len(), Ordering::Relaxed);
        let notice = Outgoing::FileUpdated {
            file_key: key.as_str(),
            version,
            last_editor: &editor,
            timestamp: &now,
        };
        let body = serde_json::to_string(&notice).map_err(|_| NotSaved::Unavailable)?;
        let envelope = Envelope {
            body: body.into(),
            kind: Kind::FileUpdated(key.as_str().into()),
            priority: Priority::Normal,
            accepted_at: now,
            expires: None,
            task: None,
        };
        Ok((version, Arc::new(envelope), editor))
    }
}

impl Actor for Library {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        self.lifeline.hub_stopped("the library");
    }
}

/// Why a file was not saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSaved {
    /// It does not fit.
    Refused(ShelfError),
    /// The library is gone.
    Unavailable,
}

/// A file to write.
#[derive(Debug, Message)]
#[rtype(result = "Result<u64, NotSaved>")]
pub struct Put {
    /// Where.
    pub key: FileKey,
    /// What.
    pub content: Content,
    /// As given.
    pub file_type: String,
    /// Who.
    pub editor: AgentId,
}

impl Handler<Put> for Library {
    type Result = AtomicResponse<Self, Result<u64, NotSaved>>;

    /// Ends when everybody has been told, and the next begins only then: the notices of one file
    /// come in the order of its versions.
    fn handle(&mut self, put: Put, _: &mut Self::Context) -> Self::Result {
        let saved = self.put(put);
        let herald = self.herald.clone();
        let told = async move {
            let (version, envelope, editor) = saved?;
            herald.tell(envelope, editor).await;
            Ok(version)
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
    /// Writes a file and gives its new version.
    pub async fn put(&self, put: Put) -> Result<u64, NotSaved> {
        self.address
            .send(put)
            .await
            .unwrap_or(Err(NotSaved::Unavailable))
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
