//! A command that is run for one message.

use crate::escape;
use crate::failure::{Failure, local};
use crate::state::Store;
use crate::unix::{Child, Ending};
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

/// Between two looks whether the command has ended.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LAST_LOOK: Duration = Duration::from_millis(250);

/// Runs a line of the shell with a message on its standard input, and waits for it. Meanwhile
/// `renew` is called, as often as told.
pub(super) fn run(
    store: &Store,
    line: &str,
    message: &str,
    every: Duration,
    mut renew: impl FnMut(),
) -> Result<Ending, Failure> {
    let cannot = |error| local("cannot run", Path::new("sh"), error);
    let input = input(store, message)?;
    let child = Child::start(line, &input).map_err(cannot)?;
    let (mut pause, mut renewed) = (FIRST_LOOK, Instant::now());
    loop {
        if let Some(ending) = child.ended().map_err(cannot)? {
            return Ok(ending);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LAST_LOOK);
        if renewed.elapsed() >= every {
            renew();
            renewed = Instant::now();
        }
    }
}

/// The message on one line, in a file that has no name any more. A pipe would have to be fed, and
/// a command that does not read it would stop us.
fn input(store: &Store, message: &str) -> Result<File, Failure> {
    let path = store.scratch();
    store.write(&path, [&escape::json(message), "\n"].concat().as_bytes())?;
    let file = File::open(&path);
    // What cannot be removed is written over the next time.
    let _ = fs::remove_file(&path);
    file.map_err(|error| local("cannot read", &path, error))
}
