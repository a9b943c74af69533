//! Who runs Postgres: it refuses to run as root, so root lends it to an unprivileged account of this machine.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::refusal::{Kind, Refusal};

use super::Error;

/// Accounts that root may run Postgres as, best first.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// The account that owns the server's files and processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    /// We are an ordinary user: the server is ours.
    Own,
    /// We are root: the server is theirs.
    Lent {
        /// Its user id.
        uid: u32,
        /// Its group id.
        gid: u32,
    },
}

impl Account {
    /// The account to use here.
    pub(super) fn find() -> Result<Self, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Account::Own);
        }
        let users = std::fs::read_to_string("/etc/passwd").map_err(Error::io("read /etc/passwd"))?;
        let found = UNPRIVILEGED.iter().find_map(|name| lookup(&users, name));
        let (uid, gid) = found.ok_or_else(|| {
            Refusal::new(
                Kind::Server,
                "Postgres does not run as root, and this machine has neither a user postgres nor nobody",
                "install the package postgresql, which makes the user postgres, or run as an ordinary user",
            )
        })?;
        Ok(Account::Lent { uid, gid })
    }

    /// Makes `command` run as this account.
    pub(super) fn dress(self, command: &mut Command) {
        match self {
            Account::Own => {}
            // The standard library drops the supplementary groups with them.
            Account::Lent { uid, gid } => {
                command.uid(uid).gid(gid);
            }
        }
    }

    /// Gives a file or directory to this account.
    pub(super) fn own(self, path: &Path) -> Result<(), Error> {
        match self {
            Account::Own => Ok(()),
            Account::Lent { uid, gid } => std::os::unix::fs::chown(path, Some(uid), Some(gid))
                .map_err(Error::io(format!("give {} to user {uid}", path.display()))),
        }
    }
}

/// Finds `name` in the text of `/etc/passwd`.
fn lookup(users: &str, name: &str) -> Option<(u32, u32)> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some((uid, gid))
    })
}

#[cfg(test)]
mod tests {
    use super::lookup;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104:PG:/var:/bin/sh\n";
        assert_eq!(lookup(users, "postgres"), Some((101, 104)));
        assert_eq!(lookup(users, "nobody"), None);
    }
}
