//! From a code to a status: the one `match`. What each code means stands in `docs/errors.md`.

use crate::actors::refused::Refused;
use crate::core::Millis;
use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use clawlink_protocol::error::{ErrorBody, ErrorCode};
use std::fmt;

/// Seconds after which a call that met a full inbox is worth another try.
const RETRY_AFTER_FULL: u64 = 5;

/// A reply that is not a success.
#[derive(Debug)]
pub struct ApiError {
    body: Box<ErrorBody>,
    /// The request's own header asked for what did not hold.
    precondition: bool,
    /// The connection ends with it.
    closes: bool,
    /// Seconds after which the call is worth another try.
    retry_after: Option<u64>,
}

impl ApiError {
    /// A reply of this code, in a sentence.
    #[cold]
    pub fn new(code: ErrorCode, error: impl Into<String>) -> Self {
        Refused::new(code, error).into()
    }

    /// The request is not what the call takes.
    #[cold]
    pub fn bad_request(error: impl Into<String>) -> Self {
        ApiError::new(ErrorCode::BadRequest, error)
    }

    /// Nothing answers to this path.
    #[cold]
    pub fn no_such_path(path: &str) -> Self {
        ApiError::new(
            ErrorCode::NotFound,
            format!("there is no {path} here; GET / lists the endpoints"),
        )
    }

    /// The path does not take this method.
    #[cold]
    pub fn no_such_method(method: &str, path: &str) -> Self {
        let error = format!("{path} does not take {method}; GET / lists the endpoints");
        ApiError::new(ErrorCode::MethodNotAllowed, error)
    }

    /// The same where `If-Match` or `If-None-Match` asked: HTTP has a status of its own for that.
    #[cold]
    pub fn of_precondition(self) -> Self {
        ApiError {
            precondition: self.code() == ErrorCode::VersionConflict,
            ..self
        }
    }

    /// The same, and the end of the connection.
    #[cold]
    pub fn closing(self) -> Self {
        ApiError {
            closes: true,
            ..self
        }
    }

    /// The peer asks too often; it may again after so many milliseconds.
    #[cold]
    pub fn rate_limited(error: impl Into<String>, wait: Millis) -> Self {
        ApiError {
            retry_after: Some(wait.div_ceil(1_000)),
            ..ApiError::new(ErrorCode::RateLimited, error)
        }
    }

    /// Its code.
    pub fn code(&self) -> ErrorCode {
        self.body.code.unwrap_or(ErrorCode::Other)
    }

    /// Whether the connection ends with it.
    pub fn closes(&self) -> bool {
        self.closes
    }

    /// The body of the reply.
    pub fn body(&self) -> &ErrorBody {
        &self.body
    }
}

impl From<Refused> for ApiError {
    #[cold]
    fn from(refused: Refused) -> Self {
        ApiError {
            precondition: false,
            // What is left of a body that is too long is not read.
            retry_after: (refused.0.code == Some(ErrorCode::InboxFull)).then_some(RETRY_AFTER_FULL),
            closes: refused.0.code == Some(ErrorCode::TooLarge),
            body: refused.0,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.body.error)
    }
}

/// The status of each code.
pub fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::UnknownAgent | ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::TaskEnded | ErrorCode::TooDeep => StatusCode::CONFLICT,
        ErrorCode::AmbiguousAgent | ErrorCode::AgentClaimed => StatusCode::CONFLICT,
        ErrorCode::Reserved | ErrorCode::VersionConflict => StatusCode::CONFLICT,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::IdempotencyMismatch => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::InboxFull | ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::RelayFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Other => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        if self.precondition {
            return StatusCode::PRECONDITION_FAILED;
        }
        status(self.code())
    }

    #[cold]
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        // For whoever counts them.
        response.extensions_mut().insert(self.code());
        if self.code() == ErrorCode::Unauthorized {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if self.closes {
            response.force_close();
        }
        response.json(&self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The catalogue in the documentation: code and status of each row.
    fn told() -> Vec<(String, u16)> {
        let page = include_str!("../../../docs/errors.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.filter_map(|row| {
            let (code, rest) = row.split_once("` | ")?;
            Some((code.to_owned(), rest.split(' ').next()?.parse().ok()?))
        })
        .collect()
    }

    #[test]
    fn the_catalogue_tells_every_code_with_its_status() {
        let told = told();
        let read = |code: &str| serde_json::from_str::<ErrorCode>(&format!("\"{code}\"")).unwrap();
        for (code, number) in &told {
            let known = read(code);
            assert!(
                known != ErrorCode::Other || code == "other",
                "{code} is not a code"
            );
            assert_eq!(status(known).as_u16(), *number, "{code}");
        }
        let codes: std::collections::HashSet<ErrorCode> =
            told.iter().map(|(code, _)| read(code)).collect();
        assert_eq!(codes.len(), ErrorCode::ALL.len());
    }
}
