//! From a code to a status: the one `match`. What each code means stands in `docs/errors.md`.

use crate::actors::relay::Refused;
use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use clawlink_protocol::error::{ErrorBody, ErrorCode};
use std::fmt;

/// Seconds after which a call that met a full inbox is worth another try.
const RETRY_AFTER_FULL: &str = "5";

/// A reply that is not a success.
#[derive(Debug)]
pub struct ApiError(Box<ErrorBody>);

impl ApiError {
    /// A reply of this code, in a sentence.
    pub fn new(code: ErrorCode, error: impl Into<String>) -> Self {
        Refused::new(code, error).into()
    }

    /// The request is not what the call takes.
    pub fn bad_request(error: impl Into<String>) -> Self {
        ApiError::new(ErrorCode::BadRequest, error)
    }

    /// Nothing answers to this path.
    pub fn no_such_path(path: &str) -> Self {
        ApiError::new(
            ErrorCode::NotFound,
            format!("there is no {path} here; GET / lists the endpoints"),
        )
    }

    /// The path does not take this method.
    pub fn no_such_method(method: &str, path: &str) -> Self {
        let error = format!("{path} does not take {method}; GET / lists the endpoints");
        ApiError::new(ErrorCode::MethodNotAllowed, error)
    }

    /// Its code.
    pub fn code(&self) -> ErrorCode {
        self.0.code.unwrap_or(ErrorCode::Other)
    }

    /// The body of the reply.
    pub fn body(&self) -> &ErrorBody {
        &self.0
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        ApiError(refused.0)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.error)
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
        ErrorCode::AmbiguousAgent => StatusCode::CONFLICT,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::InboxFull => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::RelayFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Other => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        status(self.code())
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self.code() {
            ErrorCode::Unauthorized => {
                response.insert_header((WWW_AUTHENTICATE, "Bearer"));
            }
            ErrorCode::InboxFull => {
                response.insert_header((RETRY_AFTER, RETRY_AFTER_FULL));
            }
            // What is left of a body that is too long is not read: the connection ends.
            ErrorCode::TooLarge => {
                response.force_close();
            }
            _ => {}
        }
        response.json(&self.0)
    }
}
