//! Shared files: contents, versions and the room for them.

use clawlink_protocol::name::{AgentId, FileKey};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How much the shelf holds.
#[derive(Debug, Clone, Copy)]
pub struct ShelfLimits {
    /// Bytes of one file, decoded.
    pub file: usize,
    /// Bytes of all files.
    pub total: usize,
}

/// What a file holds.
#[derive(Debug, Clone)]
pub enum Content {
    /// Text: the usual case.
    Text(Arc<str>),
    /// Any other JSON value, as it was written.
    Json(Box<RawValue>),
}

impl Content {
    /// Bytes it is counted with.
    pub fn size(&self) -> usize {
        match self {
            Content::Text(text) => text.len(),
            Content::Json(json) => json.get().len(),
        }
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Content::Text(text) => serializer.serialize_str(text),
            Content::Json(json) => json.serialize(serializer),
        }
    }
}

/// A file in its current version.
#[derive(Debug, Clone)]
pub struct File {
    /// What it holds.
    pub content: Content,
    /// As given when it was written.
    pub file_type: String,
    /// Who wrote it.
    pub last_editor: AgentId,
    /// 1, 2, ...
    pub version: u64,
    /// RFC 3339, UTC.
    pub updated_at: String,
}

/// Bytes that a file counts beside its content, key and type, so that empty ones are bounded too.
pub const FILE_OVERHEAD: usize = 256;

/// Why a file was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShelfError {
    /// It is longer than one file may be.
    FileTooLarge {
        /// Bytes.
        limit: usize,
    },
    /// All files together would be longer than they may be.
    ShelfFull {
        /// Bytes.
        limit: usize,
    },
}

/// The shelf itself.
#[derive(Debug)]
pub struct Shelf {
    limits: ShelfLimits,
    files: BTreeMap<FileKey, Arc<File>>,
    bytes: usize,
}

impl Shelf {
    /// An empty one.
    pub fn new(limits: ShelfLimits) -> Self {
        Shelf {
            limits,
            files: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Writes a file and gives its new version. What does not fit changes nothing.
    pub fn put(
        &mut self,
        key: FileKey,
        content: Content,
        file_type: String,
        editor: AgentId,
        now: String,
    ) -> Result<u64, ShelfError> {
        if content.size() > self.limits.file {
            return Err(ShelfError::FileTooLarge {
                limit: self.limits.file,
            });
        }
        let before = self.files.get(&key);
        let counted = |content: &Content, file_type: &str| {
            FILE_OVERHEAD + key.as_str().len() + file_type.len() + content.size()
        };
        let freed = before.map_or(0, |file| counted(&file.content, &file.file_type));
        let bytes = self.bytes - freed + counted(&content, &file_type);
        if bytes > self.limits.total {
            return Err(ShelfError::ShelfFull {
                limit: self.limits.total,
            });
        }
        let version = before.map_or(0, |f| f.version) + 1;
        self.bytes = bytes;
        let file = File {
            content,
            file_type,
            last_editor: editor,
            version,
            updated_at: now,
        };
        self.files.insert(key, Arc::new(file));
        Ok(version)
    }

    /// The file kept under this key.
    pub fn get(&self, key: &FileKey) -> Option<Arc<File>> {
        self.files.get(key).cloned()
    }

    /// Up to `limit` files whose keys come after `after`, in the order of their keys.
    pub fn list(&self, after: Option<&FileKey>, limit: usize) -> Vec<(FileKey, Arc<File>)> {
        use std::ops::Bound;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.files
            .range::<FileKey, _>((start, Bound::Unbounded))
            .take(limit)
            .map(|(key, file)| (key.clone(), file.clone()))
            .collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(shelf: &mut Shelf, key: &str, text: &str) -> Result<u64, ShelfError> {
        shelf.put(
            FileKey::parse(key).unwrap(),
            Content::Text(text.into()),
            "text".into(),
            AgentId::parse("a").unwrap(),
            "now".into(),
        )
    }

    #[test]
    fn versions_count_from_one_for_each_key() {
        let mut shelf = Shelf::new(ShelfLimits {
            file: 10,
            total: 10_000,
        });
        assert_eq!(put(&mut shelf, "a", "1"), Ok(1));
        assert_eq!(put(&mut shelf, "a", ""), Ok(2));
        assert_eq!(put(&mut shelf, "b", "x"), Ok(1));
        assert_eq!(shelf.get(&FileKey::parse("a").unwrap()).unwrap().version, 2);
        assert!(shelf.get(&FileKey::parse("c").unwrap()).is_none());
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let own = |keys: usize| keys * (FILE_OVERHEAD + "a".len() + "text".len());
        let total = own(2) + 15;
        let mut shelf = Shelf::new(ShelfLimits { file: 10, total });
        put(&mut shelf, "a", "0123456789").unwrap();
        assert_eq!(
            put(&mut shelf, "a", "0123456789x"),
            Err(ShelfError::FileTooLarge { limit: 10 })
        );
        assert_eq!(
            put(&mut shelf, "b", "012345"),
            Err(ShelfError::ShelfFull { limit: total })
        );
        assert_eq!(put(&mut shelf, "b", "01234"), Ok(1));
        assert_eq!(
            put(&mut shelf, "a", "x"),
            Ok(2),
            "a shorter version frees room"
        );
        assert_eq!(put(&mut shelf, "b", "0123456789"), Ok(2));
    }

    #[test]
    fn empty_files_are_bounded_too() {
        let total = 100 * (FILE_OVERHEAD + 2 + "text".len());
        let mut shelf = Shelf::new(ShelfLimits { file: 10, total });
        let saved = (10..200).filter(|n| put(&mut shelf, &format!("{}", n % 1000), "").is_ok());
        assert!((99..=100).contains(&saved.count()));
    }

    #[test]
    fn a_listing_goes_on_after_a_key() {
        let mut shelf = Shelf::new(ShelfLimits {
            file: 10,
            total: 10_000,
        });
        for key in ["c", "a", "b/x", "b"] {
            put(&mut shelf, key, "x").unwrap();
        }
        let keys = |after: Option<&str>, limit| -> Vec<String> {
            let after = after.map(|k| FileKey::parse(k).unwrap());
            shelf
                .list(after.as_ref(), limit)
                .into_iter()
                .map(|(k, _)| k.to_string())
                .collect()
        };
        assert_eq!(keys(None, 2), ["a", "b"]);
        assert_eq!(keys(Some("b"), 10), ["b/x", "c"]);
        assert!(keys(Some("c"), 10).is_empty());
    }
}
