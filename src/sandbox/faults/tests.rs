//! Rules are read as people write them, and draws can be replayed.

use crate::sandbox::dice::Dice;

use super::*;

fn draws(spec: &str, seed: u64) -> Draws {
    Draws::new(Faults::parse(spec).unwrap(), Dice::new(seed))
}

fn story(spec: &str, seed: u64, endpoint: Endpoint) -> Vec<Option<&'static str>> {
    let mut draws = draws(spec, seed);
    (0..200).map(|_| draws.draw(endpoint).map(|(drawn, _)| drawn.known.name)).collect()
}

#[test]
fn one_seed_draws_one_story() {
    let spec = "lost-answer=20%, truncate=10%";
    assert_eq!(story(spec, 7, Endpoint::Create), story(spec, 7, Endpoint::Create));
    assert_ne!(story(spec, 7, Endpoint::Create), story(spec, 8, Endpoint::Create));
}

#[test]
fn polls_in_between_change_no_story_of_an_export() {
    let mut quiet = draws("lost-answer=30%", 3);
    let mut busy = draws("lost-answer=30%", 3);
    for _ in 0..100 {
        let alone = quiet.draw(Endpoint::Export).is_some();
        busy.draw(Endpoint::Progress);
        assert_eq!(busy.draw(Endpoint::Export).is_some(), alone);
    }
}

#[test]
fn a_count_means_the_first_and_a_plus_all_but_the_first() {
    let first = story("refuse=export:3", 1, Endpoint::Export);
    assert!(first[..3].iter().all(Option::is_some) && first[3..].iter().all(Option::is_none));
    let after = story("refuse=+3", 1, Endpoint::Create);
    assert!(after[..3].iter().all(Option::is_none) && after[3..].iter().all(Option::is_some));
}

#[test]
fn a_rule_meets_only_the_endpoints_it_names() {
    let mut draws = draws("lost-answer=paid:always html=download", 1);
    assert!(draws.draw(Endpoint::Export).is_some());
    assert!(draws.draw(Endpoint::Progress).is_none());
    assert_eq!(draws.draw(Endpoint::Download).unwrap().0.known.name, "html");
}

#[test]
fn the_first_rule_that_strikes_wins() {
    let mut draws = draws("hang=1 refuse", 1);
    assert_eq!(draws.draw(Endpoint::Create).unwrap().0.known.name, "hang");
    assert_eq!(draws.draw(Endpoint::Create).unwrap().0.known.name, "refuse");
}

#[test]
fn counts_go_on_after_a_restart() {
    let mut before = draws("refuse=export:2", 1);
    let (_, happened) = before.draw(Endpoint::Export).unwrap();
    let mut after = draws("refuse=export:2", 1);
    after.recall(&happened);
    assert!(after.draw(Endpoint::Export).is_some());
    assert!(after.draw(Endpoint::Export).is_none());
}

#[test]
fn credits_run_out_by_renders_and_not_by_requests() {
    let faults = Faults::parse("402-after=10").unwrap();
    assert_eq!(faults.renders_max(), Some(10));
    assert!(Draws::new(faults, Dice::new(1)).draw(Endpoint::Create).is_none());
}

#[test]
fn what_cannot_be_read_is_told_in_words() {
    // A line of ours is as long as it needs to be; here it is folded at its colons.
    let wrong = |spec: &str| Faults::parse(spec).unwrap_err().to_string().replace(": ", ":\n");
    insta::assert_snapshot!(
        wrong("lost-anser=5%"),
        @"`lost-anser` is not a known fault; did you mean `lost-answer`?"
    );
    insta::assert_snapshot!(
        wrong("zzzzzzzzzzzzz"),
        @"`zzzzzzzzzzzzz` is not a known fault; the command's help lists them all"
    );
    insta::assert_snapshot!(
        wrong("hang=often"),
        @"
    `often` does not say when `hang` happens:
    use `5%`, `3` for the first three, `+3` for all but the first three, or `always`
    "
    );
    insta::assert_snapshot!(
        wrong("rate-limit=5%@tomorrow"),
        @"
    `tomorrow` after `@` is nothing that `rate-limit` can take:
    it takes seconds, date, none, odd
    "
    );
    insta::assert_snapshot!(
        wrong("hang=2@soon"),
        @"
    `soon` after `@` is nothing that `hang` can take:
    it takes a whole number (real seconds)
    "
    );
    assert!(wrong("hang=exprt:2").starts_with("`exprt` in the rule for `hang` is not an endpoint"));
    assert!(wrong("reset-connect=export:2").contains("is not an endpoint"));
    assert!(wrong("hang=120%").contains("does not say when"));
}

#[test]
fn a_set_of_faults_reads_back_as_it_was_written() {
    let spec = "lost-answer=export:3, truncate=5%@12";
    assert_eq!(Faults::parse(spec).unwrap().to_string(), spec);
}

#[test]
fn every_fault_has_its_own_name_and_a_meaning() {
    let mut names: Vec<_> = Faults::KNOWN.iter().map(|known| known.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Faults::KNOWN.len());
    assert!(Faults::KNOWN.iter().all(|known| !known.meaning.is_empty()));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,60}") {
        let _ = Faults::parse(&text);
    }
}
