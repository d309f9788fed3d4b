//! Another machine, or a suspend, in the middle of what is done before a paid request: transactions are held
//! at the server until the test releases them.

use std::time::Duration;

use callsheet::aistudios::AiStudios;
use callsheet::ledger::{Capacity, CreditCaps, LedgerError};
use callsheet::request::SubmissionMode;
use callsheet::runner::{self, BatchLock, Halt, RunInput, RunOutcome};

use super::leases::{WRONG_CLOCK, expire_leases, open_ledger};
use super::{NOW, begin_run, claim_one, keys, one_claim, plan_rows};
use crate::support::postgres_server::TestDatabase;
use crate::support::{TestBatch, ai_studios, run_input};

/// An intent may be sent for half a minute.
const ONE_STEP: &str = "submission = 'one-step'\n[limits]\nsettle_after = '5m'";

/// Transactions of claims and of what follows them, held at the server one after the other.
struct HeldTransactions<'d> {
    database: &'d TestDatabase,
}

impl<'d> HeldTransactions<'d> {
    /// Holds claims before their commits, when they have written and locked everything.
    fn of_claims(database: &'d TestDatabase) -> Self {
        let held = Self::new(database);
        let has_claimed =
            "exists (select from callsheet.submission where xmin = pg_current_xact_id()::xid)";
        held.hold_if(
            has_claimed,
            "constraint trigger held after update",
            "deferrable initially deferred",
        );
        held
    }

    /// Holds whatever begins after a claim, before it reads or locks anything.
    fn after_a_claim(database: &'d TestDatabase) -> Self {
        let held = Self::new(database);
        held.hold_if("exists (select from callsheet.submission)", "trigger held before update", "");
        held
    }

    /// Holds the first check of a lease before a paid request, and whatever begins after it.
    fn from_the_first_check_of_a_lease(database: &'d TestDatabase) -> Self {
        let held = Self::new(database);
        held.hold_if(
            "(select is_called from public.held_number)",
            "trigger held before update",
            "",
        );
        database.query(
            "create function public.hold_checks() returns boolean language plpgsql as $$ begin
                 if current_query() like '%lease before a payment%' then
                     perform public.hold();
                 end if;
                 return true;
             end $$;
             alter table callsheet.batch_lease rename to lease_row;
             create view callsheet.batch_lease as
                 select * from callsheet.lease_row where public.hold_checks()",
        );
        held
    }

    fn new(database: &'d TestDatabase) -> Self {
        database.query(
            "create sequence public.held_number;
             create table public.released as select 0::bigint as up_to;
             create function public.hold() returns void language plpgsql as $$
             declare number bigint = nextval('public.held_number');
             begin
                 while number > (select up_to from public.released) loop
                     perform pg_sleep(0.01);
                 end loop;
             end $$",
        );
        Self { database }
    }

    /// Adds a trigger on the row that each transaction of a ledger changes first.
    fn hold_if(&self, condition: &str, trigger: &str, options: &str) {
        self.database.query(&format!(
            "create function public.hold_if() returns trigger language plpgsql as $$ begin
                 if {condition} then perform public.hold(); end if;
                 return new;
             end $$;
             create {trigger} on callsheet.commit_marker {options}
                 for each row execute function public.hold_if()"
        ));
    }

