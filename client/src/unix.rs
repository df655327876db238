//! The calls of the C library that the standard library has not, or only at a price: signals that
//! are put off, and a command of the shell.
//!
//! They are declared here, as the standard library stands on the same C library. Its own way to
//! run a command makes the client 24 KB larger, a fifteenth of the whole.

#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_int};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

// Signals have these numbers on every Unix.
const SIGINT: c_int = 2;
const SIGPIPE: c_int = 13;
const SIGTERM: c_int = 15;
/// The default action.
const DEFAULT: usize = 0;
/// What `nohup` and shells that start something in the background leave behind.
const IGNORED: usize = 1;
/// Not to wait.
const WNOHANG: c_int = 1;

static CAME: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    fn signal(number: c_int, handler: usize) -> usize;
    fn fork() -> c_int;
    fn dup2(from: c_int, to: c_int) -> c_int;
    fn execv(path: *const c_char, words: *const *const c_char) -> c_int;
    fn _exit(code: c_int) -> !;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
}

extern "C" fn note(_: c_int) {
    CAME.store(true, Ordering::Relaxed);
}

/// From now on SIGINT and SIGTERM are only noted.
pub(crate) fn defer() {
    handle(note as *const () as usize);
}

/// From now on they end the process at once.
pub(crate) fn allow() {
    handle(DEFAULT);
}

/// Whether one came that was put off.
pub(crate) fn came() -> bool {
    CAME.load(Ordering::Relaxed)
}

fn handle(handler: usize) {
    for number in [SIGINT, SIGTERM] {
        // SAFETY: the declaration is that of C, where a handler is a pointer to a function or one
        // of the two numbers above. Ours stores one atomic, which a handler may do at any time.
        unsafe {
            if signal(number, handler) == IGNORED {
                signal(number, IGNORED);
            }
        }
    }
}

/// A command that was started. It is waited for by [`Child::ended`], and by nobody else.
pub(crate) struct Child(c_int);

/// How a command ended.
#[derive(Debug, PartialEq)]
pub(crate) enum Ending {
    Code(c_int),
    Signal(c_int),
}

impl Child {
    /// Starts a line of the shell with this file for its standard input.
    pub(crate) fn start(line: &str, input: &File) -> io::Result<Child> {
        let (line, input) = (CString::new(line)?, input.as_raw_fd());
        let (shell, option) = (c"/bin/sh".as_ptr(), c"-c".as_ptr());
        let words = [shell, option, line.as_ptr(), std::ptr::null()];
        // SAFETY: the new process calls nothing but what is allowed after a fork of a program with
        // threads, on memory that was made before: `words` ends with a null, and what it points to
        // lives until the end of this function. It never returns from here. That broken pipes are
        // ignored is this program's own wish, and not its children's.
        match unsafe { fork() } {
            0 => unsafe {
                signal(SIGPIPE, DEFAULT);
                dup2(input, 0);
                execv(shell, words.as_ptr());
                _exit(127)
            },
            pid if pid > 0 => Ok(Child(pid)),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// How it ended, if it has; to be asked until then, and not again.
    pub(crate) fn ended(&self) -> io::Result<Option<Ending>> {
        let mut status = 0;
        // SAFETY: `status` is there to be written to.
        match unsafe { waitpid(self.0, &raw mut status, WNOHANG) } {
            0 => Ok(None),
            pid if pid == self.0 => Ok(Some(match status & 0x7f {
                0 => Ending::Code(status >> 8 & 0xff),
                signal => Ending::Signal(signal),
            })),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(line: &str) -> Ending {
        let child = Child::start(line, &File::open("/dev/null").unwrap()).unwrap();
        loop {
            if let Some(ending) = child.ended().unwrap() {
                return ending;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_command_ends_with_its_code_or_by_a_signal() {
        assert_eq!(ending("read line"), Ending::Code(1), "nothing to read");
        assert_eq!(ending("exit 0"), Ending::Code(0));
        assert_eq!(ending("exit 255"), Ending::Code(255));
        assert_eq!(ending("kill -9 $$"), Ending::Signal(9));
        let pipe = "trap '' USR1; yes | head -1 >/dev/null; kill -PIPE $$";
        assert_eq!(ending(pipe), Ending::Signal(SIGPIPE), "it is not ignored");
    }
}
