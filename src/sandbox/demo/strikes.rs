//! What goes wrong, and when: SIGKILL of the service twice, of an engine once, an immediate stop of Postgres once.

use std::time::{Duration, Instant};

use crate::sandbox::Error;

use super::cast::{Cast, READY_LIMIT};
use super::screen::Screen;

/// How long Postgres stays away.
const POSTGRES_AWAY: Duration = Duration::from_millis(1500);

/// One blow, and what is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strike {
    KillService,
    KillEngine,
    StopPostgres,
    StartPostgres,
}

/// The strikes still to come, latest first, and those that were.
pub(super) struct Strikes {
    ahead: Vec<(Duration, Strike)>,
    pub(super) service: u32,
    pub(super) engine: u32,
    pub(super) postgres: u32,
    /// The service was started again at this time and is not ready yet.
    recovering: Option<Instant>,
}

impl Strikes {
    /// Spread over the demo: each has time to heal before the next, and load goes on after the last.
    pub(super) fn over(seconds: u64) -> Self {
        let at = |percent: u32| Duration::from_secs(seconds) * percent / 100;
        let ahead = vec![
            (at(80), Strike::KillService),
            (at(60) + POSTGRES_AWAY, Strike::StartPostgres),
            (at(60), Strike::StopPostgres),
            (at(40), Strike::KillEngine),
            (at(20), Strike::KillService),
        ];
        Self { ahead, service: 0, engine: 0, postgres: 0, recovering: None }
    }

    /// Carries out what is due.
    pub(super) fn carry_out(&mut self, now: Duration, cast: &mut Cast, screen: &mut Screen) -> Result<(), Error> {
        while let Some((_, strike)) = self.ahead.pop_if(|(at, _)| *at <= now) {
            self.strike(strike, cast, screen)?;
        }
        if let Some(since) = self.recovering {
            let limit = if now == Duration::MAX { READY_LIMIT } else { Duration::ZERO };
            if limit > Duration::ZERO {
                cast.service.wait_ready(limit)?;
            }
            if cast.service.get("/readyz").is_ok_and(|reply| reply.status == 200) {
                screen.event(&format!(
                    "the service is ready again, {} ms after it was started",
                    since.elapsed().as_millis()
                ));
                self.recovering = None;
            }
        }
        Ok(())
    }

    fn strike(&mut self, strike: Strike, cast: &mut Cast, screen: &mut Screen) -> Result<(), Error> {
        match strike {
            Strike::KillService => {
                let pid = cast.service.process().pid().unwrap_or_default();
                cast.service.kill9()?;
                screen.event(&format!("SIGKILL to the service (process {pid}); starting it again"));
                cast.service.start_again()?;
                self.service += 1;
                self.recovering = Some(Instant::now());
            }
            Strike::KillEngine => {
                let Some(engine) = cast.engines.first_mut() else { return Ok(()) };
                let pid = engine.pid().unwrap_or_default();
                engine.kill9_and_start(cast.service.service())?;
                screen.event(&format!(
                    "SIGKILL to engine {} (process {pid}); it rehydrates from the service",
                    engine.name
                ));
                self.engine += 1;
            }
            Strike::StopPostgres => {
                cast.postgres.stop_immediate()?;
                screen.event("Postgres stopped as by a crash (immediate)");
                self.postgres += 1;
            }
            Strike::StartPostgres => {
                cast.postgres.start_again()?;
                screen.event("Postgres is back after crash recovery");
            }
        }
        Ok(())
    }
}