    /// Waits until this many sessions are held or wait for what a held one has locked, or until `is_over`.
    async fn wait_for_sessions(&self, count: usize, is_over: impl Fn() -> bool) {
        let waiting = "select pid from pg_stat_activity where datname = current_database()
            and (wait_event_type = 'Lock' or wait_event = 'PgSleep')";
        while self.database.query(waiting).len() < count && !is_over() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until something is held, by its number, or until `is_over`.
    async fn wait_for(&self, number: i64, is_over: impl Fn() -> bool) {
        let begun = format!(
            "select last_value from public.held_number where is_called and last_value >= {number}"
        );
        while self.database.query(&begun).is_empty() && !is_over() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Releases what is held or will be, up to this number.
    fn release(&self, up_to: i64) {
        self.database.query(&format!("update public.released set up_to = {up_to}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn takeover_waits_for_the_transaction_of_a_claim() {
    let Some(database) = TestDatabase::create() else { return };
    let (ledger, other) = (open_ledger(&database).await, open_ledger(&database).await);
    let batch = plan_rows(&ledger, "spring", &keys(2)).await.unwrap();
    let _held = BatchLock::acquire(&ledger, "spring", WRONG_CLOCK).await.unwrap();
    let lease = begin_run(&ledger, batch).await;
    expire_leases(&database);
    let held = HeldTransactions::of_claims(&database);
    let claim = tokio::spawn({
        let lease = lease.clone();
        async move { claim_one(&lease).await }
    });
    held.wait_for_sessions(1, || claim.is_finished()).await;
    let takeover =
        tokio::spawn(async move { BatchLock::acquire(&other, "spring", WRONG_CLOCK).await });
    held.wait_for_sessions(2, || takeover.is_finished()).await;
    assert!(!takeover.is_finished(), "another machine has the batch while a claim is under way");
    held.release(i64::MAX);
    assert_eq!(claim.await.unwrap().unwrap().submissions.len(), 1);
    let _taken = takeover.await.unwrap().unwrap();
    let lost = claim_one(&lease).await.unwrap_err();
    assert!(matches!(lost, LedgerError::LeaseLost), "{lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_at_the_same_moment_spend_a_daily_cap_once() {
    let Some(database) = TestDatabase::create() else { return };
    let (first, second) = (open_ledger(&database).await, open_ledger(&database).await);
    let spring = plan_rows(&first, "spring", &keys(2)).await.unwrap();
    let autumn = plan_rows(&second, "autumn", &keys(2)).await.unwrap();
    let leases = [begin_run(&first, spring).await, begin_run(&second, autumn).await];
    let held = HeldTransactions::of_claims(&database);
    let claims = leases.map(|lease| {
        let caps = CreditCaps { per_run: None, per_day: Some(1.0), day_began: NOW };
        let capacity = Capacity { credit_caps: Some(caps), ..one_claim() };
        tokio::spawn(async move { lease.claim_paid(SubmissionMode::OneStep, capacity, NOW).await })
    });
    held.wait_for_sessions(2, || claims.iter().any(tokio::task::JoinHandle::is_finished)).await;
    held.release(i64::MAX);
    let mut claimed = 0;
    for claim in claims {
        claimed += claim.await.unwrap().unwrap().submissions.len();
    }
    assert_eq!(claimed, 1, "of one credit");
}

/// Gives the batch to another machine.
fn take_over(database: &TestDatabase) {
    database.query(
        "update callsheet.batch_lease
         set token = nextval('callsheet.batch_lease_token'), host = 'studio-b'",
    );
}

/// A batch of one row that a machine is about to run.
async fn leased_batch(database: &TestDatabase) -> (TestBatch, BatchLock, RunInput<AiStudios>) {
    let mut test = TestBatch::with_settings(1, ONE_STEP, |_| ()).await;
    test.ledger = open_ledger(database).await;
    let lock = BatchLock::acquire(&test.ledger, "promo", WRONG_CLOCK).await.unwrap();
    let id = test.plan_and_commit().await;
    let (batch, base_url) = (test.batch(), test.sandbox.base_url());
    let studio = ai_studios(&batch, &base_url);
    let input = run_input(&batch, id, &test.ledger, &base_url, studio).await;
    (test, lock, input)
}

fn assert_nothing_sent(test: &TestBatch, ended: Result<RunOutcome, LedgerError>) {
    assert_eq!(test.sandbox.counters().request_count("create"), 0);
    let lost = ended.unwrap_err();
    assert!(matches!(lost, LedgerError::LeaseLost), "{lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn machine_that_loses_its_batch_after_a_claim_sends_nothing() {
    let Some(database) = TestDatabase::create() else { return };
    let (test, _lock, input) = leased_batch(&database).await;
    let held = HeldTransactions::after_a_claim(&database);
    let run = tokio::spawn(runner::run_batch(input));
    held.wait_for(1, || run.is_finished()).await;
    take_over(&database);
    held.release(i64::MAX);
    assert_nothing_sent(&test, run.await.unwrap());
}

/// A failover may have lost the intent.
#[tokio::test(flavor = "multi_thread")]
async fn machine_whose_ledger_lacks_records_since_a_claim_sends_nothing() {
    let Some(database) = TestDatabase::create() else { return };
    let (test, _lock, input) = leased_batch(&database).await;
    let held = HeldTransactions::from_the_first_check_of_a_lease(&database);
    let run = tokio::spawn(runner::run_batch(input));
    held.wait_for(1, || run.is_finished()).await;
    database.query(
        "insert into callsheet.ledger_gap (reason, detail, last_record_at, found_at)
         values ('failover', 'its server is another one', 1, 1)",
    );
    held.release(1);
    held.wait_for(2, || run.is_finished()).await;
    held.release(i64::MAX);
    let ended = run.await.unwrap().unwrap();
    assert_eq!(test.sandbox.counters().request_count("create"), 0);
    assert!(matches!(ended.halt, Some(Halt::LedgerBehind { .. })), "{ended:?}");
}

/// It has seen that the batch is its own, and was suspended for a second since.
#[tokio::test(flavor = "multi_thread")]
async fn machine_that_loses_its_batch_just_before_it_sends_a_request_sends_nothing() {
    let Some(database) = TestDatabase::create() else { return };
    let (test, _lock, input) = leased_batch(&database).await;
    let clock = input.clock.clone();
    let held = HeldTransactions::from_the_first_check_of_a_lease(&database);
    let run = tokio::spawn(runner::run_batch(input));
    held.wait_for(1, || run.is_finished()).await;
    clock.suspend(Duration::from_secs(1));
    held.release(1);
    held.wait_for(2, || run.is_finished()).await;
    take_over(&database);
    held.release(i64::MAX);
    assert_nothing_sent(&test, run.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn intent_of_a_machine_that_was_suspended_is_put_back_and_sent_as_another_one() {
    let Some(database) = TestDatabase::create() else { return };
    let (test, _lock, input) = leased_batch(&database).await;
    let clock = input.clock.clone();
    let held = HeldTransactions::of_claims(&database);
    let run = tokio::spawn(runner::run_batch(input));
    held.wait_for_sessions(1, || run.is_finished()).await;
    clock.suspend(Duration::from_secs(3600));
    held.release(i64::MAX);
    run.await.unwrap().unwrap();
    let outcomes = database.query("select outcome from callsheet.submission order by id");
    assert_eq!(outcomes, ["not-sent", "rendered"]);
    assert_eq!(test.sandbox.counters().request_count("create"), 1);
    test.assert_guarantees(1).await;
}
