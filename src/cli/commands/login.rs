//! `callsheet login`: asks for app id and user key, tests them, and saves them.
//!
//! Nothing is saved unless AI Studios has accepted the pair. The user key is not shown while it is
//! typed, and never printed.

use clap::Args;
use serde_json::json;

use crate::aistudios::{ApiClient, ClientSettings, Credentials};
use crate::batch::StudioHost;
use crate::cli::output::printer::Printer;
use crate::cli::output::prompt;
use crate::clock::Clock;
use crate::session::account::credentials_file::CredentialsFile;
use crate::session::account::credentials_writer::{
    CredentialsDocument, CredentialsEntry, EntryPlace,
};
use crate::session::account::target;
use crate::session::check_finding::{CheckFinding, FindingGrade};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;

const CHINA: &str = "china";

/// Save and test your AI Studios credentials
#[derive(Debug, Args)]
#[command(after_help = "\
Asks for the app id and the user key, which AI Studios shows on the page \"API
key\" of your account, and tests them (free). Saves them in
~/.config/callsheet/credentials.toml, or in the file that AISTUDIOS_CREDENTIALS
names.")]
pub(crate) struct LoginArgs {
    /// Save as this profile, for `profile` in a batch file
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Region of the account: global or china
    #[arg(long, value_name = "REGION", value_parser = ["global", CHINA])]
    #[arg(hide_possible_values = true)]
    region: Option<String>,
    /// AI Studios host, instead of a region
    #[arg(long, value_name = "URL", requires = "profile", conflicts_with = "region")]
    base_url: Option<String>,
}

pub(crate) async fn run(args: LoginArgs, printer: &Printer) -> ExitReason {
    match execute(&args, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(args: &LoginArgs, printer: &Printer) -> Result<ExitReason, CommandError> {
    if !prompt::has_terminal() {
        let message = "callsheet login asks questions: run it in a terminal. Batches without `profile` \
                       need no login if AISTUDIOS_APP_ID and AISTUDIOS_USER_KEY are set";
        return Err(CommandError::usage(message));
    }
    let place = SavedPlace::new(args)?;
    let file = CredentialsDocument::open(&CredentialsFile::default_path());
    let file = file.map_err(CommandError::usage)?;
    let profile = place.profile.as_deref();
    if file.has_pair(profile) {
        let question = format!("Replace the credentials in `{}`?", file.path().display());
        if !prompt::confirm(&question, false, printer) {
            return Ok(ExitReason::Done);
        }
    }
    let answers = ask_for_pair(&place.host, printer);
    let answers = answers.ok_or_else(|| CommandError::usage("no answer; nothing was saved"))?;
    let (app_id, user_key) = (answers.app_id.trim(), answers.user_key.trim());
    let credentials = Credentials::new(app_id, user_key).map_err(CommandError::usage)?;
    test_credentials(&place.host, credentials, printer).await?;
    let path = file.path().to_owned();
    let entry = CredentialsEntry { profile, app_id, user_key, place: place.entry };
    file.save(&entry).map_err(CommandError::unexpected)?;
    print_saved(&path.display().to_string(), profile, &place.host, printer);
    Ok(ExitReason::Done)
}

/// Where the pair is saved, and the host at which it is tested.
struct SavedPlace {
    profile: Option<String>,
    host: StudioHost,
    entry: Option<EntryPlace>,
}

impl SavedPlace {
    fn new(args: &LoginArgs) -> Result<Self, CommandError> {
        let reserved = ["app_id", "user_key", "base_url", "region"];
        if let Some(name) = &args.profile
            && (name.trim().is_empty() || reserved.contains(&name.as_str()))
        {
            return Err(CommandError::usage(format!("`{name}` cannot be the name of a profile")));
        }
        let is_china = args.region.as_deref() == Some(CHINA);
        let is_china_profile = args.region.is_none() && args.profile.as_deref() == Some(CHINA);
        let (host, entry) = match (&args.base_url, &args.region) {
            (Some(url), _) => {
                let invalid = |error| CommandError::usage(format!("--base-url: {error}"));
                let host = StudioHost::parse(url).map_err(invalid)?;
                let entry = EntryPlace::BaseUrl(url.trim().to_owned());
                (host, Some(entry))
            }
            (None, Some(_)) if is_china => (StudioHost::China, Some(EntryPlace::Region(CHINA))),
            (None, Some(_)) => (StudioHost::Global, Some(EntryPlace::Region("global"))),
            (None, None) if is_china_profile => (StudioHost::China, None),
            // A pair of another address is saved with it, so that it is sent nowhere else.
            (None, None) => match target::choose_host(None)?.host {
                host if args.profile.is_none() || host == StudioHost::Global => (host, None),
                host => {
                    let url = host.base_url().to_string();
                    (host, Some(EntryPlace::BaseUrl(url)))
                }
            },
        };
        // The Chinese pair has a table of its own, beside the global one at the top.
        let profile = args.profile.clone().or_else(|| is_china.then(|| CHINA.to_owned()));
        Ok(Self { profile, host, entry })
    }
}

/// The answers of the user.
struct LoginAnswers {
    app_id: String,
    user_key: String,
}

/// Asks for both halves; `None` if the terminal is closed.
fn ask_for_pair(host: &StudioHost, printer: &Printer) -> Option<LoginAnswers> {
    let page = host.base_url();
    printer
        .status(&format!("AI Studios shows both on the page \"API key\" of your account: {page}"));
    let app_id = prompt::ask_for_line("app id: ")?;
    let user_key = prompt::ask_for_secret("user key (not shown): ")?;
    Some(LoginAnswers { app_id, user_key })
}

/// Makes one free request with the pair.
async fn test_credentials(
    host: &StudioHost,
    credentials: Credentials,
    printer: &Printer,
) -> Result<(), CommandError> {
    let settings = ClientSettings::new(host.base_url(), credentials);
    let client = ApiClient::new(settings, Clock::real()).map_err(CommandError::usage)?;
    let Err(error) = client.check_credentials().await else { return Ok(()) };
    let finding = CheckFinding::from_call_error("account", &error);
    match finding.grade {
        FindingGrade::Fail(exit) => {
            Err(CommandError::new(exit, format!("{}; nothing was saved", finding.message)))
        }
        FindingGrade::Warn | FindingGrade::Ok => {
            printer.status(&format!("warning: {}", finding.message));
            Ok(())
        }
    }
}

fn print_saved(path: &str, profile: Option<&str>, host: &StudioHost, printer: &Printer) {
    if printer.is_json() {
        let base_url = host.base_url();
        printer.print_json(
            &json!({ "path": path, "profile": profile, "base_url": base_url.as_str() }),
        );
        return;
    }
    printer.print_result(&format!("AI Studios accepts the credentials. Saved in {path}"));
    if let Some(profile) = profile.filter(|profile| *profile != CHINA) {
        printer.print_result(&format!("In a batch file, under [studio]: profile = \"{profile}\""));
    }
    if std::env::var_os("AISTUDIOS_APP_ID").is_some() {
        printer.status("AISTUDIOS_APP_ID is set, and takes precedence over the file");
    }
    printer.status("Next: callsheet check");
}
