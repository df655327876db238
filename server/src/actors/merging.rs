//! Writes of files that are merged with what has been written meanwhile.

use super::filing::content_text;
use super::library::Write;
use super::refused::Refused;
use super::relay::Relay;
use crate::core::content::Content;
use crate::core::merge::{self, MergeLimits, Merged, Side};
use crate::core::metrics::Merging;
use crate::core::shelf::{Base, File, Written};
use bytestring::ByteString;
use clawlink_protocol::error::ErrorCode;
use clawlink_protocol::name::FileKey;
use std::sync::Arc;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// The bounds of merges, and those of them that may still begin.
#[derive(Debug)]
pub struct Merges {
    limits: MergeLimits,
    turns: Semaphore,
}

impl Merges {
    /// None runs yet.
    pub fn new(limits: MergeLimits) -> Self {
        let turns = Semaphore::new(limits.at_once);
        Merges { limits, turns }
    }

    /// How many run.
    pub fn running(&self) -> usize {
        let free = self.turns.available_permits();
        self.limits.at_once.saturating_sub(free)
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.turns.acquire().await
    }

    fn short_enough(&self, what: &str, text: &str) -> Result<(), Refused> {
        let MergeLimits { bytes, lines, .. } = self.limits;
        if self.limits.allow(text) {
            return Ok(());
        }
        Err(Refused::new(
            ErrorCode::TooLarge,
            format!(
                "{what} is too long to be merged: at most {bytes} bytes and {lines} lines \
                 (--merge-bytes, --merge-lines)"
            ),
        ))
    }
}

/// A text to be written, merged with what is there.
#[derive(Debug, Clone)]
pub struct Merge {
    /// The write. Its base is the version that the text was made from.
    pub write: Write,
    /// Whether its type was given; else the file keeps the one it has.
    pub typed: bool,
}

/// A merge that was written.
#[derive(Debug, Clone, Copy)]
pub struct MergeDone {
    /// As of any write.
    pub written: Written,
    /// Bytes of the text that came of it; none where there was nothing to merge with, and the text
    /// was written as it came.
    pub size: Option<usize>,
}

/// What one try came to.
enum Try {
    Done(MergeDone),
    /// Somebody wrote meanwhile.
    Again(Refused),
}

impl Relay {
    /// Writes a text; if the file is not at its base any more, merges the two. Reads the file when its
    /// turn has come, so that only another merge or a plain write can come in between.
    pub async fn merge_file(&self, merge: Merge) -> Result<MergeDone, Refused> {
        let done = self.tried(merge).await;
        self.metrics.merges.of(outcome(&done)).inc();
        done
    }

    async fn tried(&self, merge: Merge) -> Result<MergeDone, Refused> {
        let Some(Content::Text(sent)) = merge.write.content.clone() else {
            return Err(Refused::bad_request("only text is merged"));
        };
        let Base::Version(base) = merge.write.base else {
            let error = "merge needs base_version: the version that the text was made from";
            return Err(Refused::bad_request(error));
        };
        self.merges.short_enough("the text that was sent", &sent)?;
        let turn = self.merges.turn().await;
        let _turn = turn.map_err(|_| Refused::unavailable("the merges"))?;
        let end = Instant::now() + self.merges.limits.time;
        let mut tries = 0;
        loop {
            match self.try_merge(&merge, base, &sent, end).await? {
                Try::Done(done) => return Ok(done),
                Try::Again(refused) => {
                    tries += 1;
                    if tries >= self.merges.limits.tries || Instant::now() >= end {
                        return Err(refused);
                    }
                }
            }
        }
    }

    async fn try_merge(
        &self,
        merge: &Merge,
        base: u64,
        sent: &ByteString,
        end: Instant,
    ) -> Result<Try, Refused> {
        let key = &merge.write.key;
        let kept = self.library.history(key.clone()).await;
        let current = kept.first().cloned();
        let plain = Base::Version(base).holds(current.as_deref());
        let Some(current) = current.filter(|file| !plain && !file.is_deletion()) else {
            // Nothing to merge with: it is written, or refused for what is not there.
            return self.try_write(merge.write.clone(), None).await;
        };
        let before = base_text(key, base, &kept, &current)?;
        let stored = text_of(key, &current, &current)?;
        self.merges.short_enough("the base", &before)?;
        self.merges.short_enough("the stored text", &stored)?;
        let text = merged(
            &merge.write,
            base,
            before,
            stored,
            sent.clone(),
            &current,
            end,
        )
        .await?;
        let mut write = merge.write.clone();
        write.base = Base::Version(current.version);
        if !merge.typed {
            write.file_type.clone_from(&current.file_type);
        }
        let size = text.len();
        write.content = Some(Content::of_text(text));
        self.try_write(write, Some(size)).await
    }

    async fn try_write(&self, write: Write, size: Option<usize>) -> Result<Try, Refused> {
        match self.write_file(write).await {
            Ok(written) => Ok(Try::Done(MergeDone { written, size })),
            Err(refused) if refused.is(ErrorCode::VersionConflict) => Ok(Try::Again(refused)),
            Err(refused) => Err(refused),
        }
    }
}

/// What is counted.
fn outcome(done: &Result<MergeDone, Refused>) -> Merging {
    match done {
        Ok(_) => Merging::Merged,
        Err(refused) if refused.0.merged_content.is_some() => Merging::Conflict,
        Err(refused) if refused.is(ErrorCode::VersionConflict) && refused.0.reason.is_none() => {
            Merging::GaveUp
        }
        Err(_) => Merging::Refused,
    }
}

/// Runs the merge beside everything else.
async fn merged(
    write: &Write,
    base: u64,
    before: ByteString,
    stored: ByteString,
    sent: ByteString,
    current: &Arc<File>,
    end: Instant,
) -> Result<String, Refused> {
    let names = [
        format!("version {base}"),
        format!("version {} by {}", current.version, current.last_editor),
        format!("sent by {}", write.editor),
    ];
    let work = move || {
        let side = |text, name| Side { text, name };
        let [base, ours, theirs] = [
            side(&*before, &*names[0]),
            side(&*stored, &*names[1]),
            side(&*sent, &*names[2]),
        ];
        merge::merge(base, ours, theirs, end.into_std())
    };
    let done = tokio::task::spawn_blocking(work).await;
    match done.map_err(|_| Refused::unavailable("the merge"))? {
        Merged::Clean(text) => Ok(text),
        Merged::Conflict(text) => {
            let mut refused = Refused::conflict(&write.key, current.as_conflict());
            refused.0.merged_content = Some(text);
            Err(refused)
        }
    }
}

/// What the text was made from.
fn base_text(
    key: &FileKey,
    base: u64,
    kept: &[Arc<File>],
    current: &Arc<File>,
) -> Result<ByteString, Refused> {
    if base == 0 {
        return Ok(ByteString::new());
    }
    match kept.iter().find(|file| file.version == base) {
        Some(file) if file.is_deletion() => Ok(ByteString::new()),
        Some(file) => text_of(key, file, current),
        None => Err(not_merged(key, current, "base_gone")),
    }
}

fn text_of(key: &FileKey, file: &File, current: &File) -> Result<ByteString, Refused> {
    let text = file.content.as_ref().and_then(content_text);
    text.ok_or_else(|| not_merged(key, current, "not_text"))
}

/// A conflict that no merge was tried for.
fn not_merged(key: &FileKey, current: &File, reason: &str) -> Refused {
    let mut refused = Refused::conflict(key, current.as_conflict());
    refused.0.reason = Some(reason.to_owned());
    refused
}
