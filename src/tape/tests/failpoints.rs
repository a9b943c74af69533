//! A process that ends, or meets a failing disk, at each step of writing: what it had synced is there afterwards, and
//! the tape goes on. The steps are failpoints; they are set for the whole process, so each run is a process of its own:
//! this test binary again, which runs the one ignored test `a_writer_that_meets_a_failpoint`.

use std::process::Command;

use super::*;

const DIR_VARIABLE: &str = "PGTAPE_TEST_TAPE";

/// The steps of a run that begins with a torn tail.
const STEPS: &[&str] = &[
    "tape::recover-before-cut",
    "tape::recover-after-cut",
    "tape::replace-before-rename",
    "tape::replace-before-dir-sync",
    "tape::before-write",
    "tape::before-sync",
    "tape::after-sync",
    "tape::roll-before-create",
    "tape::roll-before-sync",
    "tape::roll-before-rename",
    "tape::roll-before-dir-sync",
    "tape::roll-done",
    "tape::retain-before-delete",
    "tape::retain-before-dir-sync",
];

/// Appends units until something fails; writes down beside the tape what was synced.
#[test]
#[ignore = "run by the other tests of this file, in a process of its own"]
fn a_writer_that_meets_a_failpoint() {
    let Some(dir) = std::env::var_os(DIR_VARIABLE) else { return };
    let dir = Path::new(&dir);
    let _scenario = fail::FailScenario::setup();
    let result = Writer::open(dir, options(), origin(), &Proof::NONE).and_then(|(mut writer, recovered)| {
        let result = write(&mut writer, dir, recovered.end.0);
        let in_retention = std::env::var("FAILPOINTS").unwrap().starts_with("tape::retain");
        if result.is_err() && !in_retention {
            assert!(matches!(writer.sync(), Err(Error::Stopped)), "the first failure is final");
        }
        result
    });
    match result {
        Ok(()) => {}
        Err(error) if error.is_full() => std::process::exit(7),
        Err(_other) => std::process::exit(1),
    }
}

fn write(writer: &mut Writer, dir: &Path, end: u64) -> Result<(), Error> {
    for n in 1..40 {
        let lsn = end + 10 * n;
        writer.begin(begin(Kind::Stream, lsn - 1))?;
        (0..n % 4).try_for_each(|_| writer.push(Lsn(lsn - 1), &[0; 400]))?;
        writer.commit(Lsn(lsn - 1), Lsn(lsn))?;
        let durable = writer.sync()?;
        std::fs::write(dir.with_extension("synced"), durable.lsn().0.to_le_bytes()).unwrap();
        if n % 10 == 0 {
            writer.roll(&[])?;
            let policy = Policy { history_bytes: 1, ..Policy::default() };
            retain(dir, &writer.watermark(), &Pins::new(), &policy, 0)?;
        }
    }
    Ok(())
}

#[test]
fn what_was_synced_survives_an_end_or_an_error_at_every_step() {
    for step in STEPS {
        for (action, want) in [("panic", 101), ("3*off->return(full)", 7), ("return(eio)", 1)] {
            let home = tempfile::tempdir().unwrap();
            let dir = home.path().join("tape");
            let (mut writer, _) = open(&dir);
            unit(&mut writer, Kind::Stream, 10, &[b"I"]);
            writer.sync().unwrap();
            drop(writer);
            let path = disk::segment_path(&dir, 1);
            let torn = [std::fs::read(&path).unwrap(), b"PGTF torn".to_vec()].concat();
            std::fs::write(&path, torn).unwrap();

            let status = run_writer(&dir, &format!("{step}={action}"));
            // A step that is passed fewer than four times lets the delayed error through.
            assert!(status == want || (action.starts_with('3') && status == 0), "{step} {action}: {status}");
            let synced = std::fs::read(dir.with_extension("synced"))
                .map_or(10, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
            let proof = Proof { confirmed: Lsn(synced), cursors: Vec::new() };
            let (mut writer, recovered) = Writer::open(&dir, options(), origin(), &proof)
                .unwrap_or_else(|error| panic!("{step} {action}: {error}"));
            assert!(recovered.end.0 >= synced, "{step} {action}");
            let next = recovered.end.0 + 10;
            unit(&mut writer, Kind::Stream, next, &[b"next"]);
            writer.close().unwrap();
            assert_eq!(verify(&dir).unwrap().end, Lsn(next), "{step} {action}");
        }
    }
}

fn run_writer(dir: &Path, failpoint: &str) -> i32 {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tape::tests::failpoints::a_writer_that_meets_a_failpoint", "--ignored"])
        .env(DIR_VARIABLE, dir)
        .env("FAILPOINTS", failpoint)
        .output()
        .unwrap()
        .status;
    status.code().expect("it was not killed")
}
