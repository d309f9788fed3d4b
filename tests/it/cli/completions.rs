//! Completion in the shells that are installed: bash always, zsh and fish where they are.

use std::path::Path;
use std::process::Command;

use crate::support::test_cli::TestCli;

/// What is typed, and a suggestion that it has, or one that it must not have.
struct TypedLine {
    line: &'static str,
    suggested: &'static [&'static str],
    absent: &'static [&'static str],
}

const TYPED_LINES: &[TypedLine] = &[
    TypedLine { line: "callsheet sta", suggested: &["status"], absent: &["run"] },
    TypedLine { line: "callsheet status pr", suggested: &["promo"], absent: &["b.toml"] },
    TypedLine { line: "callsheet run b", suggested: &["b.toml"], absent: &["s.csv"] },
    TypedLine {
        line: "callsheet show promo row-1",
        suggested: &["row-1", "row-12"],
        absent: &["row-2"],
    },
    TypedLine {
        line: "callsheet run b.toml --only row-2",
        suggested: &["row-2"],
        absent: &["row-1"],
    },
    TypedLine {
        line: "callsheet retry promo --state f",
        suggested: &["failed"],
        absent: &["cancelled"],
    },
    TypedLine { line: "callsheet new --sheet s", suggested: &["s.csv"], absent: &["promo"] },
    TypedLine { line: "callsheet new --key row", suggested: &[], absent: &["row-1"] },
];

/// Bash as it completes: the script's function, called as Tab calls it.
const BASH: &str = r#"
source ./script; read -ra COMP_WORDS <<< "$1"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_clap_complete_callsheet callsheet "${COMP_WORDS[COMP_CWORD]}" ""; printf '%s\n' "${COMPREPLY[@]}"
"#;
/// Zsh without its line editor: what the script's function describes.
const ZSH: &str = r#"
compdef() { : }; _describe() { shift 2; print -rl -- "${(@P)1}" }
source ./script 2>/dev/null; words=(${=1}); CURRENT=$#words; _clap_dynamic_completer_callsheet
"#;
const FISH: &str = "source ./script; complete --do-complete \"$argv[1]\"";

/// Returns the suggestions of one shell, or `None` where it is not installed.
fn suggestions(shell: &str, cli: &TestCli, line: &str) -> Option<Vec<String>> {
    let arguments: &[&str] = match shell {
        "bash" => &["--norc", "-c", BASH, "bash"],
        "zsh" => &["-f", "-c", ZSH, "zsh"],
        _ => &["--no-config", "-c", FISH],
    };
    let binary = Path::new(env!("CARGO_BIN_EXE_callsheet"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new(shell)
        .args(arguments)
        .arg(line)
        .current_dir(cli.path("."))
        .env("PATH", path)
        .env_remove("CALLSHEET_LEDGER")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).unwrap();
    let word = |line: &str| line.split(['\t', ':']).next().unwrap().trim().to_owned();
    Some(text.lines().map(word).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_complete_commands_batches_keys_and_files() {
    let cli = TestCli::new(0).await;
    let rows: String = (1..=12).map(|row| format!("row-{row},Hello {row}\n")).collect();
    cli.write("s.csv", &format!("key,script\n{rows}"));
    assert_eq!(cli.run(&["run", "b.toml"]).code, Some(0));
    for shell in ["bash", "zsh", "fish"] {
        let script = cli.run(&["completions", shell]);
        assert_eq!((script.code, script.stderr.as_str()), (Some(0), ""));
        cli.write("script", &script.stdout);
        for typed in TYPED_LINES {
            let Some(found) = suggestions(shell, &cli, typed.line) else { break };
            for word in typed.suggested {
                assert!(found.iter().any(|one| one == word), "{shell}: {}: {found:?}", typed.line);
            }
            for word in typed.absent {
                assert!(found.iter().all(|one| one != word), "{shell}: {}: {found:?}", typed.line);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn completion_creates_nothing_and_is_silent_without_a_ledger() {
    let cli = TestCli::new(1).await;
    cli.write("script", &cli.run(&["completions", "bash"]).stdout);
    let found = suggestions("bash", &cli, "callsheet status pro").unwrap();
    assert_eq!(found.concat(), "");
    assert!(!cli.path("callsheet.db").exists());
}
