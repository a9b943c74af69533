//! What all reads share: the view, at or after the position that was asked for.

use std::sync::Arc;

use axum::extract::Query;

use super::app::App;
use super::error::{ApiError, Code};
use super::params::Params;
use crate::model::TableName;
use crate::sinks::standby::{Table, View};

/// The pairs of the query string.
pub(super) type Pairs = Query<Vec<(String, String)>>;

impl App {
    /// The newest view, or, with `min_lsn`, one that holds every commit up to it.
    pub async fn view(&self, params: &Params) -> Result<Arc<View>, ApiError> {
        let Some(standby) = &self.service.standby else {
            let hint = "start it with --sinks standby, or read Postgres";
            return Err(ApiError::new(Code::StandbyOff, "the service runs without the standby", hint));
        };
        let view = match params.min_position {
            None => standby.view(),
            Some(position) => {
                if !standby.view().covers(position.lsn) {
                    (self.service.nudge)(position.lsn);
                }
                let waited = standby.wait_for(position.lsn, params.wait).await;
                waited.map_err(|behind| {
                    let what = format!("{} was not reached within {} ms", position.lsn, params.wait.as_millis());
                    let hint = "wait longer with wait_ms, or look at /v1/status for the reason";
                    ApiError::new(Code::PositionNotReached, what, hint).at(behind.position)
                })?
            }
        };
        if view.epoch == 0 {
            let hint = "ask again; /v1/status says how far it is";
            return Err(ApiError::new(Code::NotReady, "the first copy has not ended", hint).at(view.position));
        }
        Ok(view)
    }
}

/// The captured table called `name`.
pub(super) fn table<'a>(view: &'a View, name: &str) -> Result<&'a Arc<Table>, ApiError> {
    TableName::parse(name).and_then(|name| view.table(&name)).ok_or_else(|| {
        let hint = "write schema.table, as /v1/status lists them";
        ApiError::new(Code::UnknownTable, format!("table '{name}' is not captured"), hint).at(view.position)
    })
}
