//! Every address of the console, with its method and the least role that may use it.
//!
//! The one place where routes are declared: a test walks this table with every role. Invariant: a
//! page runs only after its route's role was checked.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::Method;
use axum::middleware;
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::console::assets;
use crate::console::form::FormFields;
use crate::console::layout::{FailedRequest, error_document};
use crate::console::live;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::{PageFormat, PageRequest, redirect_to};
use crate::console::pages::share::share_links;
use crate::console::pages::{
    action, audit, batch, healthz, metrics, new_batch, overview, request, resolve, review, row,
    rows, settings, share, video,
};
use crate::console::safety;
use crate::console::sign_in;
use crate::console::sign_in::requester::ConsoleRequester;
use crate::console::state::ConsoleState;
use crate::ledger::ConsoleRole;
use crate::ledger::ConsoleRole::{Operator, Reviewer, Viewer};

/// Returns the routes. `{name}` in an address is one segment, which [`PageRequest::param`] returns.
pub(super) fn routes() -> Vec<ConsoleRoute> {
    vec![
        // Without a session:
        ConsoleRoute::public(RouteMethod::Get, "/sign-in", sign_in::show),
        ConsoleRoute::public(RouteMethod::Post, "/sign-in", sign_in::sign_in),
        ConsoleRoute::public(RouteMethod::Get, "/welcome", sign_in::show_welcome),
        ConsoleRoute::public(RouteMethod::Post, "/welcome", sign_in::sign_in_with_link),
        ConsoleRoute::public(RouteMethod::Get, "/assets/{file}", assets::show),
        ConsoleRoute::public(RouteMethod::Get, "/healthz", healthz::show),
        ConsoleRoute::public(RouteMethod::Get, "/share/{token}", share::show),
        ConsoleRoute::public(RouteMethod::Post, "/share/{token}", share::record_verdict),
        ConsoleRoute::public(RouteMethod::Get, "/share/{token}/videos/{key}", share::send_video),
        // Pages:
        ConsoleRoute::get("/", Viewer, overview::show),
        ConsoleRoute::get("/batches/{batch}", Viewer, batch::show),
        ConsoleRoute::get("/batches/{batch}/timeline", Viewer, batch::timeline::show),
        ConsoleRoute::get("/batches/{batch}/rows", Viewer, rows::show),
        ConsoleRoute::get("/batches/{batch}/rows.csv", Viewer, rows::download),
        ConsoleRoute::get("/batches/{batch}/rows/{key}", Viewer, row::show),
        ConsoleRoute::get(
            "/batches/{batch}/rows/{key}/versions/{version}/video",
            Viewer,
            video::show,
        ),
        ConsoleRoute::get("/batches/{batch}/rows/{key}/edit", Operator, new_batch::edit_row),
        ConsoleRoute::get("/new", Operator, new_batch::show_form),
        ConsoleRoute::post("/new", Operator, new_batch::create),
        ConsoleRoute::get("/new/{name}", Operator, new_batch::show),
        ConsoleRoute::post("/new/{name}/save", Operator, new_batch::save),
        ConsoleRoute::post("/new/{name}/sheet", Operator, new_batch::replace_sheet),
        ConsoleRoute::post("/new/{name}/start", Operator, new_batch::start),
        ConsoleRoute::post("/new/{name}/withdraw", Operator, new_batch::withdraw),
        ConsoleRoute::get("/new/{name}/started", Operator, new_batch::show_started),
        ConsoleRoute::get("/batches/{batch}/review", Viewer, review::show),
        ConsoleRoute::post("/batches/{batch}/review", Reviewer, review::judge),
        ConsoleRoute::get("/batches/{batch}/review/videos/{key}", Viewer, review::send_video),
        ConsoleRoute::get(
            "/batches/{batch}/review/approved.csv",
            Viewer,
            review::exports::approved_csv,
        ),
        ConsoleRoute::get(
            "/batches/{batch}/review/approved.zip",
            Viewer,
            review::exports::approved_zip,
        ),
        ConsoleRoute::get("/batches/{batch}/share", Operator, share_links::show_form),
        ConsoleRoute::post("/batches/{batch}/share", Operator, share_links::create),
        ConsoleRoute::post("/settings/share-links/{id}/revoke", Operator, share_links::revoke),
        ConsoleRoute::get("/settings", Viewer, settings::show),
        ConsoleRoute::get("/metrics", Viewer, metrics::show),
        ConsoleRoute::get("/events", Viewer, live::show),
        // Actions and their record:
        ConsoleRoute::get("/batches/{batch}/actions/{action}", Operator, action::show),
        ConsoleRoute::post("/batches/{batch}/actions/{action}", Operator, action::apply),
        ConsoleRoute::get("/batches/{batch}/rows/{key}/resolve", Operator, resolve::show),
        ConsoleRoute::post("/batches/{batch}/rows/{key}/resolve", Operator, resolve::apply),
        ConsoleRoute::get("/batches/{batch}/requests/{request}", Viewer, request::show),
        ConsoleRoute::get("/audit", Viewer, audit::show),
        // Own session:
        ConsoleRoute::post("/sign-out", Viewer, sign_in::sign_out),
    ]
}

