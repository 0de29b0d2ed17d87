//! S3 as an object source: GetObject by version, resumable, with the checksums that S3 keeps. Listing is `s3_listing`.
//!
//! Not here: making, emptying and deleting buckets (`buckets`), and asking again where a request fails or a body breaks: the reader
//! does both, since only it knows how many requests are under way and what has arrived. So the SDK neither retries nor watches here,
//! and it does not hold bodies to S3's checksums: bytes that differ are evidence, and an error in their place would hide them.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{ResponseChecksumValidation, StalledStreamProtectionConfig};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::get_object::builders::GetObjectFluentBuilder;
use aws_sdk_s3::types::ChecksumMode;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::task::JoinSet;

use crate::aws::errors::classify;
use crate::aws::s3_answer::{Answer, Pieces};
use crate::aws::s3_archive::{self, Thaw};
use crate::aws::s3_customer_keys::{self, CustomerKey, CustomerKeys};
use crate::aws::s3_direct::{Ask, Direct, Sent};
use crate::aws::s3_evidence::{self, Place, Sight};
use crate::aws::seen::Seen;
use crate::aws::session::Session;
use crate::aws::times::timestamp;
use crate::aws::{s3_listing, s3_views};
use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::View;
use crate::verify::objects::source::{Body, Entry, ObjectSource, Told};

/// A page of a listing, or what is asked about one object, takes no longer than this; then it is asked for again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection takes no longer than this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a request is made before it has failed: as often as the SDK makes the others.
const ATTEMPTS: u32 = 8;

/// A bucket, or the keys of one that start with a prefix.
#[derive(Clone, Debug)]
pub struct S3Source {
    /// For listings, which the SDK repeats.
    client: Client,
    /// For contents, which the reader repeats.
    reader: Client,
    /// The same without the SDK's orchestration, once it is known how the bucket is reached.
    direct: Direct,
    bucket: String,
    prefix: String,
    view: View,
    sight: Arc<Sight>,
    thaw: Option<Thaw>,
    customer_keys: CustomerKeys,
}

impl S3Source {
    /// The bucket `bucket` below `prefix`. Without a `view`: every version where versioning was ever enabled (GetBucketVersioning
    /// answers `Enabled` or `Suspended`), else the latest ones, which are all there are.
    pub async fn open(session: &Session, bucket: &str, prefix: &str, view: Option<View>) -> Result<Self, Failure> {
        let config = aws_sdk_s3::config::Builder::from(session.config())
            .force_path_style(session.has_custom_endpoint())
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        let patience = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ANSWER_TIMEOUT).build();
        let client = Client::from_conf(config.clone().timeout_config(patience).build());
        let config = config.retry_config(RetryConfig::disabled()).stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let reader = Client::from_conf(config.build());
        // Asked even where the view is given: an absent or closed bucket is told before anything else begins.
        let what = format!("s3:GetBucketVersioning {bucket}");
        let answer = client.get_bucket_versioning().bucket(bucket).send().await;
        // An access point, by its alias, has no such call (405): which of its states is read must then be said.
        let has_none = answer.as_ref().is_err_and(|error| error.raw_response().is_some_and(|raw| raw.status().as_u16() == 405));
        let answer = answer.map_err(|error| classify(&what, error));
        let view = match (view, answer) {
            // The view was chosen: an answer that is denied or makes no sense does not change it.
            (Some(view), Err(failure)) if has_none || matches!(failure.kind, FailureKind::Denied | FailureKind::Remote) => view,
            (None, Err(failure)) if has_none => {
                return Err(
                    failure.hint("an access point does not say whether it has versions: choose `--view versions` or `--view latest`")
                );
            }
            (_, Err(failure)) => return Err(failure),
            (Some(view), Ok(_)) => view,
            (None, Ok(answer)) => {
                if answer.status().is_some() {
                    View::Versions
                } else {
                    View::Latest
                }
            }
        };
        Ok(Self {
            client,
            reader,
            direct: Direct::new(session, CONNECT_TIMEOUT),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            view,
            sight: Arc::default(),
            thaw: None,
            customer_keys: CustomerKeys::default(),
        })
    }

    /// The same, where archived objects are asked to be restored when they are met.
    #[must_use]
    pub fn with_thaw(self, thaw: Option<Thaw>) -> Self {
        Self { thaw, ..self }
    }

    /// The same, with keys for objects under SSE-C.
    #[must_use]
    pub fn with_customer_keys(self, customer_keys: CustomerKeys) -> Self {
        Self { customer_keys, ..self }
    }

    /// Where an entry is, for the calls about it.
    fn place<'a>(&'a self, entry: &'a Entry) -> Place<'a> {
        Place { client: &self.client, bucket: &self.bucket, key: &entry.key, version_id: entry.version_id.as_deref() }
    }

    /// Which call of which object a failure is about.
    fn what(&self, entry: &Entry) -> String {
        format!("s3:GetObject {}", self.named(entry))
    }

    fn named(&self, entry: &Entry) -> String {
        let version = entry.version_id.as_ref().map(|id| format!(" version {id}")).unwrap_or_default();
        format!("{}/{}{version}", self.bucket, entry.key.escape_debug())
    }
}

