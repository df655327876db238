//! Shared files: their versions, what a writer must have seen, and the room for all of it.
//!
//! A file keeps its current version and [some](ShelfLimits::earlier) before it, a deletion being a version too.
//! All versions of all files share one room. Where it ends, the version that was written longest ago
//! leaves first, and a current one never does: a write that does not fit beside the current versions
//! of the others is refused.

use super::content::Content;
use clawlink_protocol::name::{AgentId, FileKey};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// How much the shelf holds.
#[derive(Debug, Clone, Copy)]
pub struct ShelfLimits {
    /// Bytes of one file, decoded.
    pub file: usize,
    /// Bytes of all files with their versions.
    pub total: usize,
    /// Versions of a file besides the current one.
    pub earlier: usize,
}

/// Bytes that a version counts beside its content, key and type, so that empty ones are bounded too.
pub const FILE_OVERHEAD: usize = 256;

/// One version of a file.
#[derive(Debug, Clone)]
pub struct File {
    /// What it holds; nothing where it is the file's deletion.
    pub content: Option<Content>,
    /// As given when it was written; empty where it was deleted.
    pub file_type: String,
    /// Who wrote or deleted it.
    pub last_editor: AgentId,
    /// 1, 2, ...
    pub version: u64,
    /// RFC 3339, UTC.
    pub updated_at: String,
}

impl File {
    /// Bytes of its content, decoded.
    pub fn size(&self) -> usize {
        self.content.as_ref().map_or(0, Content::size)
    }

    /// What a writer is told that has not seen it, where it is the current one.
    pub fn as_conflict(&self) -> Conflict {
        Conflict {
            version: self.version,
            last_editor: Some(self.last_editor.clone()),
            deleted: self.is_deletion(),
        }
    }

    /// Whether this version is the file's deletion.
    pub fn is_deletion(&self) -> bool {
        self.content.is_none()
    }
}

/// What a writer asks of a file before it is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// Nothing: the last writer wins.
    Any,
    /// That there is one.
    Existing,
    /// That this is its current version; 0: that there is none. Who has seen a deletion may name
    /// its version too.
    Version(u64),
}

impl Base {
    /// Whether that is so of a file whose last version this is.
    pub fn holds(self, current: Option<&File>) -> bool {
        let there = current.is_some_and(|file| !file.is_deletion());
        match self {
            Base::Any => true,
            Base::Existing => there,
            Base::Version(0) => !there,
            Base::Version(version) => current.is_some_and(|file| file.version == version),
        }
    }
}

/// A change of a file.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its new content; nothing deletes it.
    pub content: Option<Content>,
    /// As given; empty for a deletion.
    pub file_type: String,
    /// Who.
    pub editor: AgentId,
    /// RFC 3339, UTC.
    pub at: String,
}

/// A change that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The new version.
    pub version: u64,
    /// The one before it; 0 where there was none.
    pub from: u64,
}

/// What a file is at that is not what its writer has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conflict {
    /// The current version; 0 where there never was one.
    pub version: u64,
    /// Who wrote it.
    pub last_editor: Option<AgentId>,
    /// It is the file's deletion.
    pub deleted: bool,
}

/// Why a file was not changed. Nothing else has changed then either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShelfError {
    /// It is longer than one file may be.
    FileTooLarge {
        /// Bytes.
        limit: usize,
    },
    /// The current versions of all files together would be longer than they may be.
    ShelfFull {
        /// Bytes.
        limit: usize,
    },
    /// It is not at the version that the writer has seen.
    Conflict(Conflict),
    /// There is none to delete.
    NotFound,
}

/// A version and its place in the order of all writes.
#[derive(Debug)]
struct Kept {
    number: u64,
    file: Arc<File>,
}

/// The versions of one file that are kept, the oldest first; never empty.
type Versions = VecDeque<Kept>;

/// The shelf itself.
#[derive(Debug)]
pub struct Shelf {
    limits: ShelfLimits,
    /// Files that are there.
    files: BTreeMap<FileKey, Versions>,
    /// Files that were deleted, and are remembered.
    deleted: BTreeMap<FileKey, Versions>,
    /// The versions that leave where room is needed, by their numbers: all but the current ones of
    /// files that are there.
    leaving: BTreeMap<u64, FileKey>,
    /// Bytes of all versions, and of those that do not leave.
    bytes: usize,
    lasting: usize,
    /// Versions that are kept, and those that made room: for others of their file, for bytes.
    versions: usize,
    gone: (u64, u64),
    writes: u64,
    /// The highest version of a deleted file that was forgotten. A key of which nothing is known
    /// counts on from here, so that no version of it ever comes twice.
    forgotten: u64,
}

fn cost(key: &FileKey, file: &File) -> usize {
    FILE_OVERHEAD + key.as_str().len() + file.file_type.len() + file.size()
}

