//! Tasks: looking at them, waiting for them, calling them off.

use super::Shared;
use super::body::Body;
use super::caller::Caller;
use super::error::ApiError;
use super::page::{PAGE, PAGE_BYTES, Page, cursor, number, parameters};
use crate::actors::board::Until;
use crate::actors::clock::Clock;
use crate::core::identity::Reader;
use crate::core::ledger::Whose;
use crate::core::message::Sent;
use crate::core::task::{Made, State, Task};
use actix_web::web::{Json, Path};
use actix_web::{HttpRequest, HttpResponse, Responder};
use bytestring::ByteString;
use clawlink_protocol::error::ErrorCode;
use clawlink_protocol::messages::WAIT_MAX;
use clawlink_protocol::name::Word;
use clawlink_protocol::tasks::{Cancel, Input, OneTask, TaskList, TaskStep, TaskView};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// Tasks looked at in one hold of the board.
const STEP: usize = 256;

/// The part of an answer that its sender wrote.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: &'a RawValue,
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ApiError> {
    serde_json::from_str(text).map_err(|error| ApiError::new(ErrorCode::Other, error.to_string()))
}

/// How a task stands at one moment.
struct Standing {
    state: State,
    rev: u64,
    answer: Option<ByteString>,
    steps: Vec<TaskStep>,
    all: usize,
    /// Whether who asks may read it.
    readable: bool,
}

impl Standing {
    fn of(task: &Task, clock: &Clock, reader: &Reader) -> Standing {
        let progress = task.progress();
        let (made, all) = progress.history();
        let (made, state, rev) = (made.to_vec(), progress.state(), progress.rev());
        let answer = progress.answer().cloned();
        let sender = (&task.asked.from, task.asked.sender.as_ref());
        let readable = reader.may_read([sender, (task.to(), progress.assignee())]);
        drop(progress);
        // To whom it went, where that was not the sender's choice.
        let chosen = |nth: usize, made: &Made| match made.passed_on {
            Some(_) => Some(task.to().to_string()),
            None if nth == 0 && task.asked.capability.is_some() => Some(task.asked.to.to_string()),
            None => None,
        };
        let steps = made.into_iter().enumerate().map(|(nth, made)| TaskStep {
            state: made.state.as_str().to_owned(),
            at: clock.timestamp_of(made.at),
            to_agent: chosen(nth, &made),
            reason: made.passed_on.map(|why| why.as_str().to_owned()),
        });
        Standing {
            state,
            rev,
            answer,
            steps: steps.collect(),
            all,
            readable,
        }
    }
}

/// The task as who asks may see it: whole, or its ids and its state.
fn view<'a>(
    task: &'a Task,
    sent: &'a Sent<'_>,
    standing: &'a Standing,
) -> Result<TaskView<'a>, ApiError> {
    let ids = TaskView {
        message_id: task.asked.id.as_str(),
        from_agent: task.asked.from.as_str(),
        to_agent: task.to().as_str(),
        state: standing.state.as_str(),
        rev: standing.rev,
        ..TaskView::default()
    };
    if !standing.readable {
        return Ok(ids);
    }
    let answer = standing.answer.as_deref().map(read::<Answer<'_>>);
    let time = |step: Option<&TaskStep>| step.map(|step| step.at.clone());
    let cut = standing.all > standing.steps.len();
    Ok(TaskView {
        to_capability: task.asked.capability.as_ref().map(Word::as_str),
        task: Some(sent.task),
        context: Some(sent.context),
        priority: Some(&sent.priority),
        result: answer.transpose()?.map(|answer| answer.result),
        thread_id: task.asked.thread.as_ref().map(|id| id.as_str()),
        parent_id: task.asked.parent.as_ref().map(|id| id.as_str()),
        created_at: time(standing.steps.first()),
        updated_at: time(standing.steps.last()),
        history: Some(standing.steps.clone()),
        history_count: cut.then_some(standing.all),
        ..ids
    })
}

/// The parameters of a look at one task.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct WaitQuery {
    /// Seconds to wait for what `until` says.
    #[schemars(with = "Option<u64>", range(min = 0, max = WAIT_MAX))]
    wait: Option<String>,
    /// `ended` unless given; `changed` needs a `rev`.
    #[schemars(extend("enum" = ["ended", "changed"]))]
    until: Option<String>,
    /// The `rev` that the caller has seen.
    #[schemars(with = "Option<u64>")]
    rev: Option<String>,
}

impl WaitQuery {
    fn until(&self) -> Result<Until, ApiError> {
        match (self.until.as_deref(), &self.rev) {
            (None | Some("ended"), _) => Ok(Until::Ended),
            (Some("changed"), Some(rev)) => Ok(Until::Changed(number("rev", rev, 0..=u64::MAX)?)),
            (Some("changed"), None) => Err(ApiError::bad_request("until=changed needs a rev")),
            (Some(_), _) => Err(ApiError::bad_request("until must be ended or changed")),
        }
    }
}