#[async_trait]
impl ObjectSource for S3Source {
    fn url(&self) -> String {
        if self.prefix.is_empty() { format!("s3://{}", self.bucket) } else { format!("s3://{}/{}", self.bucket, self.prefix) }
    }

    fn view(&self) -> Option<View> {
        Some(self.view)
    }

    fn has_versions(&self) -> bool {
        self.view == View::Versions
    }

    fn has_evidence(&self) -> bool {
        true
    }

    fn list(&self) -> BoxStream<'static, Result<Entry, Failure>> {
        let (client, bucket, prefix) = (self.client.clone(), self.bucket.clone(), self.prefix.clone());
        match self.view {
            View::Versions => s3_listing::versions(client, bucket, prefix),
            View::Latest => s3_listing::latest(client, bucket, prefix),
            View::At(time) => s3_views::at(s3_listing::versions(client, bucket, prefix), time),
        }
    }

    async fn find(&self, key: &str) -> Result<Option<Entry>, Failure> {
        let what = format!("s3:HeadObject {}/{}", self.bucket, key.escape_debug());
        let ask = |with: Option<&CustomerKey>| {
            let request = self.client.head_object().bucket(&self.bucket).key(key);
            match with {
                Some(with) => request.sse_customer_algorithm("AES256").sse_customer_key(&with.key).sse_customer_key_md5(&with.md5).send(),
                None => request.send(),
            }
        };
        let with = self.customer_keys.of(key);
        let mut answer = ask(with).await;
        if with.is_some() && answer.as_ref().is_err_and(|error| error.raw_response().is_some_and(|raw| raw.status().as_u16() == 400)) {
            answer = ask(None).await;
        }
        let answer = match answer.map_err(|error| classify(&what, error)) {
            Ok(answer) => answer,
            Err(failure) if failure.kind == FailureKind::Absent => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let size = answer.content_length().and_then(|length| u64::try_from(length).ok());
        let size = size.ok_or_else(|| Failure::new(FailureKind::Remote, format!("{what}: the answer has no length")))?;
        Ok(Some(Entry {
            modified: answer.last_modified().map(timestamp),
            etag: answer.e_tag().map(str::to_owned),
            storage_class: Some(answer.storage_class().map_or("STANDARD", |class| class.as_str()).to_owned()),
            ..Entry::object(key, size)
        }))
    }

    async fn read(&self, entry: &Entry, offset: u64) -> Result<Body, Failure> {
        self.get(entry, (offset > 0).then_some(offset..entry.size), true).await
    }

    fn has_ranges(&self) -> bool {
        true
    }

    async fn read_range(&self, entry: &Entry, range: Range<u64>) -> Result<Body, Failure> {
        self.get(entry, Some(range), false).await
    }

    async fn told(&self, entry: &Entry) -> Result<Told, Failure> {
        let what = format!("s3:HeadObject {}", self.named(entry));
        let ask = |key: Option<&CustomerKey>| {
            let request = self.client.head_object().bucket(&self.bucket).key(&entry.key).checksum_mode(ChecksumMode::Enabled);
            let request = request.set_version_id(entry.version_id.clone()).set_if_match(entry.etag.clone());
            match key {
                Some(key) => request.sse_customer_algorithm("AES256").sse_customer_key(&key.key).sse_customer_key_md5(&key.md5).send(),
                None => request.send(),
            }
        };
        let key = self.customer_keys.of(&entry.key);
        let mut answer = ask(key).await;
        // Answers to HEAD have no body, so 400 is all that tells that the key does not belong here.
        if key.is_some() && answer.as_ref().is_err_and(|error| error.raw_response().is_some_and(|raw| raw.status().as_u16() == 400)) {
            answer = ask(None).await;
        }
        let answer = answer.map_err(|error| match error.raw_response().map(|raw| raw.status().as_u16()) {
            Some(412) => Failure::new(FailureKind::Remote, format!("{what}: changed after it was listed")),
            Some(400) if key.is_none() => classify(&what, error).hint("an object under SSE-C needs its key: --sse-c-keys FILE"),
            _ => classify(&what, error),
        })?;
        let size = answer.content_length().and_then(|length| u64::try_from(length).ok());
        if size != Some(entry.size) {
            let found = size.map_or_else(|| "none".to_owned(), |size| format!("{size} bytes"));
            return Err(Failure::new(
                FailureKind::Remote,
                format!("{what}: listed with {} bytes, its own answer says {found}", entry.size),
            ));
        }
        let checksum = s3_evidence::checksum_of_head(&answer);
        let evidence = self.sight.complete(self.place(entry), s3_evidence::of_head(&answer)).await;
        Ok(Told { checksum, evidence: Some(Box::new(evidence)) })
    }

    fn request_attempts(&self) -> u32 {
        ATTEMPTS
    }
}