impl Shelf {
    /// An empty one.
    pub fn new(limits: ShelfLimits) -> Self {
        Shelf {
            limits,
            files: BTreeMap::new(),
            deleted: BTreeMap::new(),
            leaving: BTreeMap::new(),
            bytes: 0,
            lasting: 0,
            versions: 0,
            gone: (0, 0),
            writes: 0,
            forgotten: 0,
        }
    }

    /// Changes a file if it is at its base.
    pub fn write(
        &mut self,
        key: &FileKey,
        base: Base,
        change: Change,
    ) -> Result<Written, ShelfError> {
        let size = change.content.as_ref().map_or(0, Content::size);
        let limit = self.limits.file;
        if size > limit {
            return Err(ShelfError::FileTooLarge { limit });
        }
        let last = self.last(key).map(|kept| kept.file.clone());
        let there = last.as_ref().filter(|file| !file.is_deletion());
        if change.content.is_none() && there.is_none() {
            return Err(ShelfError::NotFound);
        }
        if !base.holds(last.as_deref()) {
            let now = last.as_deref().map(File::as_conflict);
            return Err(ShelfError::Conflict(now.unwrap_or_default()));
        }
        let from = last.as_ref().map_or(0, |file| file.version);
        let before = if from == 0 { self.forgotten } else { from };
        let file = File {
            content: change.content,
            file_type: change.file_type,
            last_editor: change.editor,
            version: before + 1,
            updated_at: change.at,
        };
        let others = self.lasting - there.map_or(0, |file| cost(key, file));
        let limit = self.limits.total;
        if others + cost(key, &file) > limit {
            return Err(ShelfError::ShelfFull { limit });
        }
        let version = file.version;
        self.add(key, file);
        self.make_room();
        Ok(Written { version, from })
    }

    fn add(&mut self, key: &FileKey, file: File) {
        let (cost_now, deletion) = (cost(key, &file), file.is_deletion());
        let before = self.files.remove(key);
        if let Some(last) = before.as_ref().and_then(VecDeque::back) {
            self.lasting -= cost(key, &last.file);
            self.leaving.insert(last.number, key.clone());
        }
        let mut versions = before
            .or_else(|| self.deleted.remove(key))
            .unwrap_or_default();
        let number = self.writes;
        self.writes += 1;
        versions.push_back(Kept {
            number,
            file: Arc::new(file),
        });
        self.bytes += cost_now;
        self.versions += 1;
        if versions.len().saturating_sub(1) > self.limits.earlier
            && let Some(oldest) = versions.pop_front()
        {
            self.leaving.remove(&oldest.number);
            self.bytes -= cost(key, &oldest.file);
            self.versions -= 1;
            self.gone.0 += 1;
        }
        if deletion {
            self.leaving.insert(number, key.clone());
            self.deleted.insert(key.clone(), versions);
        } else {
            self.lasting += cost_now;
            self.files.insert(key.clone(), versions);
        }
    }

    /// Lets the versions go that were written longest ago, until the rest fits. The versions of a
    /// file leave in their order, as they were written in it.
    fn make_room(&mut self) {
        while self.bytes > self.limits.total
            && let Some((_, key)) = self.leaving.pop_first()
        {
            let shelf = match self.files.contains_key(&key) {
                true => &mut self.files,
                false => &mut self.deleted,
            };
            let Some(versions) = shelf.get_mut(&key) else {
                continue;
            };
            let Some(oldest) = versions.pop_front() else {
                continue;
            };
            self.bytes -= cost(&key, &oldest.file);
            self.versions -= 1;
            self.gone.1 += 1;
            if versions.is_empty() {
                self.forgotten = self.forgotten.max(oldest.file.version);
                shelf.remove(&key);
            }
        }
    }

    fn versions(&self, key: &FileKey) -> Option<&Versions> {
        self.files.get(key).or_else(|| self.deleted.get(key))
    }

    fn last(&self, key: &FileKey) -> Option<&Kept> {
        self.versions(key)?.back()
    }

    /// The file under this key.
    pub fn get(&self, key: &FileKey) -> Option<Arc<File>> {
        Some(self.files.get(key)?.back()?.file.clone())
    }

    /// The versions of a file that are kept, the newest first; also of one that was deleted.
    pub fn history(&self, key: &FileKey) -> Vec<Arc<File>> {
        let versions = self.versions(key).into_iter().flatten().rev();
        versions.map(|kept| kept.file.clone()).collect()
    }

    /// Up to `limit` files whose keys come after `after`, in the order of their keys.
    pub fn list(&self, after: Option<&FileKey>, limit: usize) -> Vec<(FileKey, Arc<File>)> {
        use std::ops::Bound;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.files
            .range::<FileKey, _>((start, Bound::Unbounded))
            .take(limit)
            .filter_map(|(key, versions)| Some((key.clone(), versions.back()?.file.clone())))
            .collect()
    }

    /// Versions that are kept, and their bytes.
    pub fn held(&self) -> (usize, usize) {
        (self.versions, self.bytes)
    }

    /// Versions that have made room so far: as their file had too many, as all had too many bytes.
    pub fn gone(&self) -> (u64, u64) {
        self.gone
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
