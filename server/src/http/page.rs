//! Lists that come in pages. A cursor names the last entry of the page before, so that it neither
//! repeats nor skips what did not change, and lives as long as the relay does.

use super::error::ApiError;
use actix_web::web::Query;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt::Write;
use std::ops::RangeInclusive;

/// Entries of a page unless asked otherwise.
pub const PAGE: usize = 100;
/// Entries of a page at most.
pub const PAGE_MAX: usize = 1_000;
/// Entries of a list that was asked for without parameters.
pub const COMPLETE: usize = 10_000;

/// Bytes of what a page holds, after which it ends.
pub const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// Stands before the key in every cursor, so that other words are told from cursors.
const MARK: char = '\u{1}';

/// The parameters that every list takes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct PageQuery {
    /// Entries of the page at most.
    #[schemars(with = "Option<u64>", range(min = 1, max = PAGE_MAX))]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The page that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Page<K> {
    /// The last key of the page before.
    pub after: Option<K>,
    /// Entries.
    pub limit: usize,
}

impl<K> Page<K> {
    /// Reads the parameters of a request that without them asks for `whole` entries. `parse` makes a
    /// key of the text that a cursor holds.
    pub fn of(
        query: &str,
        whole: usize,
        parse: impl Fn(&str) -> Option<K>,
    ) -> Result<Self, ApiError> {
        let PageQuery { limit, cursor } = parameters(query)?;
        let after = match &cursor {
            Some(cursor) => Some(uncursor(cursor).and_then(|key| parse(&key)).ok_or_else(
                || ApiError::bad_request("the cursor is not one of this list's; start without"),
            )?),
            None => None,
        };
        let limit = match limit {
            Some(limit) => limit
                .parse()
                .ok()
                .filter(|limit| (1..=PAGE_MAX).contains(limit))
                .ok_or_else(|| ApiError::bad_request(format!("limit must be 1 to {PAGE_MAX}")))?,
            None if cursor.is_some() => PAGE,
            None => whole,
        };
        Ok(Page { after, limit })
    }
}

/// Reads a query string; unknown parameters are ignored.
pub fn parameters<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    Query::from_query(query)
        .map(Query::into_inner)
        .map_err(|error| ApiError::bad_request(format!("the query is not understood: {error}")))
}

/// A number of a query, within its range.
pub fn number(name: &str, text: &str, range: RangeInclusive<u64>) -> Result<u64, ApiError> {
    let known = text.parse().ok().filter(|number| range.contains(number));
    known.ok_or_else(|| {
        let (from, to) = (range.start(), range.end());
        ApiError::bad_request(format!("{name} must be {from} to {to}, not \"{text}\""))
    })
}

/// The cursor that goes on after this key: opaque, and of characters that need no escaping.
pub fn cursor(key: &str) -> String {
    let marked = format!("{MARK}{key}");
    let digits = String::with_capacity(marked.len() * 2);
    marked.bytes().fold(digits, |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn uncursor(cursor: &str) -> Option<String> {
    if !cursor.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = cursor
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok());
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| u8::from_str_radix(pair.filter(|p| p.len() == 2)?, 16).ok())
        .collect();
    let marked = String::from_utf8(bytes?).ok()?;
    marked.strip_prefix(MARK).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<Page<String>, ApiError> {
        Page::of(query, COMPLETE, |key| Some(key.to_owned()))
    }

    #[test]
    fn a_cursor_comes_back_as_its_key() {
        for key in ["a", "src/mäin.rs", ""] {
            let query = format!("cursor={}&other=1", cursor(key));
            assert_eq!(
                page(&query).unwrap(),
                Page {
                    after: Some(key.to_owned()),
                    limit: PAGE
                }
            );
        }
        assert_eq!(
            page("").unwrap(),
            Page {
                after: None,
                limit: COMPLETE
            }
        );
    }

    #[test]
    fn a_bad_cursor_or_limit_is_an_error() {
        for query in [
            "cursor=xyz",
            "cursor=6",
            "cursor=dead",
            "cursor=",
            "cursor=ff",
            "cursor=%2b1",
            "limit=0",
            "limit=1001",
            "limit=-1",
            "limit=a",
        ] {
            assert!(page(query).is_err(), "{query}");
        }
    }
}
