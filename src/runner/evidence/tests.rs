//! Which observations prove acceptance, which prove absence, and which prove nothing.

use crate::aistudios::{ListedProject, ProjectId, ProjectList, RenderState};
use jiff::{SignedDuration, Timestamp};

use crate::ledger::{FinishedProject, JobUpdate, RecheckReason};
use crate::runner::evidence::recheck::{RecheckContext, RecheckVerdict, judge_recheck};
use crate::runner::evidence::*;

fn due(project_id: Option<&str>, looks: i64) -> DueJob {
    DueJob {
        job: 1.into(),
        key: "ann".to_owned(),
        version: 1,
        submission: 1.into(),
        tag: Tag::from("a".repeat(13)),
        project_id: project_id.map(str::to_owned),
        render_id: None,
        paid_at: Some(Timestamp::UNIX_EPOCH),
        rendering_at: None,
        progress: None,
        moved_at: None,
        polls: 0,
        looks,
        rerenders: 0,
        fetch_failures: 0,
        video_url: None,
        file_name: "ann.mp4".to_owned(),
        spoken_ms: 1000,
        request: "project".to_owned(),
        subject: None,
        mark: None,
        recheck: None,
        recheck_since: None,
        decline: None,
        submit_failures: 0,
    }
}

#[test]
fn callback_proves_acceptance_and_identifies_no_project() {
    let callbacks = CallbackReport { task: Some("t1".to_owned()), ..CallbackReport::default() };
    let combine = |due: DueJob, assessed: &SubmissionEvidence, keeps_ids| {
        combine_with_callback(&due, assessed.clone(), Some(&callbacks), keeps_ids)
    };
    let is_held = |evidence: &SubmissionEvidence| matches!(evidence, SubmissionEvidence::Inconclusive { message } if message.contains("was accepted"));
    let is_draft = |evidence: &SubmissionEvidence| matches!(evidence, SubmissionEvidence::Accepted { project_id, .. } if project_id == "p1");
    for assessed in [SubmissionEvidence::Absent, inconclusive("no response")] {
        let without = combine_with_callback(&due(Some("p1"), 9), assessed.clone(), None, true);
        assert_eq!(without, assessed, "no callback");
        assert!(is_held(&combine(due(None, 9), &assessed, true)), "never taken as absent");
        assert!(is_held(&combine(due(Some("p1"), 0), &assessed, false)), "may be another id");
        assert!(is_draft(&combine(due(Some("p1"), 2), &assessed, false)));
        assert!(is_draft(&combine(due(Some("p1"), 0), &assessed, true)));
    }
    let found = accepted("p9", "its tag");
    for due in [due(None, 0), due(Some("p1"), 0)] {
        assert_eq!(combine(due, &found, true), found, "an observation has priority");
    }
}

#[test]
fn render_task_of_a_callback_identifies_the_project_of_an_untagged_request() {
    let due = DueJob { request: "url_to_video".to_owned(), ..due(None, 0) };
    let index = Ok(ProjectIndex::default());
    let callbacks = Some(CallbackReport::default());
    let mut observation = Observation { callbacks, ..Observation::default() };
    let evidence = judge_submission(&due, &index, &observation);
    assert!(matches!(evidence, SubmissionEvidence::Inconclusive { .. }), "{evidence:?}");
    observation.project_by_task = Some("p7".to_owned());
    let evidence = judge_submission(&due, &index, &observation);
    assert!(
        matches!(&evidence, SubmissionEvidence::Accepted { project_id, .. } if project_id == "p7")
    );
}

const NAME: &str = "Ann [cs:aaaaaaaaaaaaa]";
const PAID_AT: Timestamp = Timestamp::constant(1_000_000, 0);

fn project(id: &str, name: &str) -> ProjectDetails {
    ProjectDetails {
        id: ProjectId::parse(id).unwrap(),
        name: Some(name.to_owned()),
        state: None,
        percent: None,
        task_id: None,
        credit_subtracted: None,
        price: None,
        video_url: None,
        created_at: Some(PAID_AT + SignedDuration::from_secs(5)),
    }
}

