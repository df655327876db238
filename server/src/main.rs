//! `clawlink-server`: arguments, then the relay, then its end.

mod cli;

use clawlink_server::config::Config;
use clawlink_server::{End, Server};
use mimalloc::MiMalloc;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let args = match cli::arguments() {
        Ok(args) => args,
        Err(exit) => return exit,
    };
    let _log = match cli::start_log(&args.log, &args.log_format) {
        Ok(guard) => guard,
        Err(error) => return cli::fail(2, &error),
    };
    let config = match Config::new(&args, std::env::var("CLAWLINK_TOKEN").ok()) {
        Ok(config) => config,
        Err(error) => return cli::fail(2, &error),
    };
    actix_web::rt::System::new().block_on(async {
        let running = match Server::new(config.clone()).and_then(Server::listen) {
            Ok(running) => running,
            Err(error) => return cli::fail(1, &error),
        };
        let signals = match cli::signals() {
            Ok(signals) => signals,
            Err(error) => return cli::fail(1, &error),
        };
        if let Some(certificate) = &config.tls
            && let Err(error) = cli::reload_at_hangup(certificate.clone())
        {
            return cli::fail(1, &error);
        }
        cli::greet(&config, args.token_file.as_deref(), &running);
        match running.until(signals).await {
            End::Asked => ExitCode::SUCCESS,
            end => cli::fail(end.code(), &end.to_string()),
        }
    })
}