/// `GET /tasks/{message_id}`
pub async fn one(
    state: Shared,
    request: HttpRequest,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let reader = caller.read(&state)?;
    let query: WaitQuery = parameters(request.query_string())?;
    let until = query.until()?;
    let wait = query.wait.as_deref().unwrap_or("0");
    let wait = Duration::from_secs(number("wait", wait, 0..=WAIT_MAX)?);
    let relay = &state.relay;
    let task = relay.task(&id)?;
    if !wait.is_zero() {
        relay.wait_for(&task, until, wait).await;
    }
    let standing = Standing::of(&task, &relay.clock, &reader);
    let sent: Sent<'_> = read(&task.asked.body)?;
    let task = view(&task, &sent, &standing)?;
    Ok(HttpResponse::Ok().json(OneTask { task }))
}

/// The filters of `GET /tasks`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct ListQuery {
    /// The id or name of its sender.
    from: Option<String>,
    /// The id or name of its assignee.
    to: Option<String>,
    /// `open`, `ended`, or a state.
    state: Option<String>,
}

/// Which states are asked for.
fn states(word: Option<&str>) -> Result<Box<dyn Fn(State) -> bool>, ApiError> {
    Ok(match word {
        None => Box::new(|_| true),
        Some("open") => Box::new(|state| !state.is_ended()),
        Some("ended") => Box::new(State::is_ended),
        Some(word) => {
            let error = || format!("state \"{word}\" is not open, ended or a state of a task");
            let wanted = State::parse(word).ok_or_else(|| ApiError::bad_request(error()))?;
            Box::new(move |state| state == wanted)
        }
    })
}

/// `GET /tasks`
pub async fn list(
    state: Shared,
    request: HttpRequest,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let reader = caller.read(&state)?;
    let query = request.query_string();
    let page = Page::of(query, PAGE, |place| place.parse::<u64>().ok())?;
    let ListQuery {
        from,
        to,
        state: word,
    } = parameters(query)?;
    let wanted = states(word.as_deref())?;
    let relay = &state.relay;
    let meant = |agent: Option<String>| agent.map(|agent| relay.agent_meant(&agent)).transpose();
    let whose = Whose {
        from: meant(from)?,
        to: meant(to)?,
    };
    let (mut found, mut before, mut bytes): (Vec<Arc<Task>>, _, _) = (Vec::new(), page.after, 0);
    let more = 'full: loop {
        let step = relay.board.before(before, &whose, STEP);
        for task in &step {
            if wanted(task.state()) {
                if found.len() == page.limit || bytes >= PAGE_BYTES {
                    break 'full true;
                }
                bytes += task.asked.body.len();
                found.push(task.clone());
            }
            before = Some(task.number);
        }
        if step.len() < STEP {
            break false;
        }
    };
    let next_cursor = found.last().filter(|_| more);
    let next_cursor = next_cursor.map(|last| cursor(&last.number.to_string()));
    let standings: Vec<Standing> = (found.iter())
        .map(|task| Standing::of(task, &relay.clock, &reader))
        .collect();
    let sents = found.iter().map(|task| read(&task.asked.body));
    let sents: Vec<Sent<'_>> = sents.collect::<Result<_, _>>()?;
    let views = found.iter().zip(&sents).zip(&standings);
    let tasks = views.map(|((task, sent), standing)| {
        Ok(TaskView {
            context: None,
            result: None,
            history: None,
            history_count: None,
            ..view(task, sent, standing)?
        })
    });
    let tasks = tasks.collect::<Result<Vec<_>, ApiError>>()?;
    let count = tasks.len();
    Ok(HttpResponse::Ok().json(TaskList {
        tasks,
        count,
        next_cursor,
    }))
}

/// `POST /tasks/{message_id}/cancel`
pub async fn cancel(
    state: Shared,
    caller: Caller,
    id: Path<String>,
    body: Body,
) -> Result<impl Responder, ApiError> {
    let Cancel { from_agent } = body.parse()?;
    let speaker = caller.speak_for(&state, &from_agent)?;
    Ok(Json(state.relay.cancel(&id, &speaker)?))
}

/// `POST /tasks/{message_id}/input`
pub async fn input(
    state: Shared,
    caller: Caller,
    id: Path<String>,
    body: Body,
) -> Result<impl Responder, ApiError> {
    let call: Input<'_> = body.parse()?;
    let speaker = caller.speak_for(&state, &call.from_agent)?;
    Ok(Json(state.relay.input(&id, &call, &speaker)?))
}