fn rendered(id: &str, name: &str) -> ProjectDetails {
    ProjectDetails { video_url: Some("https://v.example/a.mp4".to_owned()), ..project(id, name) }
}

fn index_of(projects: &[&ProjectDetails]) -> Result<ProjectIndex, String> {
    let listed = |project: &&ProjectDetails| ListedProject {
        id: project.id.clone(),
        name: project.name.clone(),
        state: project.video_url.as_ref().map(|_| RenderState::Done("exported".to_owned())),
        has_video: project.video_url.is_some(),
    };
    let projects = projects.iter().map(listed).collect();
    let mut index = ProjectIndex::from_list(ProjectList { projects, is_complete: true });
    index.shows_known_projects = true;
    Ok(index)
}

fn paid(project_id: Option<&str>) -> DueJob {
    DueJob { paid_at: Some(PAID_AT), ..due(project_id, 0) }
}

/// Assesses a two-step submission whose draft is `draft`, beside another project.
fn assess_beside(draft: &ProjectDetails, other: &ProjectDetails) -> SubmissionEvidence {
    let observation = Observation {
        draft: Some(Ok(draft.clone())),
        others: vec![other.clone()],
        ..Observation::default()
    };
    assess_submission(&paid(Some("d1")), &index_of(&[draft, other]), &observation)
}

#[test]
fn the_drafts_own_export_outranks_other_projects() {
    for name in ["Copy of Ann [cs:aaaaaaaaaaaaa]", NAME] {
        let evidence = assess_beside(&rendered("d1", NAME), &rendered("c2", name));
        let SubmissionEvidence::Accepted { render_id: None, duplicate_warning, .. } = &evidence
        else {
            panic!("{evidence:?}")
        };
        assert!(duplicate_warning.as_ref().is_some_and(|warning| warning.contains("c2")));
    }
}

#[test]
fn another_project_is_evidence_only_with_the_name_that_was_sent_and_after_the_request() {
    let copy = "Copy of Ann [cs:aaaaaaaaaaaaa]";
    let before = Some(PAID_AT - SignedDuration::from_hours(1));
    for (other, is_evidence) in [
        (rendered("c2", NAME), true),
        (ProjectDetails { created_at: None, ..rendered("c2", NAME) }, true),
        (rendered("c2", copy), false),
        (ProjectDetails { created_at: before, ..rendered("c2", NAME) }, false),
    ] {
        let two_step = assess_beside(&project("d1", NAME), &other);
        let observation = Observation {
            others: vec![other.clone()],
            sent_name: Some(NAME.to_owned()),
            ..Observation::default()
        };
        let one_step = assess_submission(&paid(None), &index_of(&[&other]), &observation);
        for evidence in [two_step, one_step] {
            match (&evidence, is_evidence) {
                (SubmissionEvidence::Accepted { .. }, true) => {}
                (SubmissionEvidence::Inconclusive { message }, false) => {
                    assert!(message.contains("`c2`") && message.contains("resolve"), "{message}");
                }
                _ => panic!("{other:?}: {evidence:?}"),
            }
        }
    }
}

/// A draft that was created twice, or copied and not exported: it costs nothing and is no render.
#[test]
fn another_draft_with_the_tag_is_neither_the_render_nor_waited_for() {
    let evidence = assess_beside(&project("d1", NAME), &project("c2", NAME));
    assert_eq!(evidence, SubmissionEvidence::Absent);
}

