//! The replies to frequent calls, as bytes: heads like those that the HTTP layer writes.

use super::delivery::{put, put_number};
use super::error::ApiError;
use actix_web::body::MessageBody;
use actix_web::http::header::{CONNECTION, CONTENT_LENGTH, DATE};
use actix_web::{HttpResponse, ResponseError};
use std::cell::RefCell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The date, which is the same for a second.
struct Date {
    text: String,
    until: Option<Instant>,
}

thread_local! {
    static TODAY: RefCell<Date> = const {
        RefCell::new(Date { text: String::new(), until: None })
    };
}

/// Writes the end of a head, with the date. `now` is when this is.
fn put_end(out: &mut Vec<u8>, now: Instant, closes: bool) {
    if closes {
        put(out, ["connection: close\r\n"]);
    }
    TODAY.with_borrow_mut(|date| {
        if date.until.is_none_or(|until| now >= until) {
            let time = SystemTime::now();
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            let begun = Duration::from_nanos(since.subsec_nanos().into());
            date.text = httpdate::fmt_http_date(time);
            date.until = Some(now + Duration::from_secs(1).saturating_sub(begun));
        }
        put(out, ["date: ", &date.text, "\r\n\r\n"]);
    });
}

/// Writes a success: this JSON.
pub fn put_json(out: &mut Vec<u8>, now: Instant, json: &[u8], closes: bool) {
    out.reserve(json.len() + 256);
    put(out, ["HTTP/1.1 200 OK\r\ncontent-length: "]);
    put_number(out, json.len() as u64);
    put(
        out,
        ["\r\ncontent-type: application/json\r\ncache-control: no-store\r\n"],
    );
    put_end(out, now, closes);
    out.extend_from_slice(json);
}

/// Writes a refusal.
#[cold]
pub fn put_error(out: &mut Vec<u8>, now: Instant, error: &ApiError, closes: bool) {
    let response: HttpResponse = error.error_response();
    let status = response.status();
    let (response, body) = response.into_parts();
    let body = body.try_into_bytes().unwrap_or_default();
    let reason = status.canonical_reason().unwrap_or_default();
    put(out, ["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n"]);
    put(out, ["content-length: "]);
    put_number(out, body.len() as u64);
    put(out, ["\r\ncache-control: no-store\r\n"]);
    for (name, value) in response.headers() {
        if ![CONTENT_LENGTH, CONNECTION, DATE].contains(name) {
            put(out, [name.as_str(), ": "]);
            out.extend_from_slice(value.as_bytes());
            put(out, ["\r\n"]);
        }
    }
    put_end(out, now, closes);
    out.extend_from_slice(&body);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(out: Vec<u8>) -> String {
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_reply_has_its_length_and_the_date_of_its_second() {
        let mut out = Vec::new();
        put_json(&mut out, Instant::now(), b"{\"a\":1}", false);
        let out = text(out);
        let (head, body) = out.split_once("\r\n\r\n").expect("a head");
        assert_eq!(body, "{\"a\":1}");
        assert!(
            head.starts_with("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n"),
            "{head}"
        );
        assert!(!head.contains("connection"), "{head}");
        let (_, date) = head.split_once("date: ").expect("a date");
        let date = httpdate::parse_http_date(date).expect("a good date");
        let off = SystemTime::now()
            .duration_since(date)
            .expect("not in the future");
        assert!(off < Duration::from_secs(60), "{off:?}");
        // The same second is not written anew, the next one is.
        let until = TODAY.with_borrow(|date| date.until).expect("a bound");
        assert!(until <= Instant::now() + Duration::from_secs(1));
    }

    #[test]
    fn a_refusal_says_what_the_http_layer_would_have_said() {
        let mut out = Vec::new();
        let error = ApiError::rate_limited("slow down", 1_500);
        put_error(&mut out, Instant::now(), &error, true);
        let out = text(out);
        assert!(
            out.starts_with("HTTP/1.1 429 Too Many Requests\r\n"),
            "{out}"
        );
        for line in [
            "cache-control: no-store",
            "content-type: application/json",
            "retry-after: 2",
            "connection: close",
        ] {
            assert_eq!(out.matches(&format!("\r\n{line}\r\n")).count(), 1, "{out}");
        }
        assert!(
            out.ends_with("\r\n\r\n{\"error\":\"slow down\",\"code\":\"rate_limited\"}"),
            "{out}"
        );
    }
}
