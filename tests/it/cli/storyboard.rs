//! Previews before paying: storyboards, payloads of every row, and new batches.

use std::fs;

use serde_json::Value;

use crate::support::test_cli::{TEMPLATE, TestCli};

/// A template with a headline and a picture; the orientation comes from the row.
fn storyboard_template() -> String {
    let clips = r##""clips": [{"id": "p", "type": "image", "layer": 0, "top": 0, "left": 1400,
      "width": 400, "height": 300, "source_url": "https://example.org/{{key}}.png?sig=1"},
      {"id": "t", "type": "textImage", "layer": 2, "top": 100, "left": 100, "width": 800,
      "height": 200, "text": "{{default headline key}}", "fill": "#1f5fbf", "fontSize": 72}, "##;
    TEMPLATE
        .replace("\"clips\": [", clips)
        .replace("\"name\"", "\"orientation\": \"{{default way \"landscape\"}}\",\n  \"name\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storyboard_shows_every_job_previous_versions_and_problems() {
    let office = TestCli::new(0).await;
    office.write("t.json.hbs", &storyboard_template());
    office.write(
        "s.csv",
        "key,way,headline,script\na,,Spring,One\nb,portrait,Sommer,Two\nc,,,Three\n",
    );
    let first = office.run(&["preview", "b.toml", "--storyboard", "first.html"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(!office.path("callsheet.db").exists(), "looking made a ledger");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));

    office.write(
        "s.csv",
        "key,way,headline,script\na,,Spring,One\nb,portrait,봄맞이 <b>세일</b>,Zwei & mehr\n\
         c,,[NAME],\nd,,New,Four\n",
    );
    let ended = office.run(&["preview", "b.toml", "--storyboard", "board.html"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    insta::assert_snapshot!(ended.stderr, @"
    Storyboard: board.html (4 videos)
    1 invalid video; `callsheet plan` shows the reasons
    ");
    let page = fs::read_to_string(office.path("board.html")).unwrap();
    assert_eq!(page.matches("<article").count(), 4);
    for part in [
        "<h2>a</h2><span class=\"chip\">unchanged</span><p class=\"about\">row 2 · 1 scene",
        "<h2>b</h2><span class=\"chip\">changed</span><p class=\"about\">row 3",
        "<h2>d</h2><span class=\"chip\">new</span><p class=\"about\">row 5",
        "all (4)",
        "problems (1)",
        "new (1)",
        "changed (2)",
        "unchanged (1)",
        "<del>Two</del>",
        "<ins>Zwei &amp; mehr</ins>",
        "viewBox=\"0 0 1080 1920\"",
        "봄맞이 &lt;b&gt;세일&lt;/b&gt;",
        "Zwei &amp; mehr",
        "before, version 1",
        "Sommer",
        "<b>the script is empty</b>",
        "class=\"mark problem\"",
        "<span>M1</span><span>B1</span>",
        "a.png",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert!(!page.contains("warnings (0)"), "a filter that shows nothing");
    for fetched in ["<script", "src=", "href=", "url(", "@import", "sig=1"] {
        assert!(!page.contains(fetched), "the page fetches or tells: {fetched}");
    }
    let one = office.run(&["preview", "b.toml", "--storyboard", "one.html", "--key", "d"]);
    assert_eq!(one.code, Some(0), "{one:?}");
    assert_eq!(fs::read_to_string(office.path("one.html")).unwrap().matches("<article").count(), 1);
    let none = office.run(&["preview", "b.toml", "--storyboard", "none.html", "--key", "zz"]);
    assert_eq!(none.code, Some(4), "{none:?}");

    let plan = office.run(&["plan", "b.toml", "--html", "plan.html"]);
    assert_eq!(plan.code, Some(4), "{plan:?}");
    let page = fs::read_to_string(office.path("plan.html")).unwrap();
    assert!(page.contains("<p>1 new, 1 changed, 1 unchanged</p>"), "{page}");
    assert_eq!(page.matches("<article").count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storyboard_with_pictures_names_those_that_a_browser_can_load() {
    let office = TestCli::new(0).await;
    let background = r#""scenes": [{"background": {"source_url": "/images/bg.png",
      "source_color": "rgb(54,188,37)"}, "#;
    office.write("t.json.hbs", &storyboard_template().replace("\"scenes\": [{", background));
    office.write("s.csv", "key,way,headline,script\na\"b,,Spring,One\n");
    let ended = office.run(&["preview", "b.toml", "--storyboard", "board.html", "--pictures"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let page = fs::read_to_string(office.path("board.html")).unwrap();
    for part in [
        "src=\"https://example.org/a&quot;b.png?sig=1\"",
        "img-src https: http:",
        "content=\"no-referrer\"",
        "Pictures: background bg.png",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert_eq!(page.matches("<img").count(), 1, "a path of AI Studios was loaded");
    assert!(!page.contains("rgb(54,188,37)"), "the keyer's green is under a picture");
    for alone in [["preview", "b.toml", "--pictures"], ["plan", "b.toml", "--pictures"]] {
        assert_eq!(office.run(&alone).code, Some(2), "{alone:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn preview_all_prints_one_payload_per_line_and_reports_invalid_rows() {
    let office = TestCli::new(3).await;
    let ended = office.run(&["preview", "b.toml", "--all"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2]["scenes"][0]["scripts"][0]["org"], "Hello 2");
    office.write("s.csv", "key,script\na,One\nb,\n,Three\nd,Four\n");
    let ended = office.run(&["preview", "b.toml", "--all"]);
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(4), 2));
    insta::assert_snapshot!(ended.stderr, @"
    error: row 3: template line 4, `/scenes/0/scripts/0/org`: the script is empty
    error: row 4, column A `key`: the key is empty
      help: fill it in; keys must be unique, and the key of a video must not change
    2 videos without a payload; `callsheet plan` shows the reasons
    ");
    let schema = office.run(&["preview", "--schema"]);
    assert_eq!(schema.stdout.trim_end(), callsheet::payload::PAYLOAD_SCHEMA.trim_end());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_batch_has_the_templates_columns_and_overwrites_nothing() {
    let office = TestCli::new(1).await;
    // The path of the batch file is accepted as well as the name.
    let ended = office.run(&["new", "jobs/spring.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    insta::assert_snapshot!(format!("{}{}", ended.stderr, ended.stdout), @"
    Created templates/presenter.json.hbs
    Created jobs/spring.toml and jobs/spring.csv
    Next:
    callsheet plan jobs/spring.toml
    ");
    let read = |file: &str| fs::read_to_string(office.path(file)).unwrap();
    insta::assert_snapshot!(read("jobs/spring.toml"), @r#"
    # callsheet plan jobs/spring.toml     checks the rows; spends nothing
    # callsheet run jobs/spring.toml --sandbox     rehearses; spends nothing
    # callsheet run jobs/spring.toml --limit 3     renders three videos

    name = "spring"
    # paths are relative to this file
    sheet = "spring.csv"
    template = "../templates/presenter.json.hbs"
    # identifies a row; must be unique
    key = "sku"

    [studio]
    # or "china"
    region = "global"
    resolution = "1080"
    "#);
    insta::assert_snapshot!(read("jobs/spring.csv"), @r#"
    sku,script,language,headline,model,cloth
    first,"Hello, and welcome.",,,,
    "#);
    let plan = office.run(&["plan", "jobs/spring.toml", "--offline"]);
    assert_eq!(plan.code, Some(0), "{plan:?}");
    assert!(plan.stdout.starts_with("spring: 1 video: 1 to render\n"), "{plan:?}");

    office.write("jobs/spring.toml", "mine");
    let again = office.run(&["new", "spring"]);
    assert_eq!(again.code, Some(2), "{again:?}");
    assert_eq!(read("jobs/spring.toml"), "mine");
    fs::remove_file(office.path("jobs/spring.toml")).unwrap();
    assert_eq!(office.run(&["new", "spring"]).code, Some(2), "the sheet is there still");

    let group = TEMPLATE
        .replace("\"scenes\": [{", "\"scenes\": [{{#each rows}}{")
        .replace("}]\n  }]\n", "}]\n  }{{#unless @last}},{{/unless}}{{/each}}]\n")
        .replace("\"{{key}}\"", "\"{{video}} {{number price}}\"");
    office.write("g.json.hbs", &group);
    let ended = office.run(&["new", "g", "--template", "g.json.hbs"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    insta::assert_snapshot!(read("jobs/g.csv"), @r#"
    id,video,price,script
    first,"Hello, and welcome.",1,"Hello, and welcome."
    first,"Hello, and welcome.",1,"Hello, and welcome."
    "#);
    assert_eq!(office.run(&["plan", "jobs/g.toml", "--offline"]).code, Some(0));

    office.write("bad.json.hbs", "{{#if}}");
    assert_eq!(office.run(&["new", "bad", "--template", "bad.json.hbs"]).code, Some(4));
    assert!(!office.path("jobs/bad.toml").exists());
    assert_eq!(office.run(&["new", "a/b"]).code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn help_template_lists_every_helper_and_the_columns_of_a_template() {
    let office = TestCli::new(1).await;
    let ended = office.run(&["help", "template"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    for line in ended.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for helper in callsheet::template::HELPERS {
        assert!(ended.stdout.contains(helper.usage), "{}", helper.name);
    }
    insta::assert_snapshot!("help-template", ended.stdout);
    let ended = office.run(&["help", "template", "t.json.hbs"]);
    insta::assert_snapshot!(ended.stdout, @"
    t.json.hbs
      required columns: key, script
      optional columns: none
      one video per row
      partials: none
    ");
    let run = office.run(&["help", "run"]);
    assert!(run.stdout.contains("Usage: callsheet run"), "{run:?}");
    assert_eq!(office.run(&["help", "nothing"]).code, Some(2));
    assert!(office.run(&["help"]).stdout.contains("Get started"));
}

/// One row with two variants, each with its own picture.
async fn cli_with_two_languages(pictures: &str) -> TestCli {
    let office = TestCli::new(0).await;
    let picture = format!("{pictures}/{{{{language}}}}.png");
    let template = storyboard_template().replace("https://example.org/{{key}}.png?sig=1", &picture);
    office.write("t.json.hbs", &template);
    let mut batch = fs::read_to_string(office.path("b.toml")).unwrap();
    for (language, column) in [("en", "English"), ("ko", "Korean")] {
        let columns = format!("columns = {{ script = '{column}' }}");
        let values = format!("values = {{ language = '{language}' }}");
        batch.push_str(&format!(
            "\n[[variants]]\nname = '{language}'\n{columns}\n{values}\nneeds = 'script'\n"
        ));
    }
    office.write("b.toml", &batch);
    let sheet = "key,way,headline,English,Korean\na,,Spring,Hello,안녕\nb,,Tea,Only this,\n";
    office.write("s.csv", sheet);
    office
}

#[tokio::test(flavor = "multi_thread")]
async fn every_variant_of_a_row_has_its_own_preview() {
    let office = cli_with_two_languages("https://example.org").await;
    let ended = office.run(&["preview", "b.toml", "--storyboard", "board.html"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = "Storyboard: board.html (3 videos)\nNext: callsheet plan b.toml\n      \
                 shows what a run would do (free)\n";
    assert_eq!(ended.stderr, lines);
    let page = fs::read_to_string(office.path("board.html")).unwrap();
    assert_eq!(page.matches("<article").count(), 3);
    for part in ["a/en", "a/ko", "b/en", "안녕", "Only this", "ko.png"] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert!(!page.contains("<h2>b/ko</h2>"), "what is left out was drawn");
    assert!(page.contains("<li>row 3 <b>b/ko</b>: <code>"), "its reason is missing: {page}");
    assert_eq!(page.matches("<section class=\"row\"").count(), 2, "languages are side by side");

    let ended = office.run(&["preview", "b.toml", "--all"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let said: Vec<String> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|payload| payload["scenes"][0]["scripts"][0]["org"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(said, ["Hello", "안녕", "Only this"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_media_requests_the_media_of_every_variant() {
    let (base, asked) = start_media_server();
    let office = cli_with_two_languages(&format!("{base}/there")).await;
    let ended = office.run(&["run", "b.toml", "--check-media", "--limit", "1"]);
    assert_eq!(ended.code, Some(8), "{ended:?}");
    let heads = asked.lock().unwrap().clone();
    let mut paths: Vec<&str> = heads.iter().map(|head| head.lines().next().unwrap()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["HEAD /there/en.png HTTP/1.1", "HEAD /there/ko.png HTTP/1.1"]);
}

/// A media server whose path determines the response. Returns its address and its requests.
fn start_media_server() -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default();
    let log = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
            let first = head.lines().next().unwrap_or("").to_owned();
            let (kind, status) = match first.split(' ').nth(1).unwrap_or("") {
                path if path.starts_with("/there") => ("image/png", "200 OK".to_owned()),
                "/get-only" if first.starts_with("HEAD") => ("image/png", "405 No".to_owned()),
                "/get-only" => ("image/png", "206 Partial Content".to_owned()),
                "/page" => ("text/html; charset=utf-8", "200 OK".to_owned()),
                "/moved" => ("text/html", "302 Found\r\nlocation: /there/moved".to_owned()),
                "/busy" => ("text/plain", "503 Busy".to_owned()),
                _ => ("text/plain", "404 Not Found".to_owned()),
            };
            log.lock().unwrap().push(head);
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: 0\r\n\
                 connection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (base, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn check_media_requests_each_url_once_without_the_token() {
    let office = TestCli::new(0).await;
    let (base, asked) = start_media_server();
    let image = format!(
        "\"clips\": [{{\"type\": \"image\", \"layer\": 0, \"source_url\": \"{base}/{{{{picture}}}}\"}}, "
    );
    office.write("t.json.hbs", &TEMPLATE.replace("\"clips\": [", &image));
    office.write(
        "s.csv",
        "key,picture,script\na,there,Hi\nb,gone,Hi\nc,there,Hi\nd,get-only,Hi\ne,page,Hi\n\
         f,moved,Hi\ng,busy,Hi\nh,gone,Hi\n",
    );
    let told = |text: &str| {
        let lines = text.replace(&base, "http://MEDIA");
        let mut lines: Vec<String> = lines
            .split("\nerror: ")
            .flat_map(|part| part.split("\nwarning: "))
            .filter(|part| part.contains("http://MEDIA/"))
            .map(|part| part.lines().take(2).collect::<Vec<_>>().join(" "))
            .collect();
        lines.sort();
        lines.join("\n")
    };
    let ended = office.run(&["run", "b.toml", "--check-media"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert_eq!(office.sandbox.requests(), [], "something was asked of AI Studios");
    insta::assert_snapshot!(told(&format!("\n{}", ended.stderr)), @"
    row 3 and 1 more: its server responds with HTTP 404   http://MEDIA/gone
    row 6: it is a web page, not an image, video or sound   http://MEDIA/page
    row 8: its server responds with HTTP 503   http://MEDIA/busy
    ");
    let heads = asked.lock().unwrap().clone();
    let count = |line: &str| heads.iter().filter(|head| head.starts_with(line)).count();
    assert_eq!(count("HEAD /there HTTP"), 1, "{heads:?}");
    assert_eq!((count("HEAD /gone"), count("GET /gone")), (1, 1));
    assert!(heads.iter().all(|head| !head.to_lowercase().contains("authorization")));
    assert!(heads.iter().filter(|h| h.starts_with("GET")).all(|h| h.contains("bytes=0-0")));

    // Outside a rehearsal, no request is sent to an address of this machine.
    office
        .write("b.toml", "name = 'promo'\nsheet = 's.csv'\ntemplate = 't.json.hbs'\nkey = 'key'\n");
    let before = asked.lock().unwrap().len();
    let ended = office.run(&["plan", "b.toml", "--check-media"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("private network"), "{ended:?}");
    assert_eq!(asked.lock().unwrap().len(), before);
}
