//! The floor of the bench: a bare actix-web handler that parses the same JSON as the relay and answers the
//! same bytes.

use actix_web::http::header::{CACHE_CONTROL, ContentType};
use actix_web::web::{self, Bytes, Data, Path, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use clawlink_protocol::agents::AboutAgent;
use clawlink_protocol::messages::Delegate;

/// Bytes of a body that it takes.
const BODY: usize = 64 * 1024 * 1024;

/// What it answers, as the relay did.
struct Answers {
    delegate: Bytes,
    heartbeat: Bytes,
    poll: Bytes,
    /// To a poll with parameters.
    leased: Bytes,
}

/// Serves on a free port, which it prints, until it is killed. The arguments are the bodies of its answers.
fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [delegate, heartbeat, poll, leased] = &arguments[..] else {
        let error = "clawlink-floor wants the bodies of four answers; clawlink-bench starts it";
        return Err(std::io::Error::other(error));
    };
    let bytes = |text: &String| Bytes::from(text.clone().into_bytes());
    let answers = Data::new(Answers {
        delegate: bytes(delegate),
        heartbeat: bytes(heartbeat),
        poll: bytes(poll),
        leased: bytes(leased),
    });
    actix_web::rt::System::new().block_on(async move {
        // The relay has as many workers.
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(answers.clone())
                .app_data(PayloadConfig::new(BODY))
                .route("/delegate", web::post().to(delegated))
                .route("/heartbeat", web::post().to(heard))
                .route("/poll/{agent_id}", web::get().to(polled))
                .route("/echo", web::post().to(echo))
        });
        let server = server.workers(workers).bind(("127.0.0.1", 0))?;
        println!("{}", server.addrs()[0]);
        server.run().await
    })
}

fn answer(body: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .content_type(ContentType::json())
        .body(body)
}

async fn delegated(answers: Data<Answers>, body: Bytes) -> HttpResponse {
    match serde_json::from_slice::<Delegate<'_>>(&body) {
        Ok(_) => answer(answers.delegate.clone()),
        Err(error) => HttpResponse::BadRequest().body(error.to_string()),
    }
}

async fn heard(answers: Data<Answers>, body: Bytes) -> HttpResponse {
    match serde_json::from_slice::<AboutAgent>(&body) {
        Ok(_) => answer(answers.heartbeat.clone()),
        Err(error) => HttpResponse::BadRequest().body(error.to_string()),
    }
}

async fn polled(answers: Data<Answers>, _id: Path<String>, request: HttpRequest) -> HttpResponse {
    let plain = request.query_string().is_empty();
    answer(
        if plain {
            &answers.poll
        } else {
            &answers.leased
        }
        .clone(),
    )
}

async fn echo(body: Bytes) -> HttpResponse {
    answer(body)
}
