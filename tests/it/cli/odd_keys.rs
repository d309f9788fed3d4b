//! Keys with commas, dashes and line breaks, chosen on the command line.

use crate::support::test_cli::TestCli;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_a_comma_or_a_dash_can_be_selected() {
    let office = TestCli::new(0).await;
    office.write("s.csv", "key,script\n\"A,1\",One\n-A2,Two\nA,Three\nB,Four\n--only,Five\n");
    for (only, want) in [
        (&["--only", "A,1"][..], "1 of 5 videos selected"),
        (&["--only", "-A2"], "1 of 5 videos selected"),
        (&["--only=-A2"], "1 of 5 videos selected"),
        (&["--only", "--only"], "1 of 5 videos selected"),
        (&["--only", "A,B"], "2 of 5 videos selected"),
        (&["--only", "A,1", "--only", "A, B"], "3 of 5 videos selected"),
        (&["--only", "A,2"], "no row of the sheet has the key `2`"),
        (&["--only", "A,"], "a key is missing in `A,`"),
    ] {
        let told = office.run(&[&["plan", "b.toml", "--offline"], only].concat());
        let text = format!("{}{}", told.stdout, told.stderr);
        assert!(text.contains(want), "{only:?}: {text}");
    }
}
