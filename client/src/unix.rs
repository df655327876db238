//! The calls of the C library that the standard library has not, or only at a price: signals that
//! are put off, a command of the shell, variables of the environment, and memory.
//!
//! They are declared here, as the standard library stands on the same C library. Its own way to
//! run a command makes the client 24 KB larger, a fifteenth of the whole.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, c_char, c_int};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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
    static environ: *const *const c_char;
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

/// The variables of the environment whose names begin so, each as `NAME=value`.
pub(crate) fn variables(start: &[u8]) -> Vec<&'static [u8]> {
    let mut found = Vec::new();
    // SAFETY: in C it is a list of texts that end with a zero byte, and ends with a null itself. No
    // text is read beyond its end, as that byte is none of a name's. They stay as long as the process
    // does: nothing in it sets a variable.
    unsafe {
        let mut rest = environ;
        while !rest.is_null() && !(*rest).is_null() {
            let begins = |(at, byte): (usize, &u8)| *(*rest).add(at) as u8 == *byte;
            if start.iter().enumerate().all(begins) {
                found.push(CStr::from_ptr(*rest).to_bytes());
            }
            rest = rest.add(1);
        }
    }
    found
}

/// Memory for a process that ends soon: the next bytes of one block that comes with the program. Of
/// those only the last that were taken are given back. Where the block is used up, as by `watch`,
/// which goes on for days, memory is the C library's: that looks for room, and took a quarter of the
/// instructions of a poll.
#[repr(align(4096))]
pub(crate) struct Memory {
    block: UnsafeCell<[u8; BLOCK]>,
    /// How much of it is taken. Whoever gives bytes back has done with them before whoever takes them
    /// next begins.
    taken: AtomicUsize,
}

/// Several times what a poll takes. Pages that are never touched are never there.
const BLOCK: usize = 64 * 1024;

// SAFETY: whose a byte of the block is, `taken` alone settles.
unsafe impl Sync for Memory {}

impl Memory {
    pub(crate) const fn new() -> Memory {
        Memory {
            block: UnsafeCell::new([0; BLOCK]),
            taken: AtomicUsize::new(0),
        }
    }

    /// Where in the block this is; beyond its end where it is the C library's.
    fn place(&self, memory: *mut u8) -> usize {
        memory.addr().wrapping_sub(self.block.get().addr())
    }

    /// Lets what is taken end there instead, unless there is no room, or it ends elsewhere by now.
    fn end(&self, from: usize, to: usize) -> bool {
        let (done, not) = (Ordering::AcqRel, Ordering::Relaxed);
        to <= BLOCK && self.taken.compare_exchange(from, to, done, not).is_ok()
    }
}

