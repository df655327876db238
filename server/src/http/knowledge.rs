//! What was broadcast: the log, for those who come late.

use super::Shared;
use super::error::ApiError;
use super::page::{PAGE, PAGE_BYTES, Page, cursor, parameters};
use crate::actors::clock::moment;
use crate::actors::herald::Snapshot;
use crate::actors::refused::Refused;
use crate::core::knowledge::{Place, Wanted};
use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use clawlink_protocol::error::ErrorCode;
use clawlink_protocol::knowledge::BroadcastList;
use schemars::JsonSchema;
use serde::Deserialize;

/// The filters of `GET /broadcasts`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Filters {
    /// Its topic.
    topic: Option<String>,
    /// One of its tags.
    tag: Option<String>,
    /// The id of its sender, or the name that the sender bore when it sent it.
    from: Option<String>,
    /// Stands somewhere in its content, topic or tags.
    q: Option<String>,
    /// An RFC 3339 time, or whole seconds ago.
    since: Option<String>,
}

impl Filters {
    fn wanted(self) -> Result<Wanted, ApiError> {
        let moment = |text: String| {
            let error = "since must be an RFC 3339 time or a number of seconds ago";
            moment(&text).ok_or_else(|| ApiError::bad_request(error))
        };
        Ok(Wanted {
            topic: self.topic,
            tag: self.tag,
            from: self.from,
            text: self.q.map(|text| text.to_lowercase()),
            since: self.since.map(moment).transpose()?,
        })
    }
}

/// `GET /broadcasts`
pub async fn list(state: Shared, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query = request.query_string();
    let relay = &state.relay;
    // Places begin anew with each relay: a cursor of the one before must not pass for one of ours.
    let place = |key: &str| key.strip_suffix(&relay.epoch)?.parse::<Place>().ok();
    let page = Page::of(query, PAGE, |key| place(key))?;
    let wanted = parameters::<Filters>(query)?.wanted()?;
    let kept = relay.herald.log(page.after).await;
    let kept = kept.ok_or_else(|| Refused::unavailable("the herald"))?;
    let epoch = relay.epoch.clone();
    // To look through megabytes of text takes longer than other calls should wait.
    let reply = web::block(move || reply(&kept, &wanted, page.limit, &epoch)).await;
    let reply = reply.map_err(|_| Refused::unavailable("the log"))??;
    Ok(HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(reply))
}

fn reply(kept: &Snapshot, wanted: &Wanted, limit: usize, epoch: &str) -> Result<String, ApiError> {
    let other = |error: serde_json::Error| ApiError::new(ErrorCode::Other, error.to_string());
    let (mut broadcasts, mut bytes) = (Vec::new(), 0);
    let (mut last, mut next_cursor) = (None, None);
    for (place, envelope) in kept.iter().filter(|(_, envelope)| wanted.meets(envelope)) {
        if broadcasts.len() == limit || bytes >= PAGE_BYTES {
            next_cursor = last.map(|last: &Place| cursor(&format!("{last}{epoch}")));
            break;
        }
        broadcasts.push(serde_json::from_str(&envelope.body).map_err(other)?);
        bytes += envelope.size();
        last = Some(place);
    }
    let count = broadcasts.len();
    let list = BroadcastList {
        broadcasts,
        count,
        next_cursor,
    };
    serde_json::to_string(&list).map_err(other)
}
