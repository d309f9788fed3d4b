//! Each region has its own credentials, which are sent nowhere else.

use callsheet::sandbox;

use crate::support::test_cli::{CommandOutput, TestCli};

/// Writes a credentials file with one profile per region.
fn write_profiles(office: &TestCli, profiles: &[(&str, &str, (&str, &str))]) {
    let mut text = String::new();
    for (name, base_url, (app_id, user_key)) in profiles {
        text.push_str(&format!(
            "[{name}]\nbase_url = '{base_url}'\napp_id = '{app_id}'\nuser_key = '{user_key}'\n"
        ));
    }
    office.write("mine.toml", &text);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let only_mine = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(office.path("mine.toml"), only_mine).unwrap();
    }
}

/// Runs with the credentials file alone.
fn run_with_credentials_file(office: &TestCli, args: &[&str]) -> CommandOutput {
    let mut command = office.command_without_credentials(args);
    office.start(command.env("AISTUDIOS_CREDENTIALS", office.path("mine.toml"))).wait()
}

/// Renames the profile in a batch file.
fn rename_profile(office: &TestCli, file: &str, profile: &str, name: &str, base_url: &str) {
    let text = std::fs::read_to_string(office.path("b.toml")).unwrap();
    let text =
        text.replace("'promo'", &format!("'{name}'")).replace("'out'", &format!("'out-of-{name}'"));
    let text = text.replace(&office.sandbox.base_url(), base_url);
    office.write(file, &text.replace("[studio]", &format!("[studio]\nprofile = '{profile}'")));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_two_regions_run_side_by_side_with_their_own_credentials() {
    let here = TestCli::new(2).await;
    let there =
        TestCli::with_settings(0, "", |settings| settings.switches.auth.accept_any = true).await;
    let (ours, theirs) = ((sandbox::APP_ID, sandbox::USER_KEY), ("studiov3.other", "another-key"));
    let (one, other) = (here.sandbox.base_url(), there.sandbox.base_url());
    write_profiles(&here, &[("one", &one, ours), ("other", &other, theirs)]);
    rename_profile(&here, "one.toml", "one", "first", &one);
    rename_profile(&here, "other.toml", "other", "second", &other);
    // The first region receives neither the credentials nor a token of the other.
    let ended = run_with_credentials_file(&here, &["run", "one.toml", "other.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!((here.sandbox.render_count(), there.sandbox.render_count()), (2, 2));
    assert_eq!(here.sandbox.counters().request_count("token"), 1);
    assert_eq!(there.sandbox.counters().request_count("token"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_one_region_are_not_sent_to_another() {
    let here = TestCli::new(1).await;
    let there =
        TestCli::with_settings(0, "", |settings| settings.switches.auth.accept_any = true).await;
    let ours = (sandbox::APP_ID, sandbox::USER_KEY);
    let (one, other) = (here.sandbox.base_url(), there.sandbox.base_url());
    write_profiles(&here, &[("one", &one, ours)]);
    rename_profile(&here, "one.toml", "one", "first", &other);
    let ended = run_with_credentials_file(&here, &["run", "one.toml"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("profile `one` belongs to"), "{ended:?}");
    // Nor are they sent to another host, whatever its source.
    rename_profile(&here, "one.toml", "one", "first", &one);
    let ended = run_with_credentials_file(&here, &["run", "one.toml", "--base-url", &other]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(there.sandbox.counters().requests.is_empty(), "it was asked");

    let china = here.run(&["check", "--offline", "china.toml"]);
    assert_eq!(china.code, Some(4), "{china:?}");
    let text = std::fs::read_to_string(here.path("b.toml")).unwrap();
    let region = text.replace(&format!("base_url = '{one}'"), "region = 'china'");
    here.write("china.toml", &region);
    let china = here.run(&["check", "--offline", "china.toml"]);
    assert_eq!(china.code, Some(2), "{china:?}");
    assert!(
        china.stdout.contains("set AISTUDIOS_CN_APP_ID and AISTUDIOS_CN_USER_KEY"),
        "{china:?}"
    );
    assert!(china.stdout.contains("AISTUDIOS_APP_ID belongs to the other region"), "{china:?}");
    let mut command = here.command_without_credentials(&["check", "--offline", "china.toml"]);
    command.env("AISTUDIOS_CN_APP_ID", "studiov3.cn").env("AISTUDIOS_CN_USER_KEY", "cn-key");
    let china = here.start(&mut command).wait();
    assert_eq!(china.code, Some(0), "{china:?}");
}
