//! No secret leaves the client: in no value, error or log line, at any level.

use std::{
    fmt::Debug,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use callsheet::aistudios::{CreateRequest, ExportRequest, ProjectId};
use tracing_subscriber::{filter::filter_fn, fmt::MakeWriter, prelude::*};

use super::server::{APP_ID, ServerAction, StubServer, USER_KEY, response_with_headers};

/// Collects log lines.
#[derive(Clone, Default)]
struct LogCapture(Arc<Mutex<Vec<u8>>>);

impl io::Write for LogCapture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogCapture {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Responds with every secret of the request, in several encodings.
fn echo_request(status: u16, seen: &super::server::ReceivedRequest) -> ServerAction {
    let token = seen.header("authorization").unwrap_or("");
    let basic = STANDARD.encode(format!("{APP_ID}:{USER_KEY}"));
    let encoded = APP_ID.replace('@', "%40");
    let told = format!("{token} {APP_ID} {USER_KEY} {basic} {encoded} invalid");
    let body = format!(r#"{{"success":false,"error":{{"code":"{USER_KEY}","msg":"{told}"}}}}"#);
    let location = format!("Location: https://x.example/{token}/{encoded}?k={USER_KEY}\r\n");
    ServerAction::Respond(response_with_headers(status, &location, &body))
}

#[tokio::test]
async fn echoed_secrets_are_redacted_everywhere() {
    // With a single subscriber, a log line first reached on another test's thread would be
    // disabled permanently; with a second one, tracing checks both each time.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let log = LogCapture::default();
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(log.clone())
        .with_filter(filter_fn(|meta| meta.target().starts_with("callsheet")));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));

    let mut said = Vec::new();
    let mut hear = |value: &dyn Debug| said.push(format!("{value:?} {value:#?}"));
    let id = ProjectId::parse("66f0").unwrap();
    let request = ExportRequest {
        project_id: id.clone(),
        workspace_id: None,
        resolution: None,
        webhook_url: None,
    };
    for status in [200, 302, 307, 400, 401, 402, 403, 404, 409, 413, 429, 500] {
        let server = StubServer::start_api(move |seen, _| echo_request(status, seen)).await;
        let client = server.client();
        hear(&client.create_project(CreateRequest::from_body(b"{}".to_vec())).await);
        hear(&client.export_project(&request).await);
        hear(&client.render_progress(&id).await.map_err(|trouble| (trouble.to_string(), trouble)));
        hear(&client.fetch_project(&id).await.map_err(|trouble| (trouble.to_string(), trouble)));
        hear(&client.list_projects().await.map_err(|trouble| (trouble.to_string(), trouble)));
        hear(&client.delete_projects(std::slice::from_ref(&id)).await);
        hear(&client.check_credentials().await);
        hear(&client);
        hear(&server.client_settings());

        let no_tokens = StubServer::start(move |seen, _| echo_request(status, seen)).await;
        hear(&no_tokens.client().create_project(CreateRequest::from_body(b"{}".to_vec())).await);
        let mut link = no_tokens.url("/a.mp4");
        link.set_query(Some(&format!("sig={USER_KEY}")));
        hear(&client.start_download(&link, None).await);
    }
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("POST /api/odin/v3/editor/project: 400"), "{logged}");
    assert!(logged.contains("/editor/progress/{key}"), "{logged}");
    let basic = STANDARD.encode(format!("{APP_ID}:{USER_KEY}"));
    for text in said.iter().chain([&logged]) {
        for secret in ["canary", "a5b4c3d2e1f0", &basic[8..40]] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    assert!(said.iter().any(|text| text.contains("[redacted]")));
}
