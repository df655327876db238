use actix_web::http::header::{HeaderValue, IF_MATCH, IF_NONE_MATCH};
use actix_web::test::TestRequest;
use clawlink_server::core::shelf::Base;
use clawlink_server::http::conditions::{has, of_write, tag};
use clawlink_server::http::page::{COMPLETE, Page, cursor, number};

/// The bytes as a query, as a key that a cursor goes on after, and as a condition on a version.
pub fn cursors(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(page) = page(&text) {
        assert!((1..=COMPLETE).contains(&page.limit));
        if let Some(key) = page.after {
            comes_back(&key);
        }
    }
    comes_back(&text);
    if let Ok(seconds) = number("wait", &text, 0..=55) {
        assert!(seconds <= 55);
    }
    if let Ok(value) = HeaderValue::from_bytes(data) {
        conditions(&value);
    }
}

fn page(query: &str) -> Option<Page<String>> {
    Page::of(query, COMPLETE, |key| Some(key.to_owned())).ok()
}

fn comes_back(key: &str) {
    let cursor = cursor(key);
    assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let page = page(&["cursor=", &cursor].concat());
    assert_eq!(page.and_then(|page| page.after).as_deref(), Some(key));
}

fn conditions(value: &HeaderValue) {
    let asking = |name| {
        TestRequest::default()
            .insert_header((name, value.clone()))
            .to_http_request()
    };
    let (write, read) = (asking(IF_MATCH), asking(IF_NONE_MATCH));
    let read_has = |version| has(&read, version);
    match of_write(&write) {
        Ok(Some(Base::Version(version))) => {
            // What a write takes for a version is, in the form that the relay gives, one to a reader.
            let given = value.to_str().is_ok_and(|text| text.trim() == tag(version));
            assert!(!given || read_has(version));
            assert!(!read_has(version.wrapping_add(1)));
        }
        Ok(Some(Base::Existing)) => assert!(read_has(0) && read_has(u64::MAX)),
        Ok(other) => panic!("If-Match asks for {other:?}"),
        Err(_) => {}
    }
    let _ = of_write(&read);
}