/// The methods that pages have; `HEAD` is answered wherever `GET` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RouteMethod {
    Get,
    Post,
}

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RouteAccess {
    /// Anyone who reaches the console.
    Public,
    /// A signed-in user with at least this role.
    Role(ConsoleRole),
}

/// A page's function.
type PageHandler = Arc<dyn Fn(PageRequest) -> BoxFuture<'static, PageResult> + Send + Sync>;

/// One address with its method.
#[derive(Clone)]
pub(super) struct ConsoleRoute {
    pub(super) method: RouteMethod,
    pub(super) path: &'static str,
    pub(super) access: RouteAccess,
    handler: PageHandler,
}

impl ConsoleRoute {
    fn new<F, P>(method: RouteMethod, path: &'static str, access: RouteAccess, page: F) -> Self
    where
        F: Fn(PageRequest) -> P + Send + Sync + 'static,
        P: Future<Output = PageResult> + Send + 'static,
    {
        Self { method, path, access, handler: Arc::new(move |request| page(request).boxed()) }
    }

    fn public<F, P>(method: RouteMethod, path: &'static str, page: F) -> Self
    where
        F: Fn(PageRequest) -> P + Send + Sync + 'static,
        P: Future<Output = PageResult> + Send + 'static,
    {
        Self::new(method, path, RouteAccess::Public, page)
    }

    /// A page that users with this role may read.
    pub(super) fn get<F, P>(path: &'static str, role: ConsoleRole, page: F) -> Self
    where
        F: Fn(PageRequest) -> P + Send + Sync + 'static,
        P: Future<Output = PageResult> + Send + 'static,
    {
        Self::new(RouteMethod::Get, path, RouteAccess::Role(role), page)
    }

    /// An action that users with this role may take.
    pub(super) fn post<F, P>(path: &'static str, role: ConsoleRole, page: F) -> Self
    where
        F: Fn(PageRequest) -> P + Send + Sync + 'static,
        P: Future<Output = PageResult> + Send + 'static,
    {
        Self::new(RouteMethod::Post, path, RouteAccess::Role(role), page)
    }
}

/// Returns the service of the console.
pub(super) fn router(state: ConsoleState) -> Router {
    let base = state.settings.base_path.as_str().to_owned();
    let mut router = Router::new();
    for route in routes() {
        let filter = match route.method {
            RouteMethod::Get => MethodFilter::GET,
            RouteMethod::Post => MethodFilter::POST,
        };
        let mut paths = vec![format!("{base}{}", route.path)];
        if route.path == "/" && !base.is_empty() {
            paths.push(base.clone());
        }
        for path in paths {
            let route = route.clone();
            let handler = move |State(state): State<ConsoleState>, request: Request| {
                respond(state, route, request)
            };
            router = router.route(&path, on(filter, handler));
        }
    }
    router
        .fallback(|state: State<ConsoleState>, request: Request| {
            let message = "there is nothing at this address".to_owned();
            respond_with_error(state.0, request, PageError::NotFound(message))
        })
        .method_not_allowed_fallback(|state: State<ConsoleState>, request: Request| {
            respond_with_error(state.0, request, PageError::WrongMethod)
        })
        .layer(middleware::from_fn_with_state(state.clone(), safety::guard))
        .with_state(state)
}

/// Checks who asks, runs the page, and turns an error into its page.
async fn respond(state: ConsoleState, route: ConsoleRoute, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let format = PageFormat::from_headers(&parts.headers);
    let requester = match find_requester(&state, &parts).await {
        Ok(requester) => requester,
        Err(error) => {
            let failed = FailedRequest { requester: None, format, form: None };
            return error_document(&state, &failed, &error);
        }
    };
    let form = form_address(&route, &parts);
    let allowed = check_access(route.access, requester.as_ref());
    let result = match allowed {
        Ok(()) => {
            let params = read_params(&mut parts).await;
            let page = PageRequest {
                state: state.clone(),
                requester: requester.clone().unwrap_or_else(ConsoleRequester::visitor),
                format,
                query: FormFields::parse(parts.uri.query().unwrap_or_default().as_bytes()),
                headers: parts.headers,
                params,
                body: Mutex::new(body),
            };
            (route.handler)(page).await
        }
        Err(PageError::SignedOut) if format == PageFormat::Html && parts.method == Method::GET => {
            let address = parts.uri.path_and_query().map_or("/", |address| address.as_str());
            let next = FormFields::default().with("next", address).to_query();
            redirect_to(&state.assets.links().to(&format!("/sign-in{next}")))
        }
        Err(error) => Err(error),
    };
    result.unwrap_or_else(|error| {
        let failed = FailedRequest { requester: requester.as_ref(), format, form };
        error_document(&state, &failed, &error)
    })
}

/// Returns the address of the page whose form is sent to a route: that of the route itself, or the one
/// above it.
fn form_address(route: &ConsoleRoute, parts: &axum::http::request::Parts) -> Option<String> {
    if route.method != RouteMethod::Post {
        return None;
    }
    let has_page =
        |path: &str| routes().iter().any(|one| one.method == RouteMethod::Get && one.path == path);
    if has_page(route.path) {
        return parts.uri.path_and_query().map(|address| address.as_str().to_owned());
    }
    let (above, _) = route.path.rsplit_once('/')?;
    let (address, _) = parts.uri.path().rsplit_once('/')?;
    has_page(above).then(|| address.to_owned())
}

fn check_access(
    access: RouteAccess,
    requester: Option<&ConsoleRequester>,
) -> Result<(), PageError> {
    match (access, requester) {
        (RouteAccess::Public, _) => Ok(()),
        (RouteAccess::Role(_), None) => Err(PageError::SignedOut),
        (RouteAccess::Role(role), Some(requester)) if requester.has_role(role) => Ok(()),
        (RouteAccess::Role(role), Some(_)) => Err(PageError::RoleRequired(role)),
    }
}

async fn find_requester(
    state: &ConsoleState,
    parts: &axum::http::request::Parts,
) -> Result<Option<ConsoleRequester>, PageError> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0.ip());
    Ok(ConsoleRequester::find(state, &parts.headers, peer).await?)
}

async fn read_params(parts: &mut axum::http::request::Parts) -> Vec<(String, String)> {
    use axum::extract::FromRequestParts;
    // An escape that is not UTF-8 names nothing.
    Path::from_request_parts(parts, &()).await.map(|Path(params)| params).unwrap_or_default()
}

async fn respond_with_error(state: ConsoleState, request: Request, error: PageError) -> Response {
    let (parts, _) = request.into_parts();
    let format = PageFormat::from_headers(&parts.headers);
    let requester = find_requester(&state, &parts).await.unwrap_or_default();
    // What exists is not shown to visitors.
    let error = if requester.is_some() { error } else { PageError::SignedOut };
    let failed = FailedRequest { requester: requester.as_ref(), format, form: None };
    error_document(&state, &failed, &error)
}
