//! A batch for a sheet that exists: what its columns are for is guessed, and asked where it is not
//! certain.
//!
//! Without a terminal, an open question ends the command with the options that answer it. Nothing is
//! written before all questions are answered.

use std::path::Path;

use super::new_template::{self, NewTemplate};
use super::{
    NamedText, NewArgs, NewBatchError, ensure_absent, parse_name, path_beside_batch,
    print_next_step,
};
use crate::batch::{self, BATCH_FOLDER, Batch, BatchName, SheetSource};
use crate::cli::output::printer::Printer;
use crate::cli::output::{diagnostics, prompt};
use crate::plan::PlanError;
use crate::scaffold::{
    DraftPlaces, NewFileError, QuestionSubject, SetupAnswers, SetupProposal, SetupQuestion,
    SkipAnswer, batch_name_from_title, choose_template, choose_worksheet, download_link,
    propose_batch, toml_string, write_new_file,
};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::files::sheet_input;
use crate::sheet::{PreviewSpec, SheetPreview, SheetProblem, SheetProblems};
use crate::text::{nearest_name, pluralize, shell_quote, strip_control, truncate};

/// Other worksheets that are looked at.
const WORKSHEETS_MAX: usize = 8;
/// The first rows, one of which has the headings.
const HEADING_ROWS_MAX: usize = 10;
/// How often a question is asked.
const TRIES_MAX: usize = 3;
/// Answers that are listed with their numbers.
const CHOICES_MAX: usize = 20;
/// Characters of the cell that is shown beside a heading.
const SAMPLE_CHARS_MAX: usize = 40;
/// The name of the file that Excel puts beside an open workbook begins with it.
const LOCK_FILE_PREFIX: &str = "~$";

/// Writes the batch file, and the template if it does not exist.
pub(super) async fn write_batch(
    args: &NewArgs,
    sheet: &str,
    printer: &Printer,
) -> Result<(), NewBatchError> {
    let is_link = sheet.contains("://");
    if !is_link {
        check_sheet_file(sheet)?;
    }
    let name = choose_name(args, sheet, is_link)?;
    let batch_path = Path::new(BATCH_FOLDER).join(format!("{name}.toml"));
    ensure_absent(&[&batch_path]).map_err(|error| match error {
        NewFileError::Exists(path) => CommandError::usage(format!(
            "`{}` exists: give another name: callsheet new NAME --sheet {}",
            path.display(),
            shell_quote(sheet)
        )),
        NewFileError::Unwritable { .. } => CommandError::usage(error),
    })?;
    let named_sheet =
        if is_link { download_link(sheet) } else { path_beside_batch(Path::new(sheet)) };
    let batch = parse_sheet_setting(&batch_path, &named_sheet)?;
    let worksheets = read_worksheets(args, batch.clone(), printer).await?;
    let answers = given_answers(args)?;
    let (preview, template) = choose_worksheet_and_template(args, worksheets, &answers)?;
    reject_damage(&preview, propose_batch(&preview, &template.template, &answers), |problems| {
        let problems = SheetProblems { file: batch.sheet.clone(), problems };
        print_sheet_error(PlanError::Sheet(problems), &batch, printer)
    })?;
    let proposal = decide(args, &preview, &template, answers, printer)?;
    let batch_file = batch_path.display().to_string();
    let text = proposal.draft.to_text(&DraftPlaces {
        name: &name,
        batch_file: &batch_file,
        sheet: &named_sheet,
        template: &path_beside_batch(&template.path),
    });
    print_proposal(&proposal, printer);
    print_guessed_values(&proposal, printer);
    template.write(printer)?;
    write_new_file(&batch_path, &text)?;
    printer
        .status(&format!("Created {batch_file} (the batch file; edit it to change these choices)"));
    print_next_step(printer, &format!("callsheet plan {batch_file}"));
    Ok(())
}