impl S3Source {
    /// GetObject, of a range or of everything; `to_end` where the range reaches the object's end.
    async fn get(&self, entry: &Entry, range: Option<Range<u64>>, to_end: bool) -> Result<Body, Failure> {
        let what = self.what(entry);
        let last = |range: &Range<u64>| if to_end { String::new() } else { (range.end - 1).to_string() };
        let ask = Ask {
            key: entry.key.clone(),
            version_id: entry.version_id.clone(),
            // The listed state or nothing: a version id is that already, the latest version is held by its tag.
            if_match: entry.etag.clone(),
            range: range.as_ref().map(|range| format!("bytes={}-{}", range.start, last(range))),
            bytes: range.as_ref().map_or(entry.size, |range| range.end - range.start),
        };
        let whole = range.is_none();
        let answer = match self.ask(ask, &what).await? {
            Ok(answer) => answer,
            Err(error) => return Err(self.refused(entry, error, &what).await),
        };
        self.check(entry, range.as_ref(), &answer, &what)?;
        let declared_length = answer.content_length.and_then(|length| u64::try_from(length).ok());
        let Some(declared_length) = declared_length else {
            return Err(Failure::new(FailureKind::Remote, format!("{what}: the answer has no length")));
        };
        let told = match whole {
            true => Told { checksum: answer.checksum, evidence: Some(Box::new(self.sight.complete(self.place(entry), answer.told).await)) },
            false => Told::default(),
        };
        Ok(Body { stream: pieces(answer.body, what), declared_length, told })
    }

    /// Sends what is asked, directly where that can be done.
    async fn ask(&self, ask: Ask, what: &str) -> Result<Sent, Failure> {
        let key = self.customer_keys.of(&ask.key);
        if key.is_none() && self.direct.is_ready() {
            return Ok(self.direct.get(&ask).await);
        }
        let whole = ask.range.is_none();
        let request = self.reader.get_object().bucket(&self.bucket).key(&ask.key).set_version_id(ask.version_id);
        let request = request.set_if_match(ask.if_match).set_range(ask.range);
        if let Some(key) = key {
            let answer = send(with_key(request.clone(), key), whole, None, what).await?;
            if answer.as_ref().is_err_and(|error| s3_customer_keys::is_not_applicable(error.code(), error.message())) {
                return send(request, whole, None, what).await;
            }
            return Ok(answer);
        }
        let seen = self.direct.is_curious().then(Seen::default);
        let answer = send(request, whole, seen.clone(), what).await?;
        if let (Some(seen), Ok(_)) = (seen, &answer) {
            self.direct.learn(&seen, &ask.key);
        }
        Ok(answer)
    }

