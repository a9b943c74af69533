//! A child of ours that can be killed, started again, and asked what it printed.
//!
//! Invariant: a child is always reaped by us, and never outlives us.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Error;
use super::account::Account;
use super::watchdog::Watchdog;

/// How often a child that was asked to end is looked at.
const EXIT_POLL: Duration = Duration::from_millis(10);
/// How much of what a program printed an error shows.
const OUTPUT_TAIL_BYTES: usize = 8 << 10;

/// A running program, its output in a file.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Option<Child>,
    watchdog: Watchdog,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it prints is appended to `log`.
    ///
    /// # Errors
    /// The program or the log cannot be opened.
    pub fn start(name: &str, command: Command, log: &Path) -> Result<Self, Error> {
        let watchdog = Watchdog::start(Account::Own, "KILL", None)?;
        let mut made = Self { name: name.to_owned(), child: None, watchdog, log: log.to_owned() };
        made.start_again(command)?;
        Ok(made)
    }

    /// Starts `command` in the place of the child that ended.
    ///
    /// # Errors
    /// The program or the log cannot be opened.
    pub fn start_again(&mut self, mut command: Command) -> Result<(), Error> {
        self.kill9()?;
        let opened = OpenOptions::new().append(true).create(true).open(&self.log);
        let log = opened.map_err(Error::io(format!("open {}", self.log.display())))?;
        let errors = log.try_clone().map_err(Error::io("open the log"))?;
        command.process_group(0).stdin(Stdio::null()).stdout(log).stderr(errors);
        let child = command.spawn().map_err(Error::io(format!("start {}", self.name)))?;
        self.watchdog.watch(Some(child.id()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Its process id, while it is ours to wait for.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// The system cannot say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        let Some(child) = self.child.as_mut() else { return Ok(None) };
        let status = child.try_wait().map_err(Error::io(format!("look at {}", self.name)))?;
        if status.is_some() {
            self.child = None;
            self.watchdog.watch(None)?;
        }
        Ok(status)
    }

    /// Kills it with SIGKILL and returns when it is gone. Nothing to do when it ended before.
    ///
    /// # Errors
    /// The system cannot wait for it.
    pub fn kill9(&mut self) -> Result<(), Error> {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().map_err(Error::io(format!("wait for {}", self.name)))?;
            self.watchdog.watch(None)?;
        }
        Ok(())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Asks it to end with SIGTERM and waits; `None` when it had ended before.
    ///
    /// # Errors
    /// It is still there after `limit`; it is then killed.
    pub fn terminate(&mut self, limit: Duration) -> Result<Option<ExitStatus>, Error> {
        if self.child.is_none() {
            return Ok(None);
        }
        self.signal(Signal::TERM);
        self.wait(limit).map(Some)
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// It is still there after `limit`; it is then killed.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus, Error> {
        let started = Instant::now();
        while started.elapsed() < limit {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            sleep(EXIT_POLL);
        }
        self.kill9()?;
        Err(self.failure(&format!("had not ended after {} s", limit.as_secs())))
    }

    /// Memory it holds now, in bytes, as the kernel counts (`VmRSS`).
    #[must_use]
    pub fn rss_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib << 10)
    }

    /// The end of what it printed, over all its lives.
    #[must_use]
    pub fn output(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(OUTPUT_TAIL_BYTES)..]).into_owned()
    }

    /// An error that shows its output.
    #[must_use]
    pub fn failure(&self, what: &str) -> Error {
        Error::Program { what: format!("{} {what}", self.name), output: self.output() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill9();
    }
}

/// A program that ran to its end.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The exit code; `None`: ended by a signal.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Finished {
    /// The last line of stdout as JSON (`--json`); `null` when it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let last = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_default()
    }
}

/// Runs a program to its end, whatever its exit code.
///
/// # Errors
/// It cannot be started.
pub fn finish(mut command: Command) -> Result<Finished, Error> {
    let output = command.stdin(Stdio::null()).output().map_err(Error::io("start a program"))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Finished { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) })
}