/// Rejects a file that does not exist, with the one that was probably meant.
fn check_sheet_file(sheet: &str) -> Result<(), CommandError> {
    let path = Path::new(sheet);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if let Some(workbook) = name.strip_prefix(LOCK_FILE_PREFIX) {
        let message = format!("`{name}` only marks that `{workbook}` is open: use `{workbook}`");
        return Err(CommandError::usage(message));
    }
    if sheet == "-" || path.exists() {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let entries = std::fs::read_dir(folder.unwrap_or(Path::new("."))).into_iter().flatten();
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let sheets: Vec<String> =
        names.filter(|name| batch::has_sheet_extension(Path::new(name))).collect();
    let hint = nearest_name(&name, sheets.iter().map(String::as_str));
    let hint = hint.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Err(CommandError::new(ExitReason::Input, format!("there is no file `{sheet}`{hint}")))
}

fn choose_name(args: &NewArgs, sheet: &str, is_link: bool) -> Result<BatchName, CommandError> {
    if let Some(name) = &args.name {
        return parse_name(name);
    }
    let stem = Path::new(sheet).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = stem.and_then(|stem| batch_name_from_title(&stem)).filter(|_| !is_link);
    name.ok_or_else(|| {
        CommandError::usage(format!("the batch needs a name: callsheet new NAME --sheet {sheet}"))
    })
}

/// Returns a batch with the setting `sheet` alone, which follows the rules of a batch file.
fn parse_sheet_setting(batch_path: &Path, sheet: &str) -> Result<Batch, CommandError> {
    let source = format!("name = \"new\"\nsheet = {}\ntemplate = \"t\"\n", toml_string(sheet));
    let batch = batch::parse(batch_path, source).map_err(|problems| {
        let messages = problems.problems.iter().map(|problem| problem.message.clone());
        CommandError::usage(messages.collect::<Vec<_>>().join("; "))
    })?;
    match batch.sheet_source {
        SheetSource::Stdin => Err(CommandError::usage("--sheet needs a file or a link")),
        _ => Ok(batch),
    }
}

/// Reads the rows of a file or a link: those of the named worksheet, or of each visible one.
async fn read_worksheets(
    args: &NewArgs,
    mut batch: Batch,
    printer: &Printer,
) -> Result<Vec<SheetPreview>, NewBatchError> {
    let _copy = sheet_input::spool_sheet(&mut batch).await?;
    let spec = PreviewSpec {
        worksheet: args.worksheet.as_deref(),
        header_row: args.header_row.map(u64::from),
        is_link: matches!(batch.sheet_source, SheetSource::Link(_)),
    };
    let first = SheetPreview::read(&batch.sheet, &spec).map_err(|problems| {
        let exit = print_sheet_error(PlanError::Sheet(problems), &batch, printer);
        CommandError::Reported(exit)
    })?;
    let others = first.worksheet.iter().filter(|read| read.is_guess).flat_map(|read| &read.others);
    let others = others.take(WORKSHEETS_MAX).filter_map(|name| {
        SheetPreview::read(&batch.sheet, &PreviewSpec { worksheet: Some(name), ..spec }).ok()
    });
    let others: Vec<SheetPreview> = others.collect();
    Ok(std::iter::once(first).chain(others).collect())
}

/// Returns the worksheet that suits best, with its template.
fn choose_worksheet_and_template(
    args: &NewArgs,
    worksheets: Vec<SheetPreview>,
    answers: &SetupAnswers,
) -> Result<(SheetPreview, NewTemplate), NewBatchError> {
    let template = choose_new_template(args, &worksheets)?;
    let chosen = choose_worksheet(worksheets, &template.template, answers);
    Ok((chosen.ok_or_else(|| no_rows_error(args))?, template))
}

/// Rejects a sheet that is damaged, such as by a quote that is not closed: the rows behind it are lost,
/// and what is guessed from the rest is wrong.
fn reject_damage(
    preview: &SheetPreview,
    proposal: Option<SetupProposal>,
    print: impl FnOnce(Vec<SheetProblem>) -> ExitReason,
) -> Result<(), CommandError> {
    let problems = proposal.map(|found| preview.damage_below(found.heading_row));
    match problems.unwrap_or_default() {
        problems if problems.is_empty() => Ok(()),
        problems => Err(CommandError::Reported(print(problems))),
    }
}

fn no_rows_error(args: &NewArgs) -> CommandError {
    let message = match args.header_row {
        Some(row) => format!("the sheet has no row {row}, which --header-row names"),
        None => "the sheet is empty: add a row of headings, and a row for each video".to_owned(),
    };
    CommandError::new(ExitReason::Input, message)
}

fn print_sheet_error(error: PlanError, batch: &Batch, printer: &Printer) -> ExitReason {
    diagnostics::print_plan_error(printer, &error, batch)
}

/// Opens the named template, or the one of the gallery that suits the sheet.
fn choose_new_template(
    args: &NewArgs,
    worksheets: &[SheetPreview],
) -> Result<NewTemplate, NewBatchError> {
    let rows = worksheets.iter().flat_map(|sheet| sheet.rows.iter().take(HEADING_ROWS_MAX));
    let suited = choose_template(rows.flat_map(|row| &row.cells).map(String::as_str));
    new_template::open(args.template.as_deref(), suited)
}

/// Asks until everything is certain. Returns the settings.
fn decide(
    args: &NewArgs,
    preview: &SheetPreview,
    template: &NewTemplate,
    mut answers: SetupAnswers,
    printer: &Printer,
) -> Result<SetupProposal, CommandError> {
    let is_asking = !args.yes && prompt::has_terminal();
    let mut is_first = true;
    // Each answer can make others certain.
    loop {
        let proposal = propose_batch(preview, &template.template, &answers);
        let proposal = check_headings(proposal.ok_or_else(|| no_rows_error(args))?)?;
        let is_open = |question: &&SetupQuestion| match (is_asking, args.yes) {
            (true, _) => true,
            (false, true) => !question.is_optional && question.guess.is_none(),
            (false, false) => !question.is_optional,
        };
        let open: Vec<&SetupQuestion> = proposal.questions.iter().filter(is_open).collect();
        match open.first() {
            None => {
                if is_first {
                    print_sheet_line(&proposal, preview, printer);
                }
                return Ok(proposal);
            }
            Some(question) if is_asking => {
                if is_first {
                    print_sheet_line(&proposal, preview, printer);
                    printer.status(&format!("Template: {}", template.path.display()));
                    printer.status("Enter alone takes the answer in brackets");
                    is_first = false;
                }
                ask(question, &mut answers, printer)?;
            }
            Some(_) => return Err(unanswered_error(&open, args.yes)),
        }
    }
}

/// Rejects an option that names a column which the sheet does not have.
fn check_headings(proposal: SetupProposal) -> Result<SetupProposal, CommandError> {
    let named = proposal.draft.key.iter().chain(proposal.draft.columns.values());
    let mut named = named.chain(proposal.draft.skip.iter().map(|skip| &skip.column));
    let is_unknown = |heading: &&String| {
        crate::sheet::find_column(heading, &proposal.headings, &proposal.headings).is_err()
    };
    match named.find(is_unknown) {
        None => Ok(proposal),
        Some(heading) => {
            let known = proposal.headings.iter().map(String::as_str);
            let hint = crate::text::suggest_name(heading, known, "columns");
            Err(CommandError::usage(format!("there is no column `{heading}`: {hint}")))
        }
    }
}

fn given_answers(args: &NewArgs) -> Result<SetupAnswers, CommandError> {
    let pairs = |list: &[NamedText]| {
        list.iter().map(|pair| (pair.name.clone(), pair.text.clone())).collect()
    };
    let skip = match (&args.skip[..], args.no_skip) {
        (_, true) => Some(SkipAnswer::Nothing),
        ([], false) => None,
        ([first, rest @ ..], false) => {
            if rest.iter().any(|pair| pair.name != first.name) {
                return Err(CommandError::usage(
                    "--skip names two columns: only one can leave rows out",
                ));
            }
            let values = args.skip.iter().map(|pair| pair.text.clone());
            let values = values.filter(|value| !value.is_empty()).collect();
            Some(SkipAnswer::Cells { column: first.name.clone(), values })
        }
    };
    Ok(SetupAnswers {
        header_row: args.header_row.map(u64::from),
        key: (!args.key.is_empty()).then(|| args.key.clone()),
        columns: pairs(&args.column),
        values: pairs(&args.set),
        skip,
    })
}

/// Asks one question.
fn ask(
    question: &SetupQuestion,
    answers: &mut SetupAnswers,
    printer: &Printer,
) -> Result<(), CommandError> {
    printer.status(&question.text);
    for (number, choice) in question.choices.iter().take(CHOICES_MAX).enumerate() {
        let sample = question.samples.get(number).filter(|sample| !sample.is_empty());
        let sample = sample.map(|sample| truncate(&strip_control(sample), SAMPLE_CHARS_MAX));
        let sample = sample.map_or(String::new(), |sample| format!("  ({sample})"));
        printer.status(&format!("  {} {choice}{sample}", number + 1));
    }
    let guess = question.guess.clone().unwrap_or_default();
    let shown = match (guess.as_str(), question.is_optional) {
        ("", true) => " [none]".to_owned(),
        ("", false) => String::new(),
        (guess, _) => format!(" [{}]", strip_control(guess)),
    };
    for _ in 0..TRIES_MAX {
        let answer = prompt::ask_for_line(&format!("{}{shown}: ", answer_label(question)));
        let Some(answer) = answer else { break };
        let answer = if answer.trim().is_empty() { guess.as_str() } else { answer.trim() };
        match answers.answer(question, none_or(answer)) {
            Ok(()) => return Ok(()),
            Err(message) => printer.status(&message),
        }
    }
    Err(CommandError::usage(format!("no answer; nothing was written. Use {}", question.option())))
}

/// `-` answers "none" where a guess would otherwise be taken.
fn none_or(answer: &str) -> &str {
    if answer == "-" { "" } else { answer }
}

fn answer_label(question: &SetupQuestion) -> &'static str {
    let can_be_none = question.is_optional || matches!(question.subject, QuestionSubject::Skip(_));
    match (question.choices.is_empty(), can_be_none && question.guess.is_some()) {
        (true, _) => "Answer",
        (false, true) => "Name or number (- for none)",
        (false, false) => "Name or number",
    }
}