#[test]
fn a_tag_of_another_ledger_is_never_evidence() {
    let tag = format!("{}-{}", "a".repeat(13), "b".repeat(13));
    let due = DueJob { tag: Tag::from(tag), ..paid(None) };
    for planted in ["Ann [cs:aaaaaaaaaaaaa]", "Ann [cs:aaaaaaaaaaaaa-ccccccccccccc]"] {
        let other = rendered("c2", planted);
        let observation = Observation { others: vec![other.clone()], ..Observation::default() };
        let evidence = assess_submission(&due, &index_of(&[&other]), &observation);
        let SubmissionEvidence::Inconclusive { message } = &evidence else {
            panic!("{planted}: {evidence:?}")
        };
        assert!(message.contains("`c2`"), "{message}");
    }
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The list leaves out, renames or cuts off finished projects of this ledger, or looks like a page.
#[test]
fn a_list_that_hides_known_projects_proves_no_absence() {
    let tag = |n: usize| Tag::from(format!("{n:013}"));
    let known: Vec<ProjectDetails> =
        (0..21).map(|n| rendered(&format!("k{n}"), &format!("K [cs:{}]", tag(n)))).collect();
    let finished: Vec<FinishedProject> = (0..known.len())
        .map(|n| FinishedProject {
            id: format!("k{n}"),
            tag: tag(n),
            paid_at: PAID_AT - HOUR * (21 - n as i32),
            finished_at: Some(PAID_AT - HOUR * (21 - n as i32)),
        })
        .collect();
    let escaped =
        ProjectDetails { name: Some(format!("K &#91;cs:{}&#93;", tag(0))), ..known[0].clone() };
    let all: Vec<&ProjectDetails> = known.iter().collect();
    let renamed: Vec<&ProjectDetails> = std::iter::once(&escaped).chain(&known[1..]).collect();
    for (shown, is_proof) in [
        (all.clone(), true),
        (all[1..].to_vec(), false),
        (all[..20].to_vec(), false),
        (renamed, false),
    ] {
        let draft = project("d1", NAME);
        let mut index = index_of(&shown).unwrap();
        index.hides_known_projects = !index.compare_with(&finished).is_empty();
        let observation = Observation { draft: Some(Ok(draft)), ..Observation::default() };
        let evidence = assess_submission(&paid(Some("d1")), &Ok(index), &observation);
        let absent = matches!(evidence, SubmissionEvidence::Absent);
        assert_eq!(absent, is_proof, "{} shown: {evidence:?}", shown.len());
    }
    // A page of the first twenty may hide a later project, unless a still later one is on it. Of two
    // requests sent at about the same time, either may have arrived first.
    let last = PAID_AT - HOUR * 2;
    for (paid_at, is_proof) in [
        (PAID_AT, false),
        (last - HOUR / 2, false),
        (last - HOUR * 2, true),
        (last - HOUR * 19 + HOUR / 2, false),
    ] {
        let mut index = index_of(&all[..20]).unwrap();
        index.hides_known_projects = !index.compare_with(&finished[..20]).is_empty();
        let draft = Some(Ok(project("d1", NAME)));
        let observation = Observation { draft, ..Observation::default() };
        let due = DueJob { paid_at: Some(paid_at), ..due(Some("d1"), 0) };
        let evidence = assess_submission(&due, &Ok(index), &observation);
        assert_eq!(matches!(evidence, SubmissionEvidence::Absent), is_proof, "{evidence:?}");
    }
}

/// A list of the newest projects, all of which may be newer than the one that is sought.
#[test]
fn a_list_without_an_older_project_proves_no_absence() {
    const MILLISECOND: SignedDuration = SignedDuration::from_millis(1);
    let tag = Tag::from("0".repeat(13));
    let known = rendered("k1", &format!("K [cs:{tag}]"));
    let draft = project("d1", NAME);
    for (finished_at, shown, is_proof) in [
        (Some(PAID_AT - MILLISECOND), vec![&known], true),
        (Some(PAID_AT + MILLISECOND), vec![&known], false),
        (None, vec![&known], false),
        (Some(PAID_AT + MILLISECOND), vec![&known, &draft], true),
        (None, Vec::new(), true),
    ] {
        let (id, paid_at) = ("k1".to_owned(), Timestamp::UNIX_EPOCH);
        let finished = FinishedProject { id, tag: tag.clone(), paid_at, finished_at };
        let mut index = index_of(&shown).unwrap();
        index.compare_with(&[finished]);
        let observation = Observation { draft: Some(Ok(draft.clone())), ..Observation::default() };
        let evidence = assess_submission(&paid(Some("d1")), &Ok(index), &observation);
        let is_absent = matches!(evidence, SubmissionEvidence::Absent);
        assert_eq!(is_absent, is_proof, "{finished_at:?}, {} shown: {evidence:?}", shown.len());
    }
}

/// A decline is believed only if a render under another id would be seen, whether or not AI Studios
/// still knows the draft.
#[test]
fn a_decline_is_not_believed_with_a_list_that_leaves_out_projects() {
    let known = rendered("k1", "K [cs:0000000000000]");
    let index = |is_complete, hides_known_projects, keeps_ids| {
        let mut list = index_of(&[&known]).unwrap();
        (list.complete, list.hides_known_projects, list.keeps_ids) =
            (is_complete, hides_known_projects, keeps_ids);
        Ok(list)
    };
    let due = DueJob { recheck: Some(RecheckReason::Declined), ..paid(Some("d1")) };
    let context =
        RecheckContext { now: Timestamp::UNIX_EPOCH, submit_retries: 3, earlier_progress: None };
    for is_draft_gone in [false, true] {
        let draft = match is_draft_gone {
            true => Err("not found".to_owned()),
            false => Ok(project("d1", NAME)),
        };
        let observation =
            Observation { draft: Some(draft), is_draft_gone, ..Observation::default() };
        for (index, is_believed) in [
            (index(true, false, false), true),
            (index(true, true, false), false),
            (index(false, false, false), false),
            (index(false, true, true), true),
            (Err("no list".to_owned()), false),
        ] {
            let evidence = judge_submission(&due, &index, &observation);
            let verdict = judge_recheck(&due, &index, &observation, context, evidence);
            let settles = matches!(verdict, RecheckVerdict::Settle(JobUpdate::Refused { .. }));
            assert_eq!(settles, is_believed, "gone: {is_draft_gone}, {index:?}: {verdict:?}");
        }
        // The project that could not be read may be the render.
        let (index, has_unread_others) = (index(true, false, false), true);
        let observation = Observation { has_unread_others, ..observation };
        let evidence = judge_submission(&due, &index, &observation);
        assert_ne!(evidence, SubmissionEvidence::Absent);
        let verdict = judge_recheck(&due, &index, &observation, context, evidence);
        assert!(matches!(verdict, RecheckVerdict::Unclear(_)), "{verdict:?}");
    }
}

/// Without a tag, a render under another id looks like any other project.
#[test]
fn a_decline_of_a_request_without_a_tag_waits_for_the_operator_unless_no_project_can_be_its_render()
{
    let context =
        RecheckContext { now: Timestamp::UNIX_EPOCH, submit_retries: 3, earlier_progress: None };
    let declined = |request: &str, reason| DueJob {
        request: request.to_owned(),
        recheck: Some(reason),
        decline: Some("not now".to_owned()),
        ..paid(Some("d1"))
    };
    // Whether exports are known to keep their id, names to lose their tag, and a project is unknown.
    for (request, keeps_ids, loses_tags, is_any_unknown, is_believed) in [
        ("simple_video", false, false, true, false),
        ("simple_video", false, false, false, true),
        ("simple_video", true, false, true, true),
        ("project", false, false, true, true),
        ("project", false, true, true, false),
    ] {
        let mut index = index_of(&[]).unwrap();
        (index.keeps_ids, index.loses_tags) = (keeps_ids, loses_tags);
        index.shows_unknown_projects = is_any_unknown;
        for reason in [RecheckReason::Declined, RecheckReason::Postponed, RecheckReason::NotFound] {
            let due = declined(request, reason);
            let draft = Some(Ok(project("d1", NAME)));
            let observation = Observation { draft, ..Observation::default() };
            let index = Ok(index.clone());
            let evidence = judge_submission(&due, &index, &observation);
            let verdict = judge_recheck(&due, &index, &observation, context, evidence);
            let is_settled = matches!(verdict, RecheckVerdict::Settle(_));
            assert_eq!(is_settled, is_believed, "{request}, {reason:?}, {index:?}: {verdict:?}");
            if let RecheckVerdict::Unclear(message) = verdict {
                assert!(message.contains("not now"), "{message}");
            }
        }
    }
}
