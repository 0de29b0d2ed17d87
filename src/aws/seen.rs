//! What the SDK sent last, for the requests that are signed here: they go where the SDK's own go, and say who they are as it does.
//!
//! Not here: what is learnt from it, which each service's `…_direct` knows.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Names and values.
pub type Headers = Vec<(String, String)>;

/// Listens to one request; clones share what was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<Option<(String, Headers)>>>);

impl Seen {
    /// The URI and the headers of the request that was sent last; nothing where none was, or they were taken before.
    pub fn take(&self) -> Option<(String, Headers)> {
        self.0.lock().ok().and_then(|mut seen| seen.take())
    }
}

impl Intercept for Seen {
    fn name(&self) -> &'static str {
        "attestore: how the SDK reaches a service"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let headers = request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if let Ok(mut seen) = self.0.lock() {
            *seen = Some((request.uri().to_owned(), headers));
        }
        Ok(())
    }
}
