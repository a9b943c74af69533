//! The one sequence of every position command.

use std::fmt;

use serde::Serialize;

use super::log;
use crate::config::Config;
use crate::refusal::{Kind, Refusal};

/// What a command is going to do, before it does it.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// The command, as typed.
    pub command: String,
    /// What will be done, in order.
    pub steps: Vec<String>,
    /// What will be repeated or lost by it.
    pub consequences: Vec<String>,
    /// Why it cannot be done now; a dry run still says the rest.
    #[serde(skip)]
    pub obstacle: Option<Refusal>,
    /// Facts for the operator log: positions before and after. No row values.
    pub detail: serde_json::Value,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "pgtape {} will:", self.command)?;
        for step in &self.steps {
            writeln!(f, "  - {step}")?;
        }
        if self.consequences.is_empty() {
            writeln!(f, "Nothing is repeated or lost.")?;
        } else {
            writeln!(f, "What is repeated or lost:")?;
        }
        self.consequences.iter().try_for_each(|line| writeln!(f, "  ! {line}"))?;
        self.obstacle.iter().try_for_each(|refusal| writeln!(f, "Not now: {refusal}."))
    }
}

/// What was agreed to beforehand.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Stop after saying.
    pub dry_run: bool,
    /// Do not ask.
    pub yes: bool,
    /// Why, for the log.
    pub reason: String,
}

/// Whoever is told and asked.
pub trait Ask {
    /// Shows the plan.
    fn say(&self, plan: &Plan);
    /// Asks for consent; refuses when it is denied or nobody is there.
    fn confirm(&self) -> Result<(), Refusal>;
}

/// A command that moves a position or deletes.
pub trait Command {
    /// What would be done. Changes nothing; refuses what can never be done.
    fn plan(&self) -> impl Future<Output = Result<Plan, Refusal>>;
    /// Does it.
    fn apply(&self, plan: &Plan) -> impl Future<Output = Result<(), Refusal>>;
}

/// What has become of a command.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// False after `--dry-run`.
    pub done: bool,
    /// What was, or would be, done.
    pub plan: Plan,
    /// Where it was noted: the operator log in Postgres, or the file in the data directory.
    pub logged_in: Option<String>,
}

/// Plan, say, confirm, apply, log.
pub async fn perform(
    command: &impl Command,
    terms: &Terms,
    ask: &impl Ask,
    config: &Config,
) -> Result<Outcome, Refusal> {
    let mut plan = command.plan().await?;
    ask.say(&plan);
    if terms.dry_run {
        return Ok(Outcome { done: false, plan, logged_in: None });
    }
    if let Some(obstacle) = plan.obstacle.take() {
        return Err(obstacle);
    }
    if terms.reason.trim().is_empty() {
        return Err(Refusal::new(
            Kind::Usage,
            "the reason is empty",
            "say why with --reason, for whoever reads the log",
        ));
    }
    if !terms.yes {
        ask.confirm()?;
    }
    let result = command.apply(&plan).await;
    let logged_in = log::note(config, &plan, &terms.reason, &result).await;
    result?;
    Ok(Outcome { done: true, plan, logged_in: Some(logged_in) })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::config::{Environment, Overrides};

    /// Notes the order of what happens.
    struct Spy<'a> {
        events: &'a RefCell<Vec<&'static str>>,
        agrees: bool,
    }

    impl Ask for Spy<'_> {
        fn say(&self, _: &Plan) {
            self.events.borrow_mut().push("say");
        }
        fn confirm(&self) -> Result<(), Refusal> {
            self.events.borrow_mut().push("confirm");
            if self.agrees { Ok(()) } else { Err(Refusal::new(Kind::NotConfirmed, "no", "")) }
        }
    }

    impl Command for Spy<'_> {
        async fn plan(&self) -> Result<Plan, Refusal> {
            self.events.borrow_mut().push("plan");
            let (steps, consequences) = (vec!["step".into()], vec!["loss".into()]);
            Ok(Plan { command: "test".into(), steps, consequences, obstacle: None, detail: serde_json::Value::Null })
        }
        async fn apply(&self, _: &Plan) -> Result<(), Refusal> {
            self.events.borrow_mut().push("apply");
            Ok(())
        }
    }

    #[tokio::test]
    async fn nothing_is_applied_before_it_was_said_and_agreed_to() {
        let dir = tempfile::tempdir().unwrap();
        let flags = Overrides { data_dir: Some(dir.path().to_owned()), ..Overrides::default() };
        let config = Config::load(&flags, &Environment::default()).unwrap();
        let log = dir.path().join(log::LOG_FILE);
        for (dry_run, yes, reason, agrees, want) in [
            (true, false, "", false, "plan say"),
            (false, false, "", true, "plan say"),
            (false, false, "why", false, "plan say confirm"),
            (false, false, "why", true, "plan say confirm apply"),
            (false, true, "why", false, "plan say apply"),
        ] {
            let _ = std::fs::remove_file(&log);
            let events = RefCell::default();
            let spy = Spy { events: &events, agrees };
            let _ = perform(&spy, &Terms { dry_run, yes, reason: reason.into() }, &spy, &config).await;
            assert_eq!(events.borrow().join(" "), want);
            assert_eq!(log.exists(), want.ends_with("apply"), "{want}");
        }
        assert!(std::fs::read_to_string(&log).unwrap().contains(r#""reason":"why""#));
    }
}
