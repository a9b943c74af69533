//! Ends a child and removes its directory when we are gone, even by SIGKILL: a small shell that waits for the end of
//! its input, which the kernel closes with us.
//!
//! Invariant: a child that was reaped is forgotten first, so that its number is never signalled as somebody else's.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::Error;
use super::account::Account;

/// Lines name the process to end, an empty line means none; after the last line it is ended and `$2` removed.
const SCRIPT: &str = r#"
pid=
while read -r line; do pid=$line; done
if [ -n "$pid" ] && kill -s "$1" "$pid" 2>/dev/null; then
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
    kill -s KILL "$pid" 2>/dev/null
fi
[ -z "$2" ] || rm -rf -- "$2"
"#;

/// Stands beside one child at a time. Dropping it ends the child and removes the directory.
#[derive(Debug)]
pub(super) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// Runs as `account`; ends its child with `signal` (`QUIT`, `KILL`) and then removes `directory`.
    pub(super) fn start(account: Account, signal: &str, directory: Option<&Path>) -> Result<Self, Error> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "pgtape-watchdog", signal]).arg(directory.unwrap_or(Path::new("")));
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0); // Ctrl-C at the terminal is ours alone.
        account.dress(&mut command);
        let shell = command.spawn().map_err(Error::io("start the watchdog /bin/sh"))?;
        Ok(Self { shell })
    }

    /// Watches this process from now on; `None`: no process.
    pub(super) fn watch(&mut self, pid: Option<u32>) -> Result<(), Error> {
        let line = pid.map_or_else(|| "\n".to_owned(), |pid| format!("{pid}\n"));
        let Some(input) = self.shell.stdin.as_mut() else { return Ok(()) };
        input.write_all(line.as_bytes()).map_err(Error::io("tell the watchdog"))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