fn unanswered_error(open: &[&SetupQuestion], has_yes: bool) -> CommandError {
    let lines: Vec<String> = open
        .iter()
        .map(|question| format!("  {}\n      {}", question.text, question.option()))
        .collect();
    let can_accept = !has_yes && open.iter().all(|question| question.guess.is_some());
    let yes =
        if can_accept { ", which show the guesses, or take all guesses with --yes" } else { "" };
    CommandError::usage(format!(
        "{} about the sheet. Answer with these options{yes}:\n{}",
        pluralize(open.len() as u64, "question"),
        lines.join("\n")
    ))
}

/// Prints which rows are read.
fn print_sheet_line(proposal: &SetupProposal, preview: &SheetPreview, printer: &Printer) {
    let worksheet =
        preview.worksheet.as_ref().map(|read| format!("worksheet {}, ", strip_control(&read.name)));
    let rows = pluralize(proposal.rows as u64, "row");
    let more = if preview.is_complete { "" } else { " or more" };
    printer.status(&format!(
        "Sheet: {}{rows}{more}, headings in row {}",
        worksheet.unwrap_or_default(),
        proposal.heading_row
    ));
}

/// Prints the texts of all videos that were guessed: the batch file has them, and can be changed.
fn print_guessed_values(proposal: &SetupProposal, printer: &Printer) {
    for question in &proposal.questions {
        if let (QuestionSubject::Value(name), Some(guess)) = (&question.subject, &question.guess) {
            let file = "change `defaults` in the batch file if it is another one";
            printer.status(&format!("{name}: {guess} (a guess: no column names it); {file}"));
        }
    }
}

/// Prints what was found in the sheet.
fn print_proposal(proposal: &SetupProposal, printer: &Printer) {
    let draft = &proposal.draft;
    if !draft.key.is_empty() {
        printer.status(&format!("Key, which identifies a row: column {}", draft.key.join(" and ")));
    }
    for (name, heading) in proposal.used_columns.iter().filter(|(_, heading)| !heading.is_empty()) {
        let is_translated = draft.variants.iter().any(|variant| variant.columns.contains_key(name));
        if !is_translated {
            printer.status(&format!("{name}: column {heading}"));
        }
    }
    for variant in &draft.variants {
        let columns: Vec<&str> = variant.columns.values().map(String::as_str).collect();
        printer.status(&format!("Language {}: column {}", variant.name, columns.join(", ")));
    }
    if let Some(skip) = &draft.skip {
        let values =
            if skip.values.is_empty() { "ticked".to_owned() } else { skip.values.join(" or ") };
        printer.status(&format!("Skipped: rows whose {} is {values}", skip.column));
    }
    if !draft.unused_columns.is_empty() {
        printer.status(&format!("Unused columns: {}", draft.unused_columns.join(", ")));
    }
    proposal.remarks.iter().for_each(|remark| printer.status(&format!("warning: {remark}")));
}
