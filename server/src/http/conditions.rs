//! `If-Match` and `If-None-Match`: what a request asks of the version of a file. The entity tag of a
//! version is its number in quotes.

use super::error::ApiError;
use crate::core::shelf::Base;
use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};

/// The entity tag of a version.
pub fn tag(version: u64) -> String {
    format!("\"{version}\"")
}

fn header(request: &HttpRequest, name: HeaderName) -> Option<&str> {
    let value = request.headers().get(name)?;
    Some(value.to_str().unwrap_or_default().trim())
}

/// What a write asks, if it asks anything.
pub fn of_write(request: &HttpRequest) -> Result<Option<Base>, ApiError> {
    let exact = header(request, IF_MATCH);
    match (exact, header(request, IF_NONE_MATCH)) {
        (None, None) => Ok(None),
        (None, Some("*")) => Ok(Some(Base::Version(0))),
        (None, Some(_)) => Err(ApiError::bad_request(
            "If-None-Match on a write must be *: there must be no such file",
        )),
        (Some("*"), None) => Ok(Some(Base::Existing)),
        (Some(text), None) => version(text).map(|version| Some(Base::Version(version))),
        (Some(_), Some(_)) => Err(ApiError::bad_request(
            "If-Match and If-None-Match say two things; give one of them",
        )),
    }
}

fn version(text: &str) -> Result<u64, ApiError> {
    let bare = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let digits = bare.unwrap_or(text);
    let number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = digits.parse().ok().filter(|_| number);
    parsed.ok_or_else(|| ApiError::bad_request("If-Match must be one version, as \"3\", or *"))
}

/// Whether a reader has this version already.
pub fn has(request: &HttpRequest, version: u64) -> bool {
    let Some(known) = header(request, IF_NONE_MATCH) else {
        return false;
    };
    let (own, mut tags) = (tag(version), known.split(',').map(str::trim));
    known == "*" || tags.any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn asked(name: &str, value: &str) -> Option<Option<Base>> {
        let request = TestRequest::default().insert_header((name, value));
        of_write(&request.to_http_request()).ok()
    }

    #[test]
    fn a_write_may_ask_for_a_version_for_any_and_for_none() {
        assert_eq!(asked("If-Match", "\"3\""), Some(Some(Base::Version(3))));
        assert_eq!(asked("If-Match", "3"), Some(Some(Base::Version(3))));
        assert_eq!(asked("If-Match", "*"), Some(Some(Base::Existing)));
        assert_eq!(asked("If-None-Match", "*"), Some(Some(Base::Version(0))));
        assert_eq!(asked("X-Other", "1"), Some(None));
        for bad in [
            "",
            "\"\"",
            "\"3",
            "+3",
            "-1",
            "W/\"3\"",
            "\"1\", \"2\"",
            "x",
        ] {
            assert_eq!(asked("If-Match", bad), None, "{bad:?}");
        }
        assert_eq!(asked("If-None-Match", "\"3\""), None);
    }

    #[test]
    fn a_reader_may_name_what_it_has() {
        let has = |value: &str| {
            let request = TestRequest::default().insert_header((IF_NONE_MATCH, value));
            has(&request.to_http_request(), 3)
        };
        for known in ["\"3\"", "*", "\"1\", \"3\"", "W/\"3\""] {
            assert!(has(known), "{known}");
        }
        for other in ["\"2\"", "3", "\"33\"", ""] {
            assert!(!has(other), "{other}");
        }
    }
}
