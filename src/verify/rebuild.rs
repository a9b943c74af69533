//! A roll-up made anew by its definition, at exactly one position: the oracle's own machinery, and then the result stays.

use super::snapshot::Snapshot;
use super::{LEASE, SLOT_TIMEOUT, Verifier, Void};
use crate::pg::{self, Purpose, Session};
use crate::refusal::{Kind, Refusal};
use crate::sinks::HoldId;
use crate::sinks::cursor::Identity;
use crate::sinks::rollup::{Replaced, RollUp, rebuild, replace};
use crate::source;

impl Verifier {
    /// Replaces the target of `rollup` by what its definition gives at one position, and sets the position there. The
    /// delivery starts over from it.
    pub async fn rebuild(&self, rollup: &dyn RollUp, identity: Identity) -> Result<Replaced, Refusal> {
        let replaced = async {
            let session = pg::connect(&self.address, Purpose::Verify).await?;
            let hold = self.control.hold(LEASE).await?;
            let release = self.control.release_on_drop(hold.id);
            let replaced = self.replace_held(&session, hold.id, rollup, identity).await;
            drop(release);
            let replaced = replaced?;
            self.control.restart().await?;
            Ok::<_, Void>(replaced)
        };
        replaced.await.map_err(|void| match void {
            Void::Refused(refusal) => refusal,
            Void::Again(why) => {
                let what = format!("{} was not rebuilt: {why}", rollup.name());
                Refusal::new(Kind::Unreachable, what, "nothing was changed; try again")
            }
        })
    }

    async fn replace_held(
        &self,
        session: &Session,
        hold: HoldId,
        rollup: &dyn RollUp,
        identity: Identity,
    ) -> Result<Replaced, Void> {
        let Some(definition) = self.definitions.iter().find(|definition| definition.name == rollup.name()) else {
            let what = format!("{} is not kept here", rollup.name());
            return Err(Void::Refused(Refusal::new(Kind::Usage, what, "name it in rollups.names")));
        };
        let snapshot = Snapshot::export(&self.address, session, &self.publication, SLOT_TIMEOUT).await?;
        source::emit_message(session, "pgtape", "rebuild").await?;
        let view = self.control.apply_until(hold, snapshot.point).await?;
        let select = format!("{}\n", definition.select.trim().trim_end_matches(';'));
        let content = rebuild::by_definition(&*snapshot.session, rollup, &select).await?;
        Ok(replace(&self.address, rollup, identity, &content, (view.epoch, snapshot.point)).await?)
    }
}
