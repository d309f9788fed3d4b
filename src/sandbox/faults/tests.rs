//! Rules are parsed as users write them, and sampling can be replayed.

use crate::sandbox::rng::SeededRng;

use super::*;

fn fault_sampler(spec: &str, seed: u64) -> FaultSampler {
    FaultSampler::new(FaultRules::parse(spec).unwrap(), SeededRng::new(seed))
}

fn story(spec: &str, seed: u64, endpoint: SandboxEndpoint) -> Vec<Option<&'static str>> {
    let mut sampler = fault_sampler(spec, seed);
    (0..200).map(|_| sampler.sample(endpoint).map(|(injected, _)| injected.kind.name)).collect()
}

#[test]
fn one_seed_samples_the_same_faults() {
    let spec = "lost-answer=20%, truncate=10%";
    assert_eq!(story(spec, 7, SandboxEndpoint::Create), story(spec, 7, SandboxEndpoint::Create));
    assert_ne!(story(spec, 7, SandboxEndpoint::Create), story(spec, 8, SandboxEndpoint::Create));
}

#[test]
fn polls_in_between_do_not_change_the_faults_of_exports() {
    let mut quiet = fault_sampler("lost-answer=30%", 3);
    let mut busy = fault_sampler("lost-answer=30%", 3);
    for _ in 0..100 {
        let alone = quiet.sample(SandboxEndpoint::Export).is_some();
        busy.sample(SandboxEndpoint::Progress);
        assert_eq!(busy.sample(SandboxEndpoint::Export).is_some(), alone);
    }
}

#[test]
fn a_count_means_the_first_and_a_plus_all_but_the_first() {
    let first = story("refuse=export:3", 1, SandboxEndpoint::Export);
    assert!(first[..3].iter().all(Option::is_some) && first[3..].iter().all(Option::is_none));
    let after = story("refuse=+3", 1, SandboxEndpoint::Create);
    assert!(after[..3].iter().all(Option::is_none) && after[3..].iter().all(Option::is_some));
}

#[test]
fn a_rule_applies_only_to_the_endpoints_it_names() {
    let mut sampler = fault_sampler("lost-answer=paid:always html=download", 1);
    assert!(sampler.sample(SandboxEndpoint::Export).is_some());
    assert!(sampler.sample(SandboxEndpoint::Progress).is_none());
    assert_eq!(sampler.sample(SandboxEndpoint::Download).unwrap().0.kind.name, "html");
}

#[test]
fn the_first_matching_rule_wins() {
    let mut sampler = fault_sampler("hang=1 refuse", 1);
    assert_eq!(sampler.sample(SandboxEndpoint::Create).unwrap().0.kind.name, "hang");
    assert_eq!(sampler.sample(SandboxEndpoint::Create).unwrap().0.kind.name, "refuse");
}

#[test]
fn words_of_a_decline_follow_its_status() {
    let decline = |status, words: Option<&str>| FaultArgument::Decline {
        status,
        words: words.map(str::to_owned),
    };
    for (spec, expected) in [
        ("decline-after", decline(400, None)),
        ("decline-after=export:1@429", decline(429, None)),
        ("decline-after=export:1@429:being_exported", decline(429, Some("being exported"))),
        ("decline-after=always@404:이미:내보내는_중", decline(404, Some("이미:내보내는 중"))),
    ] {
        let mut sampler = fault_sampler(spec, 1);
        let (injected, _) = sampler.sample(SandboxEndpoint::Export).unwrap();
        assert_eq!(injected.argument, expected, "{spec}");
    }
}

#[test]
fn counts_continue_after_a_restart() {
    let mut before = fault_sampler("refuse=export:2", 1);
    let (_, injected) = before.sample(SandboxEndpoint::Export).unwrap();
    let mut after = fault_sampler("refuse=export:2", 1);
    after.restore_counts(&injected);
    assert!(after.sample(SandboxEndpoint::Export).is_some());
    assert!(after.sample(SandboxEndpoint::Export).is_none());
}

#[test]
fn credits_run_out_by_renders_and_not_by_requests() {
    let faults = FaultRules::parse("402-after=10").unwrap();
    assert_eq!(faults.renders_max(), Some(10));
    assert!(FaultSampler::new(faults, SeededRng::new(1)).sample(SandboxEndpoint::Create).is_none());
}

#[test]
fn an_invalid_rule_is_explained() {
    // A line of ours is as long as it needs to be; here it is folded at its colons.
    let wrong = |spec: &str| FaultRules::parse(spec).unwrap_err().to_string().replace(": ", ":\n");
    insta::assert_snapshot!(
        wrong("lost-anser=5%"),
        @"`lost-anser` is not a known fault; did you mean `lost-answer`?"
    );
    insta::assert_snapshot!(
        wrong("zzzzzzzzzzzzz"),
        @"`zzzzzzzzzzzzz` is not a known fault; see the list in the command's help"
    );
    insta::assert_snapshot!(
        wrong("hang=often"),
        @"
    `often` is not a condition of `hang`:
    use `5%`, `3` for the first three, `+3` for all but the first three, or `always`
    "
    );
    insta::assert_snapshot!(
        wrong("rate-limit=5%@tomorrow"),
        @"`tomorrow` after `@` does not fit `rate-limit`, which takes seconds, date, none, odd"
    );
    insta::assert_snapshot!(
        wrong("hang=2@soon"),
        @"`soon` after `@` does not fit `hang`, which takes a whole number (real seconds)"
    );
    insta::assert_snapshot!(
        wrong("decline-after=export:1@499:no"),
        @"
    `499:no` after `@` does not fit `decline-after`, which takes 400, 404, 403, 429, 402, 422, 401, 409, each with `:WORDS` if needed
    "
    );
    assert!(wrong("decline-after=always@400:").contains("does not fit"));
    assert!(wrong("hang=exprt:2").starts_with("`exprt` in the rule for `hang` is not an endpoint"));
    assert!(wrong("reset-connect=export:2").contains("is not an endpoint"));
    assert!(wrong("hang=120%").contains("is not a condition of"));
}

#[test]
fn fault_rules_parse_back_from_their_text() {
    let spec = "lost-answer=export:3, truncate=5%@12";
    assert_eq!(FaultRules::parse(spec).unwrap().to_string(), spec);
}

#[test]
fn every_fault_has_a_unique_name_and_a_description() {
    let mut names: Vec<_> = FaultRules::KINDS.iter().map(|known| known.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FaultRules::KINDS.len());
    assert!(FaultRules::KINDS.iter().all(|known| !known.description.is_empty()));
}

proptest::proptest! {
    #[test]
    fn no_rule_text_causes_a_panic(text in ".{0,60}") {
        let _ = FaultRules::parse(&text);
    }
}
