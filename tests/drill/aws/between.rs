//! A listener between the program and the stand-in, whose rule says what becomes of each call: services that are late, that lose an answer, or
//! that speak of something else than they were asked for.

use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use attestore::restore::late::BETWEEN;
use attestore::sandbox::control::answer::{Protocol, Refused, refuse};
use attestore::sandbox::listener::{Listener, Router, Services};
use attestore::sandbox::s3::api;
use attestore::sandbox::server::Running;
use attestore::sandbox::wire::Service;
use attestore::testing_log::point_result::PointResult;
use bytes::Bytes;
use http::{Request, Response, StatusCode};

use crate::clients::{Clients, start};
use crate::drill_estate::Estate;

/// One call of the program.
pub struct Call {
    /// `backup`, `dynamodb`, `rds`, `sts`.
    pub service: &'static str,
    /// The action's name; of AWS Backup, whose actions are paths, method and path.
    pub action: String,
    /// The request's body.
    pub body: String,
}

impl Call {
    /// A parameter of a call of RDS.
    pub fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.body.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The instance of a drill that a description is asked of.
    pub fn describes(&self) -> Option<String> {
        let asked = self.parameter("DBInstanceIdentifier").filter(|_| self.action == "DescribeDBInstances")?;
        asked.starts_with("attestore-drill-").then_some(asked)
    }
}

/// What becomes of a call.
pub enum Then {
    /// The service's own answer.
    Passes,
    /// It is done, and its answer is lost on the way.
    Lost,
    /// It is not done, and this is answered.
    Instead(Response<Bytes>),
    /// It is done, and its answer says something else.
    Says(Box<dyn FnOnce(String) -> String + Send>),
}

/// An error in the words of RDS.
pub fn refused_by_rds(code: &str, message: &str) -> Then {
    Then::Instead(refuse(Protocol::Query, &Refused::not_found(code, message)))
}

/// An error in the words of DynamoDB.
pub fn refused_by_dynamodb(code: &str, message: &str) -> Then {
    Then::Instead(refuse(Protocol::Json10, &Refused::new(code, message)))
}

type Rule = dyn Fn(&Call) -> Then + Send + Sync;

struct Relayed {
    name: &'static str,
    service: Arc<dyn Service>,
    rule: Arc<Rule>,
}

#[async_trait]
impl Service for Relayed {
    async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let body = String::from_utf8_lossy(request.body()).into_owned();
        let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()?.rsplit('.').next().map(str::to_owned));
        let action = form_urlencoded::parse(body.as_bytes()).find(|(key, _)| key == "Action").map(|(_, action)| action.into_owned());
        let path = || format!("{} {}", request.method(), request.uri().path());
        let call = Call { service: self.name, action: target.or(action).unwrap_or_else(path), body };
        match (self.rule)(&call) {
            Then::Passes => self.service.call(request).await,
            Then::Instead(answer) => answer,
            Then::Lost => {
                self.service.call(request).await;
                let lost = Refused { status: StatusCode::INTERNAL_SERVER_ERROR, ..Refused::new("InternalFailure", "the answer was lost") };
                refuse(if self.name == "dynamodb" { Protocol::Json10 } else { Protocol::Query }, &lost)
            }
            Then::Says(change) => {
                let answer = self.service.call(request).await;
                let (parts, body) = answer.into_parts();
                Response::from_parts(parts, Bytes::from(change(String::from_utf8_lossy(&body).into_owned())))
            }
        }
    }
}

/// The stand-in of an estate with a rule before it, and the estate's configuration naming it.
pub struct Between {
    /// The stand-in.
    pub running: Running,
    /// Clients of it, whom no rule is between.
    pub clients: Clients,
    listener: Listener,
}

impl Between {
    /// Starts over the state of `estate`, whose stand-in has ended.
    pub async fn start(estate: &Estate, rule: impl Fn(&Call) -> Then + Send + Sync + 'static) -> Self {
        let (running, clients) = start(&estate.path("sandbox")).await;
        let rule: Arc<Rule> = Arc::new(rule);
        let relayed = |(name, service)| (name, Arc::new(Relayed { name, service, rule: rule.clone() }) as Arc<dyn Service>);
        let services: Services = running.control().services().into_iter().map(relayed).collect();
        let router = Router { s3: api::service(running.s3().clone()), faults: running.faults().clone(), services };
        let listener = Listener::start(None, router).await.unwrap();
        let (config, laid) = (estate.path("attestore.toml"), estate.path("as-laid.toml"));
        if !laid.exists() {
            std::fs::copy(&config, &laid).unwrap();
        }
        let text = std::fs::read_to_string(&laid).unwrap().replace("[sandbox]\ndir = \"sandbox\"\n", "");
        let endpoint = format!("[aws]\nendpoint = \"http://{}\"\n", listener.address());
        std::fs::write(config, text.replace("[aws]\n", &endpoint)).unwrap();
        Self { running, clients, listener }
    }

    /// The program over it, not started yet.
    pub fn command(&self, estate: &Estate, args: &[&str]) -> Command {
        let (id, secret) = self.running.session_options().static_credentials.unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
        command
            .args(args)
            .current_dir(&estate.folder)
            .env_remove("AWS_PROFILE")
            .env(BETWEEN, "100")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
        command
    }

    /// Runs the program to its end.
    pub async fn run(&self, estate: &Estate, args: &[&str]) -> Output {
        let mut command = self.command(estate, args);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// One drill: its exit code, its results, and what it said on stderr.
    pub async fn drill(&self, estate: &Estate, patience: &str) -> (Option<i32>, Vec<PointResult>, String) {
        let before = estate.results();
        let output = self.run(estate, &["drill", "--case-deadline", patience]).await;
        let fresh = estate.results().into_iter().filter(|result| before.iter().all(|other| other.drill_id != result.drill_id)).collect();
        (output.status.code(), fresh, String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned())
    }

    /// Ends both; the state stays.
    pub async fn stop(self) {
        self.listener.stop().await;
        self.running.stop().await.unwrap();
    }
}
