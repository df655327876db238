//! What the environment says to this program: the variables whose names begin as its own does.
//!
//! They are found in one walk. The standard library walks once for each that is asked for.

use crate::unix;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// These variables, each with its name, as they were when they were read.
pub(crate) struct Environment(Vec<&'static [u8]>);

impl Environment {
    /// What is set now.
    pub(crate) fn read() -> Environment {
        Environment(unix::variables(b"CLAWLINK_"))
    }

    /// A variable that is set to something. Of two with one name the first holds.
    pub(crate) fn value(&self, name: &str) -> Option<&'static OsStr> {
        let value = |entry: &&'static [u8]| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=");
        let found = self.0.iter().find_map(value);
        found
            .filter(|value| !value.is_empty())
            .map(OsStr::from_bytes)
    }

    /// The same, where it is text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.value(name)?.to_str().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_found_by_its_whole_name_and_counts_where_it_is_set_to_something() {
        let environment = Environment(vec![
            b"CLAWLINK_TOKEN_FILE=/t=1",
            b"CLAWLINK_TOKEN=",
            b"CLAWLINK_TOKEN=second",
            b"CLAWLINK_AGENT",
            b"CLAWLINK_HOME=\xff",
        ]);
        let text = |name| environment.text(name);
        assert_eq!(text("CLAWLINK_TOKEN_FILE").as_deref(), Some("/t=1"));
        assert_eq!(text("CLAWLINK_TOKEN"), None);
        assert_eq!(text("CLAWLINK_AGENT"), None);
        assert_eq!(text("CLAWLINK_HOME"), None);
        assert!(environment.value("CLAWLINK_HOME").is_some());
    }

    #[test]
    fn what_is_found_is_what_the_standard_library_finds() {
        let found = unix::variables(b"PATH");
        let path = std::env::var_os("PATH").unwrap();
        let expected = [b"PATH=", path.as_bytes()].concat();
        assert!(found.contains(&&expected[..]));
        assert!(unix::variables(b"NONE_CALLED_SO").is_empty());
    }
}