// SAFETY: a byte of the block is one owner's from the moment when `taken` passed it to that when it
// falls back before it, which it does only from the end of what that owner has. Sizes are so small
// that no sum overflows. All else is the C library's.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut taken = self.taken.load(Ordering::Relaxed);
        while layout.align() <= align_of::<Memory>() {
            // It is a power of two.
            let begin = (taken + layout.align() - 1) & !(layout.align() - 1);
            if begin + layout.size() > BLOCK {
                break;
            }
            if self.end(taken, begin + layout.size()) {
                // SAFETY: it is in the block.
                return unsafe { self.block.get().cast::<u8>().add(begin) };
            }
            taken = self.taken.load(Ordering::Relaxed);
        }
        // SAFETY: what is asked of us is asked of it.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        let begin = self.place(memory);
        if begin < BLOCK {
            self.end(begin + layout.size(), begin);
        } else {
            // SAFETY: it has given what is not in the block.
            unsafe { System.dealloc(memory, layout) }
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let begin = self.place(memory);
        if begin >= BLOCK {
            // SAFETY: as above.
            return unsafe { System.realloc(memory, layout, size) };
        }
        // What was taken last grows where it is.
        if self.end(begin + layout.size(), begin + size) {
            return memory;
        }
        // SAFETY: whoever asks answers for the size. Old and new do not overlap, and each holds the
        // lesser of their sizes.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                let kept = layout.size().min(size);
                std::ptr::copy_nonoverlapping(memory, moved, kept);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, fills them, and says where in the block they are.
    fn filled(memory: &Memory, size: usize, align: usize) -> (*mut u8, usize) {
        let layout = Layout::from_size_align(size, align).unwrap();
        // SAFETY: no size is 0 here.
        unsafe {
            let taken = memory.alloc(layout);
            taken.write_bytes(size as u8, size);
            (taken, memory.place(taken))
        }
    }

    /// Whether they are as they were filled.
    fn holds(taken: *mut u8, size: usize, filled: usize) -> bool {
        // SAFETY: so many were taken there.
        let bytes = unsafe { std::slice::from_raw_parts(taken, size) };
        bytes.iter().all(|byte| *byte == filled as u8)
    }

    #[test]
    fn memory_is_the_next_of_the_block_and_the_last_of_it_grows_in_place() {
        static OWN: Memory = Memory::new();
        let bytes = |size| Layout::from_size_align(size, 1).unwrap();
        let (first, at) = filled(&OWN, 3, 1);
        assert_eq!(at, 0);
        let (second, at) = filled(&OWN, 8, 16);
        assert_eq!(at, 16);
        // SAFETY: each is given back as it was taken.
        unsafe {
            let longer = Layout::from_size_align(24, 16).unwrap();
            let second_layout = Layout::from_size_align(8, 16).unwrap();
            assert_eq!(OWN.realloc(second, second_layout, 24), second);
            let moved = OWN.realloc(first, bytes(3), 40);
            assert_eq!(OWN.place(moved), 40);
            assert!(holds(moved, 3, 3) && holds(second, 8, 8));
            OWN.dealloc(second, longer);
            assert_eq!(filled(&OWN, 1, 1).1, 80, "there is something behind it");
            let shorter = OWN.realloc(moved, bytes(40), 2);
            assert!(shorter != moved && holds(shorter, 2, 3));
            OWN.dealloc(shorter, bytes(2));
        }
        assert_eq!(filled(&OWN, 1, 1).1, 81, "what was last is given back");
    }

    #[test]
    fn memory_beyond_the_block_is_the_librarys() {
        static OWN: Memory = Memory::new();
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        let (last, at) = filled(&OWN, BLOCK, 8);
        assert_eq!(at, 0);
        let (beyond, at) = filled(&OWN, 100, 8);
        assert!(at >= BLOCK);
        // SAFETY: each is given back as it was taken.
        unsafe {
            let longer = OWN.realloc(beyond, layout(100), 5000);
            assert!(holds(longer, 100, 100));
            OWN.dealloc(longer, layout(5000));
            let moved = OWN.realloc(last, layout(BLOCK), BLOCK + 1);
            assert!(OWN.place(moved) >= BLOCK && holds(moved, BLOCK, BLOCK));
            OWN.dealloc(moved, layout(BLOCK + 1));
            let aligned = Layout::from_size_align(8, 8192).unwrap();
            let page = OWN.alloc(aligned);
            assert!(page.addr().is_multiple_of(8192));
            OWN.dealloc(page, aligned);
        }
    }

    #[test]
    fn no_byte_is_two_threads() {
        static OWN: Memory = Memory::new();
        std::thread::scope(|scope| {
            for thread in 1..=4 {
                scope.spawn(move || {
                    let layout = Layout::from_size_align(thread, 1).unwrap();
                    let taken: Vec<_> = (0..1000).map(|_| filled(&OWN, thread, 1).0).collect();
                    for (nth, &one) in taken.iter().enumerate().rev() {
                        assert!(holds(one, thread, thread), "{nth} of {thread}");
                        // SAFETY: it was taken so.
                        unsafe { OWN.dealloc(one, layout) };
                        let again = filled(&OWN, thread, 1).0;
                        assert!(holds(again, thread, thread));
                    }
                });
            }
        });
    }

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