    /// Why S3 did not give the content.
    async fn refused(&self, entry: &Entry, error: SdkError<GetObjectError, HttpResponse>, what: &str) -> Failure {
        match error.code() {
            Some("InvalidObjectState") => {
                s3_archive::meet(self.place(entry), entry.storage_class.as_deref(), self.thaw.as_ref(), what).await
            }
            Some("InvalidRequest") if error.message().is_some_and(|message| message.contains("Server Side Encryption")) => {
                let said = "under SSE-C, and no key for it was given";
                Failure::new(FailureKind::Remote, format!("{what}: {said}")).hint("name a file of keys with --sse-c-keys FILE")
            }
            _ => refused(what, error),
        }
    }

    /// Holds the answer's own words to what was asked for.
    fn check(&self, entry: &Entry, asked: Option<&Range<u64>>, answer: &Answer, what: &str) -> Result<(), Failure> {
        let wrong = |said: String| Err(Failure::new(FailureKind::Remote, format!("{what}: {said}")));
        if let (Some(wanted), Some(found)) = (entry.version_id.as_deref(), answer.version_id.as_deref())
            && wanted != found
        {
            return wrong(format!("expected that version, the answer is version {found}"));
        }
        match (asked, answer.content_range.as_deref()) {
            (None, None) => Ok(()),
            (Some(asked), Some(told)) if told == format!("bytes {}-{}/{}", asked.start, asked.end - 1, entry.size) => Ok(()),
            (None, Some(told)) => wrong(format!("expected everything, the answer has the range {told}")),
            (Some(asked), told) => {
                let told = told.unwrap_or("of everything");
                wrong(format!("expected the bytes {}-{} of {}, the answer has the range {told}", asked.start, asked.end - 1, entry.size))
            }
        }
    }
}

/// Sends a request on a task of its own, so that many of them use more than one processor; it ends with this future.
async fn send(request: GetObjectFluentBuilder, whole: bool, seen: Option<Seen>, what: &str) -> Result<Sent, Failure> {
    // Answers carry the checksum where it is asked for. Asked for by the SDK's own option, the SDK would hold the body to it.
    let mut request = request.customize().mutate_request(move |request| {
        if whole {
            request.headers_mut().insert("x-amz-checksum-mode", "ENABLED");
        }
    });
    if let Some(seen) = seen {
        request = request.interceptor(seen);
    }
    let mut task = JoinSet::new();
    task.spawn(async move { request.send().await });
    match task.join_next().await {
        Some(Ok(answer)) => Ok(answer.map(Answer::of_output)),
        _ => Err(Failure::new(FailureKind::Network, format!("{what}: the request ended abnormally"))),
    }
}

fn with_key(request: GetObjectFluentBuilder, key: &CustomerKey) -> GetObjectFluentBuilder {
    request.sse_customer_algorithm("AES256").sse_customer_key(&key.key).sse_customer_key_md5(&key.md5)
}

/// Why a content was not sent. A 5xx that is not throttling is the service's passing trouble, which the SDK would ask again for.
fn refused(what: &str, error: SdkError<GetObjectError, HttpResponse>) -> Failure {
    let about = |said: &str| Failure::new(FailureKind::Remote, format!("{what}: {said}"));
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    match error.code() {
        Some("PreconditionFailed") => about("changed after it was listed"),
        Some("NoSuchKey" | "NoSuchVersion") => about("was listed, and is gone"),
        _ => {
            let mut failure = classify(what, error);
            if failure.kind == FailureKind::Remote && matches!(status, 500 | 502 | 504) {
                failure.kind = FailureKind::Network;
            }
            failure
        }
    }
}

/// The body piece by piece; one that breaks is the network's fault.
fn pieces(body: Pieces, what: String) -> BoxStream<'static, Result<Bytes, Failure>> {
    futures_util::stream::unfold(Some((body, what)), |state| async move {
        let (mut body, what) = state?;
        match body.next().await? {
            Ok(bytes) => Some((Ok(bytes), Some((body, what)))),
            Err(error) => {
                let mut said = error.to_string();
                let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
                while let Some(current) = cause {
                    said = format!("{said}: {current}");
                    cause = current.source();
                }
                Some((Err(Failure::new(FailureKind::Network, format!("{what}: the body broke off: {said}"))), None))
            }
        }
    })
    .boxed()
}
